"""Closing the holes that dropped sections leave amid an ELF library.

patchelf puts what it enlarges behind everything else, so the symbols of a library that it has been
through lie between two loaded segments. Without them there is a hole, which can be closed by whole
multiples of the largest alignment of a loaded segment: what comes after moves up in the file, but
not in memory. Each segment keeps its address, its size and its bytes; only where it lies in the
file (``p_offset``, ``sh_offset``) changes. A loader reads those fields to map the file, and never
again.

Libraries only: the kernel maps programs, and older ones find the program headers by their offset in
the file. And only behind the program headers, so that these stay where they are.

Source: System V gABI, chapter 5 ("Program Loading"); glibc, ``elf/dl-load.c``,
``_dl_map_segments``.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from slim.binaries.elf.image import ElfImage, Range
from slim.binaries.elf.layout import ET_DYN, PT_INTERP, PT_LOAD, PT_NULL

_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Cuts:
    """Cuts out of a file, ascending: for each the offset after its end, and its bytes."""

    cuts: tuple[Range, ...] = ()

    def moved(self, offset: int) -> int:
        """The new place of what was at an offset."""
        return offset - sum(size for end, size in self.cuts if offset >= end)

    @property
    def size(self) -> int:
        """Bytes that all of the cuts take together."""
        return sum(size for _, size in self.cuts)


def plan_cuts(image: ElfImage, holes: Sequence[Sequence[int]]) -> Cuts:
    """The parts of ``holes`` (start and end each) that can be cut out of a file.

    None, unless everything about the file is as usual. The holes have to be free of everything that
    a header of the new file names.
    """
    header, segments = image.header, image.segments
    types = {segment.type for segment in segments}
    loads = [segment for segment in segments if segment.type == PT_LOAD]
    if header.type != ET_DYN or PT_INTERP in types or not loads:
        return Cuts()
    align = max(_PAGE, *(segment.align for segment in loads))
    if align & (align - 1) or any((one.vaddr - one.offset) % max(one.align, 1) for one in loads):
        return Cuts()
    behind = header.phoff + header.phnum * header.phentsize
    cuts = []
    for start, end in sorted((hole[0], hole[1]) for hole in holes):
        size = (end - start) // align * align
        inside = any(start < one.offset < end for one in segments if one.type != PT_NULL)
        if size and start >= behind and not inside:
            cuts.append((end, size))
    return Cuts(tuple(cuts))


def program_headers(image: ElfImage, table: bytes, cuts: Cuts) -> bytes:
    """The program headers, with offsets as they are after the cuts."""
    layout: struct.Struct = image.structs.program
    at = 2 if image.structs.bits == 64 else 1
    rows = []
    for row in layout.iter_unpack(table):
        fields = list(row)
        if fields[0] != PT_NULL:
            fields[at] = cuts.moved(fields[at])
        rows.append(layout.pack(*fields))
    return b"".join(rows)
