"""Code that reads what no loader does of native files, told by its words."""

from __future__ import annotations

import marshal

import pytest

from slim.analysis.section_words import SectionsRead, sections_read
from tests.support.native_headers import macho
from tests.support.virtual_stacks import make_stack

RUN = "import subprocess\nsubprocess.run"
CASES: dict[str, SectionsRead] = {
    "s = section('.symtab')": SectionsRead.SYMBOLS,
    's = section(b".strtab")': SectionsRead.SYMBOLS,
    "isinstance(s, SymbolTableSection)": SectionsRead.SYMBOLS,
    "if kind == SHT_SYMTAB: pass": SectionsRead.SYMBOLS,
    "import lief\nlief.parse(p).symtab_symbols": SectionsRead.SYMBOLS,
    "struct.unpack('<Q', d)\nsection('.comment')": SectionsRead.SYMBOLS,
    "if d[:4] == b'\\x7fELF': section('.comment')": SectionsRead.SYMBOLS,
    "style = {'.comment': 'grey'}": SectionsRead.NOTHING,
    "graph.static_symbols": SectionsRead.NOTHING,
    "s = section('.debug_line')": SectionsRead.DEBUGGING,
    "s = section('.gnu_debuglink')": SectionsRead.DEBUGGING,
    "elf.get_dwarf_info()": SectionsRead.DEBUGGING,
    "name = '.debug_mode'": SectionsRead.NOTHING,
    f"{RUN}(['nm', path])": SectionsRead.SYMBOLS,
    f"{RUN}(['/usr/bin/llvm-nm', '-C', path])": SectionsRead.SYMBOLS,
    f"{RUN}(f'nm {{path}}', shell=True)": SectionsRead.SYMBOLS,
    f"{RUN}(['nm', '-D', path])": SectionsRead.NOTHING,
    f"{RUN}(['nm', '-gD', path])": SectionsRead.NOTHING,
    f"{RUN}(['nm', '--dynamic', path])": SectionsRead.NOTHING,
    f"{RUN}(x)\nunit = 'nm'\n": SectionsRead.NOTHING,
    "units = ['nm', 'um']": SectionsRead.NOTHING,
    f"{RUN}(['addr2line', '-e', path])": SectionsRead.DEBUGGING,
    f"{RUN}(['eu-addr2line', '-e', path])": SectionsRead.DEBUGGING,
    f"{RUN}('llvm-symbolizer --obj=' + path, shell=True)": SectionsRead.DEBUGGING,
    "tool = 'addr2line'": SectionsRead.NOTHING,
    f"{RUN}(['readelf', '-Ws', path])": SectionsRead.SYMBOLS,
    f"{RUN}(['readelf', '-p', '.comment', path])": SectionsRead.SYMBOLS,
    f"{RUN}(['readelf', '--debug-dump=info', path])": SectionsRead.DEBUGGING,
    f"{RUN}(['readelf', '-d', path])": SectionsRead.NOTHING,
    f"{RUN}(['objdump', '-t', path])": SectionsRead.SYMBOLS,
    f"{RUN}(['readelf', '-W', '-s', path])": SectionsRead.SYMBOLS,
    f"{RUN}('readelf -Wp .comment ' + path, shell=True)": SectionsRead.SYMBOLS,
    f"reader, dependents = 'readelf', '-d'\nother = 'dyld_info', '-dependents'\n{RUN}(x)": (
        SectionsRead.NOTHING
    ),
    f"{RUN}(['readelf', '-d', path]){' ' * 250}\n{RUN}(['cc', '-g', path])": SectionsRead.NOTHING,
    f"{RUN}(['objdump', '-p', path])": SectionsRead.NOTHING,
    f"{RUN}(['objdump', '-x', path])": SectionsRead.SYMBOLS,
    f"{RUN}(['objdump', '-dl', path])": SectionsRead.DEBUGGING,
    f"{RUN}(['readelf', '-lW', path])": SectionsRead.NOTHING,
    f"{RUN}(['readelf', '-w', path])": SectionsRead.DEBUGGING,
    f"{RUN}('readelf -a ' + path, shell=True)": SectionsRead.SYMBOLS,
    f"{RUN}('objdump --dwarf=info ' + path, shell=True)": SectionsRead.DEBUGGING,
    "print('.symtables')": SectionsRead.NOTHING,
    "": SectionsRead.NOTHING,
}


@pytest.mark.parametrize("source", CASES)
def test_what_code_may_read_of_native_files(source: str) -> None:
    assert sections_read(source.encode()) is CASES[source]


SECTIONS = "x = open(p, 'rb').read().find(b'.symtab')\n"


@pytest.mark.parametrize(
    ("path", "content", "is_found"),
    [
        ("$site/m.pyc", bytes(16) + marshal.dumps(compile(SECTIONS, "m", "exec")), True),
        ("$site/m.pyc", bytes(16) + marshal.dumps(compile("x = b'.text'\n", "m", "exec")), False),
        (
            "$site/__pycache__/m.cpython-313.pyc",
            bytes(16) + marshal.dumps(compile(SECTIONS, "m", "exec")),
            False,
        ),
    ],
)
def test_bytecode_without_a_source_reads_sections_as_well(
    path: str, content: bytes, is_found: bool
) -> None:
    made = make_stack({"app-x": {path: content, "$site/core.so": macho()}})
    (record,) = (one for one in made.inventory if one.path.endswith("core.so"))
    assert (made.facts.section_readers.of(record, ()) is not None) is is_found
