"""Recipes: an edited file as ranges of its original and bytes between them.

A recipe of a library of a gigabyte takes a few kilobytes. Its bytes are made when they are written,
hashed or judged, from the original, which is read or mapped then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes of the original."""

    start: int
    """Offset of the first one."""
    size: int
    """Number of bytes."""

    def __len__(self) -> int:
        return self.size


@dataclass(frozen=True, slots=True)
class Zeros:
    """Zero bytes."""

    size: int
    """Number of bytes."""

    def __len__(self) -> int:
        return self.size


Piece = Kept | Zeros | bytes | memoryview
"""A part of an edited file: kept, zero, or written; a view is of a file that is mapped."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """An edited file, made of its original."""

    parts: tuple[Piece, ...]
    """What it is made of, in order."""

    @property
    def size(self) -> int:
        """Bytes of the edited file."""
        return sum(map(len, self.parts))

    @property
    def held(self) -> int:
        """Bytes that the recipe itself holds."""
        return sum(len(part) for part in self.parts if isinstance(part, bytes))

    def chunks(self, original: memoryview) -> Iterator[bytes | memoryview]:
        """Yield the edited file in pieces of at most 1 MiB."""
        for part in self.parts:
            size = len(part)
            for at in range(0, size, _CHUNK):
                yield _range(part, original, at, min(at + _CHUNK, size))

    def read(self, original: memoryview, start: int, end: int) -> bytes:
        """Return the bytes of the edited file from one offset to another."""
        found = []
        at = 0
        for part in self.parts:
            size = len(part)
            if at < end and start < at + size:
                found.append(_range(part, original, max(start - at, 0), min(end - at, size)))
            at += size
        return b"".join(found)

    def between(self, start: int, end: int) -> tuple[Piece, ...]:
        """Return what the edited file is made of from one offset to another."""
        found: list[Piece] = []
        at = 0
        for part in self.parts:
            size = len(part)
            if at < end and start < at + size:
                found.append(_part_of(part, max(start - at, 0), min(end - at, size)))
            at += size
        return tuple(found)

    def whole(self, original: bytes | memoryview) -> bytes:
        """Return the whole edited file, in memory."""
        return b"".join(self.chunks(memoryview(original)))

    def within(self, offset: int) -> Recipe:
        """Return the same for an original that begins at an offset of a larger file."""
        return Recipe(
            tuple(
                Kept(part.start + offset, part.size) if isinstance(part, Kept) else part
                for part in self.parts
            )
        )


def _part_of(part: Piece, start: int, end: int) -> Piece:
    match part:
        case Kept(start=first):
            return Kept(first + start, end - start)
        case Zeros():
            return Zeros(end - start)
        case _:
            return part[start:end]


def _range(part: Piece, original: memoryview, start: int, end: int) -> bytes | memoryview:
    match part:
        case Kept(start=first):
            return original[first + start : first + end]
        case Zeros():
            return bytes(end - start)
        case _:
            return part[start:end]
