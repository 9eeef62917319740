"""Durable writes of files that users keep: in one step, and read back before they count.

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
from slim.system.interrupts import defer_signals
from slim.system.locking import try_lock

_STAGED = ".slim-new-"
_CHUNK = 1 << 20


def write_durably(stream: BinaryIO, pieces: Iterable[bytes | memoryview]) -> None:
    """Write to an empty file, flush it to the disk, and read back what was written.

    The stream has to be open for reading, too. Raises OSError; EIO means that the file system took
    the bytes and lost them.
    """
    written = read_back = (0, 0)
    for piece in pieces:
        view = memoryview(piece)
        written = _checksum(written, view)
        while view:
            view = view[stream.write(view) :]
    stream.flush()
    descriptor = stream.fileno()
    os.fsync(descriptor)
    os.lseek(descriptor, 0, os.SEEK_SET)
    # Not through the stream, whose buffer may still hold what was to be written.
    while data := os.read(descriptor, _CHUNK):
        read_back = _checksum(read_back, data)
    if read_back != written:
        raise OSError(errno.EIO, "what was written can't be read back")


def _checksum(so_far: tuple[int, int], data: bytes | memoryview) -> tuple[int, int]:
    """Size and CRC-32 of all data so far. A CRC finds lost blocks for less than a hash costs."""
    return so_far[0] + len(data), zlib.crc32(data, so_far[1])


def write_new(path: Path, data: bytes) -> None:
    """Create a file, which mustn't exist yet.

    Raises StorageError; then half a file may be left, which is the caller's to remove.
    """
    try:
        with path.open("x+b", buffering=0) as stream:
            write_durably(stream, [data])
    except OSError as error:
        raise StorageError.from_os_error(error, file=path) from error


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file, or create it, in one step: readers see the old content or the new one.

    Removes what a killed run left next to it. A file that isn't a regular one (``/dev/stderr``, a
    named pipe) is written to instead of replaced. Raises StorageError.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        with defer_signals():
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
            try_lock(descriptor)  # while it is held, no other run takes the file for a leftover
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
    """Remove files that killed runs left: those with the prefix that no process has locked."""
    for left in folder.glob(f"{glob.escape(prefix)}*"):
        with suppress(OSError):
            with left.open("r+b") as stream:
                free = try_lock(stream.fileno())
            if free:
                left.unlink()


def _mode(path: Path) -> int:
    """Permissions as an ordinary write leaves them: the old file's, or what the umask allows."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0o077)  # the only way to ask for it is to set it
    os.umask(mask)
    return 0o666 & ~mask
