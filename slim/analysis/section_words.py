"""Words of Python code that reads what no loader does of native files: symbol tables, DWARF.

Such code names a section, or starts a program that prints it. A name that means something else as
well (``.comment`` is a class of style sheets) counts only where the file speaks of the format.

Sources: System V gABI ("Special Sections"), the manuals of GNU binutils and of LLVM's tools,
documentation of pyelftools and LIEF.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

from slim.analysis.vocabulary import AnyOf, vocabulary

_NAMED = (
    *(b"symtab", b"strtab", b"SymbolTableSection", b"SHT_SYMTAB", b".comment", b"static_symbols"),
    *(b".debug_", b".zdebug_", b".gnu_debug", b".gdb_index", b"dwarf_info"),
)
_PRINTING = (b"addr2line", b"symbolizer", b"objdump", b"readelf")
_WORDS = AnyOf(*_NAMED)
_PROGRAMS = AnyOf(*_PRINTING)
_SHORT = b"nm"
"""The name of a program, as one of a text's words: many others hold these letters."""
_IN_BYTECODE = (*_NAMED, *_PRINTING, b"\x02nm", b"nm ", b"-nm", b"/nm")
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
_DUMPS = re.compile(rb"[\"'](?:[\w./-]*-)?(readelf|objdump)(?:\.exe)?(?:[\"'][\s,]|(?<!exe)\s+-)")
_FAR = 200
"""Bytes behind the name of such a program in which its options stand."""
_LETTERS = rb"[\"'\s]-(?=[a-zA-Z]{1,4}[\"'\s=])[a-zA-Z]*"
"""Letters of options, up to one of those that follow."""
_OF_SYMBOLS = {
    b"readelf": re.compile(_LETTERS + rb"[sapx]|--(?:syms|symbols|string-dump|hex-dump|all)\b"),
    b"objdump": re.compile(_LETTERS + rb"[tsx]|--(?:syms|full-contents|all-headers)\b"),
}
_OF_DEBUGGING = {
    b"readelf": re.compile(_LETTERS + rb"w|--debug-dump\b"),
    b"objdump": re.compile(_LETTERS + rb"[WlgS]|--(?:dwarf|line-numbers|debugging|source)\b"),
}
"""Options that print symbols or remarks, and such that print debugging information."""
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
    may_start = _PROGRAMS.within(source) or _is_word(_SHORT, source)
    starts = may_start and _STARTS.search(source) is not None
    if not (named or starts):
        return SectionsRead.NOTHING
    dumps = list(_dumps(source)) if starts else []
    if (
        (named and _DEBUGGING.search(source))
        or (starts and _LINES.search(source))
        or any(_OF_DEBUGGING[name].search(options) for name, options in dumps)
    ):
        return SectionsRead.DEBUGGING
    if (
        (named and _SYMBOLS.search(source))
        or (named and _REMARKS.search(source) and _FORMAT.search(source))
        or (starts and _NM.search(source))
        or any(_OF_SYMBOLS[name].search(options) for name, options in dumps)
    ):
        return SectionsRead.SYMBOLS
    return SectionsRead.NOTHING


def may_read_sections(bytecode: bytes) -> bool:
    """Return whether bytecode has a word of what :func:`sections_read` looks for."""
    return any(map(bytecode.__contains__, _IN_BYTECODE))


def _is_word(word: bytes, source: bytes) -> bool:
    known = vocabulary(source)
    ends = known.partition(b"\n")[0], known.rpartition(b"\n")[2]
    return b"\n%b\n" % word in known or word in ends


def _dumps(source: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names of programs that print sections, with what may be their options."""
    for match in _DUMPS.finditer(source):
        yield match[1], source[match.end(1) : match.end() + _FAR]
