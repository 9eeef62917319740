"""Words of Python code that reads what no loader does of native files: symbol tables, DWARF.

Such code names a section, or starts a program that prints it. A name that means something else as
well (``.comment`` is a class of style sheets) counts only where the file speaks of the format.

Sources: System V gABI ("Special Sections"), the manuals of GNU binutils and of LLVM's tools,
documentation of pyelftools and LIEF.
"""

from __future__ import annotations

import re
from enum import StrEnum

from slim.analysis.vocabulary import AnyOf, vocabulary

_WORDS = AnyOf(
    *(b"symtab", b"strtab", b"SymbolTableSection", b"SHT_SYMTAB", b".comment", b"static_symbols"),
    *(b".debug_", b".zdebug_", b".gnu_debug", b".gdb_index", b"dwarf_info"),
)
_PROGRAMS = AnyOf(b"addr2line", b"symbolizer", b"objdump", b"readelf")
_SHORT = re.compile(rb"^nm$", re.MULTILINE)
"""The name of a program, as one of a text's words: many others hold these letters."""
_FORMAT = re.compile(
    rb"\\x7f[\"']?\s*b?[\"']?ELF|\\177ELF|127,\s*69|\belftools\b|\blief\b|\bELFFile\b|\be_shoff\b"
    rb"|\bsh_(?:name|type|offset)\b|\be?_?shstrndx\b|\bElf(?:32|64)?_|\breadelf\b|\bobjdump\b"
    rb"|\bobjcopy\b|\bpwn(?:lib)?\b|\bELF\b|\bunpack(?:_from)?\("
)
_SYMBOLS = re.compile(
    rb"[\"']\.(?:symtab|strtab|symtab_shndx)[\"']|\bSymbolTableSection\b|\bSHT_SYMTAB\b"
)
_REMARKS = re.compile(rb"[\"']\.comment[\"']|\.(?:symtab|static)_symbols\b")
"""Names that mean something else as well, where the file doesn't speak of the format."""
_DEBUGGING = re.compile(
    rb"[\"']\.z?debug_(?:info|line|line_str|str|abbrev|aranges|ranges|rnglists|loc|loclists|frame"
    rb"|names|types|addr|macro|macinfo|gdb_scripts)[\"']|[\"']\.gnu_debug(?:link|altlink|data)[\"']"
    rb"|[\"']\.gdb_index[\"']|\b(?:get|has)_dwarf_info\b"
)
_STARTS = re.compile(
    rb"\bsubprocess\b|\bPopen\b|\bos\.(?:exec|popen|spawn|system)|\bshutil\.which\b"
)
_NM = re.compile(
    rb"[\"'](?:[\w./-]*-)?nm(?:\.exe)?[\"']\s*,(?!\s*[\"'](?:-\w*D|--dynamic))"
    rb"|[\"'](?:[\w-]*-)?nm\s+(?!-\w*D|--dynamic)[-{%/$]"
)
_DUMPS = re.compile(
    rb"[\"'](?:[\w./-]*-)?(?:readelf|objdump)(?:\.exe)?[\"'][\s,]|"
    rb"[\"'](?:[\w-]*-)?(?:readelf|objdump)\s+-"
)
_OF_SYMBOLS = re.compile(rb"[\"'\s](?:-[a-zA-Z]*[tspg]|--syms|--symbols|--string-dump)[\"'\s=]")
_OF_DEBUGGING = re.compile(
    rb"[\"'\s](?:-[a-zA-Z]*[wWlg]|--debug-dump|--dwarf|--line-numbers)[\"'\s=]"
)
_LINES = re.compile(rb"[\"'](?:[\w./-]*-)?(?:addr2line|llvm-symbolizer)(?:\.exe)?(?:[\"']|\s)")


class SectionsRead(StrEnum):
    """Sections of native files that a Python file may read, and no loader does."""

    NOTHING = ""
    SYMBOLS = "symbols"
    """Symbol tables, or the toolchain's remarks."""
    DEBUGGING = "debugging"
    """Debugging information as well."""


def sections_read(source: bytes) -> SectionsRead:
    """Return what the code of a file may read of native files beside what is loaded."""
    named = _WORDS.within(source)
    may_start = _PROGRAMS.within(source) or _SHORT.search(vocabulary(source)) is not None
    starts = may_start and _STARTS.search(source) is not None
    if not (named or starts):
        return SectionsRead.NOTHING
    dumps = starts and _DUMPS.search(source) is not None
    if (
        (named and _DEBUGGING.search(source))
        or (starts and _LINES.search(source))
        or (dumps and _OF_DEBUGGING.search(source))
    ):
        return SectionsRead.DEBUGGING
    if (
        (named and _SYMBOLS.search(source))
        or (named and _REMARKS.search(source) and _FORMAT.search(source))
        or (starts and _NM.search(source))
        or (dumps and _OF_SYMBOLS.search(source))
    ):
        return SectionsRead.SYMBOLS
    return SectionsRead.NOTHING
