"""Regular files: read in pieces; written, on the disk when the call returns, and read again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from slim.errors import StorageError, UnsafeInputError
from slim.system.atomic import write_durably
from slim.system.regular import NotRegularError, open_regular

CHUNK = 1 << 20
"""Bytes that are read, decompressed and written at a time."""

IN_MEMORY = 8 << 20
"""Bytes of the largest file that is read as a whole; larger ones are mapped."""


def file_chunks(source: Path, size: int = CHUNK) -> Iterator[bytes]:
    """A regular file's bytes in pieces of at most ``size``.

    Raises StorageError, and UnsafeInputError for what isn't a regular file.
    """
    try:
        with open_regular(source) as stream:
            while data := stream.read(size):
                yield data
    except NotRegularError as error:
        raise UnsafeInputError(
            "not a regular file",
            file=source,
            hint="give the archive itself, not a device or pipe",
        ) from error
    except IsADirectoryError as error:
        raise UnsafeInputError(
            "this is a folder, not an archive", file=source, hint="give its archive"
        ) from error
    except OSError as error:
        raise StorageError.from_os_error(error, file=source) from error


def write_file(target: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Create ``target``, which mustn't exist yet, write everything, flush it, and read it again.

    Raises StorageError. What was written by then is left to the caller, who owns the staging
    folder.
    """
    try:
        with target.open("x+b") as stream:
            write_durably(stream, pieces)
    except OSError as error:
        raise StorageError.from_os_error(error, file=target) from error


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content likewise.

    Raises StorageError, and UnsafeInputError for what isn't a regular file.
    """
    write_file(target, file_chunks(source))
