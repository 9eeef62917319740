"""Edits of GPU code in ELF libraries: entries for other devices go out of its sections.

Those are ``.nv_fatbin`` and, where it can be edited as well, ``__nv_relfatbin``: relocatable code
that nvlink made the former of. A driver links it itself where the former has nothing for a device,
so the same entries stay of both.

This is the one edit that changes the loadable image. Kept entries are packed
(:mod:`slim.binaries.gpu.pack`), the wrappers' pointers follow (:mod:`slim.binaries.gpu.pointers`),
and whole pages are cut out of the file (:mod:`slim.binaries.gpu.layout`). Every other loaded byte
keeps its address. A file is left alone unless everything that points at its GPU code is a wrapper
of ``.nvFatBinSegment``, so that nothing that slim doesn't know of is pulled from under a pointer.
Fat binaries at the start of the section that no wrapper points at (nvlink puts one there) stay
where and as they are.

Sections that are never loaded go first, by :mod:`slim.binaries.elf.edit`: tools that lay a file out
anew don't expect a hole in the address space, so nothing may strip it afterwards.

Source: ``fatbinary_section.h`` and ``fatBinaryCtl.h`` of the CUDA toolkit (wrappers).
"""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import pairwise, takewhile
from typing import Final

from slim.binaries.base import Buffer
from slim.binaries.elf.edit import ElfEdit, plan_edit
from slim.binaries.elf.image import ElfImage, Range, overlaps, read_image
from slim.binaries.elf.layout import (
    OSABI_GNU,
    OSABI_NONE,
    SHT_DYNSYM,
    SHT_PROGBITS,
    Section,
    machine_name,
)
from slim.binaries.gpu.fatbin import WRAPPER
from slim.binaries.gpu.layout import Room, Shrink, check_image, lay_out
from slim.binaries.gpu.pack import Packed, merged, pack
from slim.binaries.gpu.pointers import Pointer, offset_of, pointers_into
from slim.binaries.gpu.read import read_gpu_code
from slim.binaries.gpu.recompress import Recompressor
from slim.binaries.refusal import NotEditable, RefusalKind, Refused
from slim.model.gpu import GpuCode, GpuContainer, GpuEntry, GpuForm
from slim.model.gpu_target import Target
from slim.model.recipe import Kept, Piece, Recipe, Zeros

