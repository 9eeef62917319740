"""Fleets with real children: killed, interrupted, started again, in shards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import slim
from slim import fleet
from slim.cli import main
from slim.fleet.fleet_file import read_fleet_file
from slim.fleet.places import is_published
from slim.fleet.tasks import plan_tasks
from tests.support.fleets import (
    contents,
    first_child_killed,
    nothing_left,
    processes_of,
    small_fleet,
    until,
)
from tests.support.published_stacks import small_stack

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="kills processes and looks at them as Unix does"
)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What ``slim run`` makes of the small stack."""
    folder = tmp_path_factory.mktemp("expected")
    slim.run(small_stack(folder / "_artifacts"), folder / "out")
    return contents(folder / "out")


def test_a_killed_child_is_tried_again_and_a_failure_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, str]
) -> None:
    file = small_fleet(tmp_path, "a", "b")
    broken = tmp_path / "stacks/broken/_artifacts/__venvstacks__/venvstacks.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    out = tmp_path / "out"
    with first_child_killed(
        monkeypatch, out, lambda child: os.kill(child.number, signal.SIGKILL)
    ) as victims:
        result = fleet.run_fleet(file, release="1", children=2)
    (victim,) = victims
    by_name = {task.stack: task for task in result.tasks}
    assert by_name["broken"].error is not None
    assert by_name["broken"].error.exit_code == 3
    assert by_name[victim].cost.tries == 2
    assert "ended by signal 9" in by_name[victim].earlier[0].message
    for name in ("a", "b"):
        assert by_name[name].done
        assert contents(out / "1" / name) == expected
        assert by_name[name].cost.cpu_seconds > 0
    assert not (out / "1/broken").exists()
    nothing_left(tmp_path)


def _started(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "slim", "fleet", "run", "fleet.toml", "--release", "1"]
    return subprocess.Popen(
        [*command, "--children", "1", "-v"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(slim.__file__).parents[1])},
        # A job in the background of a shell ignores it, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle_and_started_again(
    tmp_path: Path, expected: dict[str, str], number: signal.Signals
) -> None:
    file = small_fleet(tmp_path, "a", "b")
    process = _started(tmp_path)
    out = tmp_path / "out/1"
    until(lambda: is_published(str(out / "a")) and list(out.glob(".slim-staging-b.*")))
    process.send_signal(number)
    _, words = process.communicate(timeout=120)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "[1/2] a (linux_x86_64): 4.0 kB -> 2.1 kB (-49%)" in words
        assert "Traceback" not in words
    if sys.platform == "linux":
        until(lambda: not processes_of(tmp_path / "scratch"))
    assert not (out / "b").exists()
    result = fleet.run_fleet(file, release="1")
    assert [task.cost.resumed for task in result.tasks] == [True, False]
    for name in ("a", "b"):
        assert contents(out / name) == expected
    nothing_left(tmp_path)


