"""ELF files that slim edits: programs and libraries whose headers agree with each other.

Whatever is unusual is left alone. A refusal costs a few kilobytes, a wrong edit costs a user their
application.

Source: System V gABI, chapters 4 and 5; ld.so's own checks (glibc, ``elf/dl-load.c``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from slim.binaries.base import Buffer
from slim.binaries.elf.layout import (
    ET_DYN,
    ET_EXEC,
    ET_REL,
    IDENT_SIZE,
    PN_XNUM,
    PT_LOAD,
    PT_NULL,
    SHF_INFO_LINK,
    SHN_LORESERVE,
    SHT_NULL,
    SHT_REL,
    SHT_RELA,
    SHT_STRTAB,
    ElfHeader,
    ElfStructs,
    Section,
    Segment,
    read_header,
    read_sections,
    read_segments,
)
from slim.binaries.refusal import NotEditable, RefusalKind, malformed

Range = tuple[int, int]
"""First byte and the byte after the last one, as offsets into the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfImage:
    """The headers of a file that may be edited.

    ``mapped`` are the ranges that have to stay as they are: the ELF header, the program headers,
    and everything that a segment covers; sorted and merged. ``names`` has the name of each section,
    ``table`` the range of the section header table.
    """

    structs: ElfStructs
    header: ElfHeader
    segments: tuple[Segment, ...]
    sections: tuple[Section, ...]
    names: tuple[bytes, ...]
    mapped: tuple[Range, ...]
    table: Range

    @property
    def end(self) -> int:
        """Bytes up to the end of what is mapped."""
        return self.mapped[-1][1]


def read_image(view: Buffer) -> ElfImage | NotEditable:
    """Read and check all headers. Reads nothing but headers and the names of sections."""
    found = read_header(view)
    if found is None:
        return malformed("the ELF header is cut short, or of an unknown class or byte order")
    structs, header = found
    problem = _check_header(view, structs, header)
    if problem is not None:
        return problem
    segments = read_segments(view, structs, header)
    if not segments:
        return malformed("the program headers are missing or don't lie in the file")
    sections = read_sections(view, structs, header)
    if sections is None:
        return malformed(
            "the section header table doesn't lie in the file, or its entries have an unknown size"
        )
    if not sections:
        return NotEditable(RefusalKind.NOTHING_GAINED, "there is no section header table")
    problem = _check_segments(len(view), structs, segments) or _check_sections(
        len(view), header, sections, segments
    )
    if problem is not None:
        return problem
    names = _section_names(view, sections, sections[header.shstrndx])
    if names is None:
        return malformed("a section's name isn't in the section name table")
    table = (header.shoff, header.shoff + header.shnum * structs.section.size)
    mapped = _mapped(structs, header, segments)
    return ElfImage(
        structs=structs,
        header=header,
        segments=segments,
        sections=sections,
        names=names,
        mapped=mapped,
        table=table,
    )


