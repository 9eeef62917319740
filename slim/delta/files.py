"""Files of a delta: names, sizes and hashes; anything but a regular file is refused."""

from __future__ import annotations

from pathlib import Path

from slim.delta.hints import DOWNLOAD_AGAIN, GET_AGAIN
from slim.errors import StorageError, UnsafeInputError
from slim.formats.digests import sha256_of
from slim.model.delta import NamedFile
from slim.model.stack import ArchiveInfo


def named_file(archive: ArchiveInfo) -> NamedFile:
    """Return an archive as a file of a delta."""
    return NamedFile(name=archive.name, size=archive.size, sha256=archive.sha256)


def file_of(path: Path, name: str | None = None) -> NamedFile:
    """Measure and hash a file. ``name`` replaces the path's name. Raises StorageError."""
    try:
        return NamedFile(name=name or path.name, size=path.stat().st_size, sha256=sha256_of(path))
    except OSError as error:
        raise StorageError.from_os_error(error, file=path) from None


def regular_file(path: Path, missing: str) -> Path:
    """Return the path of a file of a delta, unless it isn't a regular file.

    A link would lead elsewhere, and reading a pipe might never end. Raises StorageError with the
    message ``missing`` if there is none, UnsafeInputError if it is something else.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UnsafeInputError("isn't a regular file", file=path, hint=GET_AGAIN)
    if not path.exists():
        raise StorageError(missing, file=path, hint=DOWNLOAD_AGAIN)
    return path
