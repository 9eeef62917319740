"""Decompression that refuses what lenient tools let pass.

Every function here yields the uncompressed bytes of exactly one complete stream and raises
UnsafeInputError for a truncated or damaged stream, for a second one, and for bytes after its end.
Each step produces a bounded amount, so a bomb is stopped by the meter before it fills memory or
disk.

Sources: The .xz File Format 1.2.0; RFC 1952 (gzip); RFC 8878 (Zstandard); the documentation of
bzip2.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import zstandard

from slim.errors import LimitError, UnsafeInputError
from slim.formats.spool import CHUNK, Meter, Spool, file_chunks

Decompress = Callable[[Path, Meter], Iterator[bytes]]

_DAMAGED = "download or build the archive again"
_ZSTD_STEP = 1 << 10
"""Bytes fed to the Zstandard decoder at a time: it has no bound on its output, but a block of 4 bytes gives 128 KiB
at most (RFC 8878 3.1.1.2), so one step gives 32 MiB at most."""


class _Stream(Protocol):
    """What the decompressors of lzma and bz2 have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def _drain(stream: _Stream, source: Path, meter: Meter, name: str) -> Iterator[bytes]:
    """Feed a whole file to a decompressor that honours ``max_length``."""
    for data in file_chunks(source):
        if stream.eof:
            raise _trailing(source, name)
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
            raise _trailing(source, name)
    if not stream.eof:
        raise _truncated(source, name)


def xz(source: Path, meter: Meter) -> Iterator[bytes]:
    """One .xz stream of any number of blocks. Raises LimitError where the dictionary exceeds the memory limit."""
    stream = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=meter.limits.xz_memory)
    checked = False
    try:
        for out in _drain(stream, source, meter, "xz"):
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
                f"the xz stream needs more than {meter.limits.xz_memory} bytes of memory (a large dictionary)",
                file=source,
                hint="compress it again with a dictionary of 64 MiB or less",
            ) from error
        raise _damaged(source, "xz", error) from error


def gz(source: Path, meter: Meter) -> Iterator[bytes]:
    """One gzip member."""
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        for data in file_chunks(source):
            if stream.eof:
                raise _trailing(source, "gzip")
            meter.count(len(data), 0)
            pending = data
            while not stream.eof:
                out = stream.decompress(pending, CHUNK)
                pending = stream.unconsumed_tail
                meter.count(0, len(out))
                if out:
                    yield out
                if not pending and len(out) < CHUNK:
                    break
            if stream.unused_data:
                raise _trailing(source, "gzip")
    except zlib.error as error:
        raise _damaged(source, "gzip", error) from error
    if not stream.eof:
        raise _truncated(source, "gzip")


def bz2_(source: Path, meter: Meter) -> Iterator[bytes]:
    """One bzip2 stream."""
    try:
        yield from _drain(bz2.BZ2Decompressor(), source, meter, "bzip2")
    except (OSError, ValueError) as error:  # bz2 reports damaged data as a plain OSError
        raise _damaged(source, "bzip2", error) from error


def zst(source: Path, meter: Meter) -> Iterator[bytes]:
    """One Zstandard frame. Raises LimitError where window or declared size exceed the limits."""
    header = next(file_chunks(source, 64), b"")
    try:
        frame = zstandard.get_frame_parameters(header)
    except zstandard.ZstdError as error:
        raise _damaged(source, "zstd", error) from error
    if header[:4] != zstandard.FRAME_HEADER:
        raise UnsafeInputError("starts with a skippable zstd frame", file=source, hint=_DAMAGED)
    if frame.dict_id:
        raise UnsafeInputError(
            "the zstd frame needs a dictionary", file=source, hint="compress it without one"
        )
    declared = frame.content_size
    if declared != zstandard.CONTENTSIZE_UNKNOWN and declared > meter.limits.total:
        raise LimitError(
            f"the zstd frame declares {declared} bytes of content, more than {meter.limits.total} bytes",
            file=source,
            hint="raise the limit on the total size",
        )
    if frame.window_size > meter.limits.zstd_window:
        raise LimitError(
            f"the zstd window of {frame.window_size} bytes exceeds {meter.limits.zstd_window}",
            file=source,
            hint="compress it again with --long=27 or less",
        )
    # A frame in a single segment has a window as large as its content, which is bounded by the
    # check above.
    stream = zstandard.ZstdDecompressor(max_window_size=meter.limits.zstd_window).decompressobj()
    try:
        for data in file_chunks(source):
            for start in range(0, len(data), _ZSTD_STEP):
                if stream.eof:
                    raise _trailing(source, "zstd")
                step = data[start : start + _ZSTD_STEP]
                out = stream.decompress(step)
                meter.count(len(step), len(out))
                if out:
                    yield out
            if stream.unused_data:
                raise _trailing(source, "zstd")
    except zstandard.ZstdError as error:
        raise _damaged(source, "zstd", error) from error
    if not stream.eof:
        raise _truncated(source, "zstd")


def stored(source: Path, meter: Meter) -> Iterator[bytes]:
    """A file that isn't compressed."""
    for data in file_chunks(source):
        meter.count(len(data), len(data))
        yield data


def to_spool(source: Path, decompress: Decompress, meter: Meter, spool: Spool) -> None:
    """Put the uncompressed bytes of ``source`` into the spool."""
    for data in decompress(source, meter):
        spool.write(data)


def _trailing(source: Path, name: str) -> UnsafeInputError:
    return UnsafeInputError(
        f"there are bytes after the end of the {name} stream", file=source, hint=_DAMAGED
    )


def _truncated(source: Path, name: str) -> UnsafeInputError:
    return UnsafeInputError(f"the {name} stream is truncated", file=source, hint=_DAMAGED)


def _damaged(source: Path, name: str, error: Exception) -> UnsafeInputError:
    return UnsafeInputError(f"the {name} stream is damaged: {error}", file=source, hint=_DAMAGED)
