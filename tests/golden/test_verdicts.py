"""The reports of ``slim check`` and ``slim diff``, word for word, in every format."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence

import jsonschema
import pytest

from slim.model.budget import Verdict
from slim.model.diff import Comparison
from slim.reports.budget import VERDICT_REPORTERS
from slim.reports.budget import json_v1 as verdict_json
from slim.reports.budget import terminal as verdict_terminal
from slim.reports.common.style import TerminalStyle
from slim.reports.diff import DIFF_REPORTERS
from slim.reports.diff import json_v1 as diff_json
from slim.reports.diff import terminal as diff_terminal
from slim.reports.reporter import Reporter
from slim.sizes.report_file import is_report, parse_report
from tests.golden.verdicts import DIFFS, VERDICTS
from tests.support.report_schemas import schema

Golden = Callable[[str, str], None]


@pytest.mark.parametrize("reporter", VERDICT_REPORTERS.values(), ids=VERDICT_REPORTERS)
@pytest.mark.parametrize("name", VERDICTS)
def test_verdicts(golden: Golden, name: str, reporter: Reporter[Verdict]) -> None:
    golden(f"check-{name}{reporter.suffix}", reporter.render(VERDICTS[name]()))


@pytest.mark.parametrize("reporter", DIFF_REPORTERS.values(), ids=DIFF_REPORTERS)
@pytest.mark.parametrize("name", DIFFS)
def test_diffs(golden: Golden, name: str, reporter: Reporter[Sequence[Comparison]]) -> None:
    golden(f"diff-{name}{reporter.suffix}", reporter.render(DIFFS[name]()))


@pytest.mark.parametrize("width", [60, 80])
def test_narrow_terminals(golden: Golden, width: int) -> None:
    style = TerminalStyle(width=width, unicode=False)
    text = verdict_terminal.render(VERDICTS["exceeded"](), style, 1) + diff_terminal.render(
        DIFFS["changed"](), style, 1
    )
    golden(f"check-ascii-{width}.txt", text)
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("name", VERDICTS)
def test_the_json_keeps_its_contract(name: str) -> None:
    document = verdict_json.document(VERDICTS[name]())
    jsonschema.validate(document, schema("check-v1"), jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", DIFFS)
def test_the_json_of_a_diff_keeps_its_contract(name: str) -> None:
    document = json.loads(diff_json.render(DIFFS[name]()))
    jsonschema.validate(document, schema("diff-v1"), jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", VERDICTS)
def test_a_check_report_gives_the_measurement_back(name: str) -> None:
    verdict = VERDICTS[name]()
    text = verdict_json.render(verdict).encode()
    assert is_report(text)
    for was, read in zip(verdict.measured, parse_report(text, "x"), strict=True):
        assert (read.layers, read.platform, read.total) == (was.layers, was.platform, was.total)
        assert sum(cell.footprint.deployed for cell in read.cells) == was.total.deployed


def test_junit_has_one_case_a_budget_and_subject() -> None:
    verdict = VERDICTS["exceeded"]()
    suite = ET.fromstring(VERDICT_REPORTERS["junit"].render(verdict))
    cases = list(suite.iter("testcase"))
    assert [case.get("name") for case in cases] == [result.title for result in verdict.results]
    assert suite.get("failures") == str(len(list(suite.iter("failure")))) == "3"


def test_annotations_escape_what_would_end_them() -> None:
    text = VERDICT_REPORTERS["annotations"].render(VERDICTS["exceeded"]())
    assert all(line.startswith(("::error ", "::warning ")) for line in text.splitlines())
    assert "file=slim.toml,line=3,title=" in text
    assert "(+2%25)" in text
