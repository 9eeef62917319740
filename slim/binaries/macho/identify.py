"""Recognising Mach-O files, thin and universal.

Source: Apple's ``mach-o/loader.h``, ``mach-o/fat.h`` and ``mach/machine.h``.
"""

from __future__ import annotations

import struct

from slim.binaries.base import UNKNOWN_MACHINE, Buffer, ImageKind, NativeInfo
from slim.model.record import NativeFormat
from slim.model.stack import System

THIN_MAGICS = {
    b"\xfe\xed\xfa\xce": (">", 32),
    b"\xfe\xed\xfa\xcf": (">", 64),
    b"\xce\xfa\xed\xfe": ("<", 32),
    b"\xcf\xfa\xed\xfe": ("<", 64),
}
"""The first four bytes of a thin file, to byte order and word size."""

FAT_MAGICS = {
    b"\xca\xfe\xba\xbe": struct.Struct(">IIIII"),
    b"\xca\xfe\xba\xbf": struct.Struct(">IIQQII"),
}
"""The first four bytes of a universal file, to the layout of ``fat_arch``: cputype, cpusubtype, offset, size, ..."""

MACHINES = {
    7: "i686",
    0x0100_0007: "x86_64",
    12: "arm",
    0x0100_000C: "aarch64",
    0x0200_000C: "arm64_32",
    18: "ppc",
    0x0100_0012: "ppc64",
}
_KINDS = {
    1: ImageKind.RELOCATABLE,
    2: ImageKind.EXECUTABLE,
    6: ImageKind.SHARED,
    8: ImageKind.SHARED,
}
"""``MH_OBJECT``, ``MH_EXECUTE``, ``MH_DYLIB`` and ``MH_BUNDLE``."""

# A Java class begins with the universal magic too; where a universal file has its number of slices,
# a class file has its version, which is 45 or more. file(1) and LLVM draw the line in the same
# place.
MAX_SLICES = 44
MAX_ALIGN = 20


def describe_macho(view: Buffer) -> NativeInfo | None:
    """Machine, word size and kind, from the first header of the file (for a universal one: of the first slice)."""
    magic = bytes(view[:4])
    if magic in FAT_MAGICS:
        return _describe_fat(view, FAT_MAGICS[magic])
    if magic not in THIN_MAGICS:
        return None
    return _describe_thin(view, magic)


def _describe_thin(view: Buffer, magic: bytes) -> NativeInfo:
    order, bits = THIN_MAGICS[magic]
    machine, kind = UNKNOWN_MACHINE, ImageKind.OTHER
    if len(view) >= 16:
        _, cpu, _, filetype = struct.unpack_from(f"{order}IIII", view)
        machine = MACHINES.get(cpu, UNKNOWN_MACHINE)
        kind = _KINDS.get(filetype, ImageKind.OTHER)
    return NativeInfo(
        format=NativeFormat.MACHO,
        system=System.MACOS,
        machine=machine,
        machines=(machine,),
        bits=bits,
        little=order == "<",
        kind=kind,
        dynamic=kind in (ImageKind.EXECUTABLE, ImageKind.SHARED),
    )


def _describe_fat(view: Buffer, arch: struct.Struct) -> NativeInfo | None:
    """None unless the number of slices and the first of them are plausible: a Java class is no Mach-O file."""
    if len(view) < 8:
        return None
    count = int.from_bytes(view[4:8], "big")
    if not 0 < count < MAX_SLICES or len(view) < 8 + count * arch.size:
        return None
    slices = list(arch.iter_unpack(view[8 : 8 + count * arch.size]))
    cpu, _, offset, size, align, *_ = slices[0]
    if (
        cpu not in MACHINES
        or align > MAX_ALIGN
        or offset < 8 + count * arch.size
        or offset + size > len(view)
    ):
        return None
    machines = tuple(MACHINES.get(row[0], UNKNOWN_MACHINE) for row in slices)
    first = bytes(view[offset : offset + 4])
    if first in THIN_MAGICS and size >= 16:
        inner = _describe_thin(view[offset : offset + 16], first)
        kind, bits, little, dynamic = inner.kind, inner.bits, inner.little, inner.dynamic
    else:
        kind = ImageKind.ARCHIVE if first == b"!<ar" else ImageKind.OTHER
        bits, little, dynamic = 0, True, False
    return NativeInfo(
        format=NativeFormat.MACHO,
        system=System.MACOS,
        machine=machines[0],
        machines=machines,
        bits=bits,
        little=little,
        kind=kind,
        dynamic=dynamic,
    )
