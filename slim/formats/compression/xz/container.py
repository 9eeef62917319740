"""A writer of .xz files whose blocks are compressed in parallel.

The bytes don't depend on how many blocks are compressed at a time. ``xz -T1`` and ``xz -T2`` give
different bytes, and preset 9 with several threads takes more memory than a CI machine has. So the
container is put together here, from raw LZMA2 blocks: one stream, one block for every
``block_size`` bytes, sizes in the block headers (so that readers can decompress in parallel too),
CRC32 as the check, one index.

Source: The .xz File Format, version 1.0.4 (section numbers are given where they apply).
"""

from __future__ import annotations

import hashlib
import lzma
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from slim.formats.base import BegunBlocks, KnownBlocks
from slim.formats.compression.xz import hugepages
from slim.formats.compression.xz.arm64 import arm64_filter
from slim.system.mapped import passing

_HEADER_MAGIC = b"\xfd7zXZ\0"
_FOOTER_MAGIC = b"YZ"
_FLAGS = b"\0\1"  # 2.1.1.2: check id 1, CRC32
_FILTER_LZMA2 = 0x21

LITERAL_CONTEXT = 4
"""LZMA's ``lc``: 0.1 % to 0.3 % smaller than the default 3 on every layer tried, at no cost.

Other values of ``pb`` and ``lp``, or a choice by the kind of content, gave less than that, so that
there is none.
"""


LEAST_KNOWN = 1 << 20
"""Bytes: smaller blocks are compressed sooner than looked for."""


