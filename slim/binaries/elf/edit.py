"""Edits of ELF files: drop what no segment loads, leave every loaded byte where and as it is.

Strippers lay the file out anew, and break libraries whose sections patchelf has moved. This editor
moves nothing in memory. It cuts the file after the last byte of the image, carries over what else
is to be kept, and writes a new section header table. Of the bytes that the loader maps, only
``e_shoff``, ``e_shnum`` and ``e_shstrndx`` in the ELF header change, which say where that table is
and which no loader looks at, and ``p_offset`` of what comes after a hole.

Three consequences:

- Sections keep their numbers, because symbols in ``.dynsym`` (which is mapped) refer to sections by
  number. A dropped section between two kept ones leaves an unused entry (SHT_NULL).
- A section header table that a segment maps (patchelf puts it there) stays in place as dead bytes;
  the new one is written outside of the image. So is the section name table.
- Space that dropped sections leave in the *middle* of the file is reused where it is large enough
  for what has to be written. Of the rest, whole pages are closed in libraries
  (:mod:`slim.binaries.elf.compact`); what is left then is filled with zeros, which compress to
  nothing (``ElfEdit.holes``).

Source: System V gABI, chapter 4 ("Sections", "Special Sections"); elf(5).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

from slim.binaries.base import Buffer
from slim.binaries.elf.compact import Cuts, plan_cuts, program_headers
from slim.binaries.elf.droppable import is_droppable
from slim.binaries.elf.dynamic import ElfDynamic, read_dynamic
from slim.binaries.elf.image import (
    ElfImage,
    Range,
    contains,
    merge,
    overlaps,
    read_image,
    refers_by_info,
)
from slim.binaries.elf.layout import (
    IDENT_SIZE,
    OSABI_GNU,
    OSABI_NONE,
    SHT_NULL,
    SHT_STRTAB,
    SHT_SYMTAB,
    Section,
    machine_name,
)
from slim.binaries.refusal import NotEditable, RefusalKind, malformed
from slim.model.recipe import Kept, Piece, Recipe, Zeros

__all__ = [
    "LEVELS",
    "ElfDynamic",
    "ElfEdit",
    "NotEditable",
    "RefusalKind",
    "plan_edit",
    "read_dynamic",
]

LEVELS = ("none", "debug", "unneeded")
"""Levels of an edit.

Nothing goes; what only debuggers read; also the static symbol table and the toolchain's remarks.
"""

_NAME_TABLES = frozenset({b".shstrtab", b".strtab"})
# Everything else outside of the image is kept: a section that slim doesn't know may be somebody's
# payload.

# Where slim has been tried. Other machines have rules of their own for sections outside of the
# image (.mdebug on MIPS, .riscv.attributes), so they are left alone.
_MACHINES = frozenset({"x86_64", "i686", "aarch64", "arm", "ppc64", "ppc64le", "s390x"})

_PADDING = 16


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes to be written at an offset: ``data``, or as many zeros as ``size`` says."""

    offset: int
    size: int
    data: bytes | Kept | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfEdit:
    """An edit that has been planned: a recipe over the bytes of ``original``.

    ``dropped`` names the sections that go, in file order, with their bytes. ``holes`` are the bytes
    of zeros in the middle of the new file, in place of dropped sections.
    """

    size_before: int
    size_after: int
    dropped: tuple[tuple[str, int], ...]
    holes: int
    recipe: Recipe = field(repr=False)
    original: memoryview = field(repr=False)

    def data(self) -> bytes:
        """The whole edited file, in memory."""
        return self.recipe.whole(self.original)


def plan_edit(view: Buffer, level: str) -> ElfEdit | NotEditable:
    """Plan the removal of sections from an ELF file, by one of :data:`LEVELS`.

    Reads headers, section names and the few bytes between sections; never the content. Raises
    ValueError for an unknown level, and nothing whatever the bytes are.
    """
    if level not in LEVELS:
        raise ValueError(f"unknown level {level!r}, expected one of {', '.join(LEVELS)}")
    image = read_image(view)
    if isinstance(image, NotEditable):
        return image
    kept = _kept(view, image, level)
    dropped = sorted(
        (section.offset, index)
        for index, section in enumerate(image.sections)
        if section.type != SHT_NULL and index not in kept and index != image.header.shstrndx
    )
    if not dropped:
        return NotEditable(RefusalKind.NOTHING_GAINED, "there is nothing to drop")
    problem = _check_supported(view, image) or _check_unmapped(image) or _check_gaps(view, image)
    if problem is not None:
        return problem
    writer = _Writer(memoryview(view), image, kept)
    pieces, size, holes = writer.write()
    if size >= len(view):
        return NotEditable(RefusalKind.NOTHING_GAINED, "the file wouldn't get smaller")
    return ElfEdit(
        size_before=len(view),
        size_after=size,
        dropped=tuple(
            (
                image.names[index].decode("utf-8", "backslashreplace"),
                image.sections[index].file_size,
            )
            for _, index in dropped
        ),
        holes=holes,
        recipe=Recipe(tuple(map(_part, pieces))),
        original=memoryview(view),
    )


