"""Fleets from and to object stores, disturbed: a child or a worker killed, two fleets at once."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

pytest.importorskip("obstore")
pytest.importorskip("moto")

import slim
from slim import fleet
from slim.errors import IntegrityError
from slim.stores.base import BlobStore
from slim.stores.open import open_store
from tests.support.fleets import contents, nothing_left, processes_of, until
from tests.support.object_servers import ceph, environment, moto
from tests.support.published_stacks import small_stack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("moto"),
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
]
VARIABLE = b"SLIM_FLEET_SCRATCH="
STACKS = int(os.environ.get("SLIM_TEST_STACKS", "3"))
NAMES = [f"s{number:02d}" for number in range(STACKS)]
FLEET = """\
schema = 1
output = "s3://bucket/out/{release}/{stack}"
cache = "s3://bucket/results"
state = "STATE"
scratch_folder = "scratch"
scratch = "1 MB"

[[source]]
pattern = "s3://bucket/in/*/_artifacts"
"""


def plain_moto(folder: Path) -> AbstractContextManager[str]:
    return moto()


@pytest.fixture(scope="module", params=[plain_moto, ceph], ids=lambda server: server.__name__)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    start: Callable[[Path], AbstractContextManager[str]] = request.param
    with start(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture
def bucket(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BlobStore:
    """Bucket with the stacks in it, and nothing else."""
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLIM_CACHE_DIR", str(tmp_path / "downloads"))
    monkeypatch.setenv("SLIM_CACHE_KEY", "a secret of sixteen characters")
    monkeypatch.setenv("PYTHONPATH", str(Path(slim.__file__).parents[1]))
    store = open_store("s3://bucket")
    for blob in list(store.list()):
        store.delete(blob.name)
    for name in NAMES:
        made = small_stack(tmp_path / "stacks" / name)
        for path in contents(made):
            store.put(f"in/{name}/_artifacts/{path}", made / path)
    return store


def stored(bucket: BlobStore, prefix: str) -> dict[str, bytes | None]:
    names = [blob.name.removeprefix(f"{prefix}/") for blob in bucket.list(prefix)]
    return {
        name: bucket.get(f"{prefix}/{name}", 1 << 24)
        for name in names
        if not name.startswith(".slim-")
    }


def written(folder: Path, name: str, **settings: object) -> dict[str, bytes | None]:
    """Files that ``slim run`` makes of a stack on this machine."""
    output = folder / "expected" / name
    shutil.rmtree(output, ignore_errors=True)
    slim.run(folder / "stacks" / name, output, config=slim.load_config(**settings))  # type: ignore[arg-type]
    return {path: (output / path).read_bytes() for path in contents(output)}


def fleet_file(folder: Path, state: str = "state", more: str = "") -> Path:
    """Write the file of a fleet, with a folder of state of its own."""
    file = folder / f"{state}.toml"
    file.write_text(more + FLEET.replace("STATE", state), encoding="utf-8")
    return file


def kill_one_at_work(scratch: Path, victim: Callable[[int], int], over: threading.Event) -> int:
    """Wait until a task has something staged, and kill a process for it; 0 where it was late.

    ``victim`` returns the process to kill for one of the task; 0 for none.
    """
    while not over.wait(0.005):
        for child in processes_of(scratch):
            try:
                environ = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
                (private,) = (entry[19:] for entry in environ if entry.startswith(VARIABLE))
                staged = list(Path(os.fsdecode(private)).glob("*/.slim-staging-*"))
            except (OSError, ValueError):
                continue
            target = victim(child) if staged else 0
            if target:
                os.kill(target, signal.SIGKILL)
                return target
    return 0


def parent(process: int) -> int:
    """Process that started another; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@pytest.mark.parametrize("executor", ["local", "dask"])
def test_a_worker_killed_in_the_middle(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    bucket: BlobStore,
    executor: str,
) -> None:
    file, scratch = fleet_file(tmp_path), tmp_path / "scratch"
    over, killed = threading.Event(), list[int]()
    cluster = workers = None
    if executor == "dask":
        if importlib.util.find_spec("distributed") is None:
            pytest.skip("distributed isn't installed")
        from tests.integration.test_fleet_dask import Cluster

        cluster = Cluster(tmp_path_factory.mktemp("cluster"))
        workers = [cluster.add_worker().pid, cluster.add_worker().pid]

    def victim(child: int) -> int:
        above = parent(child)
        if workers is None:
            return child if above == os.getpid() else 0
        return above if above in workers else 0

    thread = threading.Thread(
        target=lambda: killed.append(kill_one_at_work(scratch, victim, over)), daemon=True
    )
    thread.start()
    try:
        address = None if cluster is None else cluster.address
        result = fleet.run_fleet(file, release="1", scheduler=address)
    finally:
        over.set()
        thread.join()
        if cluster is not None:
            until(lambda: not processes_of(scratch))
            cluster.close()
    assert killed[0] > 0
    assert [task.error for task in result.tasks] == [None] * STACKS
    if executor == "local":
        assert sorted(task.cost.tries for task in result.tasks) == [1] * (STACKS - 1) + [2]
    same = written(tmp_path, NAMES[0])
    for name in NAMES:
        assert stored(bucket, f"out/1/{name}") == same, name
    shutil.rmtree(tmp_path / "downloads", ignore_errors=True)
    nothing_left(tmp_path)


@pytest.mark.parametrize("others", ["the same", "other settings"])
def test_two_fleets_onto_one_release_at_once(
    tmp_path: Path, bucket: BlobStore, others: str
) -> None:
    more = ["", "" if others == "the same" else 'profile = "safe"\n']
    files = [fleet_file(tmp_path, f"state{at}", text) for at, text in enumerate(more)]
    command = [sys.executable, "-m", "slim", "fleet", "run"]
    running = [
        subprocess.Popen(
            [*command, str(file), "--release", "1", "--children", "1", "-q"],
            stderr=subprocess.PIPE,
            text=True,
        )
        for file in files
    ]
    words = [process.communicate()[1] for process in running]
    assert not any("Traceback" in text for text in words)
    results = [
        {task.stack: task for task in fleet.read_fleet([tmp_path / f"state{at}/1"]).tasks}
        for at in range(2)
    ]
    sets = [
        written(tmp_path, NAMES[0]),
        written(tmp_path, NAMES[0], **({} if others == "the same" else {"profile": "safe"})),
    ]
    assert (sets[0] == sets[1]) == (others == "the same")
    for name in NAMES:
        found = stored(bucket, f"out/1/{name}")
        errors = [result[name].error for result in results]
        if others == "the same":
            assert errors == [None, None] and found == sets[0]
            continue
        (winner,) = (at for at, error in enumerate(errors) if error is None)
        loser = errors[1 - winner]
        assert loser is not None and loser.exit_code == IntegrityError.exit_code
        assert found == sets[winner]
    shutil.rmtree(tmp_path / "downloads", ignore_errors=True)
    nothing_left(tmp_path)
