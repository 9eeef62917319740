"""Recognising Mach-O files, thin and universal.

Source: Apple's ``mach-o/loader.h``, ``mach-o/fat.h`` and ``mach/machine.h``.
"""

from __future__ import annotations

import struct

from slim.binaries.base import UNKNOWN_MACHINE, Buffer, ImageKind, NativeInfo
from slim.binaries.macho.names import (
    CPU_TYPE_ARM,
    CPU_TYPE_ARM64,
    CPU_TYPE_ARM64_32,
    CPU_TYPE_POWERPC,
    CPU_TYPE_POWERPC64,
    CPU_TYPE_X86,
    CPU_TYPE_X86_64,
)
from slim.model.record import NativeFormat
from slim.model.stack import System

THIN_MAGICS = {
    b"\xfe\xed\xfa\xce": (">", 32),
    b"\xfe\xed\xfa\xcf": (">", 64),
    b"\xce\xfa\xed\xfe": ("<", 32),
    b"\xcf\xfa\xed\xfe": ("<", 64),
}
"""The first four bytes of a thin file (MH_MAGIC and its like), to byte order and word size."""

FAT_MAGICS = {
    b"\xca\xfe\xba\xbe": struct.Struct(">IIIII"),
    b"\xca\xfe\xba\xbf": struct.Struct(">IIQQII"),
}
"""The first four bytes of a universal file (FAT_MAGIC, FAT_MAGIC_64), to the layout of a row.

A row is ``fat_arch``: a slice's CPU type and subtype, offset, size and alignment.
"""

MACHINES = {
    CPU_TYPE_X86: "i686",
    CPU_TYPE_X86_64: "x86_64",
    CPU_TYPE_ARM: "arm",
    CPU_TYPE_ARM64: "aarch64",
    CPU_TYPE_ARM64_32: "arm64_32",
    CPU_TYPE_POWERPC: "ppc",
    CPU_TYPE_POWERPC64: "ppc64",
}
"""CPU types to the machine names of :class:`slim.model.stack.Platform`."""

MAX_SLICES = 44
"""More slices than any universal file has.

A Java class begins with the same magic, and where a universal file has its number of slices, a
class file has its version, which is 45 or more. file(1) and LLVM draw the line in the same place.
"""
MAX_ALIGN = 20
"""The largest exponent of a slice's alignment."""


def describe_macho(view: Buffer) -> NativeInfo | None:
    """Describe a Mach-O file by its header, a universal one by that of its first slice."""
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
        kind = image_kind(filetype)
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


def image_kind(filetype: int) -> ImageKind:
    """The kind of an image by the ``filetype`` of its header."""
    # Not before there is a Mach-O file: this module is imported wherever files are told apart.
    from macholib import mach_o

    kinds = {
        mach_o.MH_OBJECT: ImageKind.RELOCATABLE,
        mach_o.MH_EXECUTE: ImageKind.EXECUTABLE,
        mach_o.MH_DYLIB: ImageKind.SHARED,
        mach_o.MH_BUNDLE: ImageKind.SHARED,
    }
    return kinds.get(filetype, ImageKind.OTHER)


def _describe_fat(view: Buffer, arch: struct.Struct) -> NativeInfo | None:
    """Describe a universal file; None unless the number of slices and the first are plausible."""
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
