"""Universal ("fat") Mach-O files: a header and several images, each for a machine of its own.

Source: Apple's ``mach-o/fat.h``, ``mach/machine.h``; lipo(1).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from slim.binaries.ar import MAGIC as ARCHIVE_MAGIC
from slim.binaries.base import UNKNOWN_MACHINE
from slim.binaries.macho.identify import FAT_MAGICS, MACHINES, MAX_ALIGN, MAX_SLICES, THIN_MAGICS
from slim.binaries.macho.names import (
    CPU_SUBTYPE_ARM64_ALL,
    CPU_SUBTYPE_ARM64_V8,
    CPU_SUBTYPE_ARM64E,
    CPU_SUBTYPE_MASK,
    CPU_SUBTYPE_X86_64_ALL,
    CPU_SUBTYPE_X86_64_H,
    CPU_TYPE_ARM64,
    CPU_TYPE_X86_64,
)
from slim.binaries.refusal import NotEditable, RefusalKind, Refused

_HEADER = struct.Struct(">2I")
_SUBTYPE = 0xFFFF_FFFF & ~CPU_SUBTYPE_MASK
# The others (x86_64h, arm64e) run on some machines only.
_GENERAL_SUBTYPES = {
    CPU_TYPE_X86_64: (CPU_SUBTYPE_X86_64_ALL,),
    CPU_TYPE_ARM64: (CPU_SUBTYPE_ARM64_ALL, CPU_SUBTYPE_ARM64_V8),
}
_SPECIAL_NAMES = {
    (CPU_TYPE_X86_64, CPU_SUBTYPE_X86_64_H): "x86_64h",
    (CPU_TYPE_ARM64, CPU_SUBTYPE_ARM64E): "arm64e",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One image in a universal file.

    ``align`` is the exponent of a power of two, ``reserved`` as in the header.
    """

    cpu: int
    subtype: int
    offset: int
    size: int
    align: int
    reserved: tuple[int, ...] = ()

    @property
    def machine(self) -> str:
        """The machine, as in :class:`slim.model.stack.Platform`.

        Images that only some of the machines run have a name of their own, such as ``arm64e``.
        """
        special = _SPECIAL_NAMES.get((self.cpu, self.subtype & _SUBTYPE))
        return special or MACHINES.get(self.cpu, UNKNOWN_MACHINE)

    def runs_on(self, machine: str) -> bool:
        """True if every machine of that name runs the image."""
        if MACHINES.get(self.cpu) != machine:
            return False
        return self.subtype & _SUBTYPE in _GENERAL_SUBTYPES.get(
            self.cpu, (self.subtype & _SUBTYPE,)
        )


def is_fat(view: memoryview) -> bool:
    """True if the file begins as universal files do. So do Java classes."""
    return bytes(view[:4]) in FAT_MAGICS


def read_fat(view: memoryview) -> tuple[Slice, ...]:
    """The images of a universal file, in file order.

    Raises :class:`slim.binaries.refusal.Refused` unless they lie in the file, aligned, apart from
    each other, with nothing but padding between them.
    """
    layout = FAT_MAGICS[bytes(view[:4])]
    if len(view) < _HEADER.size:
        raise Refused.malformed("the universal header is cut short")
    count = _HEADER.unpack_from(view)[1]
    end = _HEADER.size + count * layout.size
    if not 0 < count < MAX_SLICES or end > len(view):
        raise Refused.malformed(f"the universal header doesn't hold {count} slices")
    slices = [
        Slice(
            cpu=row[0],
            subtype=row[1],
            offset=row[2],
            size=row[3],
            align=row[4],
            reserved=tuple(row[5:]),
        )
        for row in layout.iter_unpack(view[_HEADER.size : end])
    ]
    in_order = tuple(sorted(slices, key=lambda one: one.offset))
    _check(view, in_order, end)
    return in_order


def _check(view: memoryview, slices: tuple[Slice, ...], header_end: int) -> None:
    if len({(one.cpu, one.subtype & _SUBTYPE) for one in slices}) != len(slices):
        raise Refused.malformed("two slices are for the same machine")
    at = header_end
    for one in slices:
        if one.align > MAX_ALIGN or one.offset % (1 << one.align) or not one.size:
            raise Refused.malformed(
                f"the slice at offset {one.offset:#x} isn't aligned, or is empty"
            )
        if one.offset + one.size > len(view):
            raise Refused.malformed(
                f"the slice at offset {one.offset:#x} ends after the end of the file"
            )
        if one.offset < at:
            raise Refused.malformed(f"slices overlap at offset {one.offset:#x}")
        start = bytes(view[one.offset : one.offset + 12])
        if start[:4] not in THIN_MAGICS and start[:8] != ARCHIVE_MAGIC:
            raise Refused.malformed(
                f"the slice at offset {one.offset:#x} is neither an image nor an archive"
            )
        if start[:4] in THIN_MAGICS and one.size >= 12:
            cpu, subtype = struct.unpack_from(f"{THIN_MAGICS[start[:4]][0]}2I", start, 4)
            if cpu != one.cpu or (subtype ^ one.subtype) & _SUBTYPE:
                raise Refused.malformed(
                    f"the slice at offset {one.offset:#x} is for another machine than it says"
                )
        at = one.offset + one.size
    # Before each slice is padding, less than its alignment asks for at most; after the last one
    # there is nothing.
    gaps = zip(
        [header_end, *(one.offset + one.size for one in slices)],
        [*(one.offset for one in slices), len(view)],
        [*(1 << one.align for one in slices), 1],
        strict=True,
    )
    for start_of_gap, end, align in gaps:
        if end - start_of_gap >= align or any(view[start_of_gap:end]):
            reason = (
                f"the {end - start_of_gap} bytes at offset {start_of_gap:#x} belong to no slice"
            )
            raise Refused(NotEditable(RefusalKind.PAYLOAD, reason))


def choose(slices: Sequence[Slice], machine: str) -> Slice:
    """The image for a machine.

    Raises :class:`slim.binaries.refusal.Refused` (``ABSENT_SLICE``) where there is none.
    """
    for one in slices:
        if one.runs_on(machine):
            return one
    there = ", ".join(one.machine for one in slices)
    raise Refused(
        NotEditable(RefusalKind.ABSENT_SLICE, f"there is no slice for {machine}, only for {there}")
    )


def write_fat(
    magic: bytes, slices: Sequence[Slice], sizes: Sequence[int]
) -> tuple[bytes, tuple[Slice, ...]]:
    """The header of a universal file whose images have other sizes, and their new places."""
    layout = FAT_MAGICS[magic]
    at = _HEADER.size + len(slices) * layout.size
    placed = []
    for one, size in zip(slices, sizes, strict=True):
        at = -(-at >> one.align) << one.align
        placed.append(replace(one, offset=at, size=size))
        at += size
    rows = b"".join(
        layout.pack(one.cpu, one.subtype, one.offset, one.size, one.align, *one.reserved)
        for one in placed
    )
    return magic + len(placed).to_bytes(4, "big") + rows, tuple(placed)
