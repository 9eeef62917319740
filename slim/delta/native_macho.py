"""Mach-O images as a delta sees them, by their sections: for x86-64 and ARM64.

Source: Apple's ``mach-o/loader.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from slim.binaries.macho.names import CPU_TYPE_ARM64, CPU_TYPE_X86_64
from slim.binaries.macho.structs import (
    COMMAND,
    HEADER,
    MAGIC_64,
    SECTION,
    SEGMENT,
    SYMBOL_SIZE,
    SYMTAB,
)
from slim.delta.image import NativeImage, Part, image_of
from slim.delta.references import Kind, Region

_CODE = {CPU_TYPE_X86_64: Kind.X86_64, CPU_TYPE_ARM64: Kind.ARM64}
_MOST_COMMANDS, _MOST_SECTIONS = 1000, 250
_LC_SYMTAB, _LC_SEGMENT_64 = 0x2, 0x19
_SECTION_TYPE, _INSTRUCTIONS = 0xFF, 0x80000400
_ZERO_FILL = (0x1, 0xC, 0x12)
_WRITABLE = 0x2


def macho_image(content: bytes, start: int, size: int) -> NativeImage | None:
    """Describe an image of ``size`` bytes from ``start`` on, or return None for any other."""
    view = memoryview(content)[start : start + size]
    if len(view) < HEADER.size or bytes(view[:4]) != MAGIC_64:
        return None
    cpu = HEADER.unpack_from(view)[1]
    if cpu not in _CODE:
        return None
    try:
        parts, ends = [], [0]
        for part, end in _parts(view, start, _CODE[cpu]):
            parts.append(part)
            ends.append(end)
    except struct.error:
        return None
    code = [part.region.address for part in parts if part.region.kind is _CODE[cpu]]
    if not code or len(parts) > _MOST_SECTIONS:
        return None
    if any(part.region.end > start + size for part in parts):
        return None
    return image_of(content, parts, min(code), max(ends))


def _parts(view: memoryview, start: int, code: Kind) -> Iterator[tuple[Part, int]]:
    """Yield the parts of an image, and the address after the last byte of each."""
    at, count = HEADER.size, HEADER.unpack_from(view)[4]
    for _ in range(min(count, _MOST_COMMANDS)):
        command, length = COMMAND.unpack_from(view, at)
        if length < COMMAND.size:
            return
        if command == _LC_SEGMENT_64:
            yield from _sections(view, at, start, code)
        elif command == _LC_SYMTAB:
            _, _, offset, symbols, _, _ = SYMTAB.unpack_from(view, at)
            region = Region(Kind.WORDS, start + offset, symbols * SYMBOL_SIZE, offset)
            yield Part(b"symbols", region, is_aligned=False), 0
        at += length


def _sections(view: memoryview, at: int, start: int, code: Kind) -> Iterator[tuple[Part, int]]:
    fields = SEGMENT.unpack_from(view, at)
    writable, sections = fields[8] & _WRITABLE, fields[9]
    at += SEGMENT.size
    for _ in range(min(sections, _MOST_SECTIONS)):
        name, segment, address, size, offset, _, _, _, flags, *_ = SECTION.unpack_from(view, at)
        at += SECTION.size
        end = address + size
        if flags & _SECTION_TYPE in _ZERO_FILL:
            size = 0
        kind = Kind.CHAINED if writable else Kind.TABLES
        if flags & _INSTRUCTIONS:
            kind = code
        elif name.rstrip(b"\0") == b"__unwind_info":
            kind = Kind.UNWIND_INDEX
        yield Part(segment + name, Region(kind, start + offset, size, address)), end
