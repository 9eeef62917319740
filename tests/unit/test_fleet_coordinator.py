"""The order of tasks, tries, and going on: with an executor that only pretends."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path

import pytest

import slim.fleet.coordinator
from slim import __version__
from slim.errors import ConfigError
from slim.fleet.child import attempt
from slim.fleet.coordinator import Coordinator
from slim.fleet.executors import EXECUTORS, Placement, choose
from slim.fleet.executors.base import Executor
from slim.fleet.records import Records, previous_of, read_results
from slim.fleet.tasks import Task, TaskSettings
from slim.model.fleet import KILLED, FleetProgress, TaskError, TaskResult, TaskStatus
from slim.reports.fleet.task_json import error_document, task_document
from slim.system.json_text import Json
from tests.golden import fleets

DONE: Json = {"result": task_document(replace(fleets.task("x", 90, "c"), stack="", source=""))}


def failing(code: int) -> Json:
    error = TaskError(exit_code=code, label="error", message=f"code {code}")
    return {"error": error_document(error)}


class Pretending(Executor):
    """Answers from a script: by key, one answer a try, and ``DONE`` after the last."""

    def __init__(self, room: int, script: dict[str, list[Json]]) -> None:
        self.room = room
        self.script = script
        self.begun: list[str] = []
        self.requests: list[Json] = []
        self._running: deque[str] = deque()

    def has_room(self, task: Task, running: int) -> bool:
        return running < self.room

    def jobs(self, task: Task) -> int:
        return 1

    def submit(self, task: Task, request: Json) -> None:
        assert len(self._running) < self.room
        self.begun.append(task.key.partition("--")[0])
        self.requests.append(request)
        self._running.append(task.key)

    def next(self, timeout: float | None = None) -> tuple[str, Json] | None:
        if not self._running:
            return None
        key = self._running.popleft()
        answers = self.script.get(key.partition("--")[0], [])
        return key, answers.pop(0) if answers else DONE

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slim.fleet.coordinator, "_PAUSE", 0.0)


def task(folder: Path, name: str, size: int = 1, fingerprint: str = "f") -> Task:
    return Task(
        stack=name,
        platform="linux_x86_64",
        source=f"stacks/{name}",
        output=str(folder / "out" / name),
        size=size,
        settings=TaskSettings(),
        fingerprint=fingerprint,
    )


def work(
    folder: Path,
    tasks: list[Task],
    script: dict[str, list[Json]] | None = None,
    *,
    room: int = 2,
    force: bool = False,
) -> tuple[dict[str, TaskResult], Pretending, list[FleetProgress]]:
    records = Records(folder / "state")
    told: list[FleetProgress] = []
    executor = Pretending(room, dict(script or {}))
    with records.locked(None):
        records.write_plan("nightly", "1", tasks, tasks, None)
        coordinator = Coordinator(tasks, records, tries=3, force=force, observer=told.append)
        results = coordinator.run(executor)
    return {result.stack: result for result in results}, executor, told


def test_in_the_order_given_and_each_once(tmp_path: Path) -> None:
    tasks = [task(tmp_path, name, size) for name, size in (("c", 9), ("a", 5), ("b", 1))]
    results, executor, told = work(tmp_path, tasks)
    assert executor.begun == ["c", "a", "b"]
    assert all(result.done and result.cost.tries == 1 for result in results.values())
    assert results["c"].source == "stacks/c"
    assert (told[-1].stacks_done, told[-1].size_done, told[-1].tries) == (3, 15, 3)
    assert max(progress.running for progress in told) == 2


@pytest.mark.parametrize("code", [5, 6, KILLED])
def test_what_may_pass_is_tried_again(tmp_path: Path, code: int) -> None:
    results, executor, _ = work(tmp_path, [task(tmp_path, "a")], {"a": [failing(code)]})
    assert executor.begun == ["a", "a"]
    assert results["a"].done
    assert results["a"].cost.tries == 2
    assert [error.exit_code for error in results["a"].earlier] == [code]


@pytest.mark.parametrize("code", [1, 2, 3, 4, 70])
def test_what_cant_pass_is_not(tmp_path: Path, code: int) -> None:
    tasks = [task(tmp_path, "a"), task(tmp_path, "b")]
    results, executor, told = work(tmp_path, tasks, {"a": [failing(code)]})
    assert executor.begun == ["a", "b"]
    assert results["a"].error is not None
    assert results["a"].error.exit_code == code
    assert results["b"].done
    assert told[-1].failed == 1


def test_tries_end(tmp_path: Path) -> None:
    script = {"a": [failing(6), failing(KILLED), failing(6), failing(6)]}
    results, executor, _ = work(tmp_path, [task(tmp_path, "a")], script)
    assert len(executor.begun) == 3
    assert results["a"].status is TaskStatus.FAILED
    assert [error.exit_code for error in results["a"].earlier] == [6, KILLED]


@pytest.mark.parametrize("answer", [{}, {"result": {}}, {"error": {"exit_code": "x"}}])
def test_a_damaged_answer_is_a_try_like_any_other(tmp_path: Path, answer: Json) -> None:
    results, executor, _ = work(tmp_path, [task(tmp_path, "a")], {"a": [answer]})
    assert len(executor.begun) == 2
    assert results["a"].done


def test_what_is_done_isnt_done_again(tmp_path: Path) -> None:
    tasks = [task(tmp_path, "a"), task(tmp_path, "b"), task(tmp_path, "c")]
    work(tmp_path, tasks, {"b": [failing(3)]})
    changed = [tasks[0], tasks[1], replace(tasks[2], fingerprint="other")]
    results, executor, _ = work(tmp_path, changed)
    assert executor.begun == ["b", "c"]
    assert {name: result.cost.resumed for name, result in results.items()} == {
        "a": True,
        "b": False,
        "c": False,
    }
    assert all(result.done for result in results.values())


def test_an_output_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    one = task(tmp_path, "a")
    Path(one.output).mkdir(parents=True)
    results, executor, _ = work(tmp_path, [one])
    assert executor.begun == []
    assert results["a"].error is not None
    assert results["a"].error.exit_code == ConfigError.exit_code
    results, executor, _ = work(tmp_path, [one], force=True)
    assert executor.begun == ["a"]
    assert results["a"].done


def test_an_output_that_an_interrupted_run_published_is_its_own(tmp_path: Path) -> None:
    one = task(tmp_path, "a")
    records = Records(tmp_path / "state")
    with records.locked(None):
        records.begin(one)
    Path(one.output).mkdir(parents=True)
    results, executor, _ = work(tmp_path, [one])
    assert results["a"].done
    assert executor.requests[0]["force"]
    other = replace(one, fingerprint="other input")
    results, executor, _ = work(tmp_path, [other])
    assert executor.begun == []
    assert not results["a"].done


def test_two_runs_of_one_release_cant_meet(tmp_path: Path) -> None:
    records = Records(tmp_path)
    with records.locked(None):
        with pytest.raises(ConfigError, match="another run"), Records(tmp_path).locked(None):
            pass
        with Records(tmp_path).locked((1, 2)):
            pass


def test_shards_are_joined_and_what_nobody_did_is_missing(tmp_path: Path) -> None:
    tasks = [task(tmp_path, name) for name in "abc"]
    for number, mine in ((1, tasks[:1]), (2, tasks[1:2])):
        records = Records(tmp_path / f"shard-{number}" / "1")
        with records.locked((number, 3)):
            records.write_plan("nightly", "1", tasks, mine, (number, 3))
            Coordinator(mine, records, tries=1, force=False, observer=lambda progress: None).run(
                Pretending(1, {"b": [failing(4)]})
            )
    joined = read_results([tmp_path])
    assert {one.stack: one.status.value for one in joined.tasks} == {
        "a": "done",
        "b": "failed",
        "c": "missing",
    }
    assert joined.warnings == ()
    other = Records(tmp_path / "shard-3" / "1")
    with other.locked((3, 3)):
        other.write_plan("nightly", "1", tasks[:2], tasks[:1], (3, 3))
    assert "shards planned different tasks" in read_results([tmp_path]).warnings[0]


def test_results_of_two_releases_dont_belong_together(tmp_path: Path) -> None:
    for release in ("1", "2"):
        records = Records(tmp_path / release)
        with records.locked(None):
            records.write_plan("nightly", release, [], [], None)
    with pytest.raises(ConfigError, match="don't belong together"):
        read_results([tmp_path / "1", tmp_path / "2"])
    with pytest.raises(ConfigError, match="no results"):
        read_results([tmp_path / "1" / "tasks"])
    assert previous_of([tmp_path / "2"]) == tmp_path / "1"
    with pytest.raises(ConfigError, match="no earlier release"):
        previous_of([tmp_path / "1"])


def test_a_worker_with_another_slim_says_so() -> None:
    request = replace(task(Path("x"), "a"), deltas=()).request(jobs=1, dry_run=False)
    error = attempt({**request, "slim": "0.0.1"})["error"]
    assert error["exit_code"] == ConfigError.exit_code
    assert "the fleet runs 0.0.1" in error["message"]


def test_a_bug_in_a_task_is_told_as_one() -> None:
    error = attempt({"slim": __version__})["error"]
    assert error["exit_code"] == 70
    assert error["message"] == "KeyError: 'config'"


@pytest.mark.parametrize(
    ("placement", "name"),
    [
        (Placement(), "local"),
        (Placement(shard=(1, 2)), "shard"),
        (Placement(scheduler="tcp://x:1"), "dask"),
    ],
)
def test_an_executor_is_a_line_of_the_table(placement: Placement, name: str) -> None:
    assert choose(placement).name == name
    assert [kind.name for kind in EXECUTORS] == ["dask", "shard", "local"]
