"""``python -m tests.faults``: every fault at every point, and a table of what came of it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tests.faults.campaign import SIGNALS
from tests.faults.scenarios import NAIVE, SCENARIOS
from tests.faults.trials import tally_scenario, trials


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", help="only the scenarios whose name contains this")
    parser.add_argument(
        "--fault", help="only the faults whose name contains this, such as KILL or EIO"
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth point")
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="scenarios at a time (default: %(default)s)",
    )
    chosen = parser.parse_args()
    names = [one.name for one in SCENARIOS if chosen.only is None or chosen.only in one.name]
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        Path(name).chmod(0o755)  # one of the runs is somebody else's
        work = partial(
            tally_scenario, folder=Path(name), every=chosen.every, fault=chosen.fault or ""
        )
        with ProcessPoolExecutor(chosen.jobs, get_context("spawn")) as pool:
            tallies = [tally for found in pool.map(work, names) for tally in found]
        caught = list(trials(NAIVE, Path(name), every=1, fault="KILL"))
    wrong = [text for tally in tallies for text in tally.wrong]
    killed = sum(tally.tried for tally in tallies if tally.fault == "SIGKILL")
    interrupted = sum(tally.tried for tally in tallies if tally.fault[3:] in SIGNALS)
    injected = sum(tally.tried for tally in tallies) - killed - interrupted
    print(f"kill points tried: {killed}; signals: {interrupted}; injected errors: {injected}")
    broken = sum(tally.broken for tally in tallies)
    silent = sum(tally.silent for tally in tallies)
    print(f"broken sets: {broken}; silent: {silent}")
    found = f"{sum(tally.broken for tally in caught)} of {sum(tally.tried for tally in caught)}"
    print(f"the naive publisher, to prove the harness: {found} kills break its output")
    for text in wrong:
        print(f"WRONG: {text}")
    return bool(wrong) or not any(tally.broken for tally in caught)


if __name__ == "__main__":
    sys.exit(main())
