"""Passes: each proposes removals or rewrites, none does anything.

The tables below are all there is: no discovery. Order matters. Removals come first, because what is
gone imports and links nothing any more; then the libraries that nothing is left to need; then
rewrites of what stays.
"""

from __future__ import annotations

from collections.abc import Mapping

from slim.model.rule import PassSchema
from slim.passes.base import Editor, Pass
from slim.passes.bytecode import Bytecode
from slim.passes.debug_symbols import EDITOR as ELF_SYMBOLS
from slim.passes.debug_symbols import DebugSymbols, elf_symbols
from slim.passes.description import EDITOR as METADATA_DESCRIPTION
from slim.passes.description import Description, edit_description
from slim.passes.duplicates import Duplicates
from slim.passes.dylibs import UnusedLibraries
from slim.passes.foreign import ForeignFiles
from slim.passes.macho_symbols import EDITOR as MACHO_SYMBOLS
from slim.passes.macho_symbols import macho_symbols
from slim.passes.packages import Packages
from slim.passes.select import DOCS, LEFTOVERS, METADATA, RUNTIME, TESTS

PACKAGES = Packages()
REMOVING_PASSES: tuple[Pass, ...] = (
    PACKAGES,
    TESTS,
    RUNTIME,
    LEFTOVERS,
    DOCS,
    METADATA,
    Bytecode(),
)
LINK_PASSES: tuple[Pass, ...] = (ForeignFiles(), UnusedLibraries())
REWRITING_PASSES: tuple[Pass, ...] = (Duplicates(), DebugSymbols(), Description())
GRAPH_PASSES = frozenset({*(one.schema.name for one in LINK_PASSES), Duplicates.schema.name})
"""Passes that ask the library graph of the whole stack, which takes its time: quick estimates leave them out."""
PASSES: tuple[Pass, ...] = (*REMOVING_PASSES, *LINK_PASSES, *REWRITING_PASSES)

SCHEMAS: Mapping[str, PassSchema] = {one.schema.name: one.schema for one in PASSES}

EDITORS: Mapping[str, Editor] = {
    editor.name: editor
    for editor in (
        Editor(name=ELF_SYMBOLS, edit=elf_symbols, oracle="elf"),
        Editor(name=MACHO_SYMBOLS, edit=macho_symbols, oracle="macho"),
        Editor(name=METADATA_DESCRIPTION, edit=edit_description, oracle="core-metadata"),
    )
}
"""The editors by name, each with the oracle that judges it."""
