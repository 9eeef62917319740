"""Looking at traces: what differs between two, what nobody used, and what reports say of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from slim.cli import main
from slim.model.finding import Evidence, Strength
from slim.model.record import Owner, OwnerKind
from slim.model.trace import Trace, Uses
from slim.model.trace_results import Lack, LackKind, TraceSummary, TraceVerdict, UnusedOwner
from slim.reports.trace.json_v1 import render_comparison, render_summary, render_verdict
from slim.reports.trace.terminal import render_summary as draw_summary
from slim.reports.trace.terminal import render_verdict as draw_verdict
from slim.reports.trace.terminal_diff import render as draw_comparison
from slim.traces.write import write_trace
from slim.tracing.compare import compare
from slim.tracing.summary import summarise
from tests.support.published_stacks import small_stack
from tests.support.report_schemas import schema
from tests.support.traces import NUMPY, small_trace

XET = Owner(kind=OwnerKind.DISTRIBUTION, name="hf-xet", version="1.1.0")
NEWER = replace(NUMPY, version="2.2.0")


def with_xet(uses: Uses) -> Trace:
    """The small trace of a stack that has one more distribution."""
    trace = small_trace()
    return replace(trace, uses={**trace.uses, ("app", XET): uses})


@pytest.mark.parametrize(
    ("uses", "unused"),
    [
        (Uses(), True),
        (Uses(read={"hf_xet-1.1.0.dist-info/METADATA": frozenset({"self-test"})}), True),
        (Uses(read={"hf_xet/data.json": frozenset({"self-test"})}), False),
        (Uses(modules={"hf_xet": frozenset({"self-test"})}), False),
        (Uses(natives={("linux_x86_64", "hf_xet/x.so"): frozenset({"self-test"})}), False),
    ],
)
def test_a_distribution_of_which_only_metadata_was_read_is_unused(uses: Uses, unused: bool) -> None:
    found = summarise(with_xet(uses), "t").unused
    assert [one.owner for one in found] == ([XET] if unused else [])


def test_a_trace_without_a_use_says_nothing_of_what_is_unused() -> None:
    trace = with_xet(Uses())
    install = {name: run for name, run in trace.runs.items() if name == "(install)"}
    assert summarise(replace(trace, runs=install), "t").unused == ()


def test_reports_of_a_summary() -> None:
    guarded = Evidence(
        kind="import", text="import hf_xet", file="app/x.py", line=3, strength=Strength.WEAK
    )
    strong = Evidence(kind="import", text="from hf_xet import y", file="app/z.py", line=9)
    row = UnusedOwner(
        layer="app",
        owner=XET,
        size=12_000_000,
        importers=(strong, guarded),
        required_by=("huggingface-hub 1.0 requires hf-xet>=1",),
    )
    summary = TraceSummary(
        source="slim.trace",
        trace=with_xet(Uses()),
        unused=(row,),
        of_stack=True,
        notes=("a remark",),
    )
    Draft202012Validator(schema("trace-v1")).validate(json.loads(render_summary(summary)))
    text = draw_summary(summary)
    for words in (
        "hf-xet 1.1.0 in app  12.0 MB",
        "would fail: from hf_xet import y (app/z.py:9)",
        "copes without: import hf_xet (app/x.py:3)",
        'drop = [{ name = "hf-xet", despite = ["huggingface-hub"] }]',
        "numpy.plugins.*  fast",
        "macos_aarch64: what native code read isn't known",
        "a remark",
    ):
        assert words in text, text


def test_what_differs_between_two_traces() -> None:
    before, after = small_trace(), with_xet(Uses())
    uses = dict(after.uses)
    numpy = uses.pop(("app", NUMPY))
    uses["app", NEWER] = replace(numpy, modules={"numpy.fft": frozenset({"self-test"})})
    runs = {name: run for name, run in after.runs.items() if name != "a chat"}
    comparison = compare(before, replace(after, uses=uses, runs=runs), ("a", "b"))
    assert comparison.runs_removed == ("a chat",)
    assert [(one.name, one.before, one.after) for one in comparison.changes] == [
        ("hf-xet", (), ("1.1.0",)),
        ("numpy", ("2.1.0",), ("2.2.0",)),
    ]
    assert comparison.changes[1].added == ("module numpy.fft",)
    assert comparison.changes[1].removed == ("module numpy",)
    value = json.loads(render_comparison(comparison))
    Draft202012Validator(schema("trace-diff-v1")).validate(value)
    text = draw_comparison(comparison)
    assert "numpy 2.1.0 → 2.2.0 in app" in text
    assert "+ module numpy.fft" in text
    same = compare(before, before, ("a", "a"))
    assert same.same
    assert "Both tell the same." in draw_comparison(same)


def test_reports_of_a_verdict() -> None:
    lack = Lack(
        kind=LackKind.VERSION,
        layer="app",
        name="numpy 2.2.0",
        text="numpy 2.2.0 in app was never traced",
        hint="record it",
    )
    verdict = TraceVerdict(
        source="t", stack="s", lacks=(lack,), notes=("a remark",), checked={LackKind.VERSION: 3}
    )
    Draft202012Validator(schema("trace-check-v1")).validate(json.loads(render_verdict(verdict)))
    text = draw_verdict(verdict)
    assert "versions never traced: 1 of 3" in text
    assert "numpy 2.2.0 in app was never traced" in text


def test_the_command_line_merges_shows_compares_and_checks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stack = small_stack(tmp_path / "stack")
    write_trace(tmp_path / "a.trace", small_trace())
    write_trace(tmp_path / "b.trace", with_xet(Uses()))
    for names, out in ((("a", "b"), "ab"), (("b", "a", "b"), "ba")):
        files = [f"{name}.trace" for name in names]
        assert main(["trace", "merge", *files, "-o", f"{out}.trace", "-q"]) == 0
    assert Path("ab.trace").read_bytes() == Path("ba.trace").read_bytes()
    assert main(["trace", "merge", "a.trace", "b.trace", "-o", "a.trace", "-q"]) == 0
    assert main(["trace", "diff", "a.trace", "ab.trace"]) == 0
    assert "Both tell the same." in capsys.readouterr().out
    assert main(["trace", "show", "ab.trace"]) == 0
    assert "hf-xet 1.1.0 in app" in capsys.readouterr().out
    assert main(["trace", "check", "ab.trace", str(stack)]) == 1
    found = capsys.readouterr()
    assert "was never traced" in found.err
    assert "the trace also has what isn't in the stack" in " ".join(found.out.split())


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["trace", "show", "none.trace"], 6, "No such file"),
        (["trace", "show", "bad.trace"], 3, "line 1: not a trace"),
        (["trace", "merge", "a.trace", "-o", "no/where.trace"], 6, "folder doesn't exist"),
        (["trace", "stack", "-o", "slim.trace"], 2, "there is nothing to run"),
        (["trace", "stack", "-o", "stack/slim.trace"], 2, "would lie in the input"),
        (["trace", "stack", "-o", "stack"], 2, "is a directory"),
        (["trace", "stack", "-o", "x", "--name", "y"], 2, "go with a command after --"),
        (["trace", "collect", "logs", "stack", "--name", "x", "-o", "y"], 2, "holds no log"),
        (["trace", "collect", "nowhere", "stack", "--name", "x", "-o", "y"], 2, "is no folder"),
        (["trace", "collect", "logs", "stack", "--name", "(install)", "-o", "y"], 2, "name of the"),
    ],
)
def test_what_is_wrong_is_told_without_a_traceback(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    small_stack(tmp_path / "stack")
    (tmp_path / "logs").mkdir()
    write_trace(tmp_path / "a.trace", small_trace())
    (tmp_path / "bad.trace").write_text("nothing\n")
    assert main(words) == code
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_logs_that_nobody_wrote_are_refused_with_their_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small_stack(tmp_path / "stack")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "7.log").write_text("h\t3.13.0\tcpython-313\tlinux\tx86_64\nr\tx\n")
    words = ["trace", "collect", "logs", "stack", "--name", "x", "-o", "y"]
    assert main(words) == 3
    assert "7.log: line 2: not a line of the recorder" in capsys.readouterr().err
