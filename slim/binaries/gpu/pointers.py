"""Pointers into a section of an ELF library that its loader sets: relative relocations.

Source: System V gABI, chapter 5 ("Dynamic Section"); the processor supplements for x86-64
(``R_X86_64_RELATIVE``) and AArch64 (``R_AARCH64_RELATIVE``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from slim.binaries.elf.image import ElfImage, Range
from slim.binaries.elf.layout import PT_DYNAMIC, PT_LOAD
from slim.binaries.refusal import Refused
from slim.system.mapped import seen

_RELATIVE: Final = {"x86_64": 8, "aarch64": 1027}
_NULL, _RELA, _RELA_SIZE, _RELA_ENTRY, _REL, _RELR = 0, 7, 8, 9, 17, 36
_ANDROID: Final = range(0x6000_000F, 0x6000_0013)
"""Tags of Android's packed relocations."""
_ROW: Final = struct.Struct("<QQq")
_CHUNK: Final = 1 << 20
_MOST: Final = 1 << 28
"""Bytes of relocations that are read."""


class Pointer(NamedTuple):
    """A pointer: the address where it lies, what it points at, and the address of its addend."""

    slot: int
    target: int
    addend: int


def pointers_into(view: memoryview, image: ElfImage, machine: str, wanted: Range) -> list[Pointer]:
    """List the pointers to addresses in a range.

    Raises Refused where relocations are in a form that slim doesn't read.
    """
    number = _RELATIVE.get(machine)
    if number is None:
        raise Refused.unsupported(f"slim doesn't edit GPU code in files for {machine} machines")
    start, end = wanted
    found = []
    for table in _tables(view, image):
        address, size = table
        for at in range(0, size, _CHUNK - _CHUNK % _ROW.size):
            stop = min(at + _CHUNK - _CHUNK % _ROW.size, size)
            place = offset_of(image, address + at, stop - at)
            found += [
                Pointer(slot, addend, address + at + index * _ROW.size + 16)
                for index, (slot, info, addend) in enumerate(
                    _ROW.iter_unpack(view[place : place + stop - at])
                )
                if info == number and start <= addend < end
            ]
            seen(view, stop - at)
    return found


def _tables(view: memoryview, image: ElfImage) -> Iterator[Range]:
    """Yield address and size of the table of relocations with addends."""
    tags = dict(_dynamic(view, image))
    if any(tag in tags for tag in (_REL, _RELR, *_ANDROID)):
        raise Refused.unsupported("relocations without addends, or packed ones")
    if _RELA not in tags:
        return
    size = tags.get(_RELA_SIZE, 0)
    if tags.get(_RELA_ENTRY) != _ROW.size or size % _ROW.size or size > _MOST:
        raise Refused.malformed("the table of relocations has an unknown size")
    yield tags[_RELA], size


def _dynamic(view: memoryview, image: ElfImage) -> Iterator[tuple[int, int]]:
    for segment in image.segments:
        if segment.type == PT_DYNAMIC:
            size = segment.filesz - segment.filesz % image.structs.dynamic.size
            for tag, value in image.structs.dynamic.iter_unpack(
                view[segment.offset : segment.offset + size]
            ):
                if tag == _NULL:
                    return
                yield tag, value


def offset_of(image: ElfImage, address: int, size: int) -> int:
    """Return where in the file some loaded bytes lie. Raises Refused where they don't."""
    for segment in image.segments:
        if segment.type == PT_LOAD and segment.vaddr <= address:
            at = address - segment.vaddr
            if at + size <= segment.filesz:
                return segment.offset + at
    raise Refused.malformed(f"nothing in the file is loaded to the address {address:#x}")
