"""The segment ``__DWARF`` of a Mach-O image: debugging information that a linker left in the file.

Go's linker does, and whoever links with ``dsymutil``'s output merged in. Apple's and LLVM's leave
it in object files or put it into ``.dSYM`` bundles. Its bytes lie between the image's data and
``__LINKEDIT``; nobody but a debugger reads them. Newer ones aren't even mapped (a size in memory of
0), older ones are.

The segment's load command stays, empty: indexes of segments and numbers of sections, by which
fixups and symbols name their place, stay what they are. Its sections get the segment's own address,
because dyld wants them to be inside.

Source: Apple's ``mach-o/loader.h`` (opcodes), ``mach-o/fixup-chains.h``; dyld
(``UnsafeHeader::validSegment``, ``validSemanticsSegments``), for what a loader accepts; Go's
``cmd/link/internal/ld/macho.go``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from slim.binaries.macho.layout import (
    DEBUG_SEGMENT,
    SECTION,
    SEGMENT,
    MachoImage,
    Part,
    Segment,
    Span,
)

_DEBUG = 0x0200_0000  # S_ATTR_DEBUG
_ULEB = 0x80
_PADDING = 0x4000  # bytes, at most: a page of the machines with larger ones

# How many numbers follow an opcode (its high four bits), for rebasing and for binding.
_REBASE = {0x00: 0, 0x10: 0, 0x20: 1, 0x30: 1, 0x40: 0, 0x50: 0, 0x60: 1, 0x70: 1, 0x80: 2}
_BIND = {
    **dict.fromkeys((0x00, 0x10, 0x30, 0x40, 0x50, 0x90, 0xB0), 0),
    **dict.fromkeys((0x20, 0x60, 0x70, 0x80, 0xA0), 1),
    0xC0: 2,
}
_SET_REBASE_SEGMENT, _SET_BIND_SEGMENT, _SET_SYMBOL, _THREADED = 0x20, 0x70, 0x40, 0xD0


class _Unclear(Exception):
    """The fixups aren't what they should be."""


def debug_segment(image: MachoImage) -> Segment | None:
    """The segment whose content may go, None if there is none or anything about it is unusual.

    It has to be called ``__DWARF``, to hold nothing but sections that are marked as debugging
    information, to lie in the file directly before ``__LINKEDIT``, and to be the place of no fixup.
    """
    found = next((one for one in image.segments if one.name == DEBUG_SEGMENT and one.size), None)
    if (
        found is None
        or found is image.segments[0]
        or image.parts.get(Part.SPLIT_INFO, Span(0, 0)).size
    ):
        return None
    between = image.view[found.end : image.linkedit.offset]
    if len(between) >= _PADDING or any(between):
        return None
    if any(
        one.end > found.offset
        for one in image.segments
        if one.size and one not in (found, image.linkedit)
    ):
        return None
    if not all(flags & _DEBUG for flags in _flags(image.view, found)):
        return None
    try:
        fixed = set(_fixed_segments(image))
    except (_Unclear, struct.error, IndexError):
        return None
    return None if image.segments.index(found) in fixed else found


def empty_command(head: bytearray, segment: Segment) -> None:
    """Write into the load commands that a segment has nothing in the file."""
    row = list(SEGMENT.unpack_from(head, segment.command))
    row[6] = 0
    SEGMENT.pack_into(head, segment.command, *row)
    for number in range(segment.sections):
        at = segment.command + SEGMENT.size + number * SECTION.size
        section = list(SECTION.unpack_from(head, at))
        section[2:5] = segment.vmaddr, 0, 0
        SECTION.pack_into(head, at, *section)


def _flags(view: memoryview, segment: Segment) -> Iterator[int]:
    for number in range(segment.sections):
        yield SECTION.unpack_from(view, segment.command + SEGMENT.size + number * SECTION.size)[8]


def _fixed_segments(image: MachoImage) -> Iterator[int]:
    """The indexes of all segments that the loader writes pointers into."""
    parts = image.parts
    if Part.CHAINED_FIXUPS in parts:
        yield from _chained(bytes(_bytes(image, Part.CHAINED_FIXUPS)))
    yield from _opcodes(_bytes(image, Part.REBASE), _REBASE, _SET_REBASE_SEGMENT)
    for part in (Part.BIND, Part.WEAK_BIND, Part.LAZY_BIND):
        yield from _opcodes(_bytes(image, part), _BIND, _SET_BIND_SEGMENT)


def _bytes(image: MachoImage, part: Part) -> memoryview:
    span = image.parts.get(part, Span(0, 0))
    return image.view[span.offset : span.end]


def _chained(data: bytes) -> Iterator[int]:
    """``dyld_chained_starts_in_image``: an offset for each segment, 0 for those without fixups."""
    (starts,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<I", data, starts)
    offsets = (
        struct.unpack_from(f"<{count}I", data, starts + 4) if count <= len(data) // 4 else None
    )
    if offsets is None:
        raise _Unclear
    yield from (index for index, offset in enumerate(offsets) if offset)


def _opcodes(data: memoryview, numbers: Mapping[int, int], names_segment: int) -> Iterator[int]:
    """The segments that a stream of opcodes names; goes on after the end of a lazy bind."""
    at = 0
    while at < len(data):
        opcode, immediate = data[at] & 0xF0, data[at] & 0x0F
        at += 1
        if opcode == names_segment:
            yield immediate
        if names_segment == _SET_BIND_SEGMENT and opcode == _THREADED:
            follow = 1 - immediate if immediate < 2 else None
        else:
            follow = numbers.get(opcode)
        if follow is None:
            raise _Unclear
        for _ in range(follow):
            while data[at] & _ULEB:
                at += 1
            at += 1
        if names_segment == _SET_BIND_SEGMENT and opcode == _SET_SYMBOL:
            while data[at]:
                at += 1
            at += 1
