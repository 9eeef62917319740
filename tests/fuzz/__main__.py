"""Fuzz slim's parsers: ``python -m tests.fuzz [--seconds 30] [--jobs 2] [TARGET...]``.

Prints for each target how many inputs were tried, how many broke a promise (escapes), how many took
more than five seconds (hangs), and the peak memory. Exit code 1 where there is anything but zeros;
the input is kept and named. With the dependency group ``fuzz`` (atheris) coverage leads the search;
without it the seeds are mutated blindly.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.targets import TARGETS


@dataclass(frozen=True)
class Result:
    """What became of one target."""

    name: str
    engine: str
    executions: int
    escapes: int
    hangs: int
    peak: int
    finding: Path | None
    said: str


def fuzz(name: str, seconds: int, seed: int, keep: Path, engine: str = "auto") -> Result:
    """Run one target in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="slim-fuzz-") as folder:
        command = [
            sys.executable,
            "-m",
            "tests.fuzz.engine",
            name,
            str(seconds),
            str(seed),
            folder,
            engine,
        ]
        # Twice the time and a minute: libFuzzer looks at its clock between inputs only.
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=2 * seconds + 60,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Result(name, engine, 0, 0, 1, 0, keep, "the target didn't come back")
        said = f"{done.stderr}\nended with {done.returncode}"
        found = sorted(path for path in Path(folder).glob("finding-*"))
        hang = "timeout after" in said or "Timeout (" in said
        finding = None
        if done.returncode != 0:
            source = found[0] if found else Path(folder) / "current"
            finding = keep / f"{name}-{source.name}"
            if source.exists():
                shutil.copyfile(source, finding)
        used = json.loads(done.stdout.splitlines()[0])["engine"] if done.stdout else "?"
        return Result(
            name=name,
            engine=used,
            executions=_stat(said, "number_of_executed_units"),
            escapes=int(done.returncode != 0 and not hang),
            hangs=int(hang),
            peak=_stat(said, "peak_rss_mb"),
            finding=finding,
            said=said,
        )


def _stat(said: str, name: str) -> int:
    found = re.findall(rf"stat::{name}:\s+(\d+)", said)
    return int(found[-1]) if found else 0


def main() -> int:
    """Fuzz, and print the table."""
    names = [one.name for one in TARGETS]
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"{', '.join(names)} (default: all)"
    )
    parser.add_argument("--seconds", type=int, default=30, help="for each target (default: 30)")
    parser.add_argument("--seed", type=int, default=1, help="of the search (default: 1)")
    parser.add_argument(
        "--engine", choices=("auto", "atheris", "mutation"), default="auto", help="(default: auto)"
    )
    parser.add_argument("--jobs", type=int, default=2, help="targets at a time (default: 2)")
    said = parser.parse_args()
    if unknown := set(said.targets) - set(names):
        parser.error(
            f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(names)}"
        )
    keep = Path(tempfile.mkdtemp(prefix="slim-findings-"))
    with ThreadPoolExecutor(said.jobs) as pool:
        wanted = said.targets or names
        started = [
            pool.submit(fuzz, name, said.seconds, said.seed, keep, said.engine) for name in wanted
        ]
        results = [one.result() for one in started]
    print(
        f"{'target':<14}{'engine':<10}{'executions':>12}{'escapes':>9}{'hangs':>7}{'peak MiB':>10}"
    )
    for one in results:
        print(
            f"{one.name:<14}{one.engine:<10}{one.executions:>12}{one.escapes:>9}{one.hangs:>7}{one.peak:>10}"
        )
    for one in results:
        if one.finding is not None:
            print(f"\n{one.name}: {one.finding}\n{one.said[-3000:]}", file=sys.stderr)
    if all(one.finding is None for one in results):
        keep.rmdir()
    return int(any(one.escapes or one.hangs for one in results))


if __name__ == "__main__":
    sys.exit(main())
