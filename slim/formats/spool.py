"""Spool files for uncompressed bytes, private and without a name, and slices of them."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from slim.errors import StorageError
from slim.formats.files import CHUNK
from slim.system.closing import Closing
from slim.system.mapped import MappedFile, map_file, passing, seen


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


class Spool(Closing):
    """A private file for uncompressed bytes: written once, then mapped.

    It has no name on POSIX (it is unlinked while open), so nothing is left behind after a kill.
    Raises StorageError.
    """

    def __init__(self, folder: Path) -> None:
        self.size = 0
        self._named: str | None = None
        self._map: MappedFile | None = None
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
                    self._map = map_file(self._file.fileno(), self.size)
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
