"""Small files of the user's: replaced in one step, durable, and read again before they count.

Sources: rename(2), fsync(2).
"""

from __future__ import annotations

import errno
import glob
import os
import sys
import tempfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from slim.errors import StorageError
from slim.system.interrupts import held
from slim.system.locking import try_lock

_STAGED = ".slim-new-"
_CHUNK = 1 << 20


def write_durably(stream: BinaryIO, pieces: Iterable[bytes | memoryview]) -> None:
    """Write, flush to the disk, and read again what was written. Raises OSError, of which EIO means that the file
    system took the bytes and lost them. The stream is that of an empty file, and open for reading
    too."""
    written = read = (0, 0)
    for piece in pieces:
        view = memoryview(piece)
        written = _summed(written, view)
        while view:
            view = view[stream.write(view) :]
    stream.flush()
    descriptor = stream.fileno()
    os.fsync(descriptor)
    os.lseek(descriptor, 0, os.SEEK_SET)
    while data := os.read(
        descriptor, _CHUNK
    ):  # not from the stream, whose buffer may hold what was to be written
        read = _summed(read, data)
    if read != written:
        raise OSError(errno.EIO, "what was written can't be read back")


def _summed(so_far: tuple[int, int], data: bytes | memoryview) -> tuple[int, int]:
    """Size and CRC-32, which finds what is lost as well as any hash, and costs less."""
    return so_far[0] + len(data), zlib.crc32(data, so_far[1])


def write_new(path: Path, data: bytes) -> None:
    """Create a file, which mustn't exist yet. Raises StorageError; half a file is left to the caller then."""
    try:
        with path.open("x+b", buffering=0) as stream:
            write_durably(stream, [data])
    except OSError as error:
        raise StorageError.from_os_error(error, file=path) from error


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file, or create it, in one step: readers see the old content or the new one, whenever the process
    ends. What a killed run left beside it is removed. Raises StorageError.

    A file that isn't a regular one (``/dev/stderr``, a named pipe) is written to instead of
    replaced.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        with held():
            _replace(path.resolve(), data)
    except OSError as error:
        raise StorageError.from_os_error(error, file=path) from error


def _replace(path: Path, data: bytes) -> None:
    prefix = f"{_STAGED}{path.name[:100]}."
    _sweep(path.parent, prefix)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=prefix)
    staged = Path(name)
    try:
        with os.fdopen(descriptor, "w+b", buffering=0) as stream:
            try_lock(descriptor)  # as long as it is held, nobody takes the file for a leftover
            write_durably(stream, [data])
            staged.chmod(_mode(path))
            if sys.platform != "win32":  # which renames no open files
                staged.replace(path)
        if sys.platform == "win32":
            staged.replace(path)
    except BaseException:
        with suppress(OSError):
            staged.unlink()
        raise


def _sweep(folder: Path, prefix: str) -> None:
    """Remove what killed runs left: files of such a name that nobody holds a lock on."""
    for left in folder.glob(f"{glob.escape(prefix)}*"):
        with suppress(OSError):
            with left.open("r+b") as stream:
                free = try_lock(stream.fileno())
            if free:
                left.unlink()


def _mode(path: Path) -> int:
    """Permissions as an ordinary write would leave them: those of the old file, or what the umask allows."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0o077)  # the only way to ask for it is to set it
    os.umask(mask)
    return 0o666 & ~mask
