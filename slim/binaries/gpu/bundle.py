"""Clang's offload bundles: code for AMD's GPUs, and SPIR-V, one entry for each target.

Source: LLVM, "Clang Offload Bundler" (layout of a bundle, target IDs); ``OffloadBundle.h`` of LLVM
(the header ``CCOB`` of compressed bundles, in three versions).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import zstandard

from slim.binaries.refusal import Refused
from slim.model.gpu import GpuCompression, GpuContainer, GpuEntry, GpuForm, GpuKind

MAGIC = b"__CLANG_OFFLOAD_BUNDLE__"
COMPRESSED_MAGIC = b"CCOB"

_COUNT = struct.Struct("<Q")
_ROW = struct.Struct("<3Q")
"""Offset, size, length of the target's name, which follows."""
_COMMON = struct.Struct("<4sHH")
_VERSIONS = {1: struct.Struct("<IQ"), 2: struct.Struct("<IIQ"), 3: struct.Struct("<QQQ")}
"""What follows the magic number, the version and the method: the size of the whole (not in version
1), of the decompressed bundle, and a hash."""
_METHODS = {0: GpuCompression.ZLIB, 1: GpuCompression.ZSTD}
_MOST_ENTRIES = 4096
_LONGEST_TARGET = 1024
_LARGEST_TABLE = 1 << 20
_LARGEST_WINDOW = 1 << 27
"""As much as decompressing the start of a bundle may take."""
_MOST_PACKED = 1 << 22
"""Compressed bytes that are looked at for a table."""
_STEP = 1 << 14
_AMD = re.compile(r"-(gfx[0-9a-f-]+[a-z0-9]*(?::[a-z0-9]+[+-])*)$")


class _Row(NamedTuple):
    target: str
    offset: int
    size: int


def read_bundle(view: memoryview, at: int, end: int, section: str) -> GpuContainer:
    """Read the bundle that begins at ``at`` and ends at or before ``end``.

    Raises Refused for one that contradicts itself.
    """
    rows, table = _table(view[at:end])
    if any(row.offset + row.size > end - at for row in rows):
        raise Refused.malformed("an entry ends after the end of its bundle")
    if any(row.size and row.offset < table for row in rows):
        raise Refused.malformed("an entry overlaps its bundle's table")
    entries = [_entry(row, at + row.offset, row.size, GpuCompression.NONE) for row in rows]
    return GpuContainer(
        form=GpuForm.BUNDLE,
        section=section,
        offset=at,
        header_size=table,
        size=max((table, *(row.offset + row.size for row in rows))),
        entries=tuple(entry for entry in entries if entry is not None),
    )


def read_compressed_bundle(view: memoryview, at: int, end: int, section: str) -> GpuContainer:
    """Read the compressed bundle that begins at ``at``: no more is decompressed than its table.

    One of version 1 doesn't say where it ends; it counts as ending with its section.
    Raises Refused for one that contradicts itself, or wants too much memory.
    """
    if end - at < _COMMON.size:
        raise Refused.malformed("a compressed bundle's header is cut short")
    _, version, method = _COMMON.unpack_from(view, at)
    rest = _VERSIONS.get(version)
    compression = _METHODS.get(method)
    if rest is None or compression is None:
        raise Refused.unsupported(f"a compressed bundle of version {version}, method {method}")
    header_size = _COMMON.size + rest.size
    if end - at < header_size:
        raise Refused.malformed("a compressed bundle's header is cut short")
    numbers = rest.unpack_from(view, at + _COMMON.size)
    size, unpacked = (end - at, numbers[0]) if version == 1 else numbers[:2]
    if not header_size <= size <= end - at:
        raise Refused.malformed("a compressed bundle ends after the end of its section")
    rows, _ = _table(_start(view[at + header_size : at + size], compression))
    if any(row.offset + row.size > unpacked for row in rows):
        raise Refused.malformed("an entry ends after the end of its bundle")
    entries = [_entry(row, row.offset, 0, compression) for row in rows]
    return GpuContainer(
        form=GpuForm.BUNDLE,
        section=section,
        offset=at,
        header_size=header_size,
        size=size,
        entries=tuple(entry for entry in entries if entry is not None),
        compression=compression,
    )


def _entry(row: _Row, at: int, stored: int, compression: GpuCompression) -> GpuEntry | None:
    """None for the host's entry, which is always empty."""
    if row.target.startswith("host-"):
        return None
    amd = _AMD.search(row.target)
    kind = GpuKind.SPIRV if "spir" in row.target else GpuKind.OTHER
    return GpuEntry(
        kind=GpuKind.HSACO if amd else kind,
        architecture=amd[1] if amd else "",
        compression=compression,
        offset=at,
        header_size=0,
        padded_size=stored,
        stored_size=stored,
        size=row.size,
    )


def _table(view: memoryview) -> tuple[list[_Row], int]:
    """The rows of the table, and its bytes."""
    at = len(MAGIC) + _COUNT.size
    if len(view) < at or bytes(view[: len(MAGIC)]) != MAGIC:
        raise Refused.malformed("a bundle's header is cut short")
    (count,) = _COUNT.unpack_from(view, len(MAGIC))
    if count > _MOST_ENTRIES:
        raise Refused.malformed("a bundle has too many entries")
    rows = []
    for _ in range(count):
        if len(view) < at + _ROW.size:
            raise Refused.malformed("a bundle's table is cut short")
        offset, size, length = _ROW.unpack_from(view, at)
        at += _ROW.size
        if length > _LONGEST_TARGET or at + length > len(view):
            raise Refused.malformed("a bundle's table is cut short")
        rows.append(_Row(bytes(view[at : at + length]).decode("ascii", "replace"), offset, size))
        at += length
    return rows, at


def _start(view: memoryview, compression: GpuCompression) -> memoryview:
    """The first bytes of a compressed bundle: as much as has its table, at most a megabyte."""
    packed = view[:_MOST_PACKED]
    found = bytearray()
    try:
        for piece in _unpack(packed, compression):
            found += piece
            if len(found) >= _LARGEST_TABLE or _whole_table(found):
                break
    except (zstandard.ZstdError, zlib.error, MemoryError) as error:
        raise Refused.malformed("a compressed bundle can't be decompressed") from error
    return memoryview(bytes(found))


def _unpack(packed: memoryview, compression: GpuCompression) -> Iterator[bytes]:
    """Decompressed bytes, a few kilobytes at a time."""
    if compression is GpuCompression.ZSTD:
        unpacker = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
        with unpacker.stream_reader(packed) as stream:
            while piece := stream.read(_STEP):
                yield piece
        return
    inflater = zlib.decompressobj()
    rest: bytes | memoryview = packed
    while piece := inflater.decompress(rest, _STEP):
        yield piece
        rest = inflater.unconsumed_tail


def _whole_table(start: bytearray) -> bool:
    try:
        _table(memoryview(bytes(start)))
    except Refused:
        return False
    return True
