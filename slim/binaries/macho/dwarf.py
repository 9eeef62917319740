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
from collections.abc import Iterator

from macholib import mach_o

from slim.binaries.macho.layout import MachoImage, Segment
from slim.binaries.macho.linkedit import Part, Span
from slim.binaries.macho.names import (
    BIND_OPCODE_THREADED,
    BIND_SUBOPCODE_THREADED_APPLY,
    BIND_SUBOPCODE_THREADED_SET_BIND_ORDINAL_TABLE_SIZE_ULEB,
)
from slim.binaries.macho.structs import DEBUG_SEGMENT, SECTION, SEGMENT

_MORE = 0x80
"""The mark of a byte of a ULEB128 number that isn't its last."""
_PADDING = 0x4000
"""Bytes at most: a page of the machines with larger ones."""

# How many ULEB128 numbers follow an opcode, for rebasing and for binding.
_REBASE: dict[int, int] = {
    mach_o.REBASE_OPCODE_DONE: 0,
    mach_o.REBASE_OPCODE_SET_TYPE_IMM: 0,
    mach_o.REBASE_OPCODE_SET_SEGMENT_AND_OFFSET_ULEB: 1,
    mach_o.REBASE_OPCODE_ADD_ADDR_ULEB: 1,
    mach_o.REBASE_OPCODE_ADD_ADDR_IMM_SCALED: 0,
    mach_o.REBASE_OPCODE_DO_REBASE_IMM_TIMES: 0,
    mach_o.REBASE_OPCODE_DO_REBASE_ULEB_TIMES: 1,
    mach_o.REBASE_OPCODE_DO_REBASE_ADD_ADDR_ULEB: 1,
    mach_o.REBASE_OPCODE_DO_REBASE_ULEB_TIMES_SKIPPING_ULEB: 2,
}
_BIND: dict[int, int] = {
    mach_o.BIND_OPCODE_DONE: 0,
    mach_o.BIND_OPCODE_SET_DYLIB_ORDINAL_IMM: 0,
    mach_o.BIND_OPCODE_SET_DYLIB_ORDINAL_ULEB: 1,
    mach_o.BIND_OPCODE_SET_DYLIB_SPECIAL_IMM: 0,
    mach_o.BIND_OPCODE_SET_SYMBOL_TRAILING_FLAGS_IMM: 0,
    mach_o.BIND_OPCODE_SET_TYPE_IMM: 0,
    mach_o.BIND_OPCODE_SET_ADDEND_SLEB: 1,
    mach_o.BIND_OPCODE_SET_SEGMENT_AND_OFFSET_ULEB: 1,
    mach_o.BIND_OPCODE_ADD_ADDR_ULEB: 1,
    mach_o.BIND_OPCODE_DO_BIND: 0,
    mach_o.BIND_OPCODE_DO_BIND_ADD_ADDR_ULEB: 1,
    mach_o.BIND_OPCODE_DO_BIND_ADD_ADDR_IMM_SCALED: 0,
    mach_o.BIND_OPCODE_DO_BIND_ULEB_TIMES_SKIPPING_ULEB: 2,
}
_BIND_THREADED = {
    BIND_SUBOPCODE_THREADED_SET_BIND_ORDINAL_TABLE_SIZE_ULEB: 1,
    BIND_SUBOPCODE_THREADED_APPLY: 0,
}


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
    if not all(flags & mach_o.S_ATTR_DEBUG for flags in _flags(image.view, found)):
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
    yield from _rebased(_bytes(image, Part.REBASE))
    for part in (Part.BIND, Part.WEAK_BIND, Part.LAZY_BIND):
        yield from _bound(_bytes(image, part))


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


def _rebased(data: memoryview) -> Iterator[int]:
    """The indexes of segments that a stream of rebasing opcodes names."""
    at = 0
    while at < len(data):
        opcode = data[at] & mach_o.REBASE_OPCODE_MASK
        immediate = data[at] & mach_o.REBASE_IMMEDIATE_MASK
        if opcode == mach_o.REBASE_OPCODE_SET_SEGMENT_AND_OFFSET_ULEB:
            yield immediate
        at = _skip_numbers(data, at + 1, _REBASE.get(opcode))


def _bound(data: memoryview) -> Iterator[int]:
    """The indexes of segments that a stream of binding opcodes names.

    It goes on after BIND_OPCODE_DONE, which ends each single bind among the lazy ones.
    """
    at = 0
    while at < len(data):
        opcode = data[at] & mach_o.BIND_OPCODE_MASK
        immediate = data[at] & mach_o.BIND_IMMEDIATE_MASK
        if opcode == mach_o.BIND_OPCODE_SET_SEGMENT_AND_OFFSET_ULEB:
            yield immediate
        threaded = opcode == BIND_OPCODE_THREADED
        numbers = _BIND_THREADED.get(immediate) if threaded else _BIND.get(opcode)
        at = _skip_numbers(data, at + 1, numbers)
        if opcode == mach_o.BIND_OPCODE_SET_SYMBOL_TRAILING_FLAGS_IMM:
            while data[at]:
                at += 1
            at += 1


def _skip_numbers(data: memoryview, at: int, count: int | None) -> int:
    """The offset after ``count`` ULEB128 numbers; raises _Unclear for an unknown opcode's None."""
    if count is None:
        raise _Unclear
    for _ in range(count):
        while data[at] & _MORE:
            at += 1
        at += 1
    return at
