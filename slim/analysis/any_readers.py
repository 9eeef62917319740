"""Files that code of any distribution reads wherever it finds them, by their suffix.

A lazy loader is given a module's file by whoever calls it, and reads the stub beside that
(``lazy_loader.attach_stub`` and its like). What runs ``pkg-config``, or sets where it looks, gets
the answers of whatever descriptions lie there.

Sources: SPEC 1 (lazy loading from stubs), pkg-config's manual (``PKG_CONFIG_PATH``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial

from slim.analysis import ReadFile
from slim.analysis.code_paths.scripts import is_script
from slim.analysis.remembering import Remembering, plain
from slim.model.finding import Evidence, Strength
from slim.model.record import EntryType, FileKey, FileKind, FileRecord, Inventory, OwnerKind

_STUB = ".pyi"
_DESCRIPTION = ".pc"
_SOURCES = (".py", ".pyw")
_ATTACHES = b"attach_stub"
_WORDS = (_ATTACHES, b"pyi", b"i'", b'i"', b"pkg-config", b"pkgconf", b"PKG_CONFIG")
"""One of these is wherever one of the patterns below is, and is found sooner."""
_MAKES_STUB = re.compile(
    rb"[\"'][^\"'\n]{0,40}\.?pyi\$?[\"']"
    rb"|\b(?:file\w*|path\w*|origin|source\w*|__file__|fn|fname|src\w*|script\w*)"
    rb"\]?[\"']?\]?\s*(?:\+\s*|\})[\"']?i[\"']"
)
"""A string that ends in the suffix, or a file's path with one letter more."""
_READS = re.compile(rb"\b(?:open|read\w*|parse|get_data|exec|compile)\b\s*\(")
_ASKS = re.compile(rb"\bpkg-?config\b|\bpkgconf\b|PKG_CONFIG", re.I)
_READING = plain("any-readers", str)


def read_anywhere(
    candidates: Iterable[FileRecord],
    gone: Collection[FileKey],
    inventory: Inventory,
    read: ReadFile,
    readings: Remembering | None = None,
) -> Mapping[FileKey, Evidence]:
    """Return the candidates that code which stays reads, whosever it is, each with what shows it.

    Of stubs only those beside a module; compiled modules have none that is read so. Neither the
    standard library nor test suites count.
    """
    wanted: dict[str, list[FileKey]] = {_STUB: [], _DESCRIPTION: []}
    for record in candidates:
        files = inventory.records[record.layer]
        if record.path.endswith(_DESCRIPTION):
            wanted[_DESCRIPTION].append(record.key)
        elif record.path.endswith(_STUB) and record.path[:-1] in files:
            wanted[_STUB].append(record.key)
    known = readings or Remembering()
    found: dict[FileKey, Evidence] = {}
    for record in inventory if any(wanted.values()) else ():
        if record.key in gone or not _counts(record, read):
            continue
        suffixes = known.of_record(_READING, record, partial(_suffixes, record, read))
        for suffix in suffixes.split():
            text = "reads stubs that it is given" if suffix == _STUB else "asks pkg-config"
            evidence = Evidence(
                kind="path", text=text, file=record.deployed_path, strength=Strength.WEAK
            )
            found.update(dict.fromkeys(wanted.pop(suffix, ()), evidence))
        if not wanted:
            break
    return found


def _counts(record: FileRecord, read: ReadFile) -> bool:
    if (
        record.type is not EntryType.FILE
        or record.native is not None
        or record.owner.kind is OwnerKind.RUNTIME
        or record.kind is FileKind.TESTS
    ):
        return False
    return record.path.endswith(_SOURCES) or is_script(record, read)


def _suffixes(record: FileRecord, read: ReadFile) -> str:
    """The suffixes of what a file reads, with spaces between."""
    return " ".join(_read_by(bytes(read(record)), record.path.endswith(_SOURCES)))


def _read_by(source: bytes, is_code: bool) -> Iterator[str]:
    if not any(map(source.__contains__, _WORDS)):
        return
    if is_code and (_ATTACHES in source or (_MAKES_STUB.search(source) and _READS.search(source))):
        yield _STUB
    if (b"pkg" in source or b"PKG" in source) and _ASKS.search(source):
        yield _DESCRIPTION
