"""Separate debug files: what is taken out of an ELF file, as debuggers find and understand it.

The file has every section header of the original. Sections that are loaded have no content in it
(SHT_NOBITS), because the stripped file has it; notes are the exception, since debuggers compare the
build ID in both. Everything else is kept, and sections of debugging information are compressed
where that makes them smaller (SHF_COMPRESSED), which gdb, lldb, elfutils and binutils read since
2015. It is what ``objcopy --only-keep-debug --compress-debug-sections`` is for, without its laying
the file out anew: sections keep their numbers, so symbols stay right.

Source: System V gABI, chapters 4 ("Sections", "Section Compression") and 5; gdb manual, "Debugging
Information in Separate Files"; elf(5).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from slim.binaries.base import Buffer
from slim.binaries.elf.image import ElfImage, Range, contains, merge, read_image
from slim.binaries.elf.layout import (
    IDENT_SIZE,
    PT_LOAD,
    PT_NOTE,
    PT_PHDR,
    SHF_COMPRESSED,
    SHT_NOBITS,
    SHT_NOTE,
    SHT_NULL,
    SHT_PROGBITS,
    Section,
)
from slim.binaries.refusal import NotEditable

_ZLIB = 1
"""ELFCOMPRESS_ZLIB."""
_LEVEL = 6
_LARGEST_ALIGN = 1 << 16
"""Bytes: a page of any machine."""
_BUILD_ID = 3
"""NT_GNU_BUILD_ID."""
_LONGEST_ID = 64
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DebugFile:
    """A separate debug file: a :class:`slim.formats.base.Content`.

    ``sections`` names what of its content isn't in the stripped file's image, with bytes as in the
    original.
    """

    size: int
    sections: tuple[tuple[str, int], ...]
    pieces: tuple[bytes | memoryview, ...] = field(repr=False)

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The file in pieces of at most 1 MiB."""
        for piece in self.pieces:
            for at in range(0, len(piece), _CHUNK):
                yield piece[at : at + _CHUNK]

    def view(self) -> memoryview:
        """The whole file; this makes a copy."""
        return memoryview(b"".join(self.pieces))


def build_id(view: Buffer) -> str | None:
    """The GNU build ID in hexadecimal, from the notes that a segment maps.

    None where there is none, or where the headers are wrong. Raises nothing, whatever the bytes
    are.
    """
    image = read_image(view)
    if isinstance(image, NotEditable):
        return None
    order = "<" if image.structs.little else ">"
    for segment in image.segments:
        if segment.type != PT_NOTE:
            continue
        found = _build_id(
            bytes(view[segment.offset : segment.offset + segment.filesz]), order, segment.align
        )
        if found is not None:
            return found
    return None


