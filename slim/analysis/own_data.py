"""Data that code opens by a path of literals from its own place, such as a helper's certificate.

``os.path.join(os.path.dirname(__file__), "test", "test.crt")`` in a module that stays means that
very file, whatever a rule says of the folder that it lies in.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from slim.analysis import ReadFile
from slim.analysis.code_strings import MAX_SOURCE
from slim.analysis.imports.path_scan import PathUse, paths_of
from slim.model.finding import Evidence, Strength
from slim.model.record import EntryType, FileKey, FileRecord, Inventory, Owner
from slim.system.syntax import parsed

_CODE = (".py", ".pyw", ".pyc", ".pyi")
_SOURCES = (".py", ".pyw")
_OWN_PLACE = (b"__file__", b"__path__", b"__package__", b"__name__", b"__spec__")
_LAST_PART = re.compile(rb"""(?<![^"'/\\\n])([^"'/\\\n]{1,255})["']""")
"""What stands before a quote, tried only where it may begin, not at each of its characters."""


def opened_by_path(
    candidates: Iterable[FileRecord],
    gone: Collection[FileKey],
    inventory: Inventory,
    read: ReadFile,
) -> Mapping[FileKey, Evidence]:
    """Return the candidates that code of their own distribution which stays opens by its path.

    Modules aren't among them: what imports those is the import proof's to say. Code that can't be
    parsed counts for nothing here.
    """
    wanted: dict[tuple[str, Owner], dict[bytes, set[str]]] = {}
    for record in candidates:
        if not record.path.endswith(_CODE):
            names = wanted.setdefault((record.layer, record.owner), {})
            names.setdefault(posixpath.basename(record.path).encode(), set()).add(record.path)
    found: dict[FileKey, Evidence] = {}
    for record in inventory if wanted else ():
        names = wanted.get((record.layer, record.owner), {})
        if not names or record.key in gone or not _is_source(record):
            continue
        source = bytes(read(record))
        if any(map(source.__contains__, _OWN_PLACE)):
            meant = names.keys() & set(_LAST_PART.findall(source))
            paths = frozenset().union(*(names[name] for name in meant))
            for path, line in _opened(record, source, paths) if paths else ():
                evidence = Evidence(
                    kind="path",
                    text="opens it by a path from its own place",
                    file=record.deployed_path,
                    line=line or None,
                    strength=Strength.STRONG,
                )
                found.setdefault((record.layer, path), evidence)
    return found


def _is_source(record: FileRecord) -> bool:
    return (
        record.type is EntryType.FILE
        and record.path.endswith(_SOURCES)
        and record.size <= MAX_SOURCE
    )


def _opened(record: FileRecord, source: bytes, paths: Collection[str]) -> Iterator[tuple[str, int]]:
    """Yield those of some paths that a module opens, each with the line."""
    try:
        uses = paths_of(parsed(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for use in uses:
        for path in _meant(record, use) if use.own else ():
            if path in paths:
                yield path, use.line
                break


def _meant(record: FileRecord, use: PathUse) -> Iterator[str]:
    """The paths that a use may mean, from the module's folder outwards."""
    folder = posixpath.dirname(record.path)
    while folder:
        yield posixpath.join(folder, *use.segments)
        folder = posixpath.dirname(folder)
