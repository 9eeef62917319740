"""The reports of ``slim delta``, word for word."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from jsonschema import Draft202012Validator

from slim.model.delta import (
    DeltaAction,
    DeltaApplied,
    DeltaMade,
    LayerDelta,
    LayerMade,
    LayerRestored,
    LayerState,
    NamedFile,
)
from slim.reports.common.style import TerminalStyle
from slim.reports.delta import APPLIED_REPORTERS, DELTA_REPORTERS
from slim.reports.delta.terminal import render_applied, render_made
from slim.reports.delta.words import share
from tests.support.report_schemas import schema

Golden = Callable[[str, str], None]


def file(name: str, size: int) -> NamedFile:
    return NamedFile(name=name, size=size, sha256="ab" * 32)


def state(name: str, size: int, tree: str = "12") -> LayerState:
    return LayerState(
        tree_sha256=tree * 32,
        root=name,
        size=5 * size,
        archive=file(f"{name}.tar.xz", size),
        format="tar.xz",
    )


def layer(
    name: str, action: DeltaAction, old: int, new: int, download: int = 0, **changes: object
) -> LayerMade:
    delta = LayerDelta(
        name=name,
        action=action,
        old=state(name, old) if old else None,
        new=state(name, new, "12" if action is DeltaAction.UNCHANGED else "34") if new else None,
        file=file(f"{name}.patch", download) if download else None,
        table=(10, 20) if action is DeltaAction.PATCH else None,
        method="files" if action is DeltaAction.PATCH else None,
    )
    return LayerMade(delta=delta, elapsed=0.5, **changes)  # type: ignore[arg-type]


MADE = DeltaMade(
    platform="linux_x86_64",
    old_source="published-1.4",
    new_source="_slim",
    layers=(
        layer("cpython3.13", DeltaAction.UNCHANGED, 4_514_112, 4_514_112),
        layer(
            "framework-science",
            DeltaAction.PATCH,
            33_104_220,
            33_208_001,
            2_610_007,
            tried={"files": 2_610_007},
            skipped={"stream": "would take more memory than a layer of 64 MiB does"},
        ),
        layer("framework-extra", DeltaAction.FULL, 0, 1_200_345, 1_200_345),
        layer("framework-old", DeltaAction.REMOVED, 70_000, 0),
        layer(
            "app-\x1b[31m\udcff",
            DeltaAction.PATCH,
            14_500_000,
            14_500_100,
            9_001,
            tried={"files": 9_001, "stream": 10_744},
        ),
    ),
    slim_version="0.1.0",
    output="update",
)
APPLIED = DeltaApplied(
    platform="linux_x86_64",
    layers=(
        LayerRestored(
            name="cpython3.13",
            action=DeltaAction.UNCHANGED,
            place="c.tar.xz",
            size=4_514_112,
            identical=True,
        ),
        LayerRestored(
            name="app",
            action=DeltaAction.PATCH,
            place="app.tar.xz",
            size=14_500_100,
            identical=False,
        ),
        LayerRestored(
            name="old", action=DeltaAction.PATCH, place="old", size=14_500_100, identical=None
        ),
    ),
    output="published-1.5",
    slim_version="0.1.0",
)


@pytest.mark.parametrize("name", DELTA_REPORTERS)
def test_made(golden: Golden, name: str) -> None:
    golden(f"delta-made-{name}.txt", DELTA_REPORTERS[name].render([MADE]))


@pytest.mark.parametrize("name", APPLIED_REPORTERS)
def test_applied(golden: Golden, name: str) -> None:
    golden(f"delta-applied-{name}.txt", APPLIED_REPORTERS[name].render([APPLIED]))


def test_verbose(golden: Golden) -> None:
    golden("delta-made-verbose.txt", render_made([MADE, MADE], TerminalStyle(width=100), 1))
    golden(
        "delta-applied-verbose.txt",
        render_applied([APPLIED, APPLIED], TerminalStyle(width=100, unicode=False), 1),
    )


def test_json_is_what_the_schemas_say() -> None:
    Draft202012Validator(schema("delta-report-v1")).validate(
        json.loads(DELTA_REPORTERS["json"].render([MADE]))
    )
    Draft202012Validator(schema("delta-apply-v1")).validate(
        json.loads(APPLIED_REPORTERS["json"].render([APPLIED]))
    )


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, ""),
        (5, 0, ""),
        (0, 5, "0%"),
        (1, 100_000, "<0.1%"),
        (19, 1000, "1.9%"),
        (99, 1000, "9.9%"),
        (5, 4, "125%"),
    ],
)
def test_shares(part: int, whole: int, text: str) -> None:
    assert share(part, whole) == text