class Branch(IntEnum):
    """Filters before LZMA2 that make machine code more alike: their ids (5.3.2), or none."""

    NONE = 0
    X86 = 0x04
    ARM64 = 0x0A


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of blocks; every field changes the bytes.

    ``block_size`` and ``dictionary`` are uncompressed bytes; ``branch`` is the filter before LZMA2
    (2 % smaller on layers for x86-64); ``preset``, ``nice_length`` and ``depth`` are liblzma's.
    """

    block_size: int
    dictionary: int
    branch: Branch = Branch.NONE
    preset: int = 9
    nice_length: int | None = None
    depth: int | None = None


@dataclass(frozen=True, slots=True)
class _Block:
    """A finished block: header, data, padding and check.

    ``unpadded`` is its length without the padding (4.3), ``uncompressed`` that of its content;
    bytes. ``key`` tells its content and settings, where blocks are known by them.
    """

    data: bytes
    unpadded: int
    uncompressed: int
    key: str = ""

    def __len__(self) -> int:
        return len(self.data)


Sections = Iterable[tuple[Settings, Iterable[bytes | memoryview]]]
"""Pieces of the uncompressed stream, with the settings of the blocks that they go into."""


def xz_stream(
    sections: Sections,
    executor: Executor | None,
    workers: int,
    known: KnownBlocks | None = None,
    begun: BegunBlocks | None = None,
) -> Iterator[bytes]:
    """Compress sections, each of which begins a new block.

    At most ``workers`` blocks wait or are being compressed at a time, and one more is being filled;
    what they hold of memory-mapped pieces isn't copied. Blocks that are ``known`` or ``begun`` are
    taken.

    Don't call this from a job of the same executor: it waits for jobs of its own.
    """
    yield _HEADER_MAGIC + _FLAGS + _crc(_FLAGS)
    records: list[tuple[int, int]] = []
    at = len(_HEADER_MAGIC + _FLAGS) + 4
    for block in _compressed(_all_blocks(sections), executor, workers, known, begun):
        yield block.data
        if known is not None and block.key:
            known.made(block.key, at, len(block.data))
        at += len(block.data)
        records.append((block.unpadded, block.uncompressed))
    index = _index(records)
    yield index
    footer = struct.pack("<I", len(index) // 4 - 1) + _FLAGS
    yield _crc(footer) + footer + _FOOTER_MAGIC


def _all_blocks(sections: Sections) -> Iterator[tuple[_Input, Settings]]:
    for settings, pieces in sections:
        for block in _cut(pieces, settings.block_size):
            yield block, settings


_SMALL = 256 << 10
"""Bytes: smaller pieces are put together, larger ones (of mapped files) passed on uncopied."""


@dataclass(frozen=True, slots=True)
class _Input:
    """Content of one block: pieces of ``size`` bytes in all."""

    pieces: tuple[bytes | memoryview, ...]
    size: int


def _cut(pieces: Iterable[bytes | memoryview], size: int) -> Iterator[_Input]:
    """Cut the bytes into blocks of ``size`` (the last may be shorter), whatever the pieces were."""
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
    blocks: Iterator[tuple[_Input, Settings]],
    executor: Executor | None,
    workers: int,
    known: KnownBlocks | None,
    begun: BegunBlocks | None,
) -> Iterator[_Block]:
    """Compress blocks on the executor and give them back in order.

    What was begun is waited for here: a thread of the executor has better things to do.
    """
    if executor is None:
        for block, settings in blocks:
            yield _made(block, settings, known)
        return
    pending: deque[Future[_Block]] = deque()
    try:
        for block, settings in blocks:
            keyed = taken = None
            if begun is not None and block.size >= LEAST_KNOWN:
                keyed = _key(block, settings)
                taken = begun.take(keyed[0])
            pending.append(taken or executor.submit(_made, block, settings, known, keyed))
            if len(pending) >= max(workers, 1):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def _made(
    block: _Input,
    settings: Settings,
    known: KnownBlocks | None,
    keyed: tuple[str, int] | None = None,
) -> _Block:
    """One complete block, taken from those that are known, or compressed.

    ``keyed`` is what :func:`_key` gives, where that is known already.
    """
    if known is None or block.size < LEAST_KNOWN:
        return compress_block(block, settings)
    key, check = keyed or _key(block, settings)
    data = known.take(key)
    if data is not None:
        taken = _read_block(data, block.size, check)
        if taken is not None:
            return replace(taken, key=key)
        known.refuse(key, "it is no block of that content")
    return replace(compress_block(block, settings), key=key)


def _key(block: _Input, settings: Settings) -> tuple[str, int]:
    """Return what tells a block by content and settings, and the CRC32 of the content."""
    state, check = hashlib.sha256(), 0
    for piece in passing(block.pieces):
        state.update(piece)
        check = zlib.crc32(piece, check)
    return f"{state.hexdigest()} {block.size} {settings}", check


@dataclass(frozen=True, slots=True)
class Likely:
    """A block that an archive is likely to have; see :class:`slim.formats.base.LikelyBlock`."""

    content: _Input
    settings: Settings
    key: str

    def compress(self, is_stopped: Callable[[], bool]) -> _Block:
        """Return the finished block. Raises CancelledError once it is stopped."""
        return replace(compress_block(self.content, self.settings, is_stopped), key=self.key)


def likely_blocks(sections: Sections) -> Iterator[Likely]:
    """Give the blocks that sections become, but for those that are compressed in no time."""
    for block, settings in _all_blocks(sections):
        if block.size >= LEAST_KNOWN:
            yield Likely(block, settings, _key(block, settings)[0])


def _read_block(data: bytes, size: int, check: int) -> _Block | None:
    """The block that ``data`` is by its header and check; None where it is another.

    Whether what is between them comes to that content, reading the archive back tells.
    """
    length = 4 * (data[0] + 1) if data else 0  # 3.1.1
    header, end = data[: length - 4], struct.pack("<I", check)
    if not 8 <= length <= len(data) - 4 or data[length - 4 : length] != _crc(header):
        return None
    if header[1] & 0xC0 != 0xC0 or not data.endswith(end):
        return None
    packed, at = _read_varint(header, 2)
    uncompressed, _ = _read_varint(header, at)
    if uncompressed != size or len(data) != length + packed + -packed % 4 + 4:
        return None
    return _Block(data=data, unpadded=length + packed + 4, uncompressed=size)


def compress_block(
    block: _Input, settings: Settings, is_stopped: Callable[[], bool] = lambda: False
) -> _Block:
    """One complete block (3).

    A function of content and settings alone; liblzma works outside the interpreter lock. Raises
    CancelledError once it is stopped.
    """
    dictionary, code = dictionary_size(min(block.size, settings.dictionary))
    lzma2: dict[str, Any] = {
        "id": lzma.FILTER_LZMA2,
        "preset": settings.preset,
        "dict_size": dictionary,
        "lc": LITERAL_CONTEXT,
    }
    if settings.nice_length is not None:
        lzma2["nice_len"] = settings.nice_length
    if settings.depth is not None:
        lzma2["depth"] = settings.depth
    filters = [lzma2]
    if settings.branch is Branch.X86:
        filters.insert(0, {"id": lzma.FILTER_X86})
    flags = bytes((_FILTER_LZMA2, 1, code))  # 5.3.1: id, size of properties, dictionary size
    if settings.branch:
        flags = bytes((settings.branch, 0)) + flags  # 5.3.2: no properties, the offset starts at 0
    encoder = lzma.LZMACompressor(format=lzma.FORMAT_RAW, filters=filters)
    hugepages.advise()
    check = 0
    out = []
    for piece in passing(block.pieces):
        check = zlib.crc32(piece, check)
        if settings.branch is not Branch.ARM64:
            out.append(encoder.compress(piece))
        if is_stopped():
            raise CancelledError
    if settings.branch is Branch.ARM64:
        for piece in arm64_filter(passing(block.pieces)):
            out.append(encoder.compress(piece))
            if is_stopped():
                raise CancelledError
    packed = b"".join((*out, encoder.flush()))
    # 3.1.2: number of filters, both sizes present.
    body = (
        bytes((int(bool(settings.branch)) | 0xC0,))
        + _varint(len(packed))
        + _varint(block.size)
        + flags
    )
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
    """Smallest dictionary that holds ``length`` bytes, and its code (5.3.1).

    Sizes are 2^n or 2^n + 2^(n-1).
    """
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


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A multibyte integer (1.2), and the offset behind it; -1 where it doesn't end."""
    number = 0
    for place, byte in enumerate(data[at : at + 9]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    return -1, at


def _crc(data: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(data))
