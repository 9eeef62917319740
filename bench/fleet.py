"""A fleet beside a shell loop over ``slim run``: cold, warm, and with only applications new.

    python bench/fleet.py [--stacks 12] [--files 40] [--work DIR] [--local]

Makes published stacks that share a runtime and a framework and have an application each, puts them
into a bucket of moto's S3 server on loopback (``--local``: leaves them in a folder), and measures
the processor time of everything that is started, the server not counted:

- ``loop``: ``slim run STACK -o OUT`` for each stack, one after the other;
- ``cold``: ``slim fleet run`` with an empty cache of results;
- ``warm``: the next release of the same stacks;
- ``applications new``: the release after it, every application changed.

Every published file of ``cold`` has to be the same bytes as the loop's. Then the measured costs are
spread over ``--simulate`` stacks on 1 to 64 workers: handed out the largest first (local, Dask),
and in shards whose shares are settled beforehand by size.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import heapq
import json
import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from measuring import Measure, measured  # noqa: E402

from slim.fleet.fleet_file import TaskSettings  # noqa: E402
from slim.fleet.tasks import Task, share_of  # noqa: E402
from slim.stores.open import open_store  # noqa: E402
from tests.support.object_servers import environment, moto  # noqa: E402
from tests.support.published_stacks import (  # noqa: E402
    SITE,
    STDLIB,
    LayerSpec,
    Link,
    distribution,
    merge,
    publish,
)

SLIM = [sys.executable, "-m", "slim"]
WORKERS = (1, 2, 4, 8, 16, 32, 64)


def module(seed: str, lines: int = 60) -> str:
    """A module that no other is equal to, with something to parse and to compress."""
    rng = random.Random(seed)
    body = (
        f"def f{number}(x):\n    return x * {rng.random()} + {rng.getrandbits(64):#x}\n"
        for number in range(lines // 2)
    )
    return '"""Module of a benchmark."""\nimport os\n\n' + "".join(body)


def package(name: str, files: int, seed: str) -> dict[str, str]:
    """Files of a package with tests that may go."""
    found = {f"{name}/__init__.py": f"from {name} import m0\n"}
    for number in range(files):
        found[f"{name}/m{number}.py"] = module(f"{seed}{name}{number}")
        found[f"{name}/tests/test_m{number}.py"] = module(f"{seed}{name}t{number}")
    found[f"{name}/tests/__init__.py"] = ""
    return found


def make_stacks(folder: Path, count: int, files: int, *, night: str) -> None:
    """Publish stacks; ``night`` changes the applications, and nothing else."""
    runtime = LayerSpec(
        "runtime",
        {
            "bin/python3.13": "#!/bin/sh\n",
            "bin/python": Link("python3.13"),
            **{f"{STDLIB}/s{number}.py": module(f"s{number}") for number in range(files)},
            **{f"{STDLIB}/test/test_s{number}.py": module(f"t{number}") for number in range(files)},
        },
    )
    framework = LayerSpec(
        "framework",
        merge(
            distribution("maths", package("maths", files, "")),
            {"bin/python_": Link("../../cpython3.13/bin/python")},
        ),
    )
    for number in range(count):
        name = f"app{number}"
        own = package(name, max(2, files * (number + 1) // (2 * count)), night)
        application = LayerSpec(
            "application",
            merge(
                distribution(name, own),
                {
                    f"{SITE}/main_app.py": f"import {name}\nimport maths\n",
                    "bin/python_": Link("../../cpython3.13/bin/python"),
                },
            ),
            requires=("framework-maths",),
            launch_module="main_app",
        )
        publish(
            folder / f"stack{number:02d}" / "_artifacts",
            {"cpython3.13": runtime, "framework-maths": framework, f"app-{name}": application},
        )


@dataclass(frozen=True)
class Place:
    """Where inputs and outputs lie: a folder, or the same names in a bucket."""

    work: Path
    bucket: str | None

    def name(self, path: str) -> str:
        """The path or URL."""
        return f"{self.bucket}/{path}" if self.bucket else str(self.work / path)

    def upload(self, path: str) -> None:
        """Bring a folder of this machine into the bucket, if there is one."""
        if self.bucket is None:
            return
        store = open_store(self.bucket)
        for file in sorted((self.work / path).rglob("*")):
            if file.is_file():
                store.put(file.relative_to(self.work).as_posix(), file.read_bytes())

    def digests(self, path: str) -> dict[str, str]:
        """SHA-256 of every published file below a path."""
        if self.bucket is None:
            top = self.work / path
            return {
                file.relative_to(top).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
                for file in top.rglob("*")
                if file.is_file()
            }
        store = open_store(self.bucket)
        found = {}
        for blob in store.list(path):
            if "/.slim-" not in f"/{blob.name}":
                data = store.get(blob.name, 1 << 30) or b""
                name = blob.name.removeprefix(f"{path}/")
                found[name] = hashlib.sha256(data).hexdigest()
        return found


def fleet_file(place: Place, night: str) -> Path:
    """Write the fleet of one night's stacks."""
    file = place.work / f"fleet-{night}.toml"
    file.write_text(
        "schema = 1\n"
        'name = "bench"\n'
        f"output = {json.dumps(place.name('out/{release}/{stack}'))}\n"
        f"cache = {json.dumps(place.name('results'))}\n"
        "[[source]]\n"
        f"pattern = {json.dumps(place.name(night + '/*/_artifacts'))}\n",
        encoding="utf-8",
    )
    return file


