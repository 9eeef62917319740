"""Headers of one ELF file, read from scratch for :mod:`slim.verification.native.elf`.

Source: System V gABI, chapters 4 and 5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

NO_BITS = (0, 8)
"""Types of sections that take no bytes of the file: SHT_NULL and SHT_NOBITS."""

ALLOC = 2
"""The flag of sections that are loaded (SHF_ALLOC)."""


@dataclass(frozen=True)
class Program:
    """Program header: ranges in the file and in memory in bytes; ``others`` are flags and such."""

    kind: int
    offset: int
    address: int
    file_size: int
    memory_size: int
    alignment: int
    others: tuple[int, ...]

    @property
    def end(self) -> int:
        """Offset after the segment's last byte in the file."""
        return self.offset + self.file_size


@dataclass(frozen=True)
class Section:
    """Section header, with the section's name."""

    name: str
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    alignment: int
    entry_size: int

    @property
    def loaded(self) -> bool:
        """True for what is part of the loaded image."""
        return bool(self.flags & ALLOC)

    @property
    def span(self) -> tuple[int, int]:
        """Range in the file."""
        return (self.offset, self.offset + (0 if self.kind in NO_BITS else self.size))


class Unreadable(Exception):
    """Raised for a file that isn't an ELF image whose headers lie within it."""


class Elf:
    """Headers of one file. Raises Unreadable."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        if (
            len(data) < 52
            or bytes(data[:4]) != b"\x7fELF"
            or data[4] not in (1, 2)
            or data[5] not in (1, 2)
        ):
            raise Unreadable("not an ELF file")
        self.wide = data[4] == 2
        self.order = "<" if data[5] == 1 else ">"
        word = "Q" if self.wide else "I"
        layout = f"16sHHI{word}{word}{word}IHHHHHH"
        self.header = self._unpack(layout, 0, 1)[0]
        self.header_size = struct.calcsize(self.order + layout)
        self.program_range = self._table(
            self.header[5], self.header[9], self.header[10], 56 if self.wide else 32
        )
        self.table_range = self._table(
            self.header[6], self.header[11], self.header[12], 64 if self.wide else 40
        )
        self.programs = list(self._read_programs())
        self.sections = self._read_sections(word)

    def _unpack(self, layout: str, offset: int, count: int) -> list[tuple[int, ...]]:
        one = struct.Struct(self.order + layout)
        if offset + one.size * count > len(self.data):
            raise Unreadable(f"the header at offset {offset:#x} isn't wholly in the file")
        return list(one.iter_unpack(self.data[offset : offset + one.size * count]))

    def _table(self, offset: int, entry: int, count: int, expected: int) -> tuple[int, int]:
        if count and (entry != expected or offset + entry * count > len(self.data)):
            raise Unreadable(f"the header table at offset {offset:#x} isn't wholly in the file")
        return (offset, offset + entry * count)

    def _read_programs(self) -> Iterator[Program]:
        layout = "IIQQQQQQ" if self.wide else "IIIIIIII"
        for row in self._unpack(layout, self.program_range[0], self.header[10]):
            if self.wide:
                kind, _, offset, address, _, in_file, in_memory, alignment = row
            else:
                kind, offset, address, _, in_file, in_memory, _, alignment = row
            if kind and in_file and offset + in_file > len(self.data):
                raise Unreadable(f"the segment at offset {offset:#x} isn't wholly in the file")
            others = (row[1], row[4]) if self.wide else (row[6], row[3])
            yield Program(kind, offset, address, in_file, in_memory, alignment, others)

    def _read_sections(self, word: str) -> list[Section]:
        rows = self._unpack(f"II{word * 4}II{word * 2}", self.table_range[0], self.header[12])
        if not rows:
            return []
        if self.header[13] >= len(rows):
            raise Unreadable("the section name table doesn't exist")
        start, size = rows[self.header[13]][4:6]
        names = bytes(self.data[start : start + size])
        if start + size > len(self.data):
            raise Unreadable("the section name table isn't wholly in the file")
        sections = []
        for name, kind, flags, address, offset, size, link, _, alignment, entry_size in rows:
            end = names.find(b"\0", name)
            if kind and end < 0:
                raise Unreadable("a section has no name")
            text = names[name:end].decode("latin-1") if kind else ""
            section = Section(text, kind, flags, address, offset, size, link, alignment, entry_size)
            if kind not in NO_BITS and section.span[1] > len(self.data):
                raise Unreadable(f"section {text} isn't wholly in the file")
            sections.append(section)
        return sections

    def claimed(self) -> list[tuple[int, int]]:
        """List every range that some header answers for, sorted."""
        ranges = [(0, self.header_size), self.program_range, self.table_range]
        ranges += [
            (program.offset, program.offset + program.file_size)
            for program in self.programs
            if program.kind
        ]
        ranges += [section.span for section in self.sections]
        return union(ranges)


def union(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the union of ranges, sorted and disjoint."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if end <= start:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
