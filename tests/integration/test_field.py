"""A part of the field trial, small enough for CI: real wheels, slimmed, used before and after."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.field.report import table
from tests.field.trees import Trees, read_locked
from tests.field.trial import Plan, try_group
from tests.field.uses import Group, groups, read_given_up, read_uses

pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("SLIM_FIELD"), reason="SLIM_FIELD=1 runs the field trial"
    ),
]

TREES = {
    (): ("venv-without-pip", "pydoc-topics", "pydoc-script", "tkinter-window"),
    ("certifi", "imageio", "pillow", "requests"): ("certifi", "metadata-all", "imageio"),
    ("jedi",): ("jedi-complete",),
}
"""What each tree holds, and the uses that are tried in it."""


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    return Trees(tmp_path_factory.mktemp("field"))


@pytest.mark.parametrize("needs", TREES, ids="+".join)
def test_what_worked_works_after(needs: tuple[str, ...], trees: Trees) -> None:
    (group,) = (group for group in groups(read_uses()) if set(TREES[needs]) <= ids(group))
    assert group.requirements == needs
    uses = tuple(use for use in group.uses if use.id in TREES[needs])
    plan = Plan(profiles=("safe", "standard"), given_up=read_given_up(), suites={})
    trial = try_group(trees, replace(group, uses=uses), read_locked().get(group.name, []), plan)
    assert {use.id for use in uses} <= set(trial.before), trial.failed_before
    assert not [item for item in trial.broken if not item.given_up], table([trial])


def ids(group: Group) -> set[str]:
    return {use.id for use in group.uses}
