"""A writer of .xz files whose blocks are compressed in parallel, and whose bytes don't depend on how many at a time.

``xz -T1`` and ``xz -T2`` give different bytes, and preset 9 with several threads takes more memory than a CI machine
has. So the container is put together here, from raw LZMA2 blocks: one stream, one block for every ``BLOCK_SIZE``
bytes, sizes in the block headers (so that readers can decompress in parallel too), CRC32 as the check, one index.

Source: The .xz File Format, version 1.0.4 (section numbers are given where they apply).
"""

from __future__ import annotations

import lzma
import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

from slim.model.limits import MIB

_HEADER_MAGIC = b"\xfd7zXZ\0"
_FOOTER_MAGIC = b"YZ"
_FLAGS = b"\0\1"  # 2.1.1.2: check id 1, CRC32
_FILTER_X86 = 0x04
_FILTER_LZMA2 = 0x21


BLOCK_SIZE = 128 * MIB
"""Uncompressed bytes of a block. A block starts with nothing to refer back to, so few of them are best: an application
layer of 102 MB (x86-64 Linux) takes 14.46 MB in one block, 14.79 MB in two. Against that, a block is what one thread
compresses: with two or more layers at a time, whole layers keep the threads busy."""

DICTIONARY = 48 * MIB
"""The encoder takes about 11.5 times as much memory, 552 MiB; 64 MiB would be 0.1 % smaller. Smaller blocks use what
they need."""

ENCODER_MEMORY = 600 * MIB
"""What one thread that compresses takes, at most."""

LITERAL_CONTEXT = 4
"""LZMA's ``lc``: 0.1 % to 0.3 % smaller than the default 3 on every layer that was tried, at no cost. Other values of
``pb`` and ``lp``, or a choice by the kind of content, gave less than that, so that there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How blocks are compressed; every field changes the bytes.

    ``block_size`` and ``dictionary`` are uncompressed bytes; ``branch_x86`` puts the x86 BCJ filter before LZMA2
    (2 % smaller on layers for x86-64); ``preset`` and ``nice_length`` are liblzma's.
    """

    block_size: int
    branch_x86: bool
    dictionary: int = DICTIONARY
    preset: int = 9
    nice_length: int | None = None


def xz_settings(level: str, machine: str) -> Settings:
    """The settings for ``fast``, ``default`` or ``max``, and a machine such as ``x86_64``."""
    branch = machine == "x86_64"
    if level == "fast":
        return Settings(block_size=24 * MIB, branch_x86=branch, preset=2)
    if level == "max":
        extreme = 9 | lzma.PRESET_EXTREME
        return Settings(block_size=BLOCK_SIZE, branch_x86=branch, dictionary=64 * MIB, preset=extreme, nice_length=273)
    return Settings(block_size=BLOCK_SIZE, branch_x86=branch)


@dataclass(frozen=True, slots=True)
class _Block:
    """A finished block: header, data, padding and check; ``unpadded`` is its length without the padding (4.3)."""

    data: bytes
    unpadded: int
    uncompressed: int