def test_shards_are_joined_and_held_to_budgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small_fleet(
        tmp_path, "a", "b", more='state = "state"\n[[budget]]\nname = "all"\nunpacked = "4 kB"\n'
    )
    text = (tmp_path / "fleet.toml").read_text()
    (tmp_path / "fleet.toml").write_text(
        'state = "state"\ncache = "cache"\n' + text.replace('state = "state"\n', "")
    )
    run = ["fleet", "run", "fleet.toml", "--release", "1", "-q", "--shard"]
    assert main([*run, "1/2"]) == 0
    assert main(["fleet", "report", "state/1", "-q"]) == 8
    assert "missing: no run of the fleet has done it" in capsys.readouterr().err
    assert main(["fleet", "check", "state/1", "-q"]) == 1
    assert "1 of 2 stacks have no result" in capsys.readouterr().err
    assert main([*run, "2/2"]) == 0
    assert main(["fleet", "report", "state/1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["totals"]["done"], report["totals"]["failed"]) == (2, 0)
    assert [len(layer["stacks"]) for layer in report["shared_layers"]] == [2, 2, 2]
    assert [task["run"]["cached_layers"] for task in report["tasks"]] == [0, 3]
    assert main(["fleet", "check", "state/1", "-q"]) == 1
    assert "over budget: all: unpacked size is 4.1 kB" in capsys.readouterr().err


KNOWN = """
import json, sys
from slim.fleet import child
answer = child.attempt(json.loads(sys.argv[1]))
print(json.dumps([answer, sorted(sys.modules)]))
"""


def test_a_run_that_the_cache_knows_takes_next_to_nothing(tmp_path: Path) -> None:
    file = small_fleet(tmp_path, "one")
    file.write_text(f'cache = "results"\n{file.read_text()}')
    [first] = fleet.run_fleet(file, release="1").tasks
    [second] = fleet.run_fleet(file, release="2").tasks
    assert (first.cost.cached_run, second.cost.cached_run) == (False, True)
    assert contents(tmp_path / "out/2") == contents(tmp_path / "out/1")
    assert replace(second, output="", cost=first.cost) == replace(first, output="")
    [task] = plan_tasks(read_fleet_file(file), "3")
    asked = json.dumps(task.request(jobs=1, dry_run=False))
    command = [sys.executable, "-c", KNOWN, asked]
    done = subprocess.run(command, capture_output=True, check=True)
    answer, modules = json.loads(done.stdout)
    assert answer["result"]["run"]["cached_run"]
    assert contents(tmp_path / "out/3") == contents(tmp_path / "out/1")
    needless = ("slim.analysis", "slim.passes", "slim.plan", "slim.verification", "slim.config")
    heavy = ("elftools", "macholib", "lief", "tomllib")
    assert [name for name in modules if name.startswith((*needless, *heavy))] == []
    nothing_left(tmp_path)


@pytest.mark.parametrize("harm", ["blob", "entry", "other settings"])
def test_what_is_wrong_with_the_cache_is_told_by_the_task(tmp_path: Path, harm: str) -> None:
    file = small_fleet(tmp_path, "one")
    text = f'cache = "results"\n{file.read_text()}'
    file.write_text(text)
    fleet.run_fleet(file, release="1")
    for entry in (tmp_path / "results/ac").iterdir():
        content = json.loads(entry.read_bytes())
        if content["action"] == "run" and harm == "entry":
            names = content["body"]["files"]
            names["__venvstacks__/venvstacks.json"] = next(iter(names.values()))
            entry.write_text(json.dumps(content))
        elif content["action"] == "run" and harm == "blob":
            (tmp_path / "results/cas" / content["body"]["result"]).unlink()
    if harm == "other settings":
        file.write_text(f'profile = "safe"\n{text}')
    [second] = fleet.run_fleet(file, release="2").tasks
    assert second.error is None and not second.cost.cached_run
    told = [text for text in second.warnings if text.startswith("cache: ")]
    assert len(told) == (0 if harm == "other settings" else 1), told
    if told:
        assert "made anew" in told[0]
        assert contents(tmp_path / "out/2") == contents(tmp_path / "out/1")
    nothing_left(tmp_path)


def test_an_audit_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = small_fleet(tmp_path, "a")
    before = contents(tmp_path)
    assert main(["fleet", "audit", str(file), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert contents(tmp_path) == before
    assert report["fleet"]["dry_run"]
    assert report["refusals"][0]["rule"] == "tests-folders"
    assert report["refusals"][0]["reason"] == "imported"
    assert report["totals"]["before"]["unpacked"] > report["totals"]["after"]["unpacked"] > 0
    nothing_left(tmp_path)


def test_deltas_from_earlier_releases_and_archives_that_stay(tmp_path: Path) -> None:
    more = '[deltas]\noutput = "out/{release}/deltas/{stack}/{since}"\nreleases = 3\n'
    file = small_fleet(tmp_path, "a", more=more)
    file.write_text('previous = "latest"\n' + file.read_text())
    (first,) = fleet.run_fleet(file, release="1").tasks
    assert (first.deltas, {layer.since for layer in first.layers}) == ((), {""})
    (second,) = fleet.run_fleet(file, release="2").tasks
    assert [(delta.since, delta.download) for delta in second.deltas] == [("1", 0)]
    assert {layer.since for layer in second.layers} == {"unchanged"}
    assert (tmp_path / "out/2/deltas/a/1/slim-delta.json").is_file()
    slim.apply_delta(tmp_path / "out/1/a", tmp_path / "out/2/deltas/a/1", tmp_path / "again")
    assert contents(tmp_path / "again") == contents(tmp_path / "out/2/a")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--shard", "0/3"], "isn't a shard such as 3/10"),
        (["--shard", "1/3", "--scheduler", "tcp://x:1"], "contradict each other"),
        (["--scheduler", "tcp://x:1", "--children", "2"], "--children is for this machine"),
        (["--release", "a/b"], "the release 'a/b' can't be part of a path"),
    ],
)
def test_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    file = small_fleet(tmp_path, "a")
    assert main(["fleet", "run", str(file), *arguments]) == 2
    assert words in capsys.readouterr().err