def _kept(view: Buffer, image: ElfImage, level: str) -> set[int]:
    """The numbers of the sections that stay.

    The section name table is among them only if something else needs it.
    """
    kept: set[int] = set()
    for index, (name, section) in enumerate(zip(image.names, image.sections, strict=True)):
        if section.type == SHT_NULL:
            continue
        mapped = section.allocated or (
            section.file_size > 0 and contains(image.mapped, _range(section))
        )
        rewritten = index == image.header.shstrndx and name in _NAME_TABLES
        if mapped or not (rewritten or is_droppable(name, section, level, view)):
            kept.add(index)
    # What a kept section outside of the image refers to is kept with it: relocations (ld
    # --emit-relocs) keep their symbols, symbols keep their strings. Loaded sections may refer to
    # dropped ones (.rela.plt of a static program to .symtab): nobody follows such a reference at
    # run time, and it is cleared.
    waiting = [index for index in kept if not image.sections[index].allocated]
    while waiting:
        section = image.sections[waiting.pop()]
        for other in (section.link, section.info if refers_by_info(section) else 0):
            if other and other not in kept and image.sections[other].type != SHT_NULL:
                kept.add(other)
                waiting.append(other)
    return kept


def _range(section: Section) -> Range:
    return section.offset, section.offset + section.file_size


def _check_supported(view: Buffer, image: ElfImage) -> NotEditable | None:
    machine = machine_name(image.header, image.structs)
    if machine not in _MACHINES:
        return NotEditable(
            RefusalKind.UNSUPPORTED, f"slim doesn't edit files for {machine} machines"
        )
    if view[7] not in (OSABI_NONE, OSABI_GNU):
        return NotEditable(
            RefusalKind.UNSUPPORTED, f"an operating system other than Linux (EI_OSABI {view[7]})"
        )
    return None


