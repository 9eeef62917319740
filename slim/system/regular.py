"""Regular files, read within a bound: never a device without an end, never a pipe nobody writes.

Sources: open(2) (O_NONBLOCK on a FIFO), inode(7) (file types).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from slim.errors import LimitError, SlimError, StorageError, UnsafeInputError

_PIECE = 1 << 20


class NotRegularError(OSError):
    """The path names a device, a pipe or a socket."""


class TooLargeError(OSError):
    """The file has more bytes than allowed. ``limit`` is what was allowed."""

    def __init__(self, limit: int) -> None:
        super().__init__(errno.EFBIG, f"more than {limit} bytes")
        self.limit = limit


@contextmanager
def open_regular(path: Path) -> Iterator[FileIO]:
    """Open a regular file for reading. Raises OSError, of which NotRegularError is one."""
    # Without O_NONBLOCK, opening a FIFO would wait for a writer for ever.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    with os.fdopen(handle, "rb", buffering=0) as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise NotRegularError(errno.EINVAL, "not a regular file")
        yield stream


def read_regular(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file that has at most ``limit`` of them.

    Raises OSError, of which NotRegularError and TooLargeError are two.
    """
    pieces: list[bytes] = []
    left = limit
    with open_regular(path) as stream:
        while data := stream.read(min(_PIECE, left + 1)):
            left -= len(data)
            if left < 0:
                raise TooLargeError(limit)
            pieces.append(data)
    return b"".join(pieces)


def read_input(
    path: Path,
    limit: int,
    *,
    noun: str,
    source: object = None,
    irregular: type[SlimError] = UnsafeInputError,
    too_large: type[SlimError] = LimitError,
) -> bytes:
    """Return the bytes of a file that slim was given, at most ``limit`` of them.

    Raises ``irregular`` for what is no regular file, ``too_large`` for more bytes, and StorageError
    for what can't be read. Errors call the file ``source`` (its path by default), and a hint calls
    what it should be a ``noun``.
    """
    file = path if source is None else source
    try:
        return read_regular(path, limit)
    except NotRegularError as error:
        hint = "give a file, not a device or a pipe"
        raise irregular("not a regular file", file=file, hint=hint) from error
    except TooLargeError as error:
        hint = f"no {noun} is as large as that"
        raise too_large(f"more than {limit} bytes", file=file, hint=hint) from error
    except OSError as error:
        raise StorageError.from_os_error(error, file=file) from error