def xz_stream(
    pieces: Iterable[bytes | memoryview], settings: Settings, executor: Executor | None, workers: int
) -> Iterator[bytes]:
    """Compress. At most ``workers`` blocks wait or are being compressed at a time, and one more is being filled; what
    they hold of memory-mapped pieces isn't copied.

    Don't call this from a job of the same executor: it waits for jobs of its own.
    """
    yield _HEADER_MAGIC + _FLAGS + _crc(_FLAGS)
    records: list[tuple[int, int]] = []
    for block in _compressed(_cut(pieces, settings.block_size), settings, executor, workers):
        yield block.data
        records.append((block.unpadded, block.uncompressed))
    index = _index(records)
    yield index
    footer = struct.pack("<I", len(index) // 4 - 1) + _FLAGS
    yield _crc(footer) + footer + _FOOTER_MAGIC


_SMALL = 256 << 10
"""Pieces below this are put together; larger ones (memory-mapped files) are passed on without a copy."""


@dataclass(frozen=True, slots=True)
class _Input:
    """What a block is made from: pieces of ``size`` bytes in all."""

    pieces: tuple[bytes | memoryview, ...]
    size: int


def _cut(pieces: Iterable[bytes | memoryview], size: int) -> Iterator[_Input]:
    """The same bytes in blocks of ``size`` (the last one may be shorter), whatever the pieces were."""
    held: list[bytes | memoryview] = []
    small = bytearray()
    length = 0
    for piece in pieces:
        view = memoryview(piece)
        while view:
            part = view[: size - length]
            view = view[len(part) :]
            length += len(part)
            if len(part) < _SMALL:
                small += part
            if small and (len(part) >= _SMALL or len(small) >= _SMALL or length == size):
                held.append(bytes(small))
                small.clear()
            if len(part) >= _SMALL:
                held.append(part)
            if length == size:
                yield _Input(tuple(held), length)
                held, length = [], 0
    if small:
        held.append(bytes(small))
    if held:
        yield _Input(tuple(held), length)


def _compressed(
    blocks: Iterator[_Input], settings: Settings, executor: Executor | None, workers: int
) -> Iterator[_Block]:
    """Compress blocks on the executor and give them back in order."""
    if executor is None:
        for block in blocks:
            yield compress_block(block, settings)
        return
    pending: deque[Future[_Block]] = deque()
    try:
        for block in blocks:
            pending.append(executor.submit(compress_block, block, settings))
            if len(pending) >= max(workers, 1):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def compress_block(block: _Input, settings: Settings) -> _Block:
    """One complete block (3). A function of its arguments alone; liblzma works outside the interpreter lock."""
    dictionary, code = dictionary_size(min(block.size, settings.dictionary))
    lzma2: dict[str, Any] = {
        "id": lzma.FILTER_LZMA2,
        "preset": settings.preset,
        "dict_size": dictionary,
        "lc": LITERAL_CONTEXT,
    }
    if settings.nice_length is not None:
        lzma2["nice_len"] = settings.nice_length
    filters = [lzma2]
    flags = bytes((_FILTER_LZMA2, 1, code))  # 5.3.1: id, size of properties, dictionary size
    if settings.branch_x86:
        filters.insert(0, {"id": lzma.FILTER_X86})
        flags = bytes((_FILTER_X86, 0)) + flags  # 5.3.2: no properties, the offset starts at 0
    encoder = lzma.LZMACompressor(format=lzma.FORMAT_RAW, filters=filters)
    check = 0
    out = []
    for piece in block.pieces:
        check = zlib.crc32(piece, check)
        out.append(encoder.compress(piece))
    packed = b"".join((*out, encoder.flush()))
    count = len(filters) - 1
    # 3.1.2: number of filters, both sizes present.
    body = bytes((count | 0xC0,)) + _varint(len(packed)) + _varint(block.size) + flags
    body += bytes(-(1 + len(body)) % 4)
    header = bytes(((1 + len(body) + 4) // 4 - 1,)) + body
    header += _crc(header)
    unpadded = len(header) + len(packed) + 4
    return _Block(
        data=b"".join((header, packed, bytes(-len(packed) % 4), struct.pack("<I", check))),
        unpadded=unpadded,
        uncompressed=block.size,
    )


def dictionary_size(length: int) -> tuple[int, int]:
    """The smallest dictionary that holds ``length`` bytes, and its code (5.3.1): 2^n or 2^n + 2^(n-1)."""
    for code in range(40):
        size = (2 | (code & 1)) << (code // 2 + 11)
        if size >= length:
            return size, code
    raise ValueError(length)


def _index(records: list[tuple[int, int]]) -> bytes:
    """The index (4)."""
    body = b"\0" + _varint(len(records)) + b"".join(_varint(a) + _varint(b) for a, b in records)
    body += bytes(-len(body) % 4)
    return body + _crc(body)


def _varint(number: int) -> bytes:
    """A multibyte integer (1.2)."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _crc(data: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(data))
