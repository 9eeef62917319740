"""The bytes of an ELF file as pyelftools wants to read them, within bounds."""

from __future__ import annotations

import io

_MOST = 1 << 21


class BoundedStream:
    """A seekable stream over a buffer, which :class:`io.BytesIO` would copy.

    pyelftools follows whatever the headers say, so a crafted file could keep it busy for hours. It
    reads little of real files (headers, and names in pieces of 64 bytes): after 2 MiB, this raises
    :class:`OSError`.
    """

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0
        self._left = _MOST

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset; return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._view)}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Return the offset."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes, fewer at the end of the file. Raises OSError beyond the bound."""
        end = len(self._view) if size < 0 else min(len(self._view), self._at + size)
        wanted = max(0, end - self._at)
        if wanted > self._left:
            raise OSError("the headers lead all over the file")
        self._left -= wanted
        data = bytes(self._view[self._at : end])
        self._at += len(data)
        return data
