"""CAB files with one file in them, the form of compressed symbols on symbol servers (``.pd_``).

Sources: Microsoft, "Microsoft Cabinet Format" and "Microsoft MSZIP Data Compression Format"; RFC
1951.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from slim.formats.base import Content

_HEADER = struct.Struct("<4s5I2B5H")
_FOLDER = struct.Struct("<I2H")
_FILE = struct.Struct("<2I4H")
_BLOCK = 1 << 15
_MSZIP = 1
_NAME_IS_UTF = 0x80
_ARCHIVE = 0x20
_DATE = 0x21
"""The first day of 1980, so that the same content gives the same bytes."""
LARGEST = 0xFFFF * _BLOCK
"""Most bytes of a file in a CAB file: a folder has 65535 blocks at most."""


def cab_file(content: Content, name: str) -> Iterator[bytes]:
    """Yield the pieces of a CAB file with ``content`` under ``name``.

    ``content`` has :data:`LARGEST` bytes at most.
    """
    blocks = [_block(data, history) for data, history in _with_history(content)]
    named = name.encode("utf-8", "surrogateescape") + b"\0"
    files_at = _HEADER.size + _FOLDER.size
    data_at = files_at + _FILE.size + len(named)
    total = data_at + sum(map(len, blocks))
    yield _HEADER.pack(b"MSCF", 0, total, 0, files_at, 0, 3, 1, 1, 1, 0, 0, 0)
    yield _FOLDER.pack(data_at, len(blocks), _MSZIP)
    attributes = _ARCHIVE | (0 if name.isascii() else _NAME_IS_UTF)
    yield _FILE.pack(content.size, 0, 0, _DATE, 0, attributes) + named
    yield from blocks


def _with_history(content: Content) -> Iterator[tuple[bytes, bytes]]:
    """Yield blocks of 32 KiB, each with the block before, which it may refer to."""
    pending = b""
    history = b""
    for chunk in content.chunks():
        pending += bytes(chunk)
        while len(pending) >= _BLOCK:
            data, pending = pending[:_BLOCK], pending[_BLOCK:]
            yield data, history
            history = data
    if pending:
        yield pending, history


def _block(data: bytes, history: bytes) -> bytes:
    packer = (
        zlib.compressobj(9, zlib.DEFLATED, -15, zdict=history)
        if history
        else zlib.compressobj(9, zlib.DEFLATED, -15)
    )
    packed = b"CK" + packer.compress(data) + packer.flush()
    sizes = struct.pack("<2H", len(packed), len(data))
    return struct.pack("<I", _checksum(sizes, _checksum(packed, 0))) + sizes + packed


def _checksum(data: bytes, seed: int) -> int:
    """Exclusive or of all 32-bit words and of the rest, first byte highest (``CSUMCompute``)."""
    whole = len(data) // 4 * 4
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        seed ^= word
    rest = data[whole:]
    return seed ^ int.from_bytes(rest, "big")
