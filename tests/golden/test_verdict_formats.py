"""Reports for other programs keep their formats.

SARIF is read by the official schema, GitLab's report by its documented fields, and JUnit XML by two
readers of others.
"""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from slim.model.budget import Verdict
from slim.reports.budget import VERDICT_REPORTERS
from tests.golden.verdicts import VERDICTS

# GitLab documentation, "Code Quality report format".
GITLAB = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "location", "severity"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^[^./]"},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}


def rendered(name: str, report: str) -> str:
    return VERDICT_REPORTERS[report].render(VERDICTS[name]())


def exceeded(verdict: Verdict) -> int:
    return sum(1 for _ in verdict.exceeded())


@pytest.mark.parametrize("name", VERDICTS)
def test_sarif_is_what_the_schema_says(name: str) -> None:
    sarif = pytest.importorskip("pydantic_sarif.model")
    text = rendered(name, "sarif")
    found = sarif.StaticAnalysisResultsFormatSarifVersion210JsonSchema.model_validate_json(text)
    (run,) = found.runs
    assert len(run.results) == exceeded(VERDICTS[name]())
    for result in run.results:
        assert result.ruleId == run.tool.driver.rules[result.ruleIndex].id
    # Models are lenient about what they leave out; nothing may be lost between the two.
    assert (
        found.model_dump(mode="json", by_alias=True, exclude_unset=True)["runs"]
        == json.loads(text)["runs"]
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [('"ruleId"', '"rule_id"'), ('"level": "error"', '"level": "bad"'), ('"runs"', '"run"')],
)
def test_the_schema_of_sarif_refuses_what_is_wrong(old: str, new: str) -> None:
    sarif = pytest.importorskip("pydantic_sarif.model")
    name = next(name for name, made in VERDICTS.items() if exceeded(made()))
    text = rendered(name, "sarif")
    assert old in text
    with pytest.raises(ValueError, match="validation error"):
        sarif.StaticAnalysisResultsFormatSarifVersion210JsonSchema.model_validate_json(
            text.replace(old, new)
        )


@pytest.mark.parametrize("name", VERDICTS)
def test_gitlab_gets_every_field_it_asks_for(name: str) -> None:
    found = json.loads(rendered(name, "gitlab"))
    jsonschema.validate(found, GITLAB)
    assert (
        len(found) == exceeded(VERDICTS[name]()) == len({entry["fingerprint"] for entry in found})
    )


@pytest.mark.parametrize("name", VERDICTS)
def test_junit_is_read_alike_by_others(name: str, tmp_path: Path) -> None:
    junitparser = pytest.importorskip("junitparser")
    junit2html = pytest.importorskip("junit2htmlreport.parser")
    file = tmp_path / "budgets.xml"
    file.write_text(rendered(name, "junit"), encoding="utf-8")
    suites = junitparser.JUnitXml.fromfile(str(file))
    verdict = VERDICTS[name]()
    failed = {
        case.name
        for suite in suites
        for case in suite
        for one in case.result
        if isinstance(one, junitparser.Failure)
    }
    over = {result.title for result, _ in verdict.exceeded()}
    assert (suites.tests, suites.failures, failed) == (len(verdict.results), len(over), over)
    other = junit2html.Junit(str(file))
    cases = [case for suite in other.suites for case in suite.all()]
    assert len(cases) == suites.tests
    assert {case.name for case in cases if case.failed()} == over
