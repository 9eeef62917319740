"""ELF libraries with a shorter ``.nv_fatbin``: whole pages are cut out of the file.

Addresses stay: code and data are where they were in memory, and what was cut leaves a hole in the
address space. So the segment that holds the section becomes two, for which the program headers need
one entry more. Where nothing comes after the section in its segment, that just ends earlier.
The program headers move into the room that the section leaves, because nothing else has any.

What comes after the cut lies earlier in the file by a multiple of the page size. Where segments ask
for a larger alignment (2 MiB, by linkers before 2018), those behind the cut ask for a page.

Source: System V gABI, chapter 5 ("Program Loading"); glibc, ``elf/dl-load.c``
(``_dl_map_object_from_fd``, ``_dl_map_segments``: holes between segments, ``e_phoff`` anywhere).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The places of everything in the new file.

    ``used`` are the bytes of the section's new content, ``zeros`` those that follow it up to what
    comes next; ``programs`` is the table between them, empty where it stays in its place. ``cut``
    bytes are missing from there on. ``header`` replaces the ELF header, ``in_place`` the old
    program headers.
    """

    used: int
    programs: bytes
    in_place: bytes
    zeros: int
    cut: int
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


def lay_out(view: memoryview, size: int, image: ElfImage, number: int, used: int) -> Layout:
    """Lay a file of ``size`` bytes out anew, whose section ``number`` shrinks to ``used`` bytes.

    ``view`` needs to have the headers alone. Raises Refused where that can't be, or gains nothing.
    """
    section = image.sections[number]
    start, end = section.offset, section.offset + section.size
    programs = programs_of(view, image)
    holder = _holder(programs, start, end)
    machine_page = _PAGES["x86_64" if image.header.machine == 62 else "aarch64"]
    page = min(machine_page, *(one.align for one in programs if one.type == PT_LOAD))
    if page < 4096 or page & (page - 1):
        raise Refused.unsupported("segments that aren't aligned to pages")
    split = end < holder.end or holder.memsz > holder.filesz
    at = start + used
    table = -(-at // 8) * 8 if split else at
    stop = table + (len(programs) + 1) * _ROW.size if split else at
    address = holder.vaddr + end - holder.offset
    rest = holder.offset + address // page * page - holder.vaddr if split else end
    cut = max(rest - stop, 0) // page * page
    if not cut:
        raise Refused(NotEditable(RefusalKind.NOTHING_GAINED, "no whole page would go"))
    new = list(_programs(programs, holder, stop, end, rest if split else None, cut, page))
    if split:
        new = [
            one.at(
                offset=table,
                vaddr=holder.vaddr + table - holder.offset,
                paddr=holder.paddr + table - holder.offset,
                filesz=stop - table,
                memsz=stop - table,
            )
            if one.type == PT_PHDR
            else one
            for one in new
        ]
    _check(new)
    return _with_sections(
        view,
        image,
        size,
        _Moves(number, used, end, cut),
        b"".join(one.pack() for one in new),
        table if split else None,
        stop - start,
    )


@dataclass(frozen=True, slots=True)
class _Moves:
    """The section that shrinks, to how many bytes, its old end, and what is cut there."""

    number: int
    used: int
    end: int
    cut: int

    def offset(self, offset: int) -> int:
        """Return the new place of what was at an offset."""
        return offset - self.cut if offset >= self.end else offset


def _holder(programs: list[Program], start: int, end: int) -> Program:
    """Return the segment that loads the section. Raises Refused where another one overlaps it."""
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
    programs: list[Program],
    holder: Program,
    stop: int,
    end: int,
    rest: int | None,
    cut: int,
    page: int,
) -> list[Program]:
    new = []
    for one in programs:
        if one is holder:
            size = stop - one.offset
            new.append(one.at(filesz=size, memsz=size))
            if rest is not None:
                gap = rest - one.offset
                new.append(
                    one.at(
                        offset=rest - cut,
                        vaddr=one.vaddr + gap,
                        paddr=one.paddr + gap,
                        filesz=one.filesz - gap,
                        memsz=one.memsz - gap,
                        align=page,
                    )
                )
        elif one.type != PT_NULL and one.offset >= end:
            align = min(one.align, page) if one.type == PT_LOAD else one.align
            new.append(one.at(offset=one.offset - cut, align=align))
        else:
            new.append(one)
    return new


def _check(programs: list[Program]) -> None:
    loads = [one for one in programs if one.type == PT_LOAD]
    if any((one.vaddr - one.offset) % max(one.align, 1) for one in loads) or any(
        first.vaddr + first.memsz > second.vaddr or first.end > second.end
        for first, second in pairwise(loads)
    ):
        raise Refused.unsupported("segments that can't be split")


def _with_sections(
    view: memoryview,
    image: ElfImage,
    size: int,
    moves: _Moves,
    programs: bytes,
    table: int | None,
    stop: int,
) -> Layout:
    """Return the layout with its headers. ``table`` is the new place of the program headers."""
    rows = b"".join(
        image.structs.section.pack(*_moved(section, index, moves))
        for index, section in enumerate(image.sections)
    )
    where, padding = image.table[0], 0
    place = moves.offset(where)
    if contains(image.mapped, image.table):
        where, padding = -1, -(size - moves.cut) % 8
        place = size - moves.cut + padding
    header = image.header._replace(
        shoff=place,
        phoff=image.header.phoff if table is None else table,
        phnum=len(programs) // _ROW.size,
    )
    section = image.sections[moves.number]
    content = moves.used if table is None else table - section.offset
    return Layout(
        used=content,
        programs=b"" if table is None else programs,
        in_place=programs if table is None else b"",
        zeros=section.size - moves.cut - stop,
        cut=moves.cut,
        header=bytes(view[:IDENT_SIZE]) + image.structs.header.pack(*header),
        sections=rows,
        table=where,
        padding=padding,
    )


def _moved(section: Section, index: int, moves: _Moves) -> Section:
    if index == moves.number:
        return section._replace(size=moves.used)
    if section.type == 0:
        return section
    return section._replace(offset=moves.offset(section.offset))