def _unmapped(image: ElfImage) -> list[tuple[int, int, int]]:
    """Start, end and alignment of sections, and of their header table, outside of the image."""
    found = [
        (*_range(section), section.align)
        for section in image.sections
        if section.file_size and not contains(image.mapped, _range(section))
    ]
    if not contains(image.mapped, image.table):
        found.append((*image.table, image.structs.bits // 8))
    return sorted(found)


def _check_unmapped(image: ElfImage) -> NotEditable | None:
    """Refuse what lies outside of the image in part, or overlaps there."""
    found = _unmapped(image)
    for start, end, _ in found:
        if overlaps((start, end), image.mapped):
            return malformed(f"the section or table at offset {start:#x} is loaded in part")
    for first, second in pairwise(found):
        if first[1] > second[0]:
            return malformed(f"sections overlap at offset {second[0]:#x}")
    return None


def _check_gaps(view: Buffer, image: ElfImage) -> NotEditable | None:
    """Refuse anything but padding after the image: a payload, which a stripper would lose."""
    at = image.end
    for start, end, align in [*_unmapped(image), (len(view), len(view), 1)]:
        if start > at and (start - at >= max(_PADDING, min(align, 4096)) or any(view[at:start])):
            return NotEditable(
                RefusalKind.PAYLOAD,
                f"the {start - at} bytes at offset {at:#x} belong to nothing that the headers know",
            )
        at = max(at, end)
    return None


class _Writer:
    """Lays out the new file: the image as it is, and around it what else has to be there."""

    def __init__(self, view: memoryview, image: ElfImage, kept: set[int]) -> None:
        self._view = view
        self._image = image
        self._kept = kept
        in_place = [
            _range(image.sections[index])
            for index in kept
            if image.sections[index].offset < image.end
        ]
        self._fixed = merge([*image.mapped, *in_place])
        self._end = self._fixed[-1][1]
        self._free = [list(hole) for hole in self._holes()]
        self._written: list[_Piece] = []

    def write(self) -> tuple[tuple[_Piece, ...], int, int]:
        """The pieces of the new file, its size, and the bytes of zeros in its holes."""
        image = self._image
        number, sections, names = self._sections()
        table_size, table_align = (
            len(sections) * image.structs.section.size,
            image.structs.bits // 8,
        )
        # The table gets the first choice of holes, because it is large; without a hole it comes
        # last, where every linker puts it and where tools that look for the end of an ELF file
        # expect it.
        table = self._take_hole(table_size, table_align)
        if names is not None:
            sections[number] = sections[number]._replace(
                offset=self._place(names, 1), size=len(names)
            )
        for index in sorted(self._kept, key=lambda index: image.sections[index].offset):
            section = image.sections[index]
            start, end = _range(section)
            if not section.allocated and not contains(self._fixed, (start, end)):
                sections[index] = sections[index]._replace(
                    offset=self._place(Kept(start, end - start), section.align)
                )
        if table is None:
            table = self._append(table_size, table_align)
        cuts = plan_cuts(image, self._free)
        moved = (section._replace(offset=cuts.moved(section.offset)) for section in sections)
        rows = b"".join(image.structs.section.pack(*section) for section in moved)
        self._written.append(_Piece(table, table_size, rows))
        header = image.header._replace(
            shoff=cuts.moved(table), shnum=len(sections), shstrndx=number
        )
        header_bytes = bytes(self._view[:IDENT_SIZE]) + image.structs.header.pack(*header)
        self._written.append(_Piece(0, len(header_bytes), header_bytes))
        if cuts.size:
            start, end = header.phoff, header.phoff + header.phnum * header.phentsize
            programs = program_headers(image, bytes(self._view[start:end]), cuts)
            self._written.append(_Piece(start, len(programs), programs))
        holes = [_Piece(start, end - start, None) for start, end in self._free if end > start]
        self._written += holes
        size = sum(hole.size for hole in holes)
        return self._cut(self._fill(), cuts), self._end - cuts.size, size - cuts.size

    def _cut(self, pieces: tuple[_Piece, ...], cuts: Cuts) -> tuple[_Piece, ...]:
        """The pieces in their new places, without what is cut out of the holes among them."""
        lost = dict(cuts.cuts)
        return tuple(
            replace(
                piece,
                offset=cuts.moved(piece.offset),
                size=piece.size
                - (lost.get(piece.offset + piece.size, 0) if piece.data is None else 0),
            )
            for piece in pieces
        )

    def _holes(self) -> tuple[Range, ...]:
        """The free places in the middle of the file: of dropped sections and the old table.

        The padding between two of them is free with them.
        """
        free: list[Range] = []
        for start, end, _ in _unmapped(self._image):
            if end > self._end or contains(self._fixed, (start, end)):
                continue
            if free and self._is_padding(free[-1][1], start):
                free[-1] = (free[-1][0], end)
            else:
                free.append((start, end))
        return tuple(free)

    def _is_padding(self, start: int, end: int) -> bool:
        return (
            end - start < _PADDING
            and not overlaps((start, end), self._fixed)
            and not any(self._view[start:end])
        )

    def _take_hole(self, size: int, align: int) -> int | None:
        """The offset of so many bytes in the first hole that is large enough, or None."""
        for hole in self._free:
            at = _align(hole[0], align)
            if at + size <= hole[1]:
                self._written.append(_Piece(hole[0], at - hole[0], None))
                hole[0] = at + size
                return at
        return None

    def _append(self, size: int, align: int) -> int:
        """The offset of so many bytes at the end of the file."""
        at = _align(self._end, align)
        self._written.append(_Piece(self._end, at - self._end, None))
        self._end = at + size
        return at

    def _place(self, data: bytes | Kept, align: int) -> int:
        """Write bytes wherever there is room; returns their offset."""
        at = self._take_hole(len(data), align)
        if at is None:
            at = self._append(len(data), align)
        self._written.append(_Piece(at, len(data), data))
        return at

    def _sections(self) -> tuple[int, list[Section], bytes | None]:
        """The new section headers, the number of the section name table, and its content.

        No content where the old name table is kept, because it is mapped or holds other strings,
        too.
        """
        image, old = self._image, self._image.header.shstrndx
        symbols_stay = any(image.sections[index].type == SHT_SYMTAB for index in self._kept)
        number = old
        if old not in self._kept and not symbols_stay:
            number = next(index for index in range(1, old + 1) if index not in self._kept)
        count = max(self._kept | {number}) + 1
        sections = [self._keep(index) if index in self._kept else _UNUSED for index in range(count)]
        if old in self._kept:
            return number, sections, None
        text = bytearray(1)
        offsets = {b"": 0}
        sections[number] = _UNUSED._replace(type=SHT_STRTAB, align=1)
        for index in range(1, count):
            if sections[index].type != SHT_NULL:
                name = b".shstrtab" if index == number else image.names[index]
                if name not in offsets:
                    offsets[name] = len(text)
                    text += name + b"\0"
                sections[index] = sections[index]._replace(name=offsets[name])
        return number, sections, bytes(text)

    def _keep(self, index: int) -> Section:
        section = self._image.sections[index]
        link = section.link if section.link in self._kept else 0
        info = 0 if refers_by_info(section) and section.info not in self._kept else section.info
        return section._replace(link=link, info=info)

    def _fill(self) -> tuple[_Piece, ...]:
        """The written pieces in order, with the original's bytes in between."""
        pieces: list[_Piece] = []
        at = 0
        for piece in sorted(
            (piece for piece in self._written if piece.size), key=lambda piece: piece.offset
        ):
            if piece.offset > at:
                pieces.append(_kept_piece(at, piece.offset))
            pieces.append(piece)
            at = piece.offset + piece.size
        if at < self._end:
            pieces.append(_kept_piece(at, self._end))
        return tuple(pieces)


def _kept_piece(start: int, end: int) -> _Piece:
    return _Piece(start, end - start, Kept(start, end - start))


def _part(piece: _Piece) -> Piece:
    return Zeros(piece.size) if piece.data is None else piece.data


def _align(offset: int, align: int) -> int:
    return -(-offset // align) * align if align > 1 else offset


_UNUSED = Section(0, SHT_NULL, 0, 0, 0, 0, 0, 0, 0, 0)
