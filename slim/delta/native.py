"""Native files whose references a delta knows: ELF for x86-64, by its section headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slim.binaries.elf.layout import (
    ET_DYN,
    ET_EXEC,
    SHT_DYNSYM,
    SHT_PROGBITS,
    SHT_RELA,
    SHT_SYMTAB,
    ElfHeader,
    Section,
    read_header,
    read_sections,
)
from slim.delta.references import Kind, Layout, Region

_X86_64 = 62
_HIGHEST, _MOST_SECTIONS = 1 << 40, 1000
_WRITABLE, _EXECUTABLE, _TLS = 0x1, 0x4, 0x400
_DYNAMIC = 6
_NOT_ALIGNED = (SHT_RELA, SHT_SYMTAB, SHT_DYNSYM, _DYNAMIC)
"""Sections of addresses only: blanked, they have nothing that could be found again."""
_NAMED = {b".eh_frame": Kind.FRAMES, b".eh_frame_hdr": Kind.FRAME_INDEX}


@dataclass(frozen=True)
class NativeImage:
    """Native file: its content, its layout, and the regions by name that moves are found in."""

    content: bytes
    layout: Layout
    aligned: Mapping[bytes, Region]


def native_image(content: bytes) -> NativeImage | None:
    """Describe a native file, or return None for anything that a delta knows nothing about."""
    view = memoryview(content)
    found = read_header(view)
    if found is None:
        return None
    structs, header = found
    if structs.bits != 64 or not structs.little or header.machine != _X86_64:
        return None
    if header.type not in (ET_EXEC, ET_DYN) or header.shnum > _MOST_SECTIONS:
        return None
    sections = read_sections(view, structs, header) or ()
    named = _named(content, header, sections)
    loaded = [
        (name, section)
        for name, section in named
        if section.allocated and section.addr and not section.flags & _TLS
    ]
    lowest = [section.addr for name, section in loaded if _is_target(name, section)]
    if not lowest or not any(section.flags & _EXECUTABLE for _, section in loaded):
        return None
    low, high = min(lowest), max(section.addr + section.size for _, section in loaded)
    regions = _regions(named, len(content), fixed=header.type == ET_EXEC)
    if regions is None or not low < high < _HIGHEST:
        return None
    aligned = {
        name: regions[section.offset]
        for name, section in named
        if section.allocated and section.file_size and section.type not in _NOT_ALIGNED
    }
    references = [region for region in regions.values() if region.kind is not Kind.PLAIN]
    return NativeImage(content, Layout(low, high, tuple(references)), aligned)


def _is_target(name: bytes, section: Section) -> bool:
    """True if references may lead to the section; the headers and symbols are below all others."""
    return section.type == SHT_PROGBITS and name != b".interp"


def _regions(
    named: list[tuple[bytes, Section]], size: int, *, fixed: bool
) -> dict[int, Region] | None:
    """Return the regions by their start, or None where they lie over each other."""
    regions: dict[int, Region] = {}
    end = 0
    for name, section in sorted(named, key=lambda pair: pair[1].offset):
        if not section.file_size:
            continue
        if section.offset < end or section.offset + section.size > size:
            return None
        if section.addr >= _HIGHEST:
            return None
        end = section.offset + section.size
        address = section.addr if section.allocated else section.offset
        kind = _kind(name, section, fixed=fixed)
        regions[section.offset] = Region(kind, section.offset, section.size, address)
    return regions


def _named(
    content: bytes, header: ElfHeader, sections: tuple[Section, ...]
) -> list[tuple[bytes, Section]]:
    """Return the sections that aren't empty, with their names."""
    if header.shstrndx >= len(sections):
        return []
    names = sections[header.shstrndx]
    named = []
    for section in sections[1:]:
        if not section.size:
            continue
        start = names.offset + section.name
        name = content[start : content.find(b"\0", start)] if start < len(content) else b""
        named.append((name, section))
    return named


def _kind(name: bytes, section: Section, *, fixed: bool) -> Kind:
    if name in _NAMED:
        return _NAMED[name]
    if section.flags & _EXECUTABLE:
        return Kind.X86_64_FIXED if fixed else Kind.X86_64
    if section.type in _NOT_ALIGNED:
        return Kind.WORDS
    if not section.allocated:
        return Kind.PLAIN
    return Kind.WORDS if section.flags & _WRITABLE else Kind.TABLES
