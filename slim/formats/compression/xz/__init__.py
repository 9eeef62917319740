"""The .xz format: read by liblzma, written block by block. Source: The .xz File Format 1.2.0."""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Iterator
from pathlib import Path

from slim.errors import LimitError, UnsafeInputError
from slim.formats.base import LikelyBlock, WriteOptions
from slim.formats.compression.base import Compression, Section, damaged, decompressed
from slim.formats.compression.libraries import version_of
from slim.formats.compression.meter import Meter
from slim.formats.compression.xz.container import Sections, likely_blocks, xz_stream
from slim.formats.compression.xz.settings import memory, settings


def _decompress(source: Path, meter: Meter) -> Iterator[bytes]:
    """One stream of any number of blocks.

    Raises LimitError where the dictionary exceeds the memory limit.
    """
    stream = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=meter.limits.xz_memory)
    checked = False
    try:
        for out in decompressed(stream, source, meter, "xz"):
            if not checked and stream.check == lzma.CHECK_NONE:
                raise UnsafeInputError(
                    "the xz stream has no integrity check, so damage to it can't be seen",
                    file=source,
                    hint="compress it again, without --check=none",
                )
            checked = True
            yield out
    except lzma.LZMAError as error:
        if "emory usage limit" in str(error):
            raise LimitError(
                f"the xz stream needs more than {meter.limits.xz_memory} bytes of memory "
                "(a large dictionary)",
                file=source,
                hint="compress it again with a dictionary of 64 MiB or less",
            ) from error
        raise damaged(source, "xz", error) from error


def _compress(sections: Iterable[Section], options: WriteOptions) -> Iterator[bytes]:
    """One stream of blocks, compressed in parallel; machine code has a filter of its own."""
    return xz_stream(
        _with_settings(sections, options),
        options.executor,
        options.workers,
        options.blocks,
        options.begun,
    )


def _likely(sections: Iterable[Section], options: WriteOptions) -> Iterator[LikelyBlock]:
    return likely_blocks(_with_settings(sections, options))


def _with_settings(sections: Iterable[Section], options: WriteOptions) -> Sections:
    by_kind = {
        native: settings(options.effort, options.machine, native=native) for native in (False, True)
    }
    return ((by_kind[section.native], section.pieces) for section in sections)


def _library() -> str:
    """Such as ``liblzma 5.4.1``."""
    return f"liblzma {version_of('_lzma', 'lzma_version_string')}"


XZ = Compression(
    decompress=_decompress, compress=_compress, library=_library, memory=memory, likely=_likely
)
