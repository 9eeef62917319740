"""Oracle of edited ELF files: whether one loads exactly as its original did.

Shares no code and no shortcut with the editor. The editor decides from the headers what may go;
this module looks at two files and asks whether the second one can possibly behave differently. So
it knows nothing of levels or layouts. It is as suspicious of other strippers: it finds every
library that GNU strip has broken after patchelf.

Source: System V gABI, chapters 4 and 5; ld.so (glibc, ``elf/dl-load.c``), for what a loader looks
at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

from slim.system.mapped import seen
from slim.verification.native.elf_image import Elf, Section, Unreadable, union

_BLOCK = 1 << 20
_LOAD, _INTERPRETER = 1, 3
_LIBRARY = 3
_EXCLUDE = 0x8000_0000

# The only fields of the ELF header that an edit may change: where the section header table is, how
# many entries it has, and which of them holds the names. No loader reads them.
_FREE_FIELDS = (6, 12, 13)
FIELD_NAMES = (
    *(
        "e_ident",
        "e_type",
        "e_machine",
        "e_version",
        "e_entry",
        "e_phoff",
        "e_shoff",
        "e_flags",
        "e_ehsize",
    ),
    *("e_phentsize", "e_phnum", "e_shentsize", "e_shnum", "e_shstrndx"),
)

_PROGBITS, _SYMTAB, _STRTAB, _RELA, _NOTE, _REL, _INDEXES = 1, 2, 3, 4, 7, 9, 18
# Debugging information (DWARF 2 to 5, stabs), what points at it, symbols and remarks: a name, and
# the types that a section of that name has.
_MAY_GO = re.compile(
    r"\.z?debug_(?:abbrev|addr|aranges|[ct]u_index|frame|gdb_scripts|gnu_pub(?:name|type)s|info"
    r"|line|line_str|loc|loclists|macinfo|macro|names|pubnames|pubtypes|ranges|rnglists|sfnames"
    r"|srcinfo|str|str_offsets|sup|types|(?:func|type|var|weak)names)(?:\.dwo)?"
)
_MAY_GO_TYPES = {
    **dict.fromkeys(
        (
            *(".gdb_index", ".gnu_debuglink", ".gnu_debugaltlink", ".gnu_debugdata", ".comment"),
            *(".stab", ".stab.excl", ".stab.index"),
        ),
        (_PROGBITS,),
    ),
    **dict.fromkeys((".stabstr", ".stab.exclstr", ".stab.indexstr"), (_STRTAB,)),
    ".annobin.notes": (_PROGBITS, _STRTAB, _NOTE),
    ".gnu.build.attributes": (_NOTE,),
    ".symtab": (_SYMTAB,),
    ".symtab_shndx": (_INDEXES,),
    ".strtab": (_STRTAB,),
    ".shstrtab": (_STRTAB,),
}
# Fewer bytes than this, all of them zero, are padding between sections or at the end of the file.
_PADDING = 16
_PAGE = 4096


def check(original: bytes | memoryview, edited: bytes | memoryview) -> list[str]:
    """Compare an edited ELF file with its original; return what is wrong, a sentence each.

    Checked are the ELF header (but for the place of the section header table), the program headers
    (but for where in the file a library's segments lie, which may be whole pages earlier), every
    byte that a segment covers, the alignment of loaded segments, number, address, place and bytes
    of every loaded section, the bytes of all other sections that are left, that only symbols and
    debugging information went, that nothing was lost that no header answers for (such as a payload
    at the end), and that the file is smaller. Raises nothing.
    """
    before, after = memoryview(original), memoryview(edited)
    try:
        old = Elf(before)
    except Unreadable as error:
        return [f"the original can't be judged: {error}"]
    try:
        new = Elf(after)
    except Unreadable as error:
        return [f"the edited file is broken: {error}"]
    return list(_problems(old, new))


def _problems(old: Elf, new: Elf) -> Iterator[str]:
    if len(new.data) >= len(old.data):
        yield f"the file isn't smaller: {len(new.data)} bytes, {len(old.data)} before"
    yield from _header_problems(old, new)
    yield from _segment_problems(old, new)
    yield from _loaded_section_problems(old, new)
    yield from other_section_problems(old, new)
    yield from unclaimed_problems(old, new, _moves(old, new))


def _header_problems(old: Elf, new: Elf) -> Iterator[str]:
    for index, name in enumerate(FIELD_NAMES):
        if index not in _FREE_FIELDS and old.header[index] != new.header[index]:
            yield f"{name} has changed"
    if [replace(program, offset=0) for program in old.programs] != [
        replace(one, offset=0) for one in new.programs
    ]:
        yield "the program headers have changed"
    elif any(_moves(old, new)):
        yield from _move_problems(old, new)


def _moves(old: Elf, new: Elf) -> list[int]:
    """List by how many bytes each segment lies elsewhere in the file."""
    return [
        now.offset - before.offset for before, now in zip(old.programs, new.programs, strict=False)
    ]


def _move_of(old: Elf, moves: list[int], address: int) -> int:
    """Return by how many bytes the content of an address lies elsewhere in the file."""
    for program, move in zip(old.programs, moves, strict=False):
        if (
            program.kind == _LOAD
            and program.address <= address < program.address + program.memory_size
        ):
            return move
    return 0


def _move_problems(old: Elf, new: Elf) -> Iterator[str]:
    """Check that a library's segments lie earlier in the file by what can be mapped as before."""
    moves = _moves(old, new)
    if old.header[1] != _LIBRARY or any(program.kind == _INTERPRETER for program in old.programs):
        yield "segments of a program lie elsewhere in the file"
    step = max(_PAGE, *(program.alignment for program in old.programs if program.kind == _LOAD), 0)
    if any(move > 0 or move % step for move in moves):
        yield (
            "a segment lies elsewhere in the file, "
            f"by other than whole multiples of {step:#x} bytes"
        )
    spans = sorted(
        (program.offset, program.end) for program in new.programs if program.kind == _LOAD
    )
    if any(first[1] > second[0] for first, second in pairwise(spans)):
        yield "segments overlap in the file"
    for program, move in zip(old.programs, moves, strict=True):
        if program.kind and program.file_size and move != _move_of(old, moves, program.address):
            yield (
                f"the segment at address {program.address:#x} and the one that loads it "
                "don't lie together any more"
            )
        if move and program.offset < old.program_range[1]:
            yield "a segment from before the program headers' end lies elsewhere in the file"


def _segment_problems(old: Elf, new: Elf) -> Iterator[str]:
    # The ELF header itself has been compared field by field, and where something has moved the
    # program headers too.
    moves = _moves(old, new)
    compared = [(0, old.header_size), *([old.program_range] if any(moves) else [])]
    for move in sorted(set(moves)):
        spans = [
            (program.offset, program.end)
            for program, one in zip(old.programs, moves, strict=False)
            if program.kind and one == move
        ]
        for start, end in without(union(spans), union(compared)):
            if end + move > len(new.data):
                yield (
                    f"mapped bytes are missing: {start:#x} to {end:#x}, "
                    f"the file ends at {len(new.data):#x}"
                )
            elif not same(old.data, new.data, start, end, shift=move):
                yield f"mapped bytes have changed between {start:#x} and {end:#x}"
    last = 0
    for program in new.programs:
        if program.kind != _LOAD:
            continue
        if program.alignment > 1 and (program.address - program.offset) % program.alignment:
            yield f"the segment at offset {program.offset:#x} isn't aligned with its address"
        if program.address < last:
            yield f"the segment at address {program.address:#x} isn't in ascending order"
        last = program.address + program.memory_size


def _loaded_section_problems(old: Elf, new: Elf) -> Iterator[str]:
    """Check that each loaded section has the number it had: symbols refer to them by number."""
    moves = _moves(old, new)
    for number, section in enumerate(old.sections):
        if not section.loaded:
            continue
        if number >= len(new.sections):
            yield f"loaded section {section.name} (number {number}) is missing"
            continue
        now = new.sections[number]
        # Where the content lies that a section hasn't got is of no matter.
        move = now.offset - section.offset
        due = (
            {*moves, 0}
            if section.span[0] == section.span[1]
            else {_move_of(old, moves, section.address)}
        )
        fields = ("name", "kind", "flags", "address", "size", "alignment", "entry_size")
        changed = [field for field in fields if getattr(section, field) != getattr(now, field)]
        changed += [] if move in due else ["offset"]
        if changed:
            fields_changed = ", ".join(changed)
            yield f"loaded section {section.name} (number {number}) has another {fields_changed}"
        elif not same(old.data, new.data, *section.span, shift=move):
            yield f"the bytes of loaded section {section.name} have changed"
        if now.link and (
            now.link >= len(new.sections) or _target(old, section) != _target(new, now)
        ):
            yield f"loaded section {section.name} (number {number}) is linked to another section"
    for section in new.sections[len(old.sections) :]:
        if section.loaded:
            yield f"loaded section {section.name} has been added"


def _target(elf: Elf, section: Section) -> tuple[str, int]:
    linked = elf.sections[section.link] if section.link < len(elf.sections) else None
    return ("", 0) if linked is None else (linked.name, linked.size)


def other_section_problems(old: Elf, new: Elf) -> Iterator[str]:
    """Check that each other section is there with the same bytes, or is one that may go."""
    left = [section for section in new.sections if section.kind and not section.loaded]
    for section in old.sections:
        if not section.kind or section.loaded:
            continue
        match = next((now for now in left if _identical(old, section, new, now)), None)
        if match is not None:
            left.remove(match)
            if (
                section.alignment > 1
                and match.offset % section.alignment
                and not section.offset % section.alignment
            ):
                yield f"section {section.name} isn't aligned any more"
        elif not _may_go(old, section):
            yield (
                f"section {section.name} is lost, "
                "and it is neither symbols nor debugging information"
            )
    for section in left:
        if section is not new.sections[new.header[13]]:
            yield f"section {section.name} isn't in the original"


def _may_go(old: Elf, section: Section) -> bool:
    """Return whether a section's name, type and content are those of something nobody reads."""
    name, kind = section.name, section.kind
    for prefix, relocations in ((".rela.", _RELA), (".rel.", _REL)):
        if name.startswith(prefix) and kind == relocations:
            return _MAY_GO.fullmatch("." + name.removeprefix(prefix)) is not None
    if _MAY_GO.fullmatch(name.removeprefix(".gnu.debuglto_")):
        return kind == _PROGBITS
    if name == ".comment" and kind == _PROGBITS:
        remarks = bytes(old.data[slice(*section.span)]).decode("latin-1").split("\0")
        return all(remark.isprintable() and remark[:1].isalpha() for remark in remarks if remark)
    if name.startswith(".gnu.lto_"):
        return kind == _PROGBITS and bool(section.flags & _EXCLUDE)
    if name.startswith(".gnu.build.attributes."):
        return kind == _NOTE
    return kind in _MAY_GO_TYPES.get(name, ())


def _identical(old: Elf, section: Section, new: Elf, now: Section) -> bool:
    if replace(now, offset=section.offset, link=section.link) != section:
        return False
    return same(old.data, new.data, *section.span, shift=now.offset - section.offset)


def unclaimed_problems(old: Elf, new: Elf, moves: Iterable[int]) -> Iterator[str]:
    """Check that bytes that no header answers for are where they were, unless they are padding.

    ``moves`` are by how many bytes parts of the file lie elsewhere.
    """
    places = {0, *moves}
    at = 0
    for start, end in [*old.claimed(), (len(old.data), len(old.data))]:
        if start > at:
            inside = start < len(old.data)
            padding = start - at < (_PAGE if inside else _PADDING) and not any(old.data[at:start])
            kept = any(
                start + move <= len(new.data) and same(old.data, new.data, at, start, shift=move)
                for move in places
            )
            if not padding and not kept:
                yield (
                    f"a payload is lost: {start - at} bytes at offset {at:#x} "
                    "that no header answers for"
                )
        at = max(at, end)


def without(
    ranges: Iterable[tuple[int, int]], holes: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Return the ranges less the holes; both are sorted and disjoint."""
    gaps = list(holes)
    for start, end in ranges:
        for first, last in gaps:
            if start < first < end:
                yield start, first
            if first <= start < last or start < first < end:
                start = min(last, end)
        if start < end:
            yield start, end


def same(old: memoryview, new: memoryview, start: int, end: int, *, shift: int = 0) -> bool:
    """Return whether a range of the original is in the new file, ``shift`` bytes further on."""
    if start + shift < 0 or end + shift > len(new):
        return start >= end
    # In blocks, as bytes: comparing memory views directly goes item by item and is thirty times
    # slower.
    for at in range(start, end, _BLOCK):
        stop = min(at + _BLOCK, end)
        if bytes(old[at:stop]) != bytes(new[at + shift : stop + shift]):
            return False
        seen(old, stop - at)
        seen(new, stop - at)
    return True
