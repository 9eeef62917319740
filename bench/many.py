"""A fleet of hundreds of tiny stacks, through once: what its client and a Dask scheduler take.

    python bench/many.py [--stacks 300] [--different 30] [--dask WORKERS] [--work DIR]

Makes published stacks of a few files each, of which only so many are different (most stacks of a
night didn't change), runs `slim fleet run` with an empty cache of results, on this machine or on a
Dask cluster that the script starts, and reads the memory of the client and of the scheduler
(``VmRSS`` of proc(5)) whenever a twentieth of the tasks is done. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from fleet import keep_bytecode, make_stacks  # noqa: E402

SLIM = [sys.executable, "-m", "slim"]
DASK = "import sys; from distributed.cli.{} import main; main()"
FLEET = """\
schema = 1
name = "many"
output = "out/{release}/{stack}"
cache = "results"
scratch = "10 MB"
memory = "300 MB"
[[source]]
pattern = "stacks/*/_artifacts"
"""


def make(work: Path, count: int, different: int) -> None:
    """Make ``count`` stacks below ``work``, of which ``different`` differ from each other."""
    make_stacks(work / "made", different, 2, night="")
    made = sorted((work / "made").iterdir())
    for number in range(count):
        shutil.copytree(made[number % different], work / "stacks" / f"s{number:04d}")
    (work / "fleet.toml").write_text(FLEET, encoding="utf-8")


def memory(process: int) -> int:
    """Bytes of memory of a process; 0 where it has gone."""
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(fields.get("VmRSS", "0 kB").split()[0]) * 1024


class Cluster:
    """A scheduler and workers of one thread each, without a dashboard."""

    def __init__(self, work: Path, workers: int) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        file = work / "scheduler.json"
        where = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show"]
        self._begin("dask_scheduler", *where, "--scheduler-file", str(file))
        while not (file.is_file() and file.read_text().strip().endswith("}")):
            time.sleep(0.1)
        self.address: str = json.loads(file.read_text())["address"]
        for _ in range(workers):
            self._begin("dask_worker", self.address, "--nthreads", "1", "--no-dashboard",
                        "--no-nanny", "--host", "127.0.0.1", "--memory-limit", "0",
                        "--local-directory", str(work / "dask"))  # fmt: skip

    def _begin(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-c", DASK.format(module), *arguments]
        nowhere = subprocess.DEVNULL
        self.processes.append(subprocess.Popen(command, stdout=nowhere, stderr=nowhere))

    def close(self) -> None:
        """End all of it."""
        for process in self.processes:
            process.kill()
            process.wait()


def run(work: Path, release: str, count: int, cluster: Cluster | None) -> None:
    """Run the fleet, and print what it took."""
    command = [*SLIM, "fleet", "run", "fleet.toml", "--release", release, "-q"]
    if cluster is not None:
        command += ["--scheduler", cluster.address]
    started = time.monotonic()
    client = subprocess.Popen(command, cwd=work)
    tasks = work / ".slim-fleet" / release / "tasks"
    print(f"{'done':>6}{'s':>8}{'client':>10}{'scheduler':>12}", flush=True)
    seen = -1
    while client.poll() is None:
        time.sleep(0.5)
        done = sum(1 for _ in tasks.glob("*.json")) if tasks.is_dir() else 0
        if done * 20 // count > seen:
            seen = done * 20 // count
            scheduler = memory(cluster.processes[0].pid) if cluster is not None else 0
            passed = time.monotonic() - started
            text = f"{scheduler / 1e6:9.1f} MB" if scheduler else ""
            print(f"{done:6}{passed:8.0f}{memory(client.pid) / 1e6:7.1f} MB{text:>12}", flush=True)
    usage = os.times()
    runs = [json.loads(file.read_text())["task"] for file in sorted(tasks.glob("*.json"))]
    known = sum(task["run"]["cached_run"] for task in runs)
    seconds: list[list[float]] = [[], []]
    for task in runs:
        seconds[task["run"]["cached_run"]].append(task["run"]["cpu_seconds"])
    failed = sum(task["status"] != "done" for task in runs)
    print(f"exit code {client.returncode}; {len(runs)} tasks, {failed} failed, {known} known")
    for name, found in zip(("made", "known"), seconds, strict=True):
        if found:
            print(f"{name}: {sum(found):.0f} CPU s, {sum(found) / len(found):.2f} a stack")
    print(f"the client and all below it: {usage.children_user + usage.children_system:.0f} CPU s")
    largest = max(task["run"]["peak_memory"] for task in runs)
    print(f"largest task: {largest / 1e6:.0f} MB; {time.monotonic() - started:.0f} s")


def main() -> int:
    """Make the stacks unless they are there, and run the fleet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stacks", type=int, default=300)
    parser.add_argument("--different", type=int, default=30)
    parser.add_argument("--dask", type=int, metavar="WORKERS", help="on a Dask cluster")
    parser.add_argument("--release", default="1")
    parser.add_argument("--work", type=Path, help="a folder for stacks and results; kept")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = str(ROOT)
    work = (options.work or Path(tempfile.mkdtemp(prefix="slim-bench-many."))).resolve()
    os.environ["SLIM_CACHE_DIR"] = str(work / "cache")
    try:
        if not (work / "stacks").is_dir():
            make(work, options.stacks, options.different)
        keep_bytecode(work)
        cluster = None if options.dask is None else Cluster(work, options.dask)
        try:
            run(work, options.release, options.stacks, cluster)
        finally:
            if cluster is not None:
                cluster.close()
    finally:
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
