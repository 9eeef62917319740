"""Data beside modules that stay, which they may find by the place that they lie at."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from slim.analysis import ReadFile
from slim.analysis.imports.candidates import Candidates
from slim.analysis.imports.modules import ModuleIndex, importable_stem
from slim.model.record import EntryType, FileKey, FileKind, Inventory

_DATA_KINDS = frozenset(
    {FileKind.DATA, FileKind.TESTS, FileKind.LOCALE, FileKind.LIBRARY, FileKind.EXECUTABLE}
)
"""Kinds of files that a kept module may read from its own folder.

Stubs, headers, sources and documents are read by no program.
"""

_OWN_PLACE = (
    b"__file__",
    b"__path__",
    b"__spec__",
    b"__loader__",
    b"resources",
    b"get_data",
    b"getfile",
)
"""Words by which code finds the folder it lies in."""


class NeighbouringData:
    """A search for data that a needed module in the same folder may read."""

    def __init__(
        self, index: ModuleIndex, inventory: Inventory, read: ReadFile, candidates: Candidates
    ) -> None:
        self._index = index
        self._inventory = inventory
        self._read = read
        self._candidates = candidates

    def needed_data(
        self, removals: Collection[FileKey], refused: Collection[FileKey], active: set[FileKey]
    ) -> Iterator[tuple[FileKey, FileKey]]:
        """Yield each removal that has to stay, with the module beside it.

        ``refused`` are the removals that stay already, ``active`` those for strong evidence.
        """
        needed = self._looking(removals, refused, active)
        for key in sorted(set(removals).difference(refused)) if needed else ():
            record = self._inventory.get(key)
            reason = needed.get((key[0], key[1].rpartition("/")[0]))
            if record is None or reason is None or record.type is EntryType.DIRECTORY:
                continue
            if record.kind in _DATA_KINDS and importable_stem(record.path) is None:
                yield key, reason

    def _looking(
        self, removals: Collection[FileKey], refused: Collection[FileKey], active: set[FileKey]
    ) -> dict[FileKey, FileKey]:
        """Return folders in which a module that stays looks for files, each with the module."""
        needed: dict[FileKey, FileKey] = {}
        folders = {(key[0], key[1].rpartition("/")[0]) for key in self._candidates.by_name}
        neighbours = {
            key
            for key in self._index.modules
            if (key[0], key[1].rpartition("/")[0]) in folders
            and "/tests/" in key[1]
            and (key not in removals or key in refused)
        }
        for key in sorted(active.intersection(refused) | neighbours):
            folder = (key[0], key[1].rpartition("/")[0])
            record = self._inventory.get(key)
            if folder not in needed and record is not None and not self._index.is_root(folder):
                code = bytes(self._read(record))
                if any(word in code for word in _OWN_PLACE):
                    needed[folder] = key
        return needed