def _build_id(notes: bytes, order: str, align: int) -> str | None:
    pad = 8 if align == 8 else 4
    header = struct.Struct(f"{order}III")
    at = 0
    while at + header.size <= len(notes):
        name_size, size, kind = header.unpack_from(notes, at)
        name = notes[at + header.size : at + header.size + name_size]
        start = at + -(-(header.size + name_size) // pad) * pad
        if (
            kind == _BUILD_ID
            and name == b"GNU\0"
            and 2 <= size <= _LONGEST_ID
            and start + size <= len(notes)
        ):
            return notes[start : start + size].hex()
        at = start + -(-size // pad) * pad
    return None


def debug_file(view: Buffer) -> DebugFile | NotEditable:
    """The separate debug file of an ELF file that isn't stripped yet.

    Raises nothing, whatever the bytes are. Valid as long as the buffer that it was made from.
    """
    image = read_image(view)
    if isinstance(image, NotEditable):
        return image
    return _Writer(memoryview(view), image).write()


class _Writer:
    """Lays out the new file: headers, notes, other sections with content, section header table."""

    def __init__(self, view: memoryview, image: ElfImage) -> None:
        self._view = view
        self._image = image
        self._pieces: list[bytes | memoryview] = []
        self._size = 0

    def write(self) -> DebugFile:
        image, structs = self._image, self._image.structs
        headers = IDENT_SIZE + structs.header.size
        self._size = headers + len(image.segments) * structs.program.size
        notes = self._notes()
        sections, moved = self._sections(notes)
        table = self._place(
            b"".join(structs.section.pack(*section) for section in sections), structs.bits // 8
        )
        header = image.header._replace(
            phoff=headers if image.segments else 0, shoff=table, shnum=len(sections)
        )
        start = bytes(self._view[:IDENT_SIZE]) + structs.header.pack(*header)
        pieces = (start, self._segments(headers, notes), *self._pieces)
        return DebugFile(size=self._size, sections=tuple(moved), pieces=pieces)

    def _place(self, data: bytes | memoryview, align: int) -> int:
        """Append bytes; return their offset.

        An alignment that no section has is that of a damaged file, and of no use: nothing is mapped
        from here.
        """
        padding = -self._size % (align if 1 <= align <= _LARGEST_ALIGN else 1)
        if padding:
            self._pieces.append(bytes(padding))
        at = self._size + padding
        self._pieces.append(data)
        self._size = at + len(data)
        return at

    def _notes(self) -> dict[Range, int]:
        """Copy the notes that segments map; returns where each range of them went."""
        ranges = [
            (segment.offset, segment.offset + segment.filesz)
            for segment in self._image.segments
            if segment.type == PT_NOTE and segment.filesz
        ]
        return {(start, end): self._place(self._view[start:end], 8) for start, end in merge(ranges)}

    def _sections(self, notes: dict[Range, int]) -> tuple[list[Section], list[tuple[str, int]]]:
        """The section headers, and names and bytes of the sections that are here alone."""
        found: list[Section] = []
        moved: list[tuple[str, int]] = []
        for name, section in zip(self._image.names, self._image.sections, strict=True):
            where = (section.offset, section.offset + section.file_size)
            block = next((block for block in notes if contains((block,), where)), None)
            if section.type == SHT_NULL:
                found.append(section)
            elif section.allocated and section.type == SHT_NOTE and block is not None:
                found.append(section._replace(offset=notes[block] + section.offset - block[0]))
            elif section.allocated or section.type == SHT_NOBITS:
                found.append(section._replace(type=SHT_NOBITS, offset=self._size))
            else:
                found.append(self._kept(name, section))
                moved.append((name.decode("utf-8", "backslashreplace"), section.size))
        return found, moved

    def _kept(self, name: bytes, section: Section) -> Section:
        data = self._view[section.offset : section.offset + section.size]
        if (
            name.startswith(b".debug_")
            and section.type == SHT_PROGBITS
            and not section.flags & SHF_COMPRESSED
        ):
            packed = self._compressed(data, section)
            if len(packed) < len(data):
                align = self._image.structs.bits // 8
                at = self._place(packed, align)
                return section._replace(
                    offset=at, size=len(packed), align=align, flags=section.flags | SHF_COMPRESSED
                )
        return section._replace(offset=self._place(data, section.align))

    def _compressed(self, data: memoryview, section: Section) -> bytes:
        """The section's content after ``Elf32_Chdr``/``Elf64_Chdr``."""
        order = "<" if self._image.structs.little else ">"
        if self._image.structs.bits == 64:
            head = struct.pack(f"{order}IIQQ", _ZLIB, 0, section.size, section.align)
        else:
            head = struct.pack(f"{order}III", _ZLIB, section.size, section.align)
        return head + zlib.compress(data, _LEVEL)

    def _segments(self, at: int, notes: dict[Range, int]) -> bytes:
        """The program headers: only notes, and the table itself, have anything in the file."""
        structs = self._image.structs
        wide = structs.bits == 64
        offset_at, filesz_at, align_at = (2, 5, 7) if wide else (1, 4, 7)
        vaddr_at = 3 if wide else 2
        start = self._image.header.phoff
        end = start + len(self._image.segments) * structs.program.size
        rows = []
        for row in structs.program.iter_unpack(
            self._view[start : start + len(self._image.segments) * structs.program.size]
        ):
            new = list(row)
            where = (row[offset_at], row[offset_at] + row[filesz_at])
            block = next(
                (block for block in notes if row[filesz_at] and contains((block,), where)), None
            )
            if row[0] == PT_PHDR:
                new[offset_at] = at
            elif row[0] == PT_LOAD and row[offset_at] == 0:
                new[filesz_at] = min(row[filesz_at], at + end - start)
            elif block is not None:
                new[offset_at] = notes[block] + row[offset_at] - block[0]
            else:
                new[filesz_at] = 0
                # The loader's rule (offset and address congruent) holds even where there is nothing
                # to load.
                new[offset_at] = row[vaddr_at] % row[align_at] if row[align_at] > 1 else 0
            rows.append(structs.program.pack(*new))
        return b"".join(rows)
