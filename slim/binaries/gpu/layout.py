"""ELF libraries with shorter sections of GPU code: whole pages are cut out of the file.

Addresses stay: code and data are where they were in memory, and what was cut leaves holes in the
address space. So the segment that holds the sections becomes several, for which the program headers
need more entries. Where nothing comes after a section in its segment, that just ends earlier.
The program headers move into the room that a section leaves, because nothing else has any.

What comes after the cut lies earlier in the file by a multiple of the page size. Where segments ask
for a larger alignment (2 MiB, by linkers before 2018), those behind the cut ask for a page.

Source: System V gABI, chapter 5 ("Program Loading"); glibc, ``elf/dl-load.c``
(``_dl_map_object_from_fd``, ``_dl_map_segments``: holes between segments, ``e_phoff`` anywhere).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, NamedTuple

from slim.binaries.elf.image import ElfImage, contains
from slim.binaries.elf.layout import (
    ET_DYN,
    IDENT_SIZE,
    PT_INTERP,
    PT_LOAD,
    PT_NULL,
    PT_PHDR,
    Section,
)
from slim.binaries.refusal import NotEditable, RefusalKind, Refused

_PAGES: Final = {"x86_64": 4096, "aarch64": 65536}
"""Largest page of a machine (psABI): what a segment has to be aligned to."""
_ROW: Final = struct.Struct("<IIQQQQQQ")
_MOST_SEGMENTS: Final = 64


@dataclass(frozen=True, slots=True)
class Program:
    """A program header with all of its fields. Offsets and sizes are bytes."""

    type: int
    flags: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    align: int

    @property
    def end(self) -> int:
        """Offset after its last byte in the file."""
        return self.offset + self.filesz

    def pack(self) -> bytes:
        """Return its bytes."""
        return _ROW.pack(
            self.type,
            self.flags,
            self.offset,
            self.vaddr,
            self.paddr,
            self.filesz,
            self.memsz,
            self.align,
        )

    def at(self, **fields: int) -> Program:
        """Return the same with other fields."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return Program(**{**values, **fields})


class Shrink(NamedTuple):
    """A section that shrinks: its number, and the bytes of its new content."""

    number: int
    used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Bytes after the new content of a section that shrinks, up to what comes next.

    ``before`` are zeros up to ``programs``, the table of program headers, which is empty but in one
    section at most; ``zeros`` follow it.
    """

    number: int
    before: int
    programs: bytes
    zeros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The places of everything in the new file.

    ``rooms`` has the sections that shrink, in the order of the file. ``header`` replaces the ELF
    header, ``in_place`` the old program headers where they stay in their place.
    """

    rooms: tuple[Room, ...]
    in_place: bytes
    header: bytes
    sections: bytes
    table: int
    """Offset of the section header table in the old file; -1: it comes last in the new one."""
    padding: int
    """Zeros before a table that comes last."""


def programs_of(view: memoryview, image: ElfImage) -> list[Program]:
    """Return the program headers of a 64-bit little-endian file."""
    start, count = image.header.phoff, image.header.phnum
    rows = _ROW.iter_unpack(view[start : start + count * _ROW.size])
    return [Program(*row) for row in rows]


def check_image(image: ElfImage, machine: str) -> None:
    """Refuse what isn't an ordinary 64-bit library of a machine with known pages."""
    types = [segment.type for segment in image.segments]
    if machine not in _PAGES or image.structs.bits != 64 or not image.structs.little:
        raise Refused.unsupported(f"slim doesn't edit GPU code in files for {machine} machines")
    if image.header.type != ET_DYN or PT_INTERP in types:
        raise Refused.unsupported("a program, in which slim doesn't edit GPU code")
    if len(types) >= _MOST_SEGMENTS:
        raise Refused.unsupported("more segments than slim edits")


