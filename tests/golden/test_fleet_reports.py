"""Every report of a fleet, word for word."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser

import jsonschema
import pytest

from slim.fleet.budgets import check_fleet, read_budgets
from slim.fleet.result_file import parse_result
from slim.model.fleet import FleetResult
from slim.reports.budget import VERDICT_REPORTERS
from slim.reports.common.style import TerminalStyle
from slim.reports.fleet import FLEET_REPORTERS, json_v1, terminal
from slim.system.toml_table import Problems, Table, parse_toml
from tests.golden import fleets
from tests.support.report_schemas import schema

Golden = Callable[[str, str], None]


@pytest.mark.parametrize("name", fleets.SAMPLES)
@pytest.mark.parametrize("reporter", FLEET_REPORTERS.values(), ids=FLEET_REPORTERS)
def test_reports(golden: Golden, reporter: object, name: str) -> None:
    text = reporter.render(fleets.SAMPLES[name]())  # type: ignore[attr-defined]
    golden(f"fleet-{name}{reporter.suffix}", text)  # type: ignore[attr-defined]


def test_a_narrow_terminal_without_unicode_and_everything(golden: Golden) -> None:
    style = TerminalStyle(width=60, unicode=False)
    golden("fleet-narrow.txt", terminal.render(fleets.failed(), style, 1))


@pytest.mark.parametrize("name", fleets.SAMPLES)
def test_json_is_as_its_schema_says_and_reads_back(name: str) -> None:
    result: FleetResult = fleets.SAMPLES[name]()
    text = json_v1.render(result)
    jsonschema.validate(json.loads(text), schema("fleet-v1"))
    assert parse_result(text.encode(), "report.json") == result


class _Balance(HTMLParser):
    VOID = frozenset({"meta", "br", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_loads_nothing_and_takes_names_literally() -> None:
    text = FLEET_REPORTERS["html"].render(fleets.failed())
    assert not re.search(r"(src|href)=|url\(|@import|<script", text)
    assert "<b>&lt;b&gt;" not in text
    assert "notes\\x1b[31m&lt;b&gt;" in text
    balance = _Balance()
    balance.feed(text)
    assert balance.open == []


BUDGETS = """
[[budget]]
name = "all"
archive = ["200 MB", "+1%"]

[[budget]]
each = "platform"
unpacked = "300 MB"

[[budget]]
each = "stack"
stack = ["editor", "assistant"]
deployed = ["150 MB", "+2%"]
"""


@pytest.mark.parametrize("reporter", ["terminal", "markdown", "json", "junit", "annotations"])
def test_a_verdict_is_told_as_that_of_slim_check(golden: Golden, reporter: str) -> None:
    problems = Problems("fleet.toml")
    values = parse_toml(BUDGETS, problems)
    assert values is not None
    budgets = read_budgets(Table(values, "", problems), BUDGETS)
    assert problems.found == []
    small = fleets.finished()
    baseline = FleetResult(
        name="nightly",
        release="2026-11-27",
        tasks=(fleets.task("assistant", 150, "d"), *small.tasks[1:]),
    )
    verdict = check_fleet(fleets.failed(), budgets, baseline)
    known = VERDICT_REPORTERS[reporter]
    text = known.render(verdict)
    if reporter == "json":
        jsonschema.validate(json.loads(text), schema("check-v1"))
    golden(f"fleet-check{known.suffix}", text)
