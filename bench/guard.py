"""What a guard costs: processor time of a layer's Python with it, as a ratio to that without.

    python bench/guard.py DEPLOYED LAYER [ROUNDS]

DEPLOYED is a folder that a guarded stack was deployed to; while this runs, its ``_slim_guard.pth``
files are moved aside and back. LAYER is the layer whose Python is started. Both ways are measured
in turns, so that what else the machine does is the same for each. Times are user and system time of
the process, in milliseconds: the median and the least of ROUNDS (40).
"""

from __future__ import annotations

import contextlib
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CASES = {
    "start": "pass",
    "start, and what a small server imports": (
        "import argparse, asyncio, http.server, json, logging, pathlib"
    ),
    "start, and a module that nobody has": (
        "try:\n    import nowhere_at_all\nexcept ImportError: pass"
    ),
    "start, and a hundred of them": (
        "for n in range(100):\n    try:\n        __import__('nowhere_%d' % n)\n"
        "    except ImportError: pass"
    ),
}
WARM = 3


def milliseconds(python: Path, code: str) -> float:
    """Run code in a layer's Python, and return the processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([python, "-c", code], check=True, cwd="/")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return 1000 * (user + system)


@contextlib.contextmanager
def without(files: list[Path]) -> Iterator[None]:
    """Move these files aside for the block."""
    for file in files:
        file.rename(file.with_suffix(".aside"))
    try:
        yield
    finally:
        for file in files:
            file.with_suffix(".aside").rename(file)


def main() -> None:
    """Measure, and print a line a case."""
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    deployed, layer = Path(sys.argv[1]), sys.argv[2]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 40
    files = sorted(deployed.glob("*/lib/python*/site-packages/_slim_guard.pth"))
    if not files:
        raise SystemExit(f"no guard in {deployed}")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    python = deployed / layer / "bin" / "python"
    print(f"{len(files)} guards, {rounds} rounds")
    for name, code in CASES.items():
        guarded: list[float] = []
        bare: list[float] = []
        for number in range(rounds + WARM):
            taken = milliseconds(python, code)
            with without(files):
                other = milliseconds(python, code)
            if number >= WARM:
                guarded.append(taken)
                bare.append(other)
        ratio = statistics.median(guarded) / statistics.median(bare)
        least = min(guarded) / min(bare)
        print(
            f"{name}: {statistics.median(guarded):.1f} ms with, {statistics.median(bare):.1f} ms "
            f"without: ratio {ratio:.3f} "
            f"(least {min(guarded):.1f} and {min(bare):.1f}: {least:.3f})"
        )


if __name__ == "__main__":
    main()
