"""Zstandard (RFC 8878), by the library inside the zstandard package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import zstandard

from slim.errors import LimitError, UnsafeInputError
from slim.formats.base import WriteOptions
from slim.formats.compression.base import (
    REPACK,
    Compression,
    Section,
    compressed,
    damaged,
    trailing,
    truncated,
)
from slim.formats.compression.memory import room
from slim.formats.compression.meter import Meter
from slim.formats.files import file_chunks
from slim.model.limits import MIB
from slim.model.settings import Effort, Level

_STEP: Final = 1 << 10
"""Bytes fed to the decoder at a time: it has no bound on its output, but a block of 4 bytes gives
128 KiB at most (3.1.1.2), so one step gives 32 MiB at most."""

_LEVELS: Final = {Level.FAST: 3, Level.DEFAULT: 19, Level.MAX: 22}

_WINDOW: Final = 27
"""128 MiB: as far back as ``zstd -d`` goes without being asked to."""

_JOB: Final = 64 * MIB
"""Bytes that one of libzstd's threads compresses at a time."""

_OVERLAP: Final = 7
"""How much of what came before a job sees, beside long distances: a quarter of the window."""


def _decompress(source: Path, meter: Meter) -> Iterator[bytes]:
    """One frame. Raises LimitError where window or declared size exceed the limits."""
    _check_frame(source, meter)
    # A frame in a single segment has a window as large as its content, which the check bounds.
    stream = zstandard.ZstdDecompressor(max_window_size=meter.limits.zstd_window).decompressobj()
    try:
        for data in file_chunks(source):
            for start in range(0, len(data), _STEP):
                if stream.eof:
                    raise trailing(source, "zstd")
                step = data[start : start + _STEP]
                out = stream.decompress(step)
                meter.count(len(step), len(out))
                if out:
                    yield out
            if stream.unused_data:
                raise trailing(source, "zstd")
    except zstandard.ZstdError as error:
        raise damaged(source, "zstd", error) from error
    if not stream.eof:
        raise truncated(source, "zstd")


def _check_frame(source: Path, meter: Meter) -> None:
    """Refuse a frame by what its header announces."""
    header = next(file_chunks(source, 64), b"")
    try:
        frame = zstandard.get_frame_parameters(header)
    except zstandard.ZstdError as error:
        raise damaged(source, "zstd", error) from error
    if header[:4] != zstandard.FRAME_HEADER:
        raise UnsafeInputError("starts with a skippable zstd frame", file=source, hint=REPACK)
    if frame.dict_id:
        raise UnsafeInputError(
            "the zstd frame needs a dictionary", file=source, hint="compress it without one"
        )
    declared = frame.content_size
    total, window = meter.limits.total, meter.limits.zstd_window
    if declared != zstandard.CONTENTSIZE_UNKNOWN and declared > total:
        raise LimitError(
            f"the zstd frame declares {declared} bytes of content, more than {total} bytes",
            file=source,
            hint="raise the limit on the total size",
        )
    if frame.window_size > window:
        raise LimitError(
            f"the zstd window of {frame.window_size} bytes exceeds {window}",
            file=source,
            hint="compress it again with --long=27 or less",
        )


def parameters(effort: Effort, threads: int = 1) -> zstandard.ZstdCompressionParameters:
    """Parameters of a frame: window and long-distance matching are as large as there is room for.

    Without a thread of its own, libzstd gives other bytes than with one or more; and where the size
    of its jobs isn't given, each split of the input into calls may, too. So both are.
    """
    window = _WINDOW
    while window > 20 and _memory_of(effort.level, window) > room(effort):
        window -= 1
    return zstandard.ZstdCompressionParameters.from_level(
        _LEVELS[effort.level],
        window_log=window,
        enable_ldm=True,
        write_checksum=True,
        write_content_size=False,
        threads=max(threads, 1),
        job_size=_JOB,
        overlap_log=_OVERLAP,
    )


def _memory(effort: Effort) -> int:
    return _memory_of(effort.level, parameters(effort).window_log)


def _memory_of(level: Level, window: int) -> int:
    """Bytes that a thread takes: match tables as libzstd counts them, and what it doesn't count.

    That is the window, what waits to be compressed, and the table for long distances.
    """
    plain = zstandard.ZstdCompressionParameters.from_level(_LEVELS[level], window_log=window)
    tables = int(plain.estimated_compression_context_size())
    return tables + 2 * _JOB + (1 << window) + (1 << window - 4)


def _compress(sections: Iterable[Section], options: WriteOptions) -> Iterator[bytes]:
    """One frame with a checksum, compressed by libzstd's own threads."""
    compressor = zstandard.ZstdCompressor(
        compression_params=parameters(options.effort, options.threads)
    )
    return compressed(compressor.compressobj(), sections)


def _library() -> str:
    """Such as ``libzstd 1.5.7``."""
    return f"libzstd {'.'.join(map(str, zstandard.ZSTD_VERSION))}"


ZSTD = Compression(decompress=_decompress, compress=_compress, library=_library, memory=_memory)
