"""``python -m tests.faults``: every fault at every point, and a table of what came of it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tests.faults.campaign import ERRORS, SIGNALS, Tally, errors, kills, short_writes, signals, survey
from tests.faults.scenarios import NAIVE, SCENARIOS, Sandbox, Scenario
from tests.faults.surroundings import (
    changing_input,
    file_sizes,
    may_mount,
    read_only,
    read_only_input,
    small_disks,
    two_runs,
)
from tests.faults.tracing import Zygote


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", help="only the scenarios whose name contains this")
    parser.add_argument("--fault", help="only the faults whose name contains this, such as KILL or EIO")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth point")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="scenarios at a time (default: %(default)s)")
    chosen = parser.parse_args()
    names = [one.name for one in SCENARIOS if chosen.only is None or chosen.only in one.name]
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        Path(name).chmod(0o755)  # one of the runs is somebody else's
        work = partial(_told, folder=Path(name), every=chosen.every, fault=chosen.fault or "")
        with ProcessPoolExecutor(chosen.jobs, get_context("spawn")) as pool:
            tallies = [tally for found in pool.map(work, names) for tally in found]
        caught = list(trials(NAIVE, Path(name), every=1, fault="KILL"))
    wrong = [text for tally in tallies for text in tally.wrong]
    killed = sum(tally.tried for tally in tallies if tally.fault == "SIGKILL")
    interrupted = sum(tally.tried for tally in tallies if tally.fault[3:] in SIGNALS)
    injected = sum(tally.tried for tally in tallies) - killed - interrupted
    print(f"kill points tried: {killed}; signals: {interrupted}; injected errors: {injected}")
    print(f"broken sets: {sum(tally.broken for tally in tallies)}; silent: {sum(tally.silent for tally in tallies)}")
    found = f"{sum(tally.broken for tally in caught)} of {sum(tally.tried for tally in caught)}"
    print(f"the naive publisher, to prove the harness: {found} kills break its output")
    for text in wrong:
        print(f"WRONG: {text}")
    return bool(wrong) or not any(tally.broken for tally in caught)


def _told(name: str, folder: Path, every: int, fault: str) -> list[Tally]:
    """Every sort of fault in the scenario of that name; each is told as soon as it was tried."""
    (scenario,) = (one for one in SCENARIOS if one.name == name)
    tallies = []
    for tally in trials(scenario, folder, every=every, fault=fault):
        _row(tally)
        tallies.append(tally)
    return tallies


def trials(scenario: Scenario, folder: Path, *, every: int, fault: str) -> Iterator[Tally]:
    """Every sort of fault in one scenario."""
    place = folder / scenario.name.replace(" ", "-")
    with Zygote(place / "scratch") as zygote, Zygote(place / "scratch-2") as other:
        box = Sandbox(scenario, place / "box", zygote)
        found = survey(box)[::every]
        wanted: list[tuple[str, Callable[[], Iterable[Tally]]]] = [("SIGKILL", lambda: [kills(box, found)])]
        wanted += [(name, lambda name=name: [errors(box, found, name)]) for name in ERRORS]  # type: ignore[misc]
        wanted += [("short write", lambda: [short_writes(box, found)])]
        wanted += [(f"SIG{name}", lambda name=name: [signals(box, found, name)]) for name in SIGNALS]  # type: ignore[misc]
        if scenario.surrounded:
            wanted += [("RLIMIT_FSIZE", lambda: [file_sizes(box)])]
            wanted += [("second run", lambda: [two_runs(box, found, other)])]
            if may_mount():
                wanted += [("disk", lambda: small_disks(box)), ("read-only output", lambda: read_only(box))]
                wanted += [("read-only input", lambda: [read_only_input(box)])]
            else:
                print(f"{scenario.name:13} SKIPPED: small disks and read-only mounts; mounting needs root", flush=True)
        if scenario.changes:
            wanted += [("input changes", lambda: [changing_input(box, found)])]
        for name, work in wanted:
            if fault in name:
                yield from work()


def _row(tally: Tally) -> None:
    ends = ", ".join(f"{count} {end}" for end, count in sorted(tally.ends.items()))
    states = ", ".join(f"{count} {state}" for state, count in sorted(tally.states.items()))
    print(
        f"{tally.scenario:13} {tally.fault:12} {tally.tried:4} tried  broken {tally.broken}  silent {tally.silent}  "
        f"wrong {len(tally.wrong)}  [{ends}]  [{states}]",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
