"""Programs that installers write for entry points, such as ``bin/fonttools``.

Nothing but an installer reads the groups ``console_scripts`` and ``gui_scripts``. Where a stack
ships none of the programs (venvstacks leaves them out), no user starts what they name. One that is
there and begins in a package of tests (``pl-device-test``) runs what lies there.

Source: PyPA specification "Entry points" ("Use for scripts").
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import replace

from slim.analysis.imports.mentions import ModuleMention
from slim.analysis.imports.modules import parents
from slim.analysis.imports.path_scan import TESTS_FOLDER
from slim.model.finding import Evidence, Strength
from slim.model.record import EntryPoint, Inventory

_GROUPS = frozenset({"console_scripts", "gui_scripts"})
_FOLDERS = frozenset({"bin", "Scripts"})
_ENDINGS = ("-script.py", "-script.pyw", ".exe", ".cmd", ".bat", ".py", ".pyw")


class Programs:
    """Names of the programs in a stack's folders for such."""

    def __init__(self, inventory: Inventory) -> None:
        self._names = frozenset(_names(inventory))

    def mentions(self, point: EntryPoint, evidence: Evidence) -> Iterator[ModuleMention]:
        """Yield the module that an entry point names, and the packages around it."""
        name = point.module.replace(".", "/")
        program = point.group in _GROUPS
        there = program and point.name in self._names
        for each in (name, *parents(name)):
            whole = there and posixpath.basename(each) == TESTS_FOLDER
            yield ModuleMention(each, evidence, whole, scattered=program and not there)


def without_program(evidence: Evidence) -> Evidence:
    """Return evidence of an entry point whose program no layer has."""
    text = f"{evidence.text}, a program that no layer has"
    return replace(evidence, text=text, strength=Strength.WEAK)


def _names(inventory: Inventory) -> Iterator[str]:
    for record in inventory:
        folder, name = posixpath.split(record.path)
        if posixpath.basename(folder) in _FOLDERS:
            yield name
            for ending in _ENDINGS:
                if name.endswith(ending):
                    yield name.removesuffix(ending)
