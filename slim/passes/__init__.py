"""Passes: each proposes removals or rewrites, none does anything.

The table is all there is: no discovery. A pass is a module here, a line in :data:`PASSES`, and a
rule pack. Within a :class:`~slim.model.rule.Phase` the order of the table is that of planning.
"""

from __future__ import annotations

from collections.abc import Mapping

from slim.model.record import NativeFormat
from slim.model.rule import PassSchema, Phase
from slim.passes.base import Editor, Pass
from slim.passes.bytecode import Bytecode
from slim.passes.compile_traced import EDITOR as COMPILE_TRACED
from slim.passes.compile_traced import compile_traced
from slim.passes.cut_module import EDITOR as CUT_MODULE
from slim.passes.cut_module import cut_module
from slim.passes.debug_symbols import EDITOR as ELF_SYMBOLS
from slim.passes.debug_symbols import DebugSymbols, elf_symbols
from slim.passes.description import EDITOR as METADATA_DESCRIPTION
from slim.passes.description import Description, edit_description
from slim.passes.duplicates import Duplicates
from slim.passes.dylibs import UnusedLibraries
from slim.passes.embedded_wheels import EDITOR as EMBEDDED_WHEEL
from slim.passes.embedded_wheels import EmbeddedWheels, cut_wheel
from slim.passes.foreign import ForeignFiles
from slim.passes.gpu_code import EDITOR as GPU_CODE
from slim.passes.gpu_code import GpuCode, edit_gpu_code
from slim.passes.gpu_files import GpuFiles
from slim.passes.guided import Guided
from slim.passes.macho_symbols import EDITOR as MACHO_SYMBOLS
from slim.passes.macho_symbols import macho_symbols
from slim.passes.packages import Packages
from slim.passes.qt import QtModules
from slim.passes.select import DOCS, LEFTOVERS, METADATA, RUNTIME, TESTS
from slim.passes.traced_bytecode import TracedBytecode
from slim.passes.unimportable import Unimportable

PASSES: tuple[Pass, ...] = (
    Packages(),
    TESTS,
    RUNTIME,
    LEFTOVERS,
    DOCS,
    METADATA,
    Guided(),
    Bytecode(),
    ForeignFiles(),
    QtModules(),
    GpuFiles(),
    UnusedLibraries(),
    Duplicates(),
    Unimportable(),
    GpuCode(),
    TracedBytecode(),
    DebugSymbols(),
    Description(),
    EmbeddedWheels(),
)

SCHEMAS: Mapping[str, PassSchema] = {known.schema.name: known.schema for known in PASSES}


def passes_of(phase: Phase) -> tuple[Pass, ...]:
    """Return the passes of one part of planning, in order."""
    return tuple(known for known in PASSES if known.schema.phase is phase)


EDITORS: Mapping[str, Editor] = {
    editor.name: editor
    for editor in (
        Editor(
            name=ELF_SYMBOLS,
            edit=elf_symbols,
            oracle="elf",
            suits=lambda record: record.native == NativeFormat.ELF,
        ),
        Editor(
            name=GPU_CODE,
            edit=edit_gpu_code,
            oracle="gpu",
            suits=lambda record: record.native == NativeFormat.ELF,
        ),
        Editor(
            name=MACHO_SYMBOLS,
            edit=macho_symbols,
            oracle="macho",
            suits=lambda record: record.native == NativeFormat.MACHO,
        ),
        Editor(
            name=METADATA_DESCRIPTION,
            edit=edit_description,
            oracle="core-metadata",
            suits=Description().concerns,
        ),
        Editor(
            name=CUT_MODULE,
            edit=cut_module,
            oracle="cut-module",
            suits=lambda _record: False,  # a source may differ for any reason
        ),
        Editor(
            name=COMPILE_TRACED,
            edit=compile_traced,
            oracle="compile-traced",
            suits=lambda record: record.path == "postinstall.py",
        ),
        Editor(
            name=EMBEDDED_WHEEL,
            edit=cut_wheel,
            oracle="embedded-wheel",
            suits=EmbeddedWheels().concerns,
        ),
    )
}
"""The editors by name, each with the oracle that judges it."""