def run_fleet(place: Place, night: str, release: str, measure: Measure) -> None:
    """Run the fleet as a release, and exit where it fails."""
    file = fleet_file(place, night)
    if not measured([*SLIM, "fleet", "run", str(file), "--release", release, "-q"], measure):
        sys.exit(f"{measure.name}: {measure.failed}")


def bench(place: Place, options: argparse.Namespace) -> list[tuple[int, float]]:
    """Measure all four ways, and return size and processor time of each stack, cold."""
    names = [f"stack{number:02d}" for number in range(options.stacks)]
    for night in ("night1", "night2"):
        make_stacks(place.work / night, options.stacks, options.files, night=night)
        place.upload(night)
    loop = Measure("loop")
    for name in names:
        source = place.name(f"night1/{name}/_artifacts")
        command = [*SLIM, "run", source, "-o", place.name(f"loop/{name}"), "-q", "--no-config"]
        if not measured(command, loop):
            sys.exit(f"loop: {loop.failed}")
    rows = [loop]
    for title, night, release in (
        ("cold", "night1", "1"),
        ("warm", "night1", "2"),
        ("applications new", "night2", "3"),
    ):
        rows.append(Measure(title))
        run_fleet(place, night, release, rows[-1])
    ours, theirs = place.digests("out/1"), place.digests("loop")
    other = sorted(name for name in ours.keys() | theirs if ours.get(name) != theirs.get(name))
    print(f"{options.stacks} stacks, {'S3 on loopback' if place.bucket else 'a folder'}\n")
    print(f"{'':18}{'CPU s':>8}{'a stack':>9}{'wall s':>9}{'largest process':>17}  layers cached")
    for row in rows:
        total = sum(row.processor)
        cached = "" if row is loop else cached_layers(place.work, rows.index(row))
        print(
            f"{row.name:18}{total:8.1f}{total / options.stacks:9.2f}{sum(row.wall):9.1f}"
            f"{max(row.memory) / 1e6:14.0f} MB  {cached}"
        )
    print(f"\nevery published file the same bytes as the loop's: {'NO' if other else 'yes'}")
    if other:
        sys.exit(f"others: {', '.join(other[:10])}")
    return [(task["input_bytes"], task["run"]["cpu_seconds"]) for task in tasks(place.work, 1)]


def tasks(work: Path, release: int) -> list[dict]:  # type: ignore[type-arg]
    """What the fleet kept of each task of a release."""
    folder = work / ".slim-fleet" / str(release) / "tasks"
    return [json.loads(file.read_text())["task"] for file in sorted(folder.glob("*.json"))]


