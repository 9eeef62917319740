"""NVIDIA's fat binaries: containers with cubins, PTX and LTO-IR for several architectures.

The format has no public specification. Facts: ``fatbinary_section.h`` of the CUDA toolkit (magic
numbers, wrappers); "cuda-fatbin-decompression" of Niklas Eiling and ZLUDA (fields of the headers,
flags of compression); the rest was read off files that nvcc 13.0 wrote, and is compared with
``cuobjdump`` in tests/integration.
"""

from __future__ import annotations

import struct

from slim.binaries.refusal import Refused
from slim.model.gpu import (
    GpuCompression,
    GpuContainer,
    GpuEntry,
    GpuForm,
    GpuKind,
    GpuWrapper,
)
from slim.system.mapped import seen

MAGIC = struct.pack("<I", 0xBA55ED50)
WRAPPER_MAGIC = struct.pack("<I", 0x466243B1)
HIP_WRAPPER_MAGIC = struct.pack("<I", 0x48495046)

CONTAINER = struct.Struct("<IHHQ")
"""Magic number, version, size of this header, bytes after it."""
ENTRY = struct.Struct("<HHIQIIHHIIIQQQ")
"""Kind, version, header size, room of the payload, compressed size, offset of options, minor and
major version of the code, architecture, offset and length of a name, flags, a hash, unpacked size.
"""
WRAPPER = struct.Struct("<IIQQ")
"""Magic number, version, pointer to the container, pointer to linked parts."""

FLAG_LZ4, FLAG_ZSTD = 0x2000, 0x8000
FLAG_SPECIFIC, FLAG_FAMILY = 0x10_0000, 0x20_0000
"""Suffix ``a``: code for just this architecture; suffix ``f``: for its family."""

_VERSION = 1
_FAULT_AROUND = 1 << 19
"""Bytes of a mapped file that Linux maps when one of them is looked at, at most: it reads ahead."""
_LARGEST_HEADER = 1 << 16
_KINDS = {1: GpuKind.PTX, 2: GpuKind.CUBIN, 8: GpuKind.LTO_IR, 16: GpuKind.CUBIN}


class Budget:
    """The number of entries that may still be read, over all containers of a file."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self) -> None:
        """Count one. Raises Refused where there are too many."""
        if self.left <= 0:
            raise Refused.unsupported("there are more entries than slim reads")
        self.left -= 1


def read_fatbin(view: memoryview, at: int, end: int, section: str, budget: Budget) -> GpuContainer:
    """Read the container that begins at ``at`` and ends at or before ``end``.

    Raises Refused for one that contradicts itself.
    """
    if end - at < CONTAINER.size:
        raise Refused.malformed("a fat binary's header is cut short")
    _, version, header_size, room = CONTAINER.unpack_from(view, at)
    if version != _VERSION or header_size < CONTAINER.size:
        raise Refused.unsupported(f"a fat binary of version {version}, header {header_size} bytes")
    if header_size + room > end - at:
        raise Refused.malformed("a fat binary ends after the end of its section")
    place, stop = at + header_size, at + header_size + room
    entries: list[GpuEntry] = []
    while place < stop:
        budget.take()
        entry = _entry(view, place, stop)
        entries.append(entry)
        place += entry.bytes_in_file
        seen(view, _FAULT_AROUND)
    return GpuContainer(
        form=GpuForm.FATBIN,
        section=section,
        offset=at,
        header_size=header_size,
        size=header_size + room,
        entries=tuple(entries),
    )


def _entry(view: memoryview, at: int, stop: int) -> GpuEntry:
    if stop - at < ENTRY.size:
        raise Refused.malformed("an entry's header is cut short")
    fields = ENTRY.unpack_from(view, at)
    number, _, header_size, room, packed, _, minor, major, arch, _, _, flags, _, unpacked = fields
    if not ENTRY.size <= header_size <= _LARGEST_HEADER or header_size + room > stop - at:
        raise Refused.malformed("an entry ends after the end of its fat binary")
    compression = _compression(flags)
    compressed = compression is not GpuCompression.NONE
    if compressed and not 0 < packed <= room:
        raise Refused.malformed("an entry's compressed size is larger than its room")
    return GpuEntry(
        kind=_KINDS.get(number, GpuKind.OTHER),
        architecture=architecture(arch, flags),
        compression=compression,
        offset=at,
        header_size=header_size,
        padded_size=room,
        stored_size=packed if compressed else room,
        size=unpacked if compressed else room,
        flags=flags,
        number=number,
        version=(major, minor),
    )


def architecture(arch: int, flags: int) -> str:
    """The name of an architecture: ``sm_90a`` for 90 and the flag of code for just this one."""
    if not arch:
        return ""
    if flags & FLAG_SPECIFIC:
        return f"sm_{arch}a"
    return f"sm_{arch}f" if flags & FLAG_FAMILY else f"sm_{arch}"


def _compression(flags: int) -> GpuCompression:
    if flags & FLAG_ZSTD:
        return GpuCompression.ZSTD
    return GpuCompression.LZ4 if flags & FLAG_LZ4 else GpuCompression.NONE


def read_wrappers(
    view: memoryview, at: int, size: int, section: str, budget: Budget
) -> list[GpuWrapper]:
    """Records of ``.nvFatBinSegment`` or ``.hipFatBinSegment``. Raises Refused for other bytes."""
    wrappers = []
    for place in range(at, at + size - size % WRAPPER.size, WRAPPER.size):
        magic, version, pointer, linked = WRAPPER.unpack_from(view, place)
        if bytes(view[place : place + 4]) in (WRAPPER_MAGIC, HIP_WRAPPER_MAGIC):
            budget.take()
            wrappers.append(
                GpuWrapper(
                    section=section,
                    offset=place,
                    version=version,
                    pointer=pointer,
                    linked=linked,
                )
            )
        elif magic or version or pointer or linked:
            raise Refused.malformed("the section of wrappers holds something else")
    return wrappers
