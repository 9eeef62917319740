"""ELF files as a delta sees them, by their section headers: for x86-64 and ARM64."""

from __future__ import annotations

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
from slim.delta.image import NativeImage, Part, image_of
from slim.delta.references import Kind, Region

_X86_64, _ARM64 = 62, 183
_MOST_SECTIONS = 1000
_WRITABLE, _EXECUTABLE, _TLS = 0x1, 0x4, 0x400
_DYNAMIC = 6
_NOT_ALIGNED = (SHT_RELA, SHT_SYMTAB, SHT_DYNSYM, _DYNAMIC)
"""Sections of addresses only."""
_NAMED = {b".eh_frame": Kind.FRAMES, b".eh_frame_hdr": Kind.FRAME_INDEX}


def elf_image(content: bytes) -> NativeImage | None:
    """Describe an ELF file, or return None for one that a delta knows nothing about."""
    view = memoryview(content)
    found = read_header(view)
    if found is None:
        return None
    structs, header = found
    if structs.bits != 64 or not structs.little or header.machine not in (_X86_64, _ARM64):
        return None
    if header.type not in (ET_EXEC, ET_DYN) or header.shnum > _MOST_SECTIONS:
        return None
    named = _named(content, header, read_sections(view, structs, header) or ())
    loaded = [
        (name, section)
        for name, section in named
        if section.allocated and section.addr and not section.flags & _TLS
    ]
    lowest = [section.addr for name, section in loaded if _is_target(name, section)]
    if not lowest or not any(section.flags & _EXECUTABLE for _, section in loaded):
        return None
    code = Kind.ARM64
    if header.machine == _X86_64:
        code = Kind.X86_64_FIXED if header.type == ET_EXEC else Kind.X86_64
    parts = [_part(name, section, code) for name, section in named if section.file_size]
    high = max(section.addr + section.size for _, section in loaded)
    return image_of(content, parts, min(lowest), high)


def _is_target(name: bytes, section: Section) -> bool:
    """True if references may lead to the section; the headers and symbols are below all others."""
    return section.type == SHT_PROGBITS and name != b".interp"


def _part(name: bytes, section: Section, code: Kind) -> Part:
    address = section.addr if section.allocated else section.offset
    region = Region(_kind(name, section, code), section.offset, section.size, address)
    return Part(name, region, section.allocated and section.type not in _NOT_ALIGNED)


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


def _kind(name: bytes, section: Section, code: Kind) -> Kind:
    if name in _NAMED:
        return _NAMED[name]
    if section.flags & _EXECUTABLE:
        return code
    if section.type in _NOT_ALIGNED:
        return Kind.WORDS
    if not section.allocated:
        return Kind.PLAIN
    return Kind.WORDS if section.flags & _WRITABLE else Kind.TABLES
