"""The table of oracles: what judges an edited file against its original, before it is published.

Each editor names its oracle (:class:`slim.passes.base.Editor`). An oracle shares no code with the
editor that it judges. An edit without an oracle is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from slim.formats.base import Content
from slim.model.finding import Evidence
from slim.model.record import FileKey
from slim.passes import EDITORS
from slim.verification.metadata_text import check as check_metadata
from slim.verification.native.elf import check as check_elf


def _check_macho(original: memoryview, edited: memoryview) -> list[str]:
    # macholib is loaded with the first edited Mach-O file, not with the command line.
    from slim.verification.native.macho import check

    return check(original, edited)


Oracle = Callable[[memoryview, memoryview], list[str]]
"""Compares an original with what it was edited to; what is wrong, a sentence each. Raises nothing."""

ORACLES: Mapping[str, Oracle] = {
    "elf": check_elf,
    "macho": _check_macho,
    "core-metadata": check_metadata,
}
"""Every oracle, by the name under which editors refer to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """An edit that was carried out and isn't published yet. ``editor`` is a key of EDITORS."""

    editor: str
    original: memoryview
    edited: Content


def refused_edits(
    edits: Mapping[FileKey, Edit], oracles: Mapping[str, Oracle] = ORACLES
) -> dict[FileKey, Evidence]:
    """Have each edit judged by its editor's oracle; return the first complaint about each bad one."""
    refused: dict[FileKey, Evidence] = {}
    for key, edit in edits.items():
        editor = EDITORS.get(edit.editor)
        oracle = None if editor is None else oracles.get(editor.oracle)
        if oracle is None:
            problems = [f"no oracle judges what the editor {edit.editor} does"]
        else:
            problems = oracle(edit.original, edit.edited.view())
        if problems:
            refused[key] = Evidence(kind="oracle", text=problems[0])
    return refused
