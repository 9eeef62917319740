"""Every sort of fault in one scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from tests.faults.campaign import (
    ERRORS,
    SIGNALS,
    Tally,
    errors,
    kills,
    short_writes,
    signals,
    survey,
)
from tests.faults.scenarios import SCENARIOS, Sandbox, Scenario
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


def tally_scenario(name: str, folder: Path, every: int, fault: str) -> list[Tally]:
    """Try every sort of fault in the scenario of that name, and print each result at once."""
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
        wanted: list[tuple[str, Callable[[], Iterable[Tally]]]] = [
            ("SIGKILL", lambda: [kills(box, found)])
        ]
        wanted += [(name, partial(_single, errors, box, found, name)) for name in ERRORS]
        wanted += [("short write", lambda: [short_writes(box, found)])]
        wanted += [(f"SIG{name}", partial(_single, signals, box, found, name)) for name in SIGNALS]
        if scenario.surrounded:
            wanted += [("RLIMIT_FSIZE", lambda: [file_sizes(box)])]
            wanted += [("second run", lambda: [two_runs(box, found, other)])]
            if may_mount():
                wanted += [
                    ("disk", lambda: small_disks(box)),
                    ("read-only output", lambda: read_only(box)),
                ]
                wanted += [("read-only input", lambda: [read_only_input(box)])]
            else:
                print(
                    f"{scenario.name:13} SKIPPED: small disks and read-only mounts; "
                    "mounting needs root",
                    flush=True,
                )
        if scenario.changes:
            wanted += [("input changes", lambda: [changing_input(box, found)])]
        for name, work in wanted:
            if fault in name:
                yield from work()


def _single(work: Callable[..., Tally], *arguments: object) -> list[Tally]:
    return [work(*arguments)]


def _row(tally: Tally) -> None:
    ends = ", ".join(f"{count} {end}" for end, count in sorted(tally.ends.items()))
    states = ", ".join(f"{count} {state}" for state, count in sorted(tally.states.items()))
    print(
        f"{tally.scenario:13} {tally.fault:12} {tally.tried:4} tried  broken {tally.broken}  "
        f"silent {tally.silent}  wrong {len(tally.wrong)}  [{ends}]  [{states}]",
        flush=True,
    )
