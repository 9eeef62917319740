"""The row that each compression of tar files fills in, and what several of them share.

Decompression refuses what lenient tools let pass: every ``decompress`` yields the uncompressed
bytes of exactly one complete stream, and raises UnsafeInputError for a truncated or damaged stream,
for a second one, and for bytes after its end. Each step produces a bounded amount, so a bomb is
stopped by the meter before it fills memory or disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from slim.errors import UnsafeInputError
from slim.formats.base import LikelyBlock, WriteOptions
from slim.formats.compression.meter import Meter
from slim.formats.files import CHUNK, file_chunks
from slim.model.settings import Effort

REPACK = "download or build the archive again"


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of a stream: all of its members hold machine code, or none does.

    Use the pieces before the next section is asked for.
    """

    native: bool
    pieces: Iterable[bytes | memoryview]


Decompress = Callable[[Path, Meter], Iterator[bytes]]
Compress = Callable[[Iterable[Section], WriteOptions], Iterator[bytes | memoryview]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """One compression of whole streams.

    ``library`` names the library, and its version, that the bytes depend on; None: on none.
    ``memory`` gives the bytes that each thread takes to compress at an effort; None: so few that
    they needn't be counted. ``likely`` gives the blocks that sections become, one by one, where
    what comes before and after them changes no byte of them.
    """

    decompress: Decompress
    compress: Compress
    library: Callable[[], str] | None = None
    memory: Callable[[Effort], int] | None = None
    likely: Callable[[Iterable[Section], WriteOptions], Iterator[LikelyBlock]] | None = None


class _Decompressor(Protocol):
    """The interface that the decompressors of lzma and bz2 share."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Compressor(Protocol):
    def compress(self, data: bytes | memoryview, /) -> bytes: ...

    def flush(self) -> bytes: ...


def decompressed(stream: _Decompressor, source: Path, meter: Meter, name: str) -> Iterator[bytes]:
    """Feed a whole file to a decompressor that honours ``max_length``."""
    for data in file_chunks(source):
        if stream.eof:
            raise trailing(source, name)
        meter.count(len(data), 0)
        pending = data
        while not stream.eof:
            out = stream.decompress(pending, CHUNK)
            pending = b""
            meter.count(0, len(out))
            if out:
                yield out
            elif stream.needs_input:
                break
        if stream.unused_data:
            raise trailing(source, name)
    if not stream.eof:
        raise truncated(source, name)


def compressed(compressor: _Compressor, sections: Iterable[Section]) -> Iterator[bytes]:
    """Feed all sections to a compressor, as one stream."""
    for piece in joined(sections):
        out = compressor.compress(piece)
        if out:
            yield out
    yield compressor.flush()


def joined(sections: Iterable[Section]) -> Iterator[bytes | memoryview]:
    """The pieces of all sections."""
    return (piece for section in sections for piece in section.pieces)


def trailing(source: Path, name: str) -> UnsafeInputError:
    """The refusal of bytes after a stream's end. ``name`` is the stream's format."""
    return UnsafeInputError(
        f"there are bytes after the end of the {name} stream", file=source, hint=REPACK
    )


def truncated(source: Path, name: str) -> UnsafeInputError:
    """The refusal of a stream without an end."""
    return UnsafeInputError(f"the {name} stream is truncated", file=source, hint=REPACK)


def damaged(source: Path, name: str, error: Exception) -> UnsafeInputError:
    """The refusal of a stream that its decompressor doesn't take."""
    return UnsafeInputError(f"the {name} stream is damaged: {error}", file=source, hint=REPACK)


def _stored(source: Path, meter: Meter) -> Iterator[bytes]:
    for data in file_chunks(source):
        meter.count(len(data), len(data))
        yield data


def _store(sections: Iterable[Section], options: WriteOptions) -> Iterator[bytes | memoryview]:
    del options
    yield from joined(sections)


STORED = Compression(decompress=_stored, compress=_store)
"""No compression at all."""
