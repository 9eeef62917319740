"""Uses of modules that nothing here can import: started elsewhere, read as text, completed later.

A launcher may start a module with another Python, which has what is missing (``mpiexec``, ``conda
run``); code may read the sources of what it doesn't import; and a program may install what it needs
when that is first used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_STARTED = re.compile(
    rb"[\"']-m[\"']\s*,\s*[rbfRBF]?[\"']([A-Za-z_][\w.]*)[\"']|\s-m\s+([A-Za-z_][\w.]*)"
)
_STARTED_LATE = re.compile(
    rb"""['"]-m['"]\s*,\s*(?:[fF]?['"]([A-Za-z_][\w.]*\.)(?:\{|%|['"]\s*\+)"""
    rb"""|(?!\w*['"]|\w+\s*=)[\w(*])"""
)
"""``-m`` and a module of which only running tells the name."""
_OTHER_PROGRAM = re.compile(
    rb"""(?:sys\.executable|['"](?![^'"]*(?i:py))[^'"-][^'"]*['"]|add_(?:argument|option)\()"""
    rb"""\s*,?\s*(?:['"]-[^'"]*['"]\s*,\s*)*\Z"""
)
"""What starts no other Python: the own one, and programs that aren't any."""
_BEFORE = 120
_OWN_PYTHON = b"sys.executable"
_STARTED_IN_TEXT = re.compile(
    rb"""(?i:py\w*|\}|%s)["']?(?:\s+-[A-LN-Za-ln-z]\w*)*\s+-m\s+["']?"""
    rb"""(?:([A-Za-z_][\w.]*\.)(?=[$%{])|[$%{])"""
)
"""The same in a command line."""
_READS_SOURCES = re.compile(
    rb"\.get_source\s*\(|\blinecache\.getlines?\s*\(|\breadmodule(?:_ex)?\s*\(|\bModuleFinder\s*\("
    rb"|\b(?:open|Path)\(\s*[\w.()\[\]\"',{} ]{1,120}\.origin\b"
)
_READS_SOURCES_WORDS = (b".get_source", b".origin", b"linecache", b"readmodule", b"ModuleFinder")
"""One of these is wherever :data:`_READS_SOURCES` is, and is found sooner."""
_INSTALLS = re.compile(
    rb"""['"]pip3?['"]\s*,\s*['"]install['"]|\bpip\.main\s*\(|\bpip\._internal\b"""
    rb"""|\b(?:run|call|check_call|check_output|system|Popen)\(\s*[rfRF]?['"]"""
    rb"""[^'"\n]{0,80}\bpip3? install """
    rb"""|['"](?:conda|mamba|micromamba)['"]\s*,\s*['"]install['"]"""
)
_FILE = re.compile(rb"(?<![\w-])[\w-]++\.pyw?\b(?!\.\w)")


def uses_in(content: bytes, *, is_code: bool) -> Iterator[tuple[str, str]]:
    """Yield what a file uses of its own distribution, and how.

    A module by its dotted name, a file by its name, or ``*`` for any of them; with a dot before the
    ``*`` for any whose name begins so.
    """
    if b"-m" in content:
        for match in _STARTED.finditer(content):
            name = (match[1] or match[2]).decode()
            yield name, f'"-m {name}" may start it with another Python'
        text = "-m with a name that is put together may start it with another Python"
        for match in _STARTED_LATE.finditer(content) if is_code else ():
            if not _OTHER_PROGRAM.search(content, max(0, match.start() - _BEFORE), match.start()):
                yield (match[1] or b"").decode() + "*", text
        for match in _STARTED_IN_TEXT.finditer(content):
            if _OWN_PYTHON not in content[max(0, match.start() - 40) : match.end()]:
                yield (match[1] or b"").decode() + "*", text
    if not is_code:
        for file in set(_FILE.findall(content)):
            yield file.decode(), f'names "{file.decode()}": it may be read as a file'
    elif any(map(content.__contains__, _READS_SOURCES_WORDS)) and _READS_SOURCES.search(content):
        yield "*", "reads the sources of modules"
    elif b"install" in content and _INSTALLS.search(content):
        yield "*", "installs packages when it runs"
