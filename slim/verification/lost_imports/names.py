"""Names that a stack's modules had, and have no longer.

Nothing here is of the planner's analysis, which this is to check: names follow from the folders
that Python searches, and from nothing else.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from slim.analysis import ReadFile
from slim.model.record import EntryType, FileKey, FileRecord, Inventory
from slim.model.stack import Layer, Stack

_MODULE = re.compile(r"(\w+)(?:\.py|\.pyw|\.pyc|(?:\.[\w-]+)?\.(?:so|pyd)|\.abi3\.so)\Z")
_LARGEST_PTH = 1 << 16


class Places:
    """Folders that the Python of each layer searches, the deepest first."""

    def __init__(self, stack: Stack, inventory: Inventory, read: ReadFile) -> None:
        self._roots = {layer.name: _roots(layer, inventory, read) for layer in stack}

    def name_of(self, layer: str, stem: str) -> str:
        """Return the dotted name that a path without its ending has in a layer.

        Outside of the folders that Python searches, that is the path itself, after a slash.
        """
        for root in self._roots[layer]:
            if not root or stem.startswith(root + "/"):
                return stem[len(root) :].strip("/").replace("/", ".")
        return "/" + stem.replace("/", ".")

    def sources(self, layer: str, inner: str) -> Iterator[str]:
        """Yield where the source of a package may lie, whose name has slashes for dots."""
        for root in self._roots[layer] if not inner.startswith("/") else ("",):
            yield posixpath.join(root, inner.lstrip("/"), "__init__.py")

    def module_of(self, record: FileRecord) -> str | None:
        """Return the name by which a file can be imported; None if it can't."""
        folder, _, name = record.path.rpartition("/")
        match = _MODULE.match(name)
        if record.type is EntryType.DIRECTORY or match is None or folder.endswith("__pycache__"):
            return None
        stem = folder if match[1] == "__init__" else posixpath.join(folder, match[1])
        return self.name_of(record.layer, stem)


def _roots(layer: Layer, inventory: Inventory, read: ReadFile) -> tuple[str, ...]:
    found = {site.strip("/") for site in layer.site_dirs}
    if layer.stdlib_dir is not None:
        standard = layer.stdlib_dir.strip("/")
        found |= {standard, f"{standard}/lib-dynload", f"{posixpath.dirname(standard)}/DLLs"}
    for record in inventory.records.get(layer.name, {}).values():
        folder, _, name = record.path.rpartition("/")
        if name.endswith(".pth") and folder in found and record.size <= _LARGEST_PTH:
            found |= set(_added(folder, bytes(read(record)).decode("utf-8", "replace")))
    return tuple(sorted(found or {""}, key=lambda root: (-len(root), root)))


def _added(folder: str, lines: str) -> Iterator[str]:
    """Yield the folders of a layer that a ``.pth`` file adds."""
    for line in map(str.strip, lines.splitlines()):
        if line and not line.startswith(("#", "import ", "import\t", "/")):
            place = posixpath.normpath(posixpath.join(folder, line))
            if not place.startswith("..") and place != ".":
                yield place


class Gone:
    """Modules that an original had and its result hasn't, as each layer's processes see them."""

    def __init__(
        self, stack: Stack, inventory: Inventory, places: Places, gone: Iterable[FileRecord]
    ) -> None:
        self._seen = {layer.name: (layer.name, *layer.requires) for layer in stack}
        self._gone: dict[str, dict[str, FileKey]] = {layer.name: {} for layer in stack}
        keys: set[FileKey] = set()
        for record in gone:
            keys.add(record.key)
            name = places.module_of(record)
            if name:
                self._gone[record.layer].setdefault(name, record.key)
        names = {name for found in self._gone.values() for name in found}
        self.words = frozenset(name.rpartition(".")[2] for name in names)
        self.parents = frozenset(name.rpartition(".")[0] for name in names)
        self._stays = _named(inventory, places, keys, names, self.words) if names else {}

    def find(self, name: str, layer: str) -> FileKey | None:
        """Return the file that a module went with; None where it is there, or never was."""
        seen = self._seen[layer]
        lost = next((key for one in seen if (key := self._gone[one].get(name))), None)
        if lost is None or any(name in self._stays.get(one, ()) for one in seen):
            return None
        return lost

    def members(self, package: str, layer: str) -> Iterator[str]:
        """Yield the last parts of the names of modules that a package lost."""
        for one in self._seen[layer]:
            for name in self._gone[one]:
                before, _, last = name.rpartition(".")
                if before == package and self.find(name, layer) is not None:
                    yield last


def _named(
    inventory: Inventory,
    places: Places,
    gone: Collection[FileKey],
    names: Collection[str],
    words: Collection[str],
) -> Mapping[str, set[str]]:
    """Return those of some names that files which stay have, by layer."""
    found: dict[str, set[str]] = {}
    for record in inventory:
        folder, _, last = record.path.rpartition("/")
        stem = last.partition(".")[0]
        word = folder.rpartition("/")[2] if stem == "__init__" else stem
        if word in words and record.key not in gone:
            name = places.module_of(record)
            if name in names and name is not None:
                found.setdefault(record.layer, set()).add(name)
    return found