def cached_layers(work: Path, release: int) -> str:
    """How many of the layers of a release came from the cache."""
    found = tasks(work, release)
    hits = sum(task["run"]["cached_layers"] for task in found)
    return f"{hits} of {sum(len(task['layers']) for task in found)}"


def simulate(costs: Sequence[tuple[int, float]], count: int, seed: int = 1) -> None:
    """Print how long ``count`` stacks with such costs take on more and more workers."""
    rng = random.Random(seed)
    drawn = []
    for number in range(count):
        size, seconds = rng.choice(costs)
        factor = rng.lognormvariate(0, 1)  # a few stacks are much larger than most
        drawn.append((f"s{number}", int(size * factor), seconds * factor))
    total = sum(seconds for _, _, seconds in drawn)
    longest = max(seconds for _, _, seconds in drawn)
    print(f"\nsimulated: {count} stacks, {total:,.0f} s in all, the longest {longest:,.0f} s")
    print(f"{'workers':>8}{'handed out':>12}{'busy':>7}{'in shards':>12}{'busy':>7}")
    for workers in WORKERS:
        dynamic, static = handed_out(drawn, workers), in_shards(drawn, workers)
        print(
            f"{workers:8}{dynamic:10,.0f} s{total / workers / dynamic:7.0%}"
            f"{static:10,.0f} s{total / workers / static:7.0%}"
        )


def handed_out(drawn: Sequence[tuple[str, int, float]], workers: int) -> float:
    """Seconds until the last is done where a free worker gets the largest that is left."""
    free = [0.0] * workers
    for _, _, seconds in sorted(drawn, key=lambda item: -item[1]):
        heapq.heappush(free, heapq.heappop(free) + seconds)
    return max(free)


def in_shards(drawn: Sequence[tuple[str, int, float]], workers: int) -> float:
    """Seconds until the last shard is done, with the shares that slim settles."""
    settings = TaskSettings()
    planned = [
        Task(stack=name, platform="any", source="", output="", size=size, settings=settings)
        for name, size, _ in drawn
    ]
    seconds = {name: cost for name, _, cost in drawn}
    return max(
        sum(seconds[task.stack] for task in share_of(planned, number, workers))
        for number in range(1, workers + 1)
    )


@contextlib.contextmanager
def place_for(options: argparse.Namespace) -> Iterator[Place]:
    """Yield the place of inputs and outputs; the work folder goes unless it was named."""
    work = options.work or Path(tempfile.mkdtemp(prefix="slim-bench-fleet."))
    work.mkdir(parents=True, exist_ok=True)
    os.environ["SLIM_CACHE_DIR"] = str(work / "cache")
    try:
        if options.local:
            yield Place(work.resolve(), None)
            return
        with moto() as url:
            os.environ.update(environment(url))
            os.environ["SLIM_CACHE_KEY"] = secrets.token_hex(16)  # whole runs have to be signed
            yield Place(work.resolve(), "s3://bucket")
    finally:
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)


def keep_bytecode(work: Path) -> None:
    """Have every Python that is started find bytecode, as it does where slim is installed."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(work / "bytecode")
    if (work / "first").is_dir():
        return
    make_stacks(work / "first", 1, 2, night="")
    command = [*SLIM, "run", str(work / "first/stack00/_artifacts"), "-o", str(work / "first/out")]
    subprocess.run([*command, "-q", "--no-config"], check=True)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stacks", type=int, default=12)
    parser.add_argument("--files", type=int, default=40, help="modules of each shared layer")
    parser.add_argument("--work", type=Path, help="a folder for stacks and results; kept")
    parser.add_argument("--local", action="store_true", help="no bucket: folders alone")
    parser.add_argument("--simulate", type=int, default=300, metavar="COUNT")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = str(ROOT)
    with place_for(options) as place:
        keep_bytecode(place.work)
        costs = bench(place, options)
    simulate(costs, options.simulate)
    return 0


if __name__ == "__main__":
    sys.exit(main())
