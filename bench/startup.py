"""Processor time that slim takes to start, beside that of Python and click alone.

    python bench/startup.py [CHECKOUT...]

CHECKOUT are other versions of slim to compare with (``git worktree add ../old v0.1.0``). All are
measured in turns, so that what else the machine does is the same for each. Times are user and
system time of the process, in milliseconds: the median of ten, and the least.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent.parent
RUNS, WARM = 10, 2


def completing(*words: str) -> dict[str, str]:
    """Return the environment in which bash asks for the last of the words."""
    return {
        "_SLIM_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }


STARTS: dict[str, tuple[list[str], Mapping[str, str]]] = {
    "import slim.cli": (["-c", "import slim.cli"], {}),
    "slim --version": (["-m", "slim", "--version"], {}),
    "slim --help": (["-m", "slim", "--help"], {}),
    "completing a command": (["-m", "slim"], completing("slim", "r")),
    "completing an option": (["-m", "slim"], completing("slim", "run", "--pro")),
    "slim run --help": (["-m", "slim", "run", "--help"], {}),
}


def milliseconds(arguments: list[str], environ: Mapping[str, str]) -> float:
    """Run Python once, and return the processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environ},
        cwd="/",
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return 1000 * (user + system)


def main() -> None:
    """Measure, and print a line a case."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    checkouts = [HERE, *map(Path, sys.argv[1:])]
    cases = {"python -c pass": (["-c", "pass"], {}), "import click": (["-c", "import click"], {})}
    cases |= {
        f"{name}  [{checkout.resolve()}]": (
            arguments,
            {**environ, "PYTHONPATH": str(checkout.resolve())},
        )
        for name, (arguments, environ) in STARTS.items()
        for checkout in checkouts
    }
    times: dict[str, list[float]] = {name: [] for name in cases}
    for run in range(RUNS + WARM):
        for name, (arguments, environ) in cases.items():
            taken = milliseconds(arguments, environ)
            if run >= WARM:
                times[name].append(taken)
    for name, all_taken in times.items():
        print(f"{statistics.median(all_taken):7.0f} ms  (least {min(all_taken):.0f})  {name}")


if __name__ == "__main__":
    main()
