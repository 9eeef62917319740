"""Python code within archives that Python imports from or runs: eggs, zipped libraries, zipapps.

Such a zip file may be called anything (``tool.dat``, ``x.addon``): Python goes by its bytes.

Sources: the Python documentation of ``zipimport`` and ``zipapp``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from slim.analysis import ReadFile
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
from slim.model.record import EntryType, FileKey, FileRecord

ARCHIVE_SUFFIXES = (*PYTHON_SUFFIXES, ".exe")
"""Suffixes of files that may be archives of Python code."""
_PROGRAM_FOLDERS = ("bin/", "Scripts/", "libexec/")
_START = b"PK\x03\x04"
_END = b"PK\x05\x06"
_END_WITHIN = 22 + (1 << 16)
_MAX_MEMBERS = 50_000
"""Members of an archive that are read, with those of the archives in it."""
_MAX_TOTAL = 1 << 26
"""Bytes of all code of one archive that are read."""
_DEPTH = 2
"""How deep archives in archives are read."""


def may_be_archive(record: FileRecord, data: memoryview) -> bool:
    """True for a file that Python may import from or run as a zip file."""
    if record.type is not EntryType.FILE or record.size < 22:
        return False
    start = bytes(data[:4])
    if start == _START and record.native is None:
        return True
    if record.path.endswith(ARCHIVE_SUFFIXES) and start[:2] in (b"PK", b"#!", b"MZ"):
        return start[:2] != b"MZ" or _END in bytes(data[-_END_WITHIN:])
    program = start[:2] == b"#!" or (
        record.native is not None and record.path.startswith(_PROGRAM_FOLDERS)
    )
    return program and _END in bytes(data[-_END_WITHIN:])


class PythonArchive:
    """The Python code of a zip file: its sources, each with its path, and its bytecode.

    ``whole`` is false where some can't be read, or isn't source. A source of more than ``limit``
    bytes isn't read. ``named`` says that the file is called like an archive of Python code: of any
    other that can't be read it isn't known that there is code in it.
    """

    def __init__(self, data: memoryview, limit: int, *, named: bool = True) -> None:
        self.whole = True
        self.sources: list[tuple[str, bytes]] = []
        self._bytecode: list[bytes] = []
        self._limit = limit
        self._left = _MAX_TOTAL
        self._members_left = _MAX_MEMBERS
        self._read_archive(data, _DEPTH, named=named)

    @property
    def bytecode(self) -> bytes:
        """The bytes of the modules that are compiled, with a zero byte between."""
        return b"\0".join(self._bytecode)

    def _read_archive(self, data: memoryview, depth: int, *, named: bool) -> None:
        data = without_prefix(data)
        try:
            parser = ZipParser(data, "archive", members=self._members_left, prefixed=True)
            records = parser.records()
            self._members_left -= len(records)
            self._read(data, records, depth)
        except (SlimError, struct.error):
            self.whole = self.whole and not named

    def _read(self, data: memoryview, records: list[ZipRecord], depth: int) -> None:
        for record in records:
            if record.name.endswith(SOURCE_SUFFIXES):
                source = self._content(record, data) if record.size <= self._limit else None
                if source is None:
                    self.whole = False
                else:
                    self.sources.append((record.name, source))
            elif record.name.endswith(".pyc"):
                self.whole = False
                self._bytecode.append(self._content(record, data) or b"")
            elif record.name.endswith(PYTHON_SUFFIXES) and depth:
                inner = self._content(record, data) or b""
                self._read_archive(memoryview(inner), depth - 1, named=False)

    def _content(self, record: ZipRecord, data: memoryview) -> bytes | None:
        """Return a member's bytes; None where they can't be read, or are too many."""
        self._left -= record.size
        return _content(record, data) if self._left >= 0 else None


def opened_archive(record: FileRecord, data: memoryview, limit: int) -> PythonArchive | None:
    """Return the archive of Python code that a file may be; None for what is none."""
    if not may_be_archive(record, data):
        return None
    named = record.path.endswith(ARCHIVE_SUFFIXES) or bytes(data[:2]) != b"PK"
    return PythonArchive(data, limit, named=named)


class Archives:
    """The archives of Python code in a stack; each is opened once."""

    def __init__(self, read: ReadFile, limit: int) -> None:
        self._read = read
        self._limit = limit
        self._opened: dict[FileKey, PythonArchive | None] = {}

    def of(self, record: FileRecord) -> PythonArchive | None:
        """The archive that a file is; None for what is none."""
        if record.key not in self._opened:
            archive = None
            if record.type is EntryType.FILE and not record.path.endswith(SOURCE_SUFFIXES):
                archive = opened_archive(record, self._read(record), self._limit)
            self._opened[record.key] = archive
        return self._opened[record.key]

    def bytecode_in(self, record: FileRecord) -> bytes:
        """The bytecode in a file that is an archive; nothing for any other file."""
        archive = self.of(record)
        return b"" if archive is None else archive.bytecode


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
