"""bzip2. Source: the documentation of bzip2."""

from __future__ import annotations

import bz2
from collections.abc import Iterable, Iterator
from pathlib import Path

from slim.formats.base import WriteOptions
from slim.formats.compression.base import Compression, Section, compressed, damaged, decompressed
from slim.formats.compression.libraries import version_of
from slim.formats.compression.meter import Meter


def _decompress(source: Path, meter: Meter) -> Iterator[bytes]:
    """One bzip2 stream."""
    try:
        yield from decompressed(bz2.BZ2Decompressor(), source, meter, "bzip2")
    except (OSError, ValueError) as error:  # bz2 reports damaged data as a plain OSError
        raise damaged(source, "bzip2", error) from error


def _compress(sections: Iterable[Section], options: WriteOptions) -> Iterator[bytes]:
    """One stream, blocks of 900 kB (smaller blocks are no faster)."""
    del options
    return compressed(bz2.BZ2Compressor(9), sections)


def _library() -> str:
    """Such as ``libbz2 1.0.8``; the library adds the date of its release, which is left out."""
    return f"libbz2 {version_of('_bz2', 'BZ2_bzlibVersion').partition(',')[0]}"


BZIP2 = Compression(decompress=_decompress, compress=_compress, library=_library)
