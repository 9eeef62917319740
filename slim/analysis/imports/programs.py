"""Programs that installers write for entry points, such as ``bin/fonttools``.

Nothing but an installer reads the groups ``console_scripts`` and ``gui_scripts``. Where a stack
ships none of the programs (venvstacks leaves them out), no user starts what they name.

Source: PyPA specification "Entry points" ("Use for scripts").
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import replace

from slim.model.finding import Evidence, Strength
from slim.model.record import EntryPoint, Inventory

_GROUPS = frozenset({"console_scripts", "gui_scripts"})
_FOLDERS = frozenset({"bin", "Scripts"})
_ENDINGS = ("-script.py", "-script.pyw", ".exe", ".cmd", ".bat", ".py", ".pyw")


class Programs:
    """Names of the programs in a stack's folders for such."""

    def __init__(self, inventory: Inventory) -> None:
        self._names = frozenset(_names(inventory))

    def lacks(self, point: EntryPoint) -> bool:
        """Return whether an entry point is of a program that no layer has."""
        return point.group in _GROUPS and point.name not in self._names


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
