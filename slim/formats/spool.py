"""Spool files for uncompressed bytes, private and without a name, and slices of them."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from slim.errors import StorageError
from slim.formats.files import CHUNK

_RESIDENT = 16 << 20
"""Bytes of a mapped file that may be in memory before they are given back."""


class _Map(mmap.mmap):
    """A mapped file that takes a few megabytes of memory, however much of it is looked at."""

    _seen = 0

    def seen(self, size: int) -> None:
        """Count bytes that were looked at. Threads may count at once: it needn't be exact."""
        self._seen += size
        if self._seen >= _RESIDENT:
            self._seen = 0
            self.forget()

    def forget(self) -> None:
        """Give the memory back (madvise(2), ``MADV_DONTNEED``).

        Views stay valid, even for threads that read them now: pages are mapped again when they are
        wanted.
        """
        if hasattr(mmap, "MADV_DONTNEED"):
            self.madvise(mmap.MADV_DONTNEED)


def seen(view: bytes | memoryview, size: int | None = None) -> None:
    """Count bytes that were looked at (the whole view, or ``size`` of them).

    So the memory that they are mapped into is given back.
    """
    if isinstance(view, memoryview) and isinstance(view.obj, _Map):
        view.obj.seen(len(view) if size is None else size)


def passing(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The pieces, for a caller who reads each once, and perhaps only the first."""
    for piece in pieces:
        seen(piece)
        yield piece


@dataclass(frozen=True, slots=True)
class SliceContent:
    """A member's bytes as a slice of a memory map."""

    data: memoryview

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The slice in pieces of at most 1 MiB."""
        return passing(
            self.data[start : start + CHUNK] for start in range(0, len(self.data), CHUNK)
        )

    def view(self) -> memoryview:
        """The slice, not copied."""
        seen(self.data)
        return self.data


class Spool:
    """A private file for uncompressed bytes: written once, then mapped.

    It has no name on POSIX (it is unlinked while open), so nothing is left behind after a kill.
    Raises StorageError.
    """

    def __init__(self, folder: Path) -> None:
        self.size = 0
        self._named: str | None = None
        self._map: _Map | None = None
        self._view: memoryview | None = None
        try:
            handle, name = tempfile.mkstemp(prefix="slim-", suffix=".spool", dir=folder)
        except OSError as error:
            raise StorageError.from_os_error(error, file=folder) from error
        self._file = os.fdopen(handle, "w+b", buffering=0)
        try:
            Path(name).unlink()
        except OSError:  # Windows doesn't unlink open files
            self._named = name

    def write(self, data: bytes | memoryview) -> None:
        """Append."""
        view = memoryview(data)
        try:
            while view:
                written = self._file.write(view)
                self.size += written
                view = view[written:]
        except OSError as error:
            raise StorageError.from_os_error(error, file="the spool file") from error

    def write_all(self, pieces: Iterable[bytes | memoryview]) -> None:
        """Append every piece."""
        for piece in pieces:
            self.write(piece)

    def view(self) -> memoryview:
        """All bytes that were written, memory-mapped, read-only."""
        if self._view is None:
            if self.size == 0:
                self._view = memoryview(b"")
            else:
                try:
                    if os.fstat(self._file.fileno()).st_size != self.size:
                        raise OSError(errno.EIO, "the file system lost what was written to it")
                    self._map = _Map(self._file.fileno(), self.size, access=mmap.ACCESS_READ)
                except OSError as error:
                    raise StorageError.from_os_error(error, file="the spool file") from error
                self._view = memoryview(self._map)
        return self._view

    def forget(self) -> None:
        """Give mapped pages back to the system; the view stays valid."""
        if self._map is not None:
            self._map.forget()

    def close(self) -> None:
        """Free the file. Views that are still held stay valid until they are dropped."""
        if self._view is not None and self._map is not None:
            # A view held elsewhere keeps the map alive; it is freed with the last of them.
            with contextlib.suppress(BufferError):
                self._view.release()
                self._map.close()
        self._view = self._map = None
        self._file.close()
        if self._named is not None:
            with contextlib.suppress(OSError):
                Path(self._named).unlink()
            self._named = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
