"""Verification in each report."""

from __future__ import annotations

import dataclasses
import json
import xml.etree.ElementTree as ET

from jsonschema import Draft202012Validator

from slim.model.outcome import Check, RunResult, Verification
from slim.model.verify import Broken, Repair, Subject
from slim.reports.run import json_v1, junit, markdown, terminal
from tests.golden.samples import HOSTILE, finished
from tests.support.report_schemas import schema

BROKEN = Broken(
    subject=Subject(check="imports", layer="app", name="maths.extra"),
    before="worked",
    after="No module named 'x'",
)


def verified(*checks: Check, **more: object) -> RunResult:
    verification = dataclasses.replace(Verification(checks=checks), **more)  # type: ignore[arg-type]
    return dataclasses.replace(finished(), verification=verification)


FAILED = Check(name="imports", tried=12, failures=(str(BROKEN),), broken=(BROKEN,), elapsed=1.5)
REPAIRED = verified(
    Check(name="imports", tried=12, elapsed=1.5),
    repairs=(Repair(broken=(BROKEN,), files=(("app", "lib/x.py"),), rules=("rule-a",), tries=7),),
    notes=("1 module forked",),
)


def test_junit_has_a_case_for_each_failure_and_counts_them() -> None:
    root = ET.fromstring(
        junit.render(
            [
                verified(
                    FAILED, Check(name="launch", tried=0, note="none"), Check(name="ok", tried=1)
                )
            ]
        )
    )
    assert {name: root.get(name) for name in ("tests", "failures", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "skipped": "1",
    }
    (failure,) = root.iter("failure")
    assert failure.get("message") == "No module named 'x'"
    assert failure.text == "before: worked\nafter: No module named 'x'"
    assert [case.get("name") for case in root.iter("testcase")] == [
        "imports",
        "app: maths.extra",
        "launch",
        "ok",
    ]


def test_junit_stays_xml_whatever_is_in_names() -> None:
    subject = Subject(check="imports", layer=HOSTILE, name="\0\x1b]<&\ud800")
    broken = Broken(subject=subject, before="worked", after=HOSTILE)
    text = junit.render([verified(Check(name=HOSTILE, tried=1, failures=("x",), broken=(broken,)))])
    ET.fromstring(text)
    assert not {"\x1b", "\0", "\u202e"} & set(text)


def test_json_keeps_its_schema() -> None:
    for result in (verified(FAILED), REPAIRED):
        document = json.loads(json_v1.render([result]))
        Draft202012Validator(schema("report-v1")).validate(document)
        assert document["run"]["stacks"][0]["check_seconds"] == {"imports": 1.5}
    (repair,) = document["runs"][0]["verification"]["repairs"]
    assert repair["files"] == [{"layer": "app", "path": "lib/x.py"}]
    assert repair["broken"] == [
        {
            "check": "imports",
            "layer": "app",
            "name": "maths.extra",
            "before": "worked",
            "after": "No module named 'x'",
        }
    ]


def test_people_read_what_was_taken_back_and_why() -> None:
    for text in (terminal.render([REPAIRED]), markdown.render([REPAIRED])):
        assert "app/lib/x.py" in text
        assert "maths.extra" in text
        assert "1 module forked" in text


def test_a_comparison_says_what_it_is() -> None:
    result = dataclasses.replace(verified(FAILED), compared_with="slimmed", output=None)
    assert "Not everything works in slimmed" in terminal.render([result])
    result = dataclasses.replace(REPAIRED, compared_with="slimmed", output=None)
    assert "Nothing that worked stopped working in slimmed" in terminal.render([result])