CODE: Final = ".nv_fatbin"
RELOCATABLE: Final = "__nv_relfatbin"
WRAPPERS: Final = ".nvFatBinSegment"
_POINTER: Final = 8
"""Offset of the pointer in a wrapper."""
_NEAR: Final = 4096
"""Changed bytes that are no farther apart are written together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuEdit:
    """An edit that has been planned.

    ``gone`` are bytes and number of the entries that go, by architecture and kind, largest first;
    ``left`` the bytes of GPU code that stay, ``recompressed`` how many of their entries were
    compressed again, and ``saved`` by how many bytes. ``stripped`` names the sections that go as
    well, ``sections`` those whose GPU code may have become less.
    """

    size_before: int
    size_after: int
    gone: tuple[tuple[str, int, int], ...]
    left: int
    recompressed: int
    saved: int
    stripped: tuple[tuple[str, int], ...]
    sections: tuple[str, ...]
    recipe: Recipe = field(repr=False)


def plan_gpu_edit(
    view: Buffer, targets: Sequence[Target], level: str, *, recompress: bool = False
) -> GpuEdit | NotEditable:
    """Plan to keep the GPU code that some devices need, after stripping by a level.

    No targets: all of it stays. Without ``recompress``, headers and relocations are read and never
    the code. Raises ValueError for an unknown level, OSError where a temporary file can't be
    written, and nothing whatever the bytes are.
    """
    data = memoryview(view)
    try:
        return _plan(data, targets, level, recompress)
    except Refused as refused:
        return refused.refusal


@dataclass(frozen=True, slots=True)
class _Area:
    """A section of GPU code that may be edited.

    ``pointers`` lead into it. The first ``pinned`` of its containers stay as they are.
    """

    name: str
    section: Section
    containers: Sequence[GpuContainer]
    pointers: Sequence[Pointer]
    pinned: int


def _plan(view: memoryview, targets: Sequence[Target], level: str, recompress: bool) -> GpuEdit:
    code = read_gpu_code(view)
    image = _image(view)
    machine = machine_name(image.header, image.structs)
    number = _section(image, CODE)
    check_image(image, machine)
    areas = [_area(view, code, image, number, machine)]
    with suppress(Refused):
        areas.append(_area(view, code, image, _section(image, RELOCATABLE), machine))
    packed = [(area, _pack(view, area, targets, recompress)) for area in areas]
    if not any(one.gone or one.recompressed for _, one in packed):
        raise Refused(NotEditable(RefusalKind.NOTHING_GAINED, "no GPU code would go"))
    packed = [(area, one) for area, one in packed if one.gone or one.recompressed]
    stripped = plan_edit(view, level)
    base = stripped.recipe if isinstance(stripped, ElfEdit) else Recipe((Kept(0, len(view)),))
    recipe = _recipe(view, base, packed)
    return GpuEdit(
        size_before=len(view),
        size_after=recipe.size,
        gone=_summary([entry for _, one in packed for entry in one.gone]),
        left=sum(one.size for _, one in packed),
        recompressed=sum(one.recompressed for _, one in packed),
        saved=sum(one.saved for _, one in packed),
        stripped=stripped.dropped if isinstance(stripped, ElfEdit) else (),
        sections=tuple(area.name for area in areas),
        recipe=recipe,
    )


def _area(
    view: memoryview, code: GpuCode | None, image: ElfImage, number: int, machine: str
) -> _Area:
    """Return a section with what points at it. Raises Refused where it has to stay as it is."""
    containers = _containers(code, image, number)
    section = image.sections[number]
    _check_symbols(view, image, (section.addr, section.addr + section.size))
    pointers = pointers_into(view, image, machine, (section.addr, section.addr + section.size))
    pinned = _check_pointers(view, image, number, containers, pointers)
    return _Area(image.names[number].decode(), section, containers, pointers, pinned)


def _pack(view: memoryview, area: _Area, targets: Sequence[Target], recompress: bool) -> Packed:
    offset, containers = area.section.offset, area.containers
    if not recompress:
        return pack(view, offset, containers, targets, area.pinned)
    with closing(Recompressor()) as recompressor:
        return pack(view, offset, containers, targets, area.pinned, recompressor)


def _image(view: memoryview) -> ElfImage:
    image = read_image(view)
    if isinstance(image, NotEditable):
        raise Refused(image)
    if view[7] not in (OSABI_NONE, OSABI_GNU):
        raise Refused.unsupported(f"an operating system other than Linux (EI_OSABI {view[7]})")
    return image


def _section(image: ElfImage, wanted: str) -> int:
    """Return the number of a section with GPU code."""
    found = [number for number, name in enumerate(image.names) if name == wanted.encode()]
    if not found:
        raise Refused(NotEditable(RefusalKind.NOTHING_GAINED, "there is no GPU code to edit"))
    section = image.sections[found[0]]
    if len(found) > 1 or section.type != SHT_PROGBITS or not section.allocated:
        raise Refused.unsupported(f"more than one section {wanted}, or one that isn't loaded")
    return found[0]


def _containers(code: GpuCode | None, image: ElfImage, number: int) -> list[GpuContainer]:
    """Return the containers of the section. Raises Refused where it holds anything else."""
    section, name = image.sections[number], image.names[number].decode()
    start, end = section.offset, section.offset + section.size
    if code is None:
        raise Refused.malformed("its GPU code can't be read")
    if code.damage:
        damage = code.damage[0]
        raise Refused.malformed(f"{damage.reason} (offset {damage.offset:#x})")
    inside = [one for one in code.containers if start <= one.offset < end]
    gaps = [gap for one in code.sections if one.offset == start for gap in one.gaps]
    if gaps or any(one.form is not GpuForm.FATBIN for one in inside):
        raise Refused.unsupported(f"{name} holds something other than fat binaries")
    if any(first.end > second.offset for first, second in pairwise(inside)):
        raise Refused.malformed("fat binaries overlap")
    return inside


def _check_symbols(view: memoryview, image: ElfImage, wanted: tuple[int, int]) -> None:
    """Refuse a library that exports its GPU code: others would look for it at the old place."""
    for section in image.sections:
        if section.type == SHT_DYNSYM:
            size = section.size - section.size % image.structs.symbol.size
            rows = image.structs.symbol.iter_unpack(view[section.offset : section.offset + size])
            for _, _, _, home, value, _ in rows:
                if home and wanted[0] <= value < wanted[1]:
                    raise Refused.unsupported("a library that exports its GPU code")


def _check_pointers(
    view: memoryview,
    image: ElfImage,
    number: int,
    containers: Sequence[GpuContainer],
    pointers: Sequence[Pointer],
) -> int:
    """Return how many containers at the start of the section no wrapper points at.

    Raises Refused for GPU code that something other than wrappers points at, and for other
    containers that nothing points at.
    """
    section = image.sections[number]
    slots = _slots(view, image)
    places = {section.addr + one.offset - section.offset for one in containers}
    for pointer in pointers:
        if pointer.slot not in slots:
            raise Refused.unsupported(
                f"something other than a wrapper points at GPU code (address {pointer.slot:#x})"
            )
        if pointer.target not in places:
            raise Refused.unsupported("a wrapper points into a fat binary")
    lost = places - {pointer.target for pointer in pointers}
    pinned = len(list(takewhile(lost.__contains__, sorted(places))))
    if len(lost) > pinned:
        raise Refused.unsupported(
            f"no wrapper points at the fat binary at address {sorted(lost)[pinned]:#x}"
        )
    return pinned


def _slots(view: memoryview, image: ElfImage) -> set[int]:
    """Return the addresses of the wrappers' pointers."""
    slots: set[int] = set()
    for name, section in zip(image.names, image.sections, strict=True):
        if name == WRAPPERS.encode() and section.allocated:
            slots.update(
                section.addr + at + _POINTER
                for at in range(0, section.size - WRAPPER.size + 1, WRAPPER.size)
            )
    return slots


