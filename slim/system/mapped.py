"""Files mapped into memory, of which a few megabytes at a time are there.

A mapped page counts as memory of the process until it is given back (madvise(2),
``MADV_DONTNEED``), so whoever goes over a large file says what it has :func:`seen`.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Collection, Iterable, Iterator

_RESIDENT = 16 << 20
"""Bytes of a mapped file that may be in memory before they are given back."""
_WINDOW = 4 << 20
"""Bytes that are searched at a time."""


class MappedFile(mmap.mmap):
    """A mapped file that takes a few megabytes of memory, however much of it is looked at."""

    _seen = 0

    def seen(self, size: int) -> None:
        """Count bytes that were looked at. Threads may count at once: it needn't be exact."""
        self._seen += size
        if self._seen >= _RESIDENT:
            self._seen = 0
            self.forget()

    def forget(self) -> None:
        """Give the memory back.

        Views stay valid, even for threads that read them now: pages are mapped again when they are
        wanted.
        """
        if hasattr(mmap, "MADV_DONTNEED"):
            self.madvise(mmap.MADV_DONTNEED)


def map_file(handle: int, size: int) -> MappedFile:
    """Map the ``size`` bytes of an open file for reading. Raises OSError."""
    return MappedFile(handle, size, access=mmap.ACCESS_READ)


def seen(view: bytes | memoryview, size: int | None = None) -> None:
    """Count bytes that were looked at (the whole view, or ``size`` of them).

    So the memory that they are mapped into is given back.
    """
    if isinstance(view, memoryview) and isinstance(view.obj, MappedFile):
        view.obj.seen(len(view) if size is None else size)


def passing(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The pieces, for a caller who reads each once, and perhaps only the first."""
    for piece in pieces:
        seen(piece)
        yield piece


def pieces_of(view: memoryview) -> Iterator[bytes | memoryview]:
    """Yield a view in pieces of a few megabytes."""
    return passing(view[at : at + _WINDOW] for at in range(0, len(view), _WINDOW))


def words_in(data: bytes | memoryview, words: Collection[bytes]) -> set[bytes]:
    """Return those of some words that occur, without a copy of the whole file."""
    if isinstance(data, bytes):
        return {word for word in words if word in data}
    found: set[bytes] = set()
    more = max(map(len, words), default=0)
    mapped = data.obj
    whole = mapped if isinstance(mapped, MappedFile) and len(mapped) == len(data) else None
    for at in range(0, len(data), _WINDOW):
        left = [word for word in words if word not in found]
        end = min(at + _WINDOW + more, len(data))
        if whole is not None:
            found.update(word for word in left if whole.find(word, at, end) >= 0)
        elif left:
            piece = bytes(data[at:end])
            found.update(word for word in left if word in piece)
        seen(data, _WINDOW)
        if not left:
            break
    return found


def contains(data: bytes | memoryview, needle: bytes) -> bool:
    """Return whether the bytes occur, without a copy of the whole file."""
    return bool(words_in(data, (needle,)))


def find_all(
    pattern: re.Pattern[bytes], data: bytes | memoryview, longest: int = 1 << 10
) -> Iterator[re.Match[bytes]]:
    """Yield what :meth:`re.Pattern.finditer` yields, a few megabytes of a mapped file at a time.

    No match, with what the pattern looks at behind it, may be longer than ``longest`` bytes.
    """
    at = 0
    while at < len(data):
        stop = min(at + _WINDOW, len(data))
        behind = stop
        for match in pattern.finditer(data, at, min(stop + longest, len(data))):
            if match.start() >= stop:
                break
            behind = max(behind, match.end())
            yield match
        seen(data, stop - at)
        at = behind
