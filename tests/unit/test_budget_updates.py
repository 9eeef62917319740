"""Budgets for the download of an update: per layer and in all, with and without a delta."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from slim.cli import main
from slim.config.budget import read_budget_file
from slim.config.budget_edit import updates
from slim.delta import document
from slim.delta.create import MakeRequest, make
from slim.errors import ConfigError
from slim.model.budget import Budget, LimitResult, Status
from slim.model.diff import MeasuredLayer, Snapshot
from slim.model.footprint import Footprint
from slim.reports.budget import json_v1 as verdict_json
from slim.reports.budget import markdown as verdict_markdown
from slim.reports.budget import terminal as verdict_terminal
from slim.sizes.budget import check
from slim.sizes.report_file import parse_report
from slim.sizes.updates import with_updates
from tests.support.published_stacks import LayerSpec, publish


def layer(name: str, size: int, archive: str = "", tree: str = "") -> MeasuredLayer:
    return MeasuredLayer(
        name=name,
        layer_name=name,
        kind="framework",
        footprint=Footprint(archive=size, unpacked=4 * size, files=1),
        archive_sha256=archive,
        tree_sha256=tree,
    )


def snapshot(*layers: MeasuredLayer, source: str = "s") -> Snapshot:
    return Snapshot(
        source=source, kind="published", platform="linux_x86_64", layers=layers, cells=()
    )


OLD = snapshot(
    layer("py", 500, "a1", "t1"), layer("fw", 300, "a2", "t2"), layer("app", 200, "a3", "t3")
)
NEW = snapshot(
    layer("py", 500, "a1", "t1"), layer("fw", 310, "b2", "t2"), layer("app", 210, "b3", "u3")
)


@pytest.mark.parametrize(
    ("now", "before", "update"),
    [
        (layer("x", 9, "a", "t"), layer("x", 8, "a", "t"), 0),
        (layer("x", 9, "b", "t"), layer("x", 8, "a", "t"), 0),  # the same files in another archive
        (layer("x", 9, "b", "u"), layer("x", 8, "a", "t"), 9),
        (layer("x", 9, "", "u"), layer("x", 8, "a", "t"), 9),
        (layer("x", 9, "a", ""), layer("x", 8, "a", ""), 0),
        (layer("x", 9, "a", ""), layer("x", 8, "", "t"), None),
        (layer("x", 9), layer("x", 8), None),
        (layer("x", 0, "", "t"), layer("x", 0, "", "t"), None),  # folders aren't downloaded
        (
            layer("new", 9, "a", "t"),
            layer("x", 8, "b", "t"),
            0,
        ),  # a lone layer is compared whatever its name
    ],
)
def test_what_a_layer_costs(now: MeasuredLayer, before: MeasuredLayer, update: int | None) -> None:
    assert with_updates(snapshot(now), snapshot(before)).update == update


def test_layers_that_came(tmp_path: Path) -> None:
    more = snapshot(*NEW.layers, layer("extra", 70, "z", "z"))
    assert with_updates(more, OLD).update == 210 + 70
    assert with_updates(OLD, more).update == 200  # from a set with a layer more


def budgets(tmp_path: Path, text: str) -> tuple[Budget, ...]:
    file = tmp_path / "budgets.toml"
    file.write_text(f"schema = 1\n{text}")
    return read_budget_file(file)


def results(
    tmp_path: Path, text: str, *, baseline: Snapshot | None = OLD
) -> dict[str, LimitResult]:
    verdict = check(
        (NEW,), budgets(tmp_path, text), baseline=None if baseline is None else (baseline,)
    )
    return {result.subject: result.limits[0] for result in verdict.results}


def test_a_budget_for_the_whole_and_for_layers(tmp_path: Path) -> None:
    whole = results(tmp_path, '[[budget]]\nupdate = "209 B"\n')[""]
    assert (whole.actual, whole.allowed, whole.status, whole.largest) == (
        210,
        209,
        Status.EXCEEDED,
        (("app", 210),),
    )
    assert results(tmp_path, '[[budget]]\nupdate = "210 B"\n')[""].status is Status.WITHIN
    each = results(tmp_path, '[[budget]]\neach = "layer"\nupdate = "100 B"\n')
    assert {name: (item.actual, item.status) for name, item in each.items()} == {
        "py": (0, Status.WITHIN),
        "fw": (0, Status.WITHIN),
        "app": (210, Status.EXCEEDED),
    }
    one = results(tmp_path, '[[budget]]\nlayer = "fw"\nupdate = 0\n')[""]
    assert (one.actual, one.status) == (0, Status.WITHIN)


def test_without_a_baseline_it_is_unchecked(tmp_path: Path) -> None:
    text = '[[budget]]\nupdate = "1 B"\n'
    item = results(tmp_path, text, baseline=None)[""]
    assert (item.status, item.note, item.actual) == (Status.UNCHECKED, "no baseline", None)
    verdict = check((NEW,), budgets(tmp_path, text))
    assert verdict.passed and verdict.warnings == (
        "1 limit wasn't checked: there is no --baseline",
    )
    blind = snapshot(*(replace(one, archive_sha256="", tree_sha256="") for one in OLD.layers))
    item = results(tmp_path, text, baseline=blind)[""]
    assert (item.status, item.note) == (
        Status.UNCHECKED,
        "it isn't known which archives the baseline has",
    )


@pytest.mark.parametrize("text", ['update = "+2%"', 'update = "+1 MB"'])
def test_growth_of_an_update_means_nothing(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="new since the baseline"):
        budgets(tmp_path, f"[[budget]]\n{text}\n")


def test_owners_have_no_update(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no update size"):
        budgets(tmp_path, '[[budget]]\nowner = "x"\nupdate = "1 MB"\n')


def test_the_ratchet_leaves_updates_alone(tmp_path: Path) -> None:
    found = budgets(tmp_path, '[[budget]]\nupdate = "1 MB"\narchive = "1 MB"\n')
    verdict = check((NEW,), found, baseline=(OLD,))
    assert [change.metric.value for change in updates(found, verdict)] == ["archive"]


def test_reports_tell_it(tmp_path: Path) -> None:
    verdict = check(
        (NEW,), budgets(tmp_path, '[[budget]]\nname = "ota"\nupdate = "100 B"\n'), baseline=(OLD,)
    )
    line = "ota: download of an update is 210 B, 110 B over the limit of 100 B"
    assert line in verdict_terminal.render(verdict)
    assert "the largest: app 210 B" in verdict_terminal.render(verdict)
    assert "The largest layers:" in verdict_markdown.render(verdict)
    text = verdict_json.render(verdict)
    (limit,) = json.loads(text)["results"][0]["limits"]
    assert (limit["metric"], limit["actual"], limit["needs_baseline"]) == ("update", 210, True)
    # The report of a check is a baseline for the next one.
    (back,) = parse_report(text.encode(), "r.json")
    assert with_updates(NEW, back).update == 0


# With real stacks, and a delta between them


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    for name, text in (("old", "one\n" * 3000), ("new", "one\n" * 3000 + "two\n")):
        code = "".join(f"{number}: {text[: number % 40]}\n" for number in range(2000))
        publish(
            tmp_path / name,
            {
                "py": LayerSpec("runtime", {"bin/python": b"x" * 900}),
                "app": LayerSpec("application", {"data.txt": code + text}, requires=("py",)),
            },
        )
    make(MakeRequest(old=tmp_path / "old", new=tmp_path / "new", output=tmp_path / "d"))
    return tmp_path


def checked(folder: Path, budget: str, *words: str) -> int:
    file = folder / "budgets.toml"
    file.write_text(f"schema = 1\n[[budget]]\n{budget}\n")
    return main(["check", str(folder / "new"), "--budget", str(file), "--no-config", *words])


def test_the_command(stacks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = (stacks / "new" / "app.tar.xz").stat().st_size
    patch = (stacks / "d" / "app.patch").stat().st_size
    baseline = ["--baseline", str(stacks / "old")]
    assert checked(stacks, f"update = {archive}", *baseline) == 0
    assert checked(stacks, f"update = {archive - 1}", *baseline) == 1
    assert checked(stacks, f"update = {patch}", *baseline, "--delta", str(stacks / "d")) == 0
    assert checked(stacks, f"update = {patch - 1}", *baseline, "--delta", str(stacks / "d")) == 1
    assert checked(stacks, 'layer = "py"\nupdate = 0', *baseline) == 0
    capsys.readouterr()
    assert checked(stacks, "update = 0", "--delta", str(stacks / "d")) == 2
    assert "--baseline" in capsys.readouterr().err
    assert (
        checked(
            stacks, "update = 0", "--baseline", str(stacks / "new"), "--delta", str(stacks / "d")
        )
        == 2
    )
    assert "isn't one from the baseline" in capsys.readouterr().err
    assert checked(stacks, "update = 0") == 0
    assert "there is no --baseline" in capsys.readouterr().out


def test_a_report_of_a_run_is_a_baseline(stacks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = stacks / "run.json"
    words = ["--no-config", "-q", "--report", f"json={report}"]
    assert main(["run", str(stacks / "new"), "-o", str(stacks / "out"), *words]) == 0
    file = stacks / "b.toml"
    file.write_text('schema = 1\n[[budget]]\neach = "layer"\nupdate = 0\n')
    words = [
        "check",
        str(stacks / "out"),
        "--budget",
        str(file),
        "--no-config",
        "--baseline",
        str(report),
    ]
    assert main(words) == 0


def test_a_delta_for_other_platforms(stacks: Path) -> None:
    delta = document.read(stacks / "d")
    two = replace(delta, stacks=(*delta.stacks, replace(delta.stacks[0], platform="win_amd64")))
    with pytest.raises(ConfigError, match="nothing for macosx_arm64"):
        with_updates(replace(NEW, platform="macosx_arm64"), OLD, two)
