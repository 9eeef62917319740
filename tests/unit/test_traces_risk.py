"""Leave-one-out over runs: how often one run used what the others hadn't."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from slim.model.record import Owner, OwnerKind
from slim.model.risk import OwnerRisk, Risk
from slim.model.trace import INSTALL_RUN, RunKind, Trace, TracedRun, Uses, Witness
from slim.reports.trace.json_v1 import render_summary
from slim.reports.trace.terminal import render_summary as draw_summary
from slim.traces.merge import merge
from slim.traces.risk import leave_one_out, risk_sentences
from slim.tracing.summary import summarise
from tests.support.report_schemas import schema

MATHS = Owner(kind=OwnerKind.DISTRIBUTION, name="maths", version="1.0")
OTHER = Owner(kind=OwnerKind.DISTRIBUTION, name="other", version="2.0")


def run(name: str, kind: RunKind = RunKind.USE) -> TracedRun:
    witness = {"linux_x86_64": frozenset({Witness.RECORDER})}
    return TracedRun(name=name, kind=kind, witnesses=witness)


def trace(uses: dict[Owner, dict[str, str]], *runs: TracedRun, read: str = "") -> Trace:
    """``uses`` are modules of owners, each with the runs that imported it, as words."""
    return Trace(
        runs={one.name: one for one in runs},
        uses={
            ("app", owner): Uses(
                modules={name: frozenset(words.split()) for name, words in modules.items()},
                read={"data.py": frozenset(read.split())} if read else {},
            )
            for owner, modules in uses.items()
        },
    )


def test_what_one_run_alone_used_is_told_by_distribution() -> None:
    found = leave_one_out(
        trace(
            {
                MATHS: {"maths": "a b c", "maths.x": "a", "maths.y": "b", "maths.z": "b"},
                OTHER: {"other": "a b", "other.one": "c"},
            },
            *map(run, "abc"),
        )
    )
    assert dict(found.runs) == {"a": 1, "b": 2, "c": 1}
    assert [(one.owner, one.runs, one.modules) for one in found.owners] == [
        (MATHS, ("a", "b"), 3),
        (OTHER, ("c",), 1),
    ]
    assert found.surprising == ("a", "b", "c")


def test_the_install_step_and_canaries_are_others() -> None:
    found = leave_one_out(
        trace(
            {MATHS: {"maths.x": f"a {INSTALL_RUN}", "maths.y": "b canary", "maths.z": "canary"}},
            run("a"),
            run("b"),
            run(INSTALL_RUN, RunKind.INSTALL),
            run("canary", RunKind.CANARY),
        )
    )
    assert found == Risk(runs={"a": 0, "b": 0})


def test_files_are_counted_beside_modules() -> None:
    found = leave_one_out(trace({MATHS: {"maths": "a b"}}, run("a"), run("b"), read="a"))
    assert found.owners == (OwnerRisk(layer="app", owner=MATHS, runs=("a",), files=1),)
    assert found.surprising == ()


@pytest.mark.parametrize(
    ("runs", "modules", "told"),
    [
        ((), {}, "no use of the product"),
        (("a",), {"maths": "a"}, "one use alone (a)"),
        (("a", "b"), {"maths": "a b"}, "none of 2 runs"),
        (("a", "b"), {"maths": "a"}, "1 of 2 runs imported modules that no other run did (1"),
    ],
)
def test_sentences(runs: tuple[str, ...], modules: dict[str, str], told: str) -> None:
    sentences = risk_sentences(leave_one_out(trace({MATHS: modules}, *map(run, runs))))
    assert told in sentences[0]


names = st.sampled_from([f"maths.m{number}" for number in range(5)])


@given(st.dictionaries(st.sampled_from("abcd"), st.frozensets(names), min_size=2))
def test_it_is_what_leaving_out_each_run_shows(used: dict[str, frozenset[str]]) -> None:
    """Against the definition: merge all traces but one, and look what that one has beside."""
    traces = {
        name: trace({MATHS: dict.fromkeys(modules, name)}, run(name))
        for name, modules in used.items()
    }
    found = leave_one_out(merge(traces.values()))
    for name, modules in used.items():
        others = merge(other for key, other in traces.items() if key != name)
        known = others.of("app", MATHS)
        assert known is not None
        assert found.runs[name] == len(modules - known.modules.keys())


def test_reports_of_a_trace_tell_it() -> None:
    summary = summarise(
        trace({MATHS: {"maths": "a b", "maths.x": "a", "maths.y": "a"}}, run("a"), run("b")), "t"
    )
    document = json.loads(render_summary(summary))
    Draft202012Validator(schema("trace-v1")).validate(document)
    assert document["leave_one_out"]["runs"] == [
        {"name": "a", "modules": 2},
        {"name": "b", "modules": 0},
    ]
    text = draw_summary(summary)
    assert "leave-one-out: 1 of 2 runs imported modules that no other run did" in text
    assert "maths 1.0 in 1 of 2 runs: 2 modules" in text
    alone = summarise(trace({MATHS: {"maths": "a"}}, run("a")), "t")
    assert "leave-one-out" not in draw_summary(alone)
