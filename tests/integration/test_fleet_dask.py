"""Fleets on a Dask cluster: workers killed, a scheduler that isn't there, workers without slim."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import slim
from slim import fleet
from slim.cli import main
from tests.support.fleets import contents, nothing_left, processes_of, small_fleet, until
from tests.support.published_stacks import small_stack

DISTRIBUTED = importlib.util.find_spec("distributed") is not None
needs_dask = pytest.mark.skipif(
    not DISTRIBUTED or sys.platform != "linux",
    reason="distributed isn't installed, or there is no /proc",
)
_START = "import sys; from distributed.cli.{} import main; main()"


class Cluster:
    """A scheduler and workers as an operator starts them: each a process, no dashboard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        scheduler = folder / "scheduler.json"
        self._begin("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                    "--no-show", "--scheduler-file", str(scheduler))  # fmt: skip
        until(lambda: scheduler.is_file() and scheduler.read_text().strip().endswith("}"))
        import json

        self.address: str = json.loads(scheduler.read_text())["address"]

    def _begin(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", _START.format(module), *arguments],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(Path(slim.__file__).parents[1])},
        )
        self.processes.append(process)
        return process

    def add_worker(self) -> subprocess.Popen[bytes]:
        return self._begin("dask_worker", self.address, "--nthreads", "1", "--no-nanny",
                           "--no-dashboard", "--host", "127.0.0.1", "--memory-limit", "0",
                           "--local-directory", str(self.folder / "dask"))  # fmt: skip

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield made
    finally:
        made.close()


def _parent(process: int) -> int:
    """The process that started another; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@needs_dask
def test_a_worker_killed_in_the_middle(
    tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    small_fleet(tmp_path, "a", "b")
    workers = [cluster.add_worker(), cluster.add_worker()]
    out = tmp_path / "out/1"

    def kill_one_at_work() -> bool:
        children = processes_of(tmp_path / "scratch") if list(out.glob(".slim-staging-*")) else []
        parents = set(map(_parent, children))
        victim = next((worker for worker in workers if worker.pid in parents), None)
        if victim is not None:
            os.kill(victim.pid, signal.SIGKILL)
            killed.append(victim.pid)
        return victim is not None

    def kill() -> None:
        until(kill_one_at_work)

    killed: list[int] = []
    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    result = fleet.run_fleet(tmp_path / "fleet.toml", release="1", scheduler=cluster.address)
    thread.join()
    assert len(killed) == 1
    assert [task.error for task in result.tasks] == [None, None]
    slim.run(small_stack(tmp_path / "same"), tmp_path / "expected")
    for name in ("a", "b"):
        assert contents(out / name) == contents(tmp_path / "expected")
    until(lambda: not processes_of(tmp_path / "scratch"))
    nothing_left(tmp_path)


@needs_dask
def test_a_client_that_is_stopped_leaves_nothing_running(tmp_path: Path, cluster: Cluster) -> None:
    small_fleet(tmp_path, "a")
    cluster.add_worker()
    process = subprocess.Popen(
        [sys.executable, "-m", "slim", "fleet", "run", "fleet.toml", "--release", "1",
         "--scheduler", cluster.address],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(slim.__file__).parents[1])},
    )  # fmt: skip
    until(lambda: list((tmp_path / "out/1").glob(".slim-staging-*")))
    process.send_signal(signal.SIGTERM)
    _, words = process.communicate(timeout=120)
    assert process.returncode == 143, words
    assert "Traceback" not in words
    if (tmp_path / "out/1/a").exists():  # it was faster: then all of it is there
        slim.run(small_stack(tmp_path / "same"), tmp_path / "expected")
        assert contents(tmp_path / "out/1/a") == contents(tmp_path / "expected")
    nothing_left(tmp_path)


@needs_dask
def test_a_scheduler_killed_in_the_middle_ends_the_run(
    tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    file = small_fleet(tmp_path, "a")
    cluster.add_worker()

    def kill() -> None:
        until(lambda: list((tmp_path / "out/1").glob(".slim-staging-*")))
        cluster.processes[0].kill()

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    command = ["fleet", "run", str(file), "--release", "1", "--scheduler", cluster.address]
    assert main(command) == 6
    thread.join()
    words = capsys.readouterr().err
    assert "the Dask scheduler is gone" in words
    assert "what is done stays done" in words
    until(lambda: not processes_of(tmp_path / "scratch"))
    until(lambda: not list((tmp_path / "scratch").glob("*")))
    # The task may have published meanwhile: that is this fleet's own, and it goes on.
    (again,) = fleet.run_fleet(file, release="1").tasks
    assert again.error is None


@needs_dask
def test_no_scheduler_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import slim.fleet.executors.dask as executor

    monkeypatch.setattr(executor, "_CONNECT", 1.0)
    file = small_fleet(tmp_path, "a")
    assert main(["fleet", "run", str(file), "--scheduler", "tcp://127.0.0.1:9"]) == 6
    words = capsys.readouterr().err
    assert "no Dask scheduler answers" in words
    assert "Traceback" not in words


def test_without_distributed_the_way_to_install_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    file = small_fleet(tmp_path, "a")
    assert main(["fleet", "run", str(file), "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert "pip install 'venvstacks-slim[fleet]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "code"),
    [("KilledWorker", 4), ("FutureCancelledError", -1), ("TimeoutError", -1), ("ImportError", 70)],
)
def test_what_dask_says_instead_of_an_answer_is_one(name: str, code: int) -> None:
    from slim.fleet.executors.dask import failure_of

    answer = failure_of(type(name, (Exception,), {})("no module named slim"))
    assert answer["error"]["exit_code"] == code


def test_a_task_on_a_worker_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    import slim.fleet.executors.dask as executor
    from slim.system.interrupts import Interrupted

    def interrupted() -> object:
        raise Interrupted(signal.SIGTERM)

    monkeypatch.setattr(executor, "_watched", interrupted)
    answer = executor.work_on_worker({}, None, 0)
    assert answer["error"]["exit_code"] == -1
    assert "Interrupted" in answer["error"]["message"]