def lay_out(view: memoryview, size: int, image: ElfImage, shrinks: Sequence[Shrink]) -> Layout:
    """Lay a file of ``size`` bytes out anew, in which sections of one segment shrink.

    ``view`` needs to have the headers alone. Raises Refused where that can't be, or gains nothing.
    """
    ordered = sorted(shrinks, key=lambda shrink: image.sections[shrink.number].offset)
    programs = programs_of(view, image)
    holder = _holder(programs, [image.sections[shrink.number] for shrink in ordered])
    machine_page = _PAGES["x86_64" if image.header.machine == 62 else "aarch64"]
    page = min(machine_page, *(one.align for one in programs if one.type == PT_LOAD))
    if page < 4096 or page & (page - 1):
        raise Refused.unsupported("segments that aren't aligned to pages")
    cuts = [_cut(image.sections[shrink.number], shrink, holder, page) for shrink in ordered]
    table = None
    rows = sum(cut.split for cut in cuts if cut.size)
    if rows:
        largest = max(cuts, key=lambda cut: cut.size)
        table = -(-largest.stop // 8) * 8
        place = cuts.index(largest)
        cuts[place] = largest.until(table + (len(programs) + rows) * _ROW.size, page)
    if not any(cut.size for cut in cuts):
        raise Refused(NotEditable(RefusalKind.NOTHING_GAINED, "no whole page would go"))
    if table is not None and not cuts[place].size:
        raise Refused.unsupported("no room for the program headers")
    new = list(_programs(programs, holder, _Moves(tuple(cuts)), page))
    if table is not None:
        new = [_with_place(one, table, holder, cuts, len(new)) for one in new]
    _check(new)
    return _with_sections(view, image, size, _Moves(tuple(cuts)), new, table)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A section that shrinks, by offsets in the old file.

    ``start`` and ``end`` are its own, ``used`` the bytes of its new content, ``stop`` the end of
    all that stays of it. ``rest`` is where what comes next goes on, ``size`` the bytes that go
    between the two. ``split``: something of the segment comes after it.
    """

    number: int
    start: int
    end: int
    used: int
    stop: int
    rest: int
    size: int
    split: bool

    def until(self, stop: int, page: int) -> _Cut:
        """Return the same with another end of what stays."""
        return replace(self, stop=stop, size=max(self.rest - stop, 0) // page * page)


def _cut(section: Section, shrink: Shrink, holder: Program, page: int) -> _Cut:
    """Return the cut of one section, as if the program headers didn't move there."""
    start, end = section.offset, section.offset + section.size
    split = end < holder.end or holder.memsz > holder.filesz
    address = holder.vaddr + end - holder.offset
    rest = holder.offset + address // page * page - holder.vaddr if split else end
    cut = _Cut(shrink.number, start, end, shrink.used, 0, rest, 0, split)
    return cut.until(start + shrink.used, page)


@dataclass(frozen=True, slots=True)
class _Moves:
    """The cuts, in the order of the file."""

    cuts: tuple[_Cut, ...]

    def offset(self, offset: int) -> int:
        """Return the new place of what was at an offset."""
        return offset - sum(cut.size for cut in self.cuts if offset >= cut.end)

    @property
    def size(self) -> int:
        """Bytes that go."""
        return sum(cut.size for cut in self.cuts)


def _with_place(
    one: Program, table: int, holder: Program, cuts: Sequence[_Cut], count: int
) -> Program:
    """Return the segment of the program headers where they are now, any other as it is."""
    if one.type != PT_PHDR:
        return one
    before = sum(cut.size for cut in cuts if cut.end <= table)
    address = holder.vaddr + table - holder.offset
    size = count * _ROW.size
    return one.at(offset=table - before, vaddr=address, paddr=address, filesz=size, memsz=size)


def _holder(programs: list[Program], sections: Sequence[Section]) -> Program:
    """Return the segment that loads sections. Raises Refused where another one touches them."""
    found = [_holder_of(programs, one.offset, one.offset + one.size) for one in sections]
    if any(holder is not found[0] for holder in found):
        raise Refused.unsupported("GPU code that not just one segment loads")
    if any(one.offset + one.size > other.offset for one, other in pairwise(sections)):
        raise Refused.malformed("sections with GPU code overlap")
    return found[0]


def _holder_of(programs: list[Program], start: int, end: int) -> Program:
    found = [one for one in programs if one.type != PT_NULL and one.offset < end < one.end + 1]
    holders = [one for one in found if one.type == PT_LOAD and one.offset <= start]
    touching = [
        one
        for one in programs
        if one.type != PT_NULL and one.filesz and one.offset < end and start < one.end
    ]
    if len(holders) != 1 or touching != holders:
        raise Refused.unsupported("GPU code that not just one segment loads")
    return holders[0]


def _programs(
    programs: list[Program], holder: Program, moves: _Moves, page: int
) -> Iterator[Program]:
    for one in programs:
        if one is holder:
            yield from _pieces(holder, moves, page)
        elif one.type != PT_NULL and one.offset >= moves.cuts[0].end:
            offset = moves.offset(one.offset)
            align = min(one.align, page) if one.type == PT_LOAD else one.align
            yield one.at(offset=offset, align=align)
        else:
            yield one


def _pieces(holder: Program, moves: _Moves, page: int) -> Iterator[Program]:
    """Yield what becomes of the segment: a part up to each cut, and what comes after the last."""
    start, before = holder.offset, 0
    for cut in moves.cuts:
        if cut.size:
            size = cut.stop - start
            yield _piece(holder, start, before, size, size, page)
            if not cut.split:
                return
            start, before = cut.rest, before + cut.size
    gap = start - holder.offset
    yield _piece(holder, start, before, holder.filesz - gap, holder.memsz - gap, page)


def _piece(holder: Program, start: int, before: int, filesz: int, memsz: int, page: int) -> Program:
    gap = start - holder.offset
    return holder.at(
        offset=start - before,
        vaddr=holder.vaddr + gap,
        paddr=holder.paddr + gap,
        filesz=filesz,
        memsz=memsz,
        align=page if gap else holder.align,
    )


def _check(programs: list[Program]) -> None:
    loads = [one for one in programs if one.type == PT_LOAD]
    if any((one.vaddr - one.offset) % max(one.align, 1) for one in loads) or any(
        first.vaddr + first.memsz > second.vaddr or first.end > second.end
        for first, second in pairwise(loads)
    ):
        raise Refused.unsupported("segments that can't be split")
    for one in programs:
        inside = any(
            load.vaddr <= one.vaddr < load.vaddr + load.filesz
            and one.vaddr - one.offset == load.vaddr - load.offset
            for load in loads
        )
        if one.type not in (PT_NULL, PT_LOAD) and one.filesz and not inside:
            raise Refused.malformed("a segment lies elsewhere than what is loaded there")


def _with_sections(
    view: memoryview,
    image: ElfImage,
    size: int,
    moves: _Moves,
    new: Sequence[Program],
    table: int | None,
) -> Layout:
    """Return the layout with its headers. ``table`` is where the program headers go to."""
    rows = b"".join(
        image.structs.section.pack(*_moved(section, index, moves))
        for index, section in enumerate(image.sections)
    )
    where, padding = image.table[0], 0
    place = moves.offset(where)
    if contains(image.mapped, image.table):
        where, padding = -1, -(size - moves.size) % 8
        place = size - moves.size + padding
    phoff = image.header.phoff
    if table is not None:
        phoff = table - sum(cut.size for cut in moves.cuts if cut.end <= table)
    header = image.header._replace(shoff=place, phoff=phoff, phnum=len(new))
    programs = b"".join(one.pack() for one in new)
    return Layout(
        rooms=tuple(_room(cut, programs, table) for cut in moves.cuts),
        in_place=programs if table is None else b"",
        header=bytes(view[:IDENT_SIZE]) + image.structs.header.pack(*header),
        sections=rows,
        table=where,
        padding=padding,
    )


def _room(cut: _Cut, programs: bytes, table: int | None) -> Room:
    left = cut.end - cut.start - cut.size - cut.used
    if table is None or not cut.start <= table < cut.end:
        return Room(number=cut.number, before=0, programs=b"", zeros=left)
    before = table - cut.start - cut.used
    zeros = left - before - len(programs)
    return Room(number=cut.number, before=before, programs=programs, zeros=zeros)


def _moved(section: Section, index: int, moves: _Moves) -> Section:
    if section.type == 0:
        return section
    moved = section._replace(offset=moves.offset(section.offset))
    for cut in moves.cuts:
        if cut.number == index:
            return moved._replace(size=cut.used)
    return moved
