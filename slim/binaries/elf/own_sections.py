"""ELF files that read their own sections, and how much may go out of them.

Just-in-time compilers and crash reporters look their own functions up in ``.symtab``, and programs
read the remarks of the tools that built them. Such a file names what it looks for, and has a way to
its own file: ``/proc/self``, or what ``dladdr`` tells.

What writes or reads the sections of any file (LLVM, libbacktrace, linkers) names all sections of
DWARF, and many large libraries hold LLVM and ask ``dladdr`` for other reasons: of these, only what
opens ``/proc/self/exe`` counts.

Source: proc(5), dladdr(3), dl_iterate_phdr(3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from slim.binaries.elf.droppable import is_debugging_name
from slim.binaries.elf.image import read_image
from slim.binaries.refusal import NotEditable
from slim.system.mapped import find_all, words_in

_OWN_FILE = (
    *(b"/proc/self/exe\0", b"/proc/self/maps\0", b"/proc/self/map_files", b"/proc/%d/exe\0"),
    *(b"/proc/%d/maps\0", b"\0dladdr\0", b"\0dladdr1\0", b"\0dl_iterate_phdr\0"),
)
"""Strings of what finds its own file, or what else is loaded beside it."""
_SYMBOLS = (b"symtab\0", b"no symbol table in ELF executable")
"""Strings of what looks for symbols in a file (LLVM, libbacktrace)."""
_REMARKS = (b"\0.comment\0", b"\0.strtab\0")
_DEBUGGING = b"\0.debug_"
_NAME = re.compile(rb"\0(\.debug_\w+)(?=\0)")
_MOST_NAMED = 3
"""Names of sections of DWARF in what only reads traces; debuggers and linkers name all."""
_SYMBOL_READERS = ("libbfd", "libdw", "libelf", "libbacktrace")
"""Beginnings of the names of libraries that read symbol tables (binutils, elfutils)."""
_EXECUTABLE = 4
"""SHF_EXECINSTR."""


def level_for_itself(view: memoryview, needed: Iterable[str]) -> str:
    """Return the most that may go out of a file: a level of :data:`slim.binaries.elf.edit.LEVELS`.

    ``needed`` are the libraries that it is linked against.
    """
    if any(name.startswith(_SYMBOL_READERS) for name in needed):
        return "debug"
    loaded = list(_loaded(view))
    named = _words(loaded, (*_SYMBOLS, *_REMARKS, _DEBUGGING))
    own = _words(loaded, _OWN_FILE) if named else set()
    if not own:
        return "unneeded"
    if _DEBUGGING in named:
        names = {match[1] for part in loaded for match in find_all(_NAME, part)}
        if len(list(filter(is_debugging_name, names))) > _MOST_NAMED:
            named -= {*_REMARKS}  # any file's sections are its business
            own &= {_OWN_FILE[0]}
    return "debug" if own and named - {_DEBUGGING} else "unneeded"


def _words(loaded: Iterable[memoryview], words: tuple[bytes, ...]) -> set[bytes]:
    return set().union(*(words_in(part, words) for part in loaded))


def _loaded(view: memoryview) -> Iterator[memoryview]:
    """Yield what is loaded and isn't code, but for the names of the file's own sections."""
    image = read_image(view)
    if isinstance(image, NotEditable):
        return
    for index, section in enumerate(image.sections):
        if section.allocated and index != image.header.shstrndx and not section.flags & _EXECUTABLE:
            yield view[section.offset : section.offset + section.file_size]
