"""Python sources within archives that Python imports from or runs: eggs, zipped libraries, zipapps.

Sources: the Python documentation of ``zipimport`` and ``zipapp``.
"""

from __future__ import annotations

import io
import zipfile
import zlib

from slim.analysis.imports.modules import SOURCE_SUFFIXES, Module
from slim.model.record import EntryType, FileRecord

_SUFFIXES = (".zip", ".egg", ".whl", ".pyz", ".pyzw", ".exe")
_END = b"PK\x05\x06"
_END_WITHIN = 22 + (1 << 16)
_MAX_MEMBERS = 50_000
_MAX_TOTAL = 1 << 26
_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError),
    *(ValueError, IndexError, OverflowError),
)


def may_be_archive(record: FileRecord, data: memoryview) -> bool:
    """True for a file that Python may import from or run as a zip file."""
    if record.type is not EntryType.FILE or record.size < 22:
        return False
    name = record.path.rpartition("/")[2]
    start = bytes(data[:4])
    if name.endswith(_SUFFIXES) and start[:2] in (b"PK", b"#!", b"MZ"):
        return start[:2] != b"MZ" or _END in bytes(data[-_END_WITHIN:])
    return start[:2] == b"#!" and _END in bytes(data[-_END_WITHIN:])


class PythonArchive:
    """The Python sources of a zip file, by path. ``whole`` is false where some can't be read."""

    def __init__(self, data: memoryview, limit: int) -> None:
        self.whole = True
        self._limit = limit
        self.sources: dict[str, bytes] = {}
        try:
            with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
                self._list(archive)
        except _UNREADABLE:
            self.whole = False

    def _list(self, archive: zipfile.ZipFile) -> None:
        total = 0
        for number, info in enumerate(archive.infolist()):
            if not info.filename.endswith(SOURCE_SUFFIXES):
                self.whole = self.whole and not info.filename.endswith(".pyc")
                continue
            total += info.file_size
            if number > _MAX_MEMBERS or total > _MAX_TOTAL or info.file_size > self._limit:
                self.whole = False
                continue
            with archive.open(info) as member:
                self.sources[info.filename] = member.read(self._limit)


def module_of(path: str) -> Module:
    """The module that a source in an archive is where the archive itself is searched."""
    stem = path.rpartition(".")[0]
    package = stem.endswith("/__init__")
    return Module(stem.removesuffix("/__init__"), package)
