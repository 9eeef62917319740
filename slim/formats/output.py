"""Files that are on the disk when the call returns, and were read again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from slim.errors import StorageError
from slim.formats.spool import file_chunks
from slim.system.atomic import write_durably


def write_file(target: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Create ``target``, which mustn't exist yet, write everything, flush it to the disk, and read it again.

    Raises StorageError. What was written by then is left to the caller, who owns the staging
    folder.
    """
    try:
        with target.open("x+b") as stream:
            write_durably(stream, pieces)
    except OSError as error:
        raise StorageError.from_os_error(error, file=target) from error


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content, likewise. Raises StorageError, and UnsafeInputError for what isn't a regular file."""
    write_file(target, file_chunks(source))
