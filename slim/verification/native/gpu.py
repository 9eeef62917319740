"""Oracle of ELF files out of which GPU code went: whether the rest loads exactly as before.

Shares no code with the editor. It compares two files by what is where in memory, and reads both fat
binaries on its own: what is left has to be a part of what was there, byte for byte, and whoever
pointed at a container has to point at the same one. It can't tell whether the code that is left is
enough for some device: that is what :mod:`slim.model.gpu_target` decides.

Source: System V gABI, chapters 4 and 5; glibc, ``elf/dl-load.c``; ``fatBinaryCtl.h`` and
``fatbinary_section.h`` of the CUDA toolkit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

from slim.verification.native.elf import (
    FIELD_NAMES,
    other_section_problems,
    same,
    unclaimed_problems,
    without,
)
from slim.verification.native.elf_image import Elf, Program, Section, Unreadable, union
from slim.verification.native.fatbin import (
    CODE,
    RELOCATABLE,
    WRAPPERS,
    Pointers,
    UnreadableCode,
    container_problems,
    read_pointers,
)

_LOAD, _INTERPRETER, _OWN_HEADERS = 1, 3, 6
_LIBRARY = 3
_FREE_FIELDS = (5, 6, 10, 12, 13)
"""Fields of the ELF header about the two header tables: where they are, and their entries."""
_PAGE = 4096
_POINTER = 8
_BLOCK = 1 << 20


def check(original: bytes | memoryview, edited: bytes | memoryview) -> list[str]:
    """Compare a file with less GPU code with its original; return what is wrong.

    Checked are the ELF header, every address that is loaded (its bytes, its permissions, and that
    only GPU code is missing), alignment and order of segments, every section, every relocation, and
    every container that something points at: its entries are some of those before, unchanged and in
    their order. Raises nothing.
    """
    try:
        old = Elf(memoryview(original))
    except Unreadable as error:
        return [f"the original can't be judged: {error}"]
    try:
        new = Elf(memoryview(edited))
    except Unreadable as error:
        return [f"the edited file is broken: {error}"]
    try:
        return list(_problems(old, new))
    except UnreadableCode as error:
        return [str(error)]


def _problems(old: Elf, new: Elf) -> Iterator[str]:
    if len(new.data) >= len(old.data):
        yield f"the file isn't smaller: {len(new.data)} bytes, {len(old.data)} before"
    for index, name in enumerate(FIELD_NAMES):
        if index not in _FREE_FIELDS and old.header[index] != new.header[index]:
            yield f"{name} has changed"
    if old.header[1] != _LIBRARY or any(one.kind == _INTERPRETER for one in old.programs):
        yield "GPU code went out of something other than a library"
    code = _edited(old, new)
    if not code or not old.wide or old.order != "<":
        yield f"there isn't one section {CODE} in a 64-bit file before and after"
        return
    before = [section for section, _ in code]
    yield from _section_problems(old, new, {section.name for section in before})
    yield from _program_problems(old, new, before)
    was, now = read_pointers(old), read_pointers(new)
    yield from _pointer_problems(old, was, now, before)
    yield from _image_problems(old, new, code, _changed(old, was, before))
    moves = _moves(old, new)
    yield from other_section_problems(old, new)
    yield from unclaimed_problems(old, new, moves)
    for first, second in code:
        pairs = {
            target: now.targets.get(slot, -1)
            for slot, target in was.targets.items()
            if _inside([first], target)
        }
        yield from container_problems(old, new, first, second, pairs)


def _edited(old: Elf, new: Elf) -> list[tuple[Section, Section]]:
    """Pair the sections with GPU code before and after; nothing where they can't be told.

    Relocatable code is judged as any other section where its size is the same: then no byte of it
    may have changed, nor any pointer.
    """
    before, after = _code(old, CODE), _code(new, CODE)
    if before is None or after is None:
        return []
    linked, now = _code(old, RELOCATABLE), _code(new, RELOCATABLE)
    if linked is None or now is None or linked.size == now.size:
        return [(before, after)]
    return sorted([(before, after), (linked, now)], key=lambda pair: pair[0].address)


def _code(elf: Elf, name: str) -> Section | None:
    found = [section for section in elf.sections if section.name == name and section.loaded]
    return found[0] if len(found) == 1 else None


def _inside(sections: Iterable[Section], address: int) -> bool:
    return any(one.address <= address < one.address + one.size for one in sections)


def _moves(old: Elf, new: Elf) -> set[int]:
    """By how many bytes loaded sections lie elsewhere in the file."""
    return {
        now.offset - section.offset
        for section, now in zip(old.sections, new.sections, strict=False)
        if section.loaded
    }


def _section_problems(old: Elf, new: Elf, code: set[str]) -> Iterator[str]:
    """Check that each loaded section has its number, its address and all else but its place."""
    for number, section in enumerate(old.sections):
        if not section.loaded:
            continue
        now = new.sections[number] if number < len(new.sections) else None
        size = now.size if now is not None and section.name in code else section.size
        link = now.link if now is not None else 0
        if now is None or replace(section, offset=now.offset, size=size, link=link) != now:
            yield f"loaded section {section.name} (number {number}) isn't what it was"
        elif now.size > section.size:
            yield f"section {section.name} has grown"
        elif not _same_link(old, new, section.link, now.link):
            yield f"loaded section {section.name} (number {number}) is linked to another section"
        elif section.span[1] > section.span[0] and now.offset != _offset(new, now.address):
            yield f"loaded section {section.name} lies elsewhere than what is loaded"
    if any(section.loaded for section in new.sections[len(old.sections) :]):
        yield "a loaded section has been added"


def _same_link(old: Elf, new: Elf, before: int, after: int) -> bool:
    """True if two links lead to the same section, or the one that it led to isn't loaded and gone.

    Nobody follows a link to what isn't loaded at run time.
    """
    if before and not after:
        return not (before < len(old.sections) and old.sections[before].loaded)
    return not before or _name(old, before) == _name(new, after)


def _name(elf: Elf, number: int) -> str:
    return elf.sections[number].name if number < len(elf.sections) else ""


def _offset(elf: Elf, address: int) -> int:
    """Return where in the file the byte of an address lies; -1 where nothing loads it."""
    for one in elf.programs:
        if one.kind == _LOAD and one.address <= address < one.address + one.file_size:
            return one.offset + address - one.address
    return -1


def _program_problems(old: Elf, new: Elf, code: list[Section]) -> Iterator[str]:
    """Check the segments: those that aren't loaded are the same, the others can be mapped."""
    for elf in (old, new):
        if any(one.kind == _OWN_HEADERS and one.address != _headers(elf) for one in elf.programs):
            yield "the segment of the program headers isn't where they are"
    others = [
        [replace(one, offset=0) for one in elf.programs if one.kind not in (_LOAD, _OWN_HEADERS)]
        for elf in (old, new)
    ]
    if others[0] != others[1]:
        yield "segments that aren't loaded have changed"
    for one in new.programs:
        if one.kind not in (0, _LOAD) and one.file_size and one.offset != _offset(new, one.address):
            yield f"the segment at address {one.address:#x} lies elsewhere than what is loaded"
    loads = [one for one in new.programs if one.kind == _LOAD]
    for one in loads:
        step = max(one.alignment, _PAGE)
        if step & (step - 1) or (one.address - one.offset) % step:
            yield f"the segment at address {one.address:#x} isn't aligned"
    for first, second in pairwise(loads):
        step = max(_PAGE, min(first.alignment, second.alignment))
        end = -(-(first.address + first.memory_size) // step) * step
        touch = first.address + first.memory_size > second.address
        cut = _inside(code, first.address + first.memory_size - 1)
        if touch or (cut and end > second.address // step * step):
            yield f"the segment at address {second.address:#x} overlaps the one before it"


def _headers(elf: Elf) -> int:
    for one in elf.programs:
        if one.kind == _LOAD and one.offset <= elf.program_range[0] < one.end:
            return one.address + elf.program_range[0] - one.offset
    return -1


def _pointer_problems(old: Elf, was: Pointers, now: Pointers, code: list[Section]) -> Iterator[str]:
    """Check that only wrappers' pointers into the code differ, and that nobody else has any."""
    if was.others != now.others:
        yield "relocations other than relative ones have changed"
    if was.targets.keys() != now.targets.keys():
        yield "relative relocations are lost or added"
    slots = _slots(old)
    for slot, target in was.targets.items():
        if not _inside(code, target):
            if now.targets.get(slot) != target:
                yield f"the pointer at address {slot:#x} leads elsewhere"
        elif slot not in slots:
            yield f"the pointer at address {slot:#x} into GPU code isn't a wrapper's"


def _slots(elf: Elf) -> set[int]:
    return {
        section.address + at + _POINTER
        for section in elf.sections
        if section.name == WRAPPERS and section.loaded
        for at in range(0, section.size - 23, 24)
    }


def _changed(old: Elf, was: Pointers, code: list[Section]) -> list[tuple[int, int]]:
    """List the addresses whose bytes may differ: headers, and pointers into the code."""
    found = [(one.address, one.address + one.size) for one in code]
    for slot, target in was.targets.items():
        if _inside(code, target):
            found += [(slot, slot + 8), (was.addends[slot], was.addends[slot] + 8)]
    for one in old.programs:
        if one.kind == _LOAD:
            base = one.address - one.offset
            ranges = [(0, old.header_size), old.program_range]
            found += [
                (max(start, one.offset) + base, min(end, one.end) + base)
                for start, end in ranges
                if start < one.end and one.offset < end
            ]
    return union(found)


def _image_problems(
    old: Elf, new: Elf, code: list[tuple[Section, Section]], changed: list[tuple[int, int]]
) -> Iterator[str]:
    """Check each address: mapped as before, with the same bytes, unless it was GPU code."""
    hole = union((one.address, one.address + one.size) for one, _ in code)
    for in_file in (True, False):
        was, now = (_mapped(elf, in_file) for elf in (old, new))
        for flags in was.keys() | now.keys():
            missing = list(without(was.get(flags, []), [*now.get(flags, ())]))
            if list(without(missing, hole)):
                yield "addresses that were loaded aren't loaded any more, or otherwise"
            if list(without(now.get(flags, []), [*was.get(flags, ())])):
                yield "addresses are loaded that weren't before, or otherwise"
    for one in new.programs:
        if one.kind != _LOAD:
            continue
        span = (one.address, one.address + one.file_size)
        for start, end in without([span], changed):
            at, place = _offset(old, start), one.offset + start - one.address
            size = end - start
            if at < 0 or not same(old.data, new.data, at, at + size, shift=place - at):
                yield f"loaded bytes have changed between the addresses {start:#x} and {end:#x}"
        for before, after in code:
            yield from _rest_problems(new, one, before, after)


def _mapped(elf: Elf, in_file: bool) -> dict[tuple[int, ...], list[tuple[int, int]]]:
    """Return the loaded addresses by permissions: those from the file, or all."""
    found: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for one in elf.programs:
        if one.kind == _LOAD:
            size = one.file_size if in_file else one.memory_size
            found.setdefault(one.others[:1], []).append((one.address, one.address + size))
    return {flags: union(ranges) for flags, ranges in found.items()}


def _rest_problems(new: Elf, one: Program, before: Section, after: Section) -> Iterator[str]:
    """Check that where GPU code was, there is other code, the program headers, or nothing."""
    headers = _headers(new)
    size = new.program_range[1] - new.program_range[0]
    used = union([(after.address, after.address + after.size), (headers, headers + size)])
    first = max(one.address, before.address)
    last = min(one.address + one.file_size, before.address + before.size)
    for start, end in without([(first, last)] if first < last else [], used):
        for at in range(start, end, _BLOCK):
            place = one.offset + at - one.address
            if any(bytes(new.data[place : place + min(_BLOCK, end - at)])):
                yield f"something lies at address {at:#x}, where GPU code was"
                return
