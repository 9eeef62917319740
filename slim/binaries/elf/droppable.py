"""Sections that no program reads: by exact name and type, and ``.comment`` by its content.

A name that only begins like one of the toolchain's may be somebody's payload (``.stabilizer``,
``.debug_payload``), and so may a known name with another type.

Source: DWARF 5, appendix F (names of sections), and 4 (those that 5 has dropped); System V gABI,
"Special Sections"; the manual of objcopy (``--compress-debug-sections``); Annobin's "Watermark".
"""

from __future__ import annotations

import re

from slim.binaries.base import Buffer
from slim.binaries.elf.layout import (
    SHT_NOTE,
    SHT_PROGBITS,
    SHT_REL,
    SHT_RELA,
    SHT_STRTAB,
    SHT_SYMTAB,
    Section,
)

SHT_SYMTAB_SHNDX = 18
SHF_EXCLUDE = 0x80000000

_DWARF = (
    *("abbrev", "addr", "aranges", "frame", "funcnames", "gnu_pubnames", "gnu_pubtypes", "info"),
    *("line", "line_str", "loc", "loclists", "macinfo", "macro", "names", "pubnames", "pubtypes"),
    *("ranges", "rnglists", "sfnames", "srcinfo", "str", "str_offsets", "sup", "typenames"),
    *("types", "varnames", "weaknames", "cu_index", "tu_index", "gdb_scripts"),
)
_SPLIT = (
    *("abbrev", "info", "line", "loc", "loclists", "macinfo", "macro", "rnglists", "str"),
    *("str_offsets", "types"),
)
_DEBUG_NAMES = frozenset(
    name.encode()
    for stem in (*_DWARF, *(f"{name}.dwo" for name in _SPLIT))
    for name in (f".debug_{stem}", f".zdebug_{stem}", f".gnu.debuglto_.debug_{stem}")
) | {
    *(b".gdb_index", b".gnu_debuglink", b".gnu_debugaltlink", b".gnu_debugdata"),
    *(b".stab", b".stab.excl", b".stab.index"),
}
_DEBUG_STRINGS = frozenset({b".stabstr", b".stab.exclstr", b".stab.indexstr"})
_NOTES = b".gnu.build.attributes"
_LTO = b".gnu.lto_"
_TYPES = {b".symtab": SHT_SYMTAB, b".strtab": SHT_STRTAB, b".symtab_shndx": SHT_SYMTAB_SHNDX}

_REMARK = re.compile(
    rb"(?:GCC: |GNU |(?:[\w .()+-]{1,40} )?clang version |(?:Linker: |[\w .()+-]{1,40} )?LLD "
    rb"|Linker: |rustc version |mold |Android \(|flang|Intel\(R\) |Go cmd/|ldc version |GHC "
    rb"|NVC|nvc|AOCC|zig |DMD )[ -~]*\Z"
)
_LONGEST_REMARKS = 1 << 16
"""Bytes of ``.comment`` that are looked at; a larger one stays."""


def is_droppable(name: bytes, section: Section, level: str, view: Buffer) -> bool:
    """Return whether a section that no segment loads may go at a level of ``LEVELS``."""
    if section.allocated or level == "none":
        return False
    if _is_debugging(name, section.type):
        return True
    if level == "debug":
        return False
    if name == b".comment":
        return section.type == SHT_PROGBITS and _is_toolchains(section, view)
    if name == b".annobin.notes":
        return section.type in (SHT_PROGBITS, SHT_STRTAB, SHT_NOTE)
    if name == _NOTES or name.startswith(_NOTES + b"."):
        return section.type == SHT_NOTE
    if name.startswith(_LTO):
        return section.type == SHT_PROGBITS and bool(section.flags & SHF_EXCLUDE)
    return name in _TYPES and section.type == _TYPES[name]


def is_debugging_name(name: bytes) -> bool:
    """Return whether a name is one that toolchains give to sections of debugging information."""
    return name in _DEBUG_NAMES


def _is_debugging(name: bytes, kind: int) -> bool:
    if name in _DEBUG_NAMES:
        return kind == SHT_PROGBITS
    if name in _DEBUG_STRINGS:
        return kind == SHT_STRTAB
    for prefix, relocations in ((b".rela", SHT_RELA), (b".rel", SHT_REL)):
        if name.startswith(prefix + b".") and kind == relocations:
            return name.removeprefix(prefix) in _DEBUG_NAMES
    return False


def _is_toolchains(section: Section, view: Buffer) -> bool:
    """Return whether ``.comment`` holds nothing but remarks of compilers and linkers."""
    if section.size > _LONGEST_REMARKS:
        return False
    content = bytes(view[section.offset : section.offset + section.size])
    return all(_REMARK.match(remark) for remark in content.split(b"\0") if remark)
