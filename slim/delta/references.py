"""References between the parts of a native file: fields that hold an address or a distance.

When code moves, they all change, though nothing else does. Finding them is a guess by their form:
a field that is taken for one by mistake makes a patch larger, never wrong.

Sources: Intel's SDM, volume 2, 2.2.1.6 (RIP-relative addresses) and CALL, JMP, Jcc; Linux Standard
Base 5.0, 10.6 (``.eh_frame``); Apple's ``mach-o/fixup-chains.h`` and
``mach-o/compact_unwind_encoding.h``; Microsoft, "PE Format".
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from slim.delta.arm64 import arm64_references
from slim.delta.fields import ADDRESS, CHAINED, DISTANCE, SHORT_ADDRESS, Reference

_NEAR: Final = re.compile(
    rb"(?:[\xe8\xe9]|\x0f[\x80-\x8f]|[\x05\x0d\x15\x1d\x25\x2d\x35\x3d])...[\x00\x01\xfe\xff]",
    re.DOTALL,
)
"""Calls, jumps, and operands relative to RIP, of x86-64, over 32 MiB at most."""
_NOT_CHAINED: Final = 0x8007FFF000000000
"""Bits that no chained pointer has set that stays within its file."""
_SHORTEST_FRAME: Final = 20
"""Bytes of an entry of ``.eh_frame`` from which on it may have a pointer to a table of the LSDA."""


class Kind(IntEnum):
    """Kind of a region, which says what its references look like."""

    PLAIN = 0
    """No references; used to find what moved."""
    X86_64 = 1
    """Code with distances."""
    X86_64_FIXED = 2
    """Code with distances, and addresses of 4 bytes (a program that isn't relocatable)."""
    WORDS = 3
    """Addresses of 8 bytes, aligned."""
    FRAMES = 4
    """Section ``.eh_frame``."""
    FRAME_INDEX = 5
    """Section ``.eh_frame_hdr``."""
    TABLES = 6
    """Constants, among them tables of jumps that code refers to."""
    ARM64 = 7
    """Code for ARM64."""
    CHAINED = 8
    """Addresses of 36 bits in words of 8 bytes, aligned: pointers of Mach-O, chained or not."""
    OFFSETS = 9
    """Addresses of 4 bytes that count from the lowest one, aligned: tables of PE."""
    CONSTANTS = 10
    """Constants as in TABLES, and addresses of 8 bytes, aligned."""
    UNWIND_INDEX = 11
    """Section ``__unwind_info`` of Mach-O."""


_CODE: Final = (Kind.X86_64, Kind.X86_64_FIXED, Kind.ARM64)
_TABLES: Final = (Kind.TABLES, Kind.CONSTANTS)
_UNWIND: Final = struct.Struct("<7I")
"""Header of ``__unwind_info``: version; place and count of encodings, personalities, index."""
_HEADERS: Final = 0x1000
"""Bytes of the headers of a PE file, at least: nothing refers to them by an offset."""


@dataclass(frozen=True, slots=True)
class Region:
    """Region of a file: ``length`` bytes from ``start`` on, loaded at ``address``."""

    kind: Kind
    start: int
    length: int
    address: int

    @property
    def end(self) -> int:
        """Position after the last byte."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Layout:
    """Regions of a file, sorted and apart. Addresses are from ``low`` on and below ``high``."""

    low: int
    high: int
    regions: Sequence[Region]


def references(content: bytes, layout: Layout) -> Iterator[Reference]:
    """Yield the references in a file. The time that it takes is linear in the size of the file."""
    tables = [region for region in layout.regions if region.kind in _TABLES]
    starts: set[int] = set()
    for region in layout.regions:
        if region.kind in _CODE:
            for reference in _code(content, region, layout):
                target = reference[3]
                for table in tables:
                    if 0 <= target - table.address < table.length:
                        starts.add(target)
                yield reference
            if region.kind is Kind.X86_64_FIXED:
                yield from _short_addresses(content, region, layout)
        elif region.kind in _OTHERS:
            yield from _OTHERS[region.kind](content, region, layout)
    for region in tables:
        yield from _jump_tables(content, region, layout, starts)


def _signed(content: bytes, position: int) -> int:
    return int.from_bytes(content[position : position + 4], "little", signed=True)


def _code(content: bytes, region: Region, layout: Layout) -> Iterator[Reference]:
    low, high, shift = layout.low, layout.high, region.address - region.start
    if region.kind is Kind.ARM64:
        yield from arm64_references(content, region.start, region.end, region.address, low, high)
        return
    for match in _NEAR.finditer(content, region.start, region.end):
        end = match.end()
        base = end + shift
        target = base + int.from_bytes(content[end - 4 : end], "little", signed=True)
        if low <= target < high:
            yield end - 4, DISTANCE, base, target


def _short_addresses(content: bytes, region: Region, layout: Layout) -> Iterator[Reference]:
    """Yield what looks like an address of 4 bytes; distances aren't left out."""
    low, high = layout.low, layout.high
    if not 1 << 16 <= low < high <= 1 << 24:
        return
    first, last = bytes([low >> 16]), bytes([(high - 1) >> 16])
    form = re.compile(b"..[" + re.escape(first) + b"-" + re.escape(last) + b"]\\x00", re.DOTALL)
    at = region.start
    while (match := form.search(content, at, region.end)) is not None:
        position = match.start()
        target = int.from_bytes(content[position : position + 4], "little")
        is_address = low <= target < high
        if is_address:
            yield position, SHORT_ADDRESS, 0, target
        at = position + (4 if is_address else 1)


def _words(content: bytes, region: Region, layout: Layout) -> Iterator[Reference]:
    low, high = layout.low, layout.high
    start = region.start - region.start % -8
    length = (region.end - start) // 8 * 8
    if length <= 0:
        return
    words = memoryview(content)[start : start + length]
    for number in range(0, length, 8):
        word = words[number : number + 8]
        if word[7] or word[6] or word[5]:  # most of what isn't an address
            continue
        target = int.from_bytes(word, "little")
        if low <= target < high:
            yield start + number, ADDRESS, 0, target


def _chained(content: bytes, region: Region, layout: Layout) -> Iterator[Reference]:
    """Yield pointers that dyld relocates: where the next one is stands in their highest bits."""
    low, high = layout.low, layout.high
    for position in range(region.start - region.start % -8, region.end - 7, 8):
        word = int.from_bytes(content[position : position + 8], "little")
        target = word & 0xFFFFFFFFF
        if low <= target < high and not word & _NOT_CHAINED:
            yield position, CHAINED, 0, target


def _offsets(content: bytes, region: Region, layout: Layout) -> Iterator[Reference]:
    low, high = _HEADERS, layout.high - layout.low
    for position in range(region.start - region.start % -4, region.end - 3, 4):
        offset = int.from_bytes(content[position : position + 4], "little")
        if low <= offset < high:
            yield position, DISTANCE, layout.low, layout.low + offset


def _frames(content: bytes, region: Region, layout: Layout) -> Iterator[Reference]:
    low, high, shift = layout.low, layout.high, region.address - region.start
    position, end = region.start, region.end
    while position + 12 <= end:
        length = int.from_bytes(content[position : position + 4], "little")
        if not length or length >= end - position:
            return
        if content[position + 4 : position + 8] != b"\0\0\0\0":
            fields = [position + 8]
            if length > _SHORTEST_FRAME and content[position + 16] == 4:
                fields.append(position + 17)
            for field in fields:
                distance = _signed(content, field)
                if distance and field + 4 <= end and low <= field + shift + distance < high:
                    yield field, DISTANCE, field + shift, field + shift + distance
        position += 4 + length


def _frame_index(content: bytes, region: Region, layout: Layout) -> Iterator[Reference]:
    for field in range(region.start + 12, region.end - 3, 4):
        target = region.address + _signed(content, field)
        if layout.low <= target < layout.high:
            yield field, DISTANCE, region.address, target


def _unwind_index(content: bytes, region: Region, layout: Layout) -> Iterator[Reference]:
    """Yield what counts from the image: functions, and the LSDA tables of some of them.

    The image begins where 4 GiB do.
    """
    base = layout.low & ~0xFFFFFFFF

    def fields(start: int, step: int, end: int) -> Iterator[Reference]:
        for position in range(region.start + start, min(region.start + end, region.end - 3), step):
            target = base + int.from_bytes(content[position : position + 4], "little")
            if layout.low <= target < layout.high:
                yield position, DISTANCE, base, target

    if region.length < _UNWIND.size:
        return
    _, _, _, _, _, index, count = _UNWIND.unpack_from(content, region.start)
    end = index + 12 * count
    if not _UNWIND.size <= index < end <= region.length:
        return
    yield from fields(index, 12, end)
    first, last = (_signed(content, region.start + at) for at in (index + 8, end - 4))
    if end <= first <= last:
        yield from fields(first, 4, last)


def _jump_tables(
    content: bytes, region: Region, layout: Layout, starts: set[int]
) -> Iterator[Reference]:
    """Yield distances of code from the table that they stand in. A table ends where they do."""
    code = [other for other in layout.regions if other.kind in _CODE]
    low = min((other.address for other in code), default=0)
    high = max((other.address + other.length for other in code), default=0)
    last = region.address + region.length
    tables = sorted(start for start in starts if region.address <= start < last and not start % 4)
    for table, after in zip(tables, [*tables[1:], last], strict=False):
        for address in range(table, min(after, last - 3), 4):
            position = address - region.address + region.start
            target = table + _signed(content, position)
            if not low <= target < high:
                break
            yield position, DISTANCE, table, target


_OTHERS: Final = {
    Kind.WORDS: _words,
    Kind.FRAMES: _frames,
    Kind.FRAME_INDEX: _frame_index,
    Kind.CHAINED: _chained,
    Kind.OFFSETS: _offsets,
    Kind.CONSTANTS: _words,
    Kind.UNWIND_INDEX: _unwind_index,
}
