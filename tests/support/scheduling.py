"""How tests are dealt out to workers, where pytest runs with ``-n``.

Modules that say the same ``xdist_group`` go to one worker, so that what they share is built once.
That is ``--dist=loadgroup`` of pytest-xdist, which pytest 9.2 has broken without a word (issue 1386
of pytest-dev/pytest-xdist): a worker tells the group in the identifier of the test, and this pytest
keeps that as it was. Here the group is read where it is written.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

GROUP = re.compile(r"""^(?:pytestmark = | {4})\[?.*pytest\.mark\.xdist_group\("([^"]+)"\)""", re.M)


class GroupScheduling(LoadScopeScheduling):
    """Whole groups first, then single tests in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self._root = config.rootpath
        self._groups: dict[str, str | None] = {}

    def _split_scope(self, nodeid: str) -> str:
        module, _, _ = nodeid.partition("::")
        if module not in self._groups:
            self._groups[module] = group_of(self._root / module)
        return self._groups[module] or nodeid


def group_of(module: Path) -> str | None:
    """Group of a module of tests, as its ``pytestmark`` says it."""
    found = GROUP.search(module.read_text(encoding="utf-8"))
    return found[1] if found else None
