"""The JSON report keeps its contract."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from slim.model.plan import SkipReason
from slim.model.record import UNOWNED, FileKind
from slim.model.report import RUN_REPORT
from slim.model.rule import Safety
from slim.model.stack import LayerKind, StackKind
from slim.reports.run import json_v1
from tests.golden import samples
from tests.support.examples import examples
from tests.support.report_schemas import schema

VALIDATOR = Draft202012Validator(schema("report-v1"))


def test_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema("report-v1"))
    assert schema("report-v1")["$id"] == RUN_REPORT


@pytest.mark.parametrize("sample", ["finished", "dry", "failed", "folder", "hostile"])
def test_samples_are_valid(sample: str) -> None:
    VALIDATOR.validate(json.loads(json_v1.render([getattr(samples, sample)()])))


def test_several_stacks_in_one_report() -> None:
    found = json.loads(json_v1.render([samples.finished(), samples.dry()]))
    VALIDATOR.validate(found)
    assert [run["dry_run"] for run in found["runs"]] == [False, True]
    assert len(found["run"]["stacks"]) == 2
    assert found["run"]["elapsed_seconds"] == pytest.approx(18.03)


def test_schema_refuses_what_it_should() -> None:
    found = json_v1.document([samples.finished()])
    assert VALIDATOR.is_valid(found)
    for change in ({"schema_version": 2}, {"runs": []}, {"extra": 1}, {"slim": {}}):
        assert not VALIDATOR.is_valid({**found, **change})


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("$defs", "skipped", "properties", "reason"), [reason.value for reason in SkipReason]),
        (("$defs", "layer", "properties", "kind"), [kind.value for kind in LayerKind]),
        (("properties", "slim", "properties", "profile"), [level.label for level in Safety]),
        (
            ("$defs", "run", "properties", "stack", "properties", "kind"),
            [kind.value for kind in StackKind],
        ),
    ],
)
def test_schema_knows_every_word_of_the_model(path: tuple[str, ...], words: list[str]) -> None:
    place = schema("report-v1")
    for key in path:
        place = place[key]
    assert sorted(place["enum"]) == sorted(words)


def test_order_of_the_plan_does_not_show() -> None:
    result = samples.finished()
    turned = replace(
        result.plan,
        actions=dict(reversed(list(result.plan.actions.items()))),
        skipped=tuple(reversed(result.plan.skipped)),
        unmatched=tuple(reversed(result.plan.unmatched)),
    )
    assert json_v1.render([result]) == json_v1.render([replace(result, plan=turned)])


def test_a_dry_run_claims_no_archive_size() -> None:
    (run,) = json_v1.document([samples.dry()])["runs"]
    assert run["totals"]["archive"] == {"before": 66_887_164, "after": None}
    assert [layer["archive_after"] for layer in run["layers"]] == [None, None]


def test_nothing_verified_is_not_passed() -> None:
    (run,) = json_v1.document([samples.folder()])["runs"]
    assert (run["verification"]["passed"], run["verification"]["checks"]) == (None, [])


@st.composite
def _rows(draw: st.DrawFn) -> list[samples.Row]:
    owners = [samples.CPYTHON, samples.NUMPY, samples.SCIPY, UNOWNED]
    found = []
    for index in range(draw(st.integers(0, 25))):
        size = draw(st.integers(0, 10**9))
        fate = draw(st.sampled_from(["keep", "remove", "rewrite", "refuse"]))
        rule = draw(st.sampled_from(sorted(samples.RULES)))
        found.append(
            samples.Row(
                layer=draw(st.sampled_from(["cpython3.13", "framework-a"])),
                path=f"{index}/"
                + draw(st.text(st.characters(exclude_characters="/\0"), max_size=8)),
                size=size,
                kind=draw(st.sampled_from(list(FileKind))),
                owner=draw(st.sampled_from(owners)),
                bytecode=draw(st.integers(0, 10**6)),
                removed_by=rule if fate == "remove" else "",
                shrunk_by=rule if fate == "rewrite" else "",
                size_after=draw(st.integers(0, size)) if fate == "rewrite" else 0,
                refused_by=rule if fate == "refuse" else "",
                reason=draw(st.sampled_from(list(SkipReason))),
            )
        )
    return found


@settings(max_examples=examples(60), deadline=None)
@given(_rows())
def test_bytes_reconcile(rows: list[samples.Row]) -> None:
    layers = [
        (samples.layer("cpython3.13", LayerKind.RUNTIME, 10), 9),
        (samples.layer("framework-a", LayerKind.FRAMEWORK, 10), 9),
    ]
    found = json.loads(json_v1.render([samples.result(rows, layers)]))
    VALIDATOR.validate(found)
    (run,) = found["runs"]
    unpacked, files = run["totals"]["unpacked"], run["totals"]["files"]
    saved = sum(action["before"] - action["after"] for action in run["actions"])
    assert unpacked["before"] - saved == unpacked["after"]
    assert (
        files["before"] - sum(action["action"] == "remove" for action in run["actions"])
        == files["after"]
    )
    for account in (rows for name, rows in run["accounts"].items() if name != "cells"):
        assert all(
            row["before"] - row["removed"] - row["shrunk"] == row["after"] for row in account
        )
        assert sum(row["before"] for row in account) == unpacked["before"]
        assert sum(row["after"] for row in account) == unpacked["after"]
        assert sum(row["files"] for row in account) == files["before"]
        assert len({row["label"] for row in account}) == len(account)
    by_pass = {row["label"]: row["removed"] + row["shrunk"] for row in run["accounts"]["by_pass"]}
    for name in {action["pass"] for action in run["actions"]}:
        mine = [action for action in run["actions"] if action["pass"] == name]
        assert by_pass[name] == sum(action["before"] - action["after"] for action in mine)
    for key in ("archive", "unpacked", "deployed", "files"):
        assert run["totals"][key]["before"] == sum(
            layer["sizes"][key]["before"] for layer in run["layers"]
        )
    assert len(run["actions"]) + len(run["skipped"]) <= len(rows)
