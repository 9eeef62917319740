"""Deflate (RFC 1951), as gzip and zip files hold it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

from slim.errors import UnsafeInputError
from slim.formats.compression.meter import Meter
from slim.formats.files import CHUNK
from slim.model.settings import Effort, Level

RAW = -zlib.MAX_WBITS
"""Window size for a stream without a header of its own (zlib.h, ``inflateInit2``)."""
GZIP = 16 + zlib.MAX_WBITS
"""The same for a gzip member."""


def inflate(
    pieces: Iterable[bytes | memoryview],
    wbits: int,
    meter: Meter,
    what: str,
    refuse: Callable[[str], UnsafeInputError],
) -> Iterator[bytes]:
    """The uncompressed bytes of exactly one complete stream, in pieces of at most 1 MiB.

    ``what`` names the stream in messages; ``refuse`` makes an error of a message, which is raised
    for a truncated or damaged stream and for bytes after its end.
    """
    stream = zlib.decompressobj(wbits=wbits)
    trailing = f"there are bytes after the end of {what}"
    try:
        for piece in pieces:
            if stream.eof:
                raise refuse(trailing)
            meter.count(len(piece), 0)
            pending: bytes | memoryview = piece
            while not stream.eof:
                out = stream.decompress(pending, CHUNK)
                pending = stream.unconsumed_tail
                meter.count(0, len(out))
                if out:
                    yield out
                if not pending and len(out) < CHUNK:
                    break
            if stream.unused_data:
                raise refuse(trailing)
    except zlib.error as error:
        raise refuse(f"{what} is damaged: {error}") from error
    if not stream.eof:
        raise refuse(f"{what} is truncated")


def level(effort: Effort) -> int:
    """Zlib's level for an effort."""
    return 1 if effort.level is Level.FAST else 9


def library() -> str:
    """Name and version of what runs, not of what Python was compiled with.

    Such as ``zlib 1.3.1``, or ``zlib 1.3.1.zlib-ng``.
    """
    return f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