def merge(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """The same bytes as sorted ranges that neither touch nor overlap."""
    merged: list[Range] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif start < end:
            merged.append((start, end))
    return tuple(merged)


def overlaps(wanted: Range, ranges: Iterable[Range]) -> bool:
    """True if any byte of ``wanted`` lies in one of the ranges."""
    return any(start < wanted[1] and wanted[0] < end for start, end in ranges)


def contains(ranges: Iterable[Range], wanted: Range) -> bool:
    """True if ``wanted`` lies wholly in one of the ranges."""
    return any(start <= wanted[0] and wanted[1] <= end for start, end in ranges)


def refers_by_info(section: Section) -> bool:
    """True if ``sh_info`` is the number of a section (gABI, figure 4-12)."""
    return section.type in (SHT_REL, SHT_RELA) or bool(section.flags & SHF_INFO_LINK)


def _check_header(view: Buffer, structs: ElfStructs, header: ElfHeader) -> NotEditable | None:
    size = IDENT_SIZE + structs.header.size
    if view[6] != 1 or header.version != 1:
        return malformed("the ELF version isn't 1")
    if header.ehsize != size:
        return malformed(f"e_ehsize is {header.ehsize}, not {size}")
    if header.type == ET_REL:
        return NotEditable(RefusalKind.OBJECT_FILE, "an object file needs its symbols to be linked")
    if header.type not in (ET_EXEC, ET_DYN):
        return NotEditable(
            RefusalKind.UNSUPPORTED, f"neither a program nor a library (e_type {header.type})"
        )
    if (
        header.phnum == PN_XNUM
        or header.shnum >= SHN_LORESERVE
        or (header.shnum == 0 and header.shoff != 0)
    ):
        return NotEditable(RefusalKind.UNSUPPORTED, "extended numbering of sections or segments")
    if header.phnum > 0 and header.phoff < size:
        return malformed("the program headers overlap the ELF header")
    if header.shnum and header.shoff < size:
        return malformed("the section header table overlaps the ELF header")
    if header.shnum and not 0 < header.shstrndx < header.shnum:
        return malformed("there is no section name table")
    return None


def _check_segments(
    length: int, structs: ElfStructs, segments: tuple[Segment, ...]
) -> NotEditable | None:
    """Refuse segments that the loader wouldn't map.

    They have to lie in the file, congruent with their addresses, in ascending order, apart.
    """
    loads = [segment for segment in segments if segment.type == PT_LOAD]
    if not loads:
        return malformed("no segment is loaded")
    for index, segment in enumerate(segments):
        if segment.type != PT_NULL and segment.filesz and segment.offset + segment.filesz > length:
            return malformed(f"segment {index} ends after the end of the file")
    for segment in loads:
        if segment.memsz < segment.filesz or (segment.vaddr + segment.memsz) >> structs.bits:
            return malformed(f"the segment at offset {segment.offset:#x} doesn't fit into memory")
        if segment.align > 1:
            if segment.align & (segment.align - 1):
                return malformed(
                    f"the segment at offset {segment.offset:#x} has an alignment"
                    " that is no power of two"
                )
            if (segment.vaddr - segment.offset) % segment.align:
                return malformed(
                    f"the segment at offset {segment.offset:#x} isn't aligned with its address"
                )
    if any(first.vaddr + first.memsz > second.vaddr for first, second in pairwise(loads)):
        return malformed("loaded segments overlap or aren't in ascending order")
    return None


def _check_sections(
    length: int, header: ElfHeader, sections: tuple[Section, ...], segments: tuple[Segment, ...]
) -> NotEditable | None:
    if any(sections[0]):
        return NotEditable(RefusalKind.UNSUPPORTED, "extended numbering of sections or segments")
    if sections[header.shstrndx].type != SHT_STRTAB:
        return malformed("there is no section name table")
    loads = [segment for segment in segments if segment.type == PT_LOAD]
    for index, section in enumerate(sections):
        if section.type == SHT_NULL:
            if any(section):
                return malformed(f"section {index} is unused, yet not empty")
            continue
        if section.link >= len(sections) or (
            refers_by_info(section) and section.info >= len(sections)
        ):
            return malformed(f"section {index} refers to a section that doesn't exist")
        if section.offset + section.file_size > length:
            return malformed(f"section {index} ends after the end of the file")
        if section.file_size and section.offset < header.ehsize:
            return malformed(f"section {index} overlaps the ELF header")
        if section.align & (section.align - 1):
            return malformed(f"section {index} has an alignment that is no power of two")
        if (
            section.allocated
            and section.file_size
            and not any(_holds(load, section) for load in loads)
        ):
            return malformed(f"section {index} is said to be loaded, but no segment loads it")
    return None


def _holds(load: Segment, section: Section) -> bool:
    """True if the segment loads the section, to the address that the section claims."""
    return (
        load.offset <= section.offset
        and section.offset + section.file_size <= load.offset + load.filesz
        and section.addr - load.vaddr == section.offset - load.offset
    )


def _section_names(
    view: Buffer, sections: tuple[Section, ...], strings: Section
) -> tuple[bytes, ...] | None:
    text = bytes(view[strings.offset : strings.offset + strings.size])
    names = []
    for section in sections:
        end = text.find(b"\0", section.name)
        if end < 0:
            return None
        names.append(text[section.name : end])
    return tuple(names)


def _mapped(
    structs: ElfStructs, header: ElfHeader, segments: tuple[Segment, ...]
) -> tuple[Range, ...]:
    """The ranges of the headers and of every segment, loaded or not.

    Some of those that aren't loaded are read from the file (notes, the interpreter).
    """
    ranges = [
        (0, header.ehsize),
        (header.phoff, header.phoff + header.phnum * structs.program.size),
    ]
    ranges += [
        (segment.offset, segment.offset + segment.filesz)
        for segment in segments
        if segment.type != PT_NULL
    ]
    return merge(ranges)