def _summary(entries: Sequence[GpuEntry]) -> tuple[tuple[str, int, int], ...]:
    sizes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for entry in entries:
        name = f"{entry.architecture or 'unknown'} {entry.kind.value}"
        sizes[name] += entry.bytes_in_file
        counts[name] += 1
    order = sorted(sizes, key=lambda name: (-sizes[name], name))
    return tuple((name, counts[name], sizes[name]) for name in order)


def _recipe(view: memoryview, base: Recipe, packed: Sequence[tuple[_Area, Packed]]) -> Recipe:
    """Return the recipe of the new file, over the original: first stripped, then packed."""
    headers = _headers(view, base)
    image = _image(headers)
    pieces = {_section(image, area.name): one for area, one in packed}
    shrinks = [Shrink(number, one.size) for number, one in pieces.items()]
    layout = lay_out(headers, base.size, image, shrinks)
    writes: dict[int, bytes] = {}
    for area, one in packed:
        writes.update(_pointer_writes(view, base, image, area, one))
    _check_sections(image, [room.number for room in layout.rooms], writes)
    writes[0] = layout.header
    if layout.in_place:
        writes[image.header.phoff] = layout.in_place
    if layout.table >= 0:
        writes[layout.table] = layout.sections
    parts: list[Piece] = []
    at = 0
    for room in layout.rooms:
        section = image.sections[room.number]
        parts += _patched(view, base, writes, at, section.offset)
        parts += pieces[room.number].pieces
        parts += _behind(room)
        at = section.offset + section.size
    parts += _patched(view, base, writes, at, base.size)
    if layout.table < 0:
        parts += [Zeros(layout.padding), layout.sections]
    return Recipe(tuple(merged(parts)))


def _check_sections(image: ElfImage, numbers: Sequence[int], writes: Collection[int]) -> None:
    """Refuse a section that isn't said to be loaded and that has bytes which change."""
    code = [_span(image.sections[number]) for number in numbers]
    for section in image.sections:
        start, end = _span(section)
        if not section.allocated and (
            overlaps((start, end), code) or any(start < at + 8 and at < end for at in writes)
        ):
            raise Refused.unsupported("a section that isn't loaded lies in one that is")


def _span(section: Section) -> Range:
    return section.offset, section.offset + section.file_size


def _behind(room: Room) -> Iterator[Piece]:
    """Yield what comes after the packed code, up to what came after the section."""
    yield Zeros(room.before)
    yield room.programs
    yield Zeros(room.zeros)


def _pointer_writes(
    view: memoryview, base: Recipe, image: ElfImage, area: _Area, packed: Packed
) -> Iterator[tuple[int, bytes]]:
    """Yield the new addends, and the pointers themselves where the linker wrote them, too."""
    address = area.section.addr
    for pointer in area.pointers:
        new = (address + packed.places[pointer.target - address]).to_bytes(8, "little")
        yield offset_of(image, pointer.addend, 8), new
        at = offset_of(image, pointer.slot, 8)
        if base.read(view, at, at + 8) == pointer.target.to_bytes(8, "little"):
            yield at, new


def _patched(
    view: memoryview, base: Recipe, writes: Mapping[int, bytes], start: int, end: int
) -> Iterator[Piece]:
    """Yield a range of the stripped file with some bytes written over."""
    at = start
    for first, last in _groups([place for place in writes if start <= place < end], writes):
        yield from base.between(at, first)
        data = bytearray(base.read(view, first, last))
        for place in sorted(place for place in writes if first <= place < last):
            data[place - first : place - first + len(writes[place])] = writes[place]
        yield bytes(data)
        at = last
    yield from base.between(at, end)


def _groups(places: list[int], writes: Mapping[int, bytes]) -> list[tuple[int, int]]:
    """Return ranges with all of the places, those together that are near each other."""
    groups: list[tuple[int, int]] = []
    for place in sorted(places):
        end = place + len(writes[place])
        if groups and place - groups[-1][1] <= _NEAR:
            groups[-1] = (groups[-1][0], max(groups[-1][1], end))
        else:
            groups.append((place, end))
    return groups


def _headers(view: memoryview, base: Recipe) -> memoryview:
    """Return the stripped file with its headers alone; the rest reads as zeros, and takes none."""
    found = mmap.mmap(-1, base.size)

    def copy(start: int, size: int) -> None:
        found[start : start + size] = base.read(view, start, start + size)

    copy(0, 64)
    phoff, shoff = (int.from_bytes(found[at : at + 8], "little") for at in (32, 40))
    phnum, shnum, names = (int.from_bytes(found[at : at + 2], "little") for at in (56, 60, 62))
    copy(phoff, phnum * 56)
    copy(shoff, shnum * 64)
    row = shoff + names * 64
    copy(*(int.from_bytes(found[at : at + 8], "little") for at in (row + 24, row + 32)))
    return memoryview(found)
