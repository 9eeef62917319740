"""gzip (RFC 1952)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from slim.errors import UnsafeInputError
from slim.formats.base import WriteOptions
from slim.formats.compression import deflate
from slim.formats.compression.base import REPACK, Compression, Section, compressed
from slim.formats.compression.meter import Meter
from slim.formats.files import file_chunks


def _decompress(source: Path, meter: Meter) -> Iterator[bytes]:
    """One gzip member."""

    def refuse(message: str) -> UnsafeInputError:
        return UnsafeInputError(message, file=source, hint=REPACK)

    return deflate.inflate(file_chunks(source), deflate.GZIP, meter, "the gzip stream", refuse)


def _compress(sections: Iterable[Section], options: WriteOptions) -> Iterator[bytes]:
    """One member without a name and with time 0, which is what zlib writes by itself (2.3)."""
    level = deflate.level(options.effort)
    return compressed(zlib.compressobj(level, zlib.DEFLATED, deflate.GZIP), sections)


GZIP = Compression(decompress=_decompress, compress=_compress, library=deflate.library)
