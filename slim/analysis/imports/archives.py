"""Python sources within archives that Python imports from or runs: eggs, zipped libraries, zipapps.

Sources: the Python documentation of ``zipimport`` and ``zipapp``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from slim.analysis.imports.modules import SOURCE_SUFFIXES, Module
from slim.errors import SlimError
from slim.formats.zip.parse import (
    DEFLATED,
    PYTHON_SUFFIXES,
    STORED,
    ZipParser,
    ZipRecord,
    without_prefix,
)
from slim.model.record import EntryType, FileRecord

_SUFFIXES = (*PYTHON_SUFFIXES, ".exe")
_PROGRAM_FOLDERS = ("bin/", "Scripts/", "libexec/")
_END = b"PK\x05\x06"
_END_WITHIN = 22 + (1 << 16)
_MAX_MEMBERS = 50_000
_MAX_TOTAL = 1 << 26
"""Bytes of all sources of one archive that are read."""


def may_be_archive(record: FileRecord, data: memoryview) -> bool:
    """True for a file that Python may import from or run as a zip file."""
    if record.type is not EntryType.FILE or record.size < 22:
        return False
    start = bytes(data[:4])
    if record.path.endswith(_SUFFIXES) and start[:2] in (b"PK", b"#!", b"MZ"):
        return start[:2] != b"MZ" or _END in bytes(data[-_END_WITHIN:])
    program = start[:2] == b"#!" or (
        record.native is not None and record.path.startswith(_PROGRAM_FOLDERS)
    )
    return program and _END in bytes(data[-_END_WITHIN:])


class PythonArchive:
    """The Python sources of a zip file, by path. ``whole`` is false where some can't be read.

    A source of more than ``limit`` bytes isn't read.
    """

    def __init__(self, data: memoryview, limit: int) -> None:
        self.whole = True
        self._limit = limit
        self.sources: dict[str, bytes] = {}
        data = without_prefix(data)
        try:
            parser = ZipParser(data, "archive", members=_MAX_MEMBERS, prefixed=True)
            self._read(data, parser.records())
        except (SlimError, struct.error):
            self.whole = False

    def _read(self, data: memoryview, records: list[ZipRecord]) -> None:
        total = 0
        for record in records:
            if not record.name.endswith(SOURCE_SUFFIXES):
                self.whole = self.whole and not record.name.endswith(".pyc")
                continue
            total += record.size
            source = None
            if total <= _MAX_TOTAL and record.size <= self._limit:
                source = _content(record, data)
            if source is None:
                self.whole = False
            else:
                self.sources[record.name] = source


def members_of(data: bytes, most: int) -> Iterator[bytes]:
    """The contents of a zip file's members, as far as they can be read, ``most`` bytes in all."""
    view = memoryview(data)
    try:
        records = ZipParser(view, "archive", members=_MAX_MEMBERS).records()
    except (SlimError, struct.error):
        return
    for record in records:
        content = _content(record, view) if record.size <= most else None
        if content:
            most -= len(content)
            yield content


def _content(record: ZipRecord, data: memoryview) -> bytes | None:
    """Return a member's bytes; None where they aren't what the archive states."""
    packed = data[record.data : record.data + record.packed]
    if record.method == STORED:
        found = bytes(packed)
    elif record.method == DEFLATED:
        try:
            found = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, record.size + 1)
        except zlib.error:
            return None
    else:
        return None
    return found if len(found) == record.size and zlib.crc32(found) == record.crc else None


def module_of(path: str) -> Module:
    """The module that a source in an archive is where the archive itself is searched."""
    stem = path.rpartition(".")[0]
    package = stem.endswith("/__init__")
    return Module(stem.removesuffix("/__init__"), package)
