"""Program databases (``.pdb``): the GUID and age by which Windows debuggers find them.

Source: LLVM, "The PDB File Format" and "The MSF File Format"; Microsoft, "microsoft-pdb"
(``msf.cpp``, ``pdb.h``).
"""

from __future__ import annotations

import struct

from slim.binaries.base import Buffer

MAGIC = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0"
_SUPER = struct.Struct("<6I")
_INFO = struct.Struct("<3I16s")
_DBI = struct.Struct("<iII")
_GUID = struct.Struct("<IHH8s")
_BLOCK_SIZES = (512, 1024, 2048, 4096, 8192, 16384, 32768)
_INFO_STREAM, _DBI_STREAM = 1, 3
_LARGEST_DIRECTORY = 64 << 20
_NIL = 0xFFFF_FFFF


class _Malformed(Exception):
    """Never leaves this module."""


def pdb_key(view: Buffer) -> str | None:
    """GUID and age as symbol servers spell them.

    That is 32 upper-case hexadecimal digits, then the age in hexadecimal.

    None for what isn't a PDB, or is malformed. Raises nothing, whatever the bytes are.
    """
    if len(view) < len(MAGIC) + _SUPER.size or bytes(view[: len(MAGIC)]) != MAGIC:
        return None
    try:
        return _key(memoryview(view))
    except (_Malformed, struct.error):
        return None


def _key(view: memoryview) -> str:
    block_size, _, _, directory_size, _, map_block = _SUPER.unpack_from(view, len(MAGIC))
    if block_size not in _BLOCK_SIZES or not 0 < directory_size <= min(
        _LARGEST_DIRECTORY, len(view)
    ):
        raise _Malformed
    map_size = 4 * -(-directory_size // block_size)
    # The directory's own block numbers fill as many blocks as they need, one after the other.
    block_map = bytes(view[map_block * block_size : map_block * block_size + map_size])
    directory = _read(view, block_size, _numbers(block_map, map_size // 4), directory_size)
    info = _INFO.unpack_from(_stream(view, block_size, directory, _INFO_STREAM, _INFO.size))
    dbi = _stream(view, block_size, directory, _DBI_STREAM, _DBI.size)
    age = _DBI.unpack_from(dbi)[2] if len(dbi) >= _DBI.size else info[2]
    first, second, third, rest = _GUID.unpack(info[3])
    return f"{first:08X}{second:04X}{third:04X}{rest.hex().upper()}{age:X}"


def _numbers(data: bytes, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f"<{count}I", data)


def _read(view: memoryview, block_size: int, blocks: tuple[int, ...], size: int) -> bytes:
    pieces = []
    for block in blocks:
        if (block + 1) * block_size > len(view) + block_size - 1:
            raise _Malformed
        pieces.append(bytes(view[block * block_size : (block + 1) * block_size]))
    data = b"".join(pieces)[:size]
    if len(data) < size:
        raise _Malformed
    return data


def _stream(view: memoryview, block_size: int, directory: bytes, wanted: int, most: int) -> bytes:
    """The first bytes of a stream, at most ``most``; nothing where there is no such stream."""
    (count,) = _numbers(directory, 1)
    if count > len(directory) // 4:
        raise _Malformed
    sizes = struct.unpack_from(f"<{count}I", directory, 4)
    if wanted >= count or sizes[wanted] == _NIL:
        return b""
    skipped = sum(-(-size // block_size) for size in sizes[:wanted] if size != _NIL)
    at = 4 + 4 * count + 4 * skipped
    needed = -(-min(sizes[wanted], most) // block_size)
    blocks = struct.unpack_from(f"<{needed}I", directory, at)
    return _read(view, block_size, blocks, min(sizes[wanted], most))
