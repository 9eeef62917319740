"""The tables of reports: each line can be loaded, and none is loaded before it is asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from slim.reports.audit import AUDIT_REPORTERS
from slim.reports.budget import VERDICT_REPORTERS
from slim.reports.delta import APPLIED_REPORTERS, DELTA_REPORTERS
from slim.reports.diff import DIFF_REPORTERS
from slim.reports.fleet import FLEET_REPORTERS
from slim.reports.reporter import Reporter, late, table
from slim.reports.run import RUN_REPORTERS, SIGNING_LIST

TABLES: dict[str, Mapping[str, Reporter[Any]]] = {
    "run": RUN_REPORTERS,
    "audit": AUDIT_REPORTERS,
    "check": VERDICT_REPORTERS,
    "diff": DIFF_REPORTERS,
    "delta": DELTA_REPORTERS,
    "delta apply": APPLIED_REPORTERS,
    "fleet": FLEET_REPORTERS,
}
LINES = [
    pytest.param(reporter, id=f"{subject} {name}")
    for subject, reporters in TABLES.items()
    for name, reporter in reporters.items()
]


@pytest.mark.parametrize("reporters", TABLES.values(), ids=TABLES)
def test_a_table_is_by_name_and_has_what_every_command_uses(
    reporters: Mapping[str, Reporter[Any]],
) -> None:
    assert [reporter.name for reporter in reporters.values()] == list(reporters)
    assert {"json", "terminal"} <= set(reporters)


@pytest.mark.parametrize("reporter", [*LINES, SIGNING_LIST])
def test_every_line_can_be_loaded(reporter: Reporter[Any]) -> None:
    assert reporter.summary and reporter.suffix.startswith(".")
    with pytest.raises(TypeError, match="positional argument"):
        reporter.render()


def test_a_function_is_found_by_module_and_name() -> None:
    assert late("delta.words:share")(19, 1000) == "1.9%"
    assert table(SIGNING_LIST) == {"signing-list": SIGNING_LIST}


def test_tables_load_no_renderer() -> None:
    code = (
        "import sys, slim.reports.run, slim.reports.audit, slim.reports.budget, slim.reports.diff, "
        "slim.reports.delta, slim.reports.fleet, slim.reports.common.style, "
        "slim.reports.common.text\n"
        "print({'rich', 'jinja2'} & set(sys.modules) or '')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
