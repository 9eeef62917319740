"""Tries every point of a scenario, and says what came of each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.faults.judge import inodes, leftovers, tree
from tests.faults.scenarios import Sandbox
from tests.faults.tracing import WRITES, Point, Run, injecting, points, traced, was_hit

ERRORS = ("EIO", "ENOSPC", "EACCES")
SIGNALS = {"INT": 130, "TERM": 143}
_REPORTED = re.compile(r"^slim: (?:input/)?output: \S.*: .+\n  hint: .+", re.MULTILINE)
_ENDS = (6, 7)  # 7: what was to be done is done, and only a report is missing


@dataclass
class Tally:
    """Result of one sort of fault in one scenario. ``wrong`` must stay empty."""

    scenario: str
    fault: str
    tried: int = 0
    states: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    silent: int = 0
    wrong: list[str] = field(default_factory=list)

    def say(self, point: Point, what: str) -> None:
        self.wrong.append(
            f"{self.scenario}, {self.fault} at {point.where} {point.text[:160]}: {what}"
        )


def survey(box: Sandbox) -> list[Point]:
    """The mutating calls of a run without faults. Two runs must make the same ones."""
    found: list[list[Point]] = []
    for _ in range(2):
        box.reset()
        run = box.traced(traced())
        assert run.code == 0, run.stderr
        found.append(points(run.trace))
    box.reset()
    for one, other in zip(*found, strict=False):
        assert (one.call, one.nth) == (other.call, other.nth), f"{one} became {other}"
    assert len(found[0]) == len(found[1])
    return [point for point in found[0] if point.call not in box.scenario.tampered]


def kills(box: Sandbox, chosen: Sequence[Point]) -> Tally:
    """Kill at every point: the process ends before the call does anything."""
    tally = Tally(box.scenario.name, "SIGKILL")
    for point, run in _tries(box, chosen, "signal=KILL", tally):
        if not run.killed:
            tally.say(point, f"wasn't killed, but ended with {run.code}")
            continue
        tally.ends["killed"] += 1
        judge(box, tally, point)
    return tally


def errors(box: Sandbox, chosen: Sequence[Point], name: str) -> Tally:
    """Let every call fail.

    The run says so (exit 6 or 7, file and advice), or its result is whole.
    """
    tally = Tally(box.scenario.name, name)
    for point, run in _tries(box, chosen, f"error={name}", tally):
        judge_end(box, tally, point, run)
        judge(box, tally, point)
    return tally


def short_writes(box: Sandbox, chosen: Sequence[Point]) -> Tally:
    """Let every write to a file say that it wrote one byte, and write none: a disk that lies."""
    tally = Tally(box.scenario.name, "short write")
    files = [point for point in chosen if point.call in WRITES and "/work/" in point.text]
    for point, run in _tries(box, files, "retval=1", tally):
        judge_end(box, tally, point, run)
        judge(box, tally, point)
    return tally


def signals(box: Sandbox, chosen: Sequence[Point], name: str) -> Tally:
    """Interrupt at every point: a clean end at once, nothing left for the next run to remove."""
    tally = Tally(box.scenario.name, f"SIG{name}")
    for point, run in _tries(box, chosen, f"signal={name}", tally):
        tally.ends[f"exit {run.code}"] += 1
        if run.code != SIGNALS[name] or "Traceback" in run.stderr or "bug" in run.stderr:
            tally.say(point, f"ended with {run.code}: {run.stderr.strip()}")
        left = [path for path in leftovers(tree(box.work)) if path not in box.known.before]
        if left:
            tally.say(point, f"left {left[:3]}")
        judge(box, tally, point)
    return tally


def _tries(
    box: Sandbox, chosen: Sequence[Point], what: str, tally: Tally
) -> Iterator[tuple[Point, Run]]:
    for point in chosen:
        box.reset()
        run = box.traced(injecting(point, what))
        tally.tried += 1
        if not was_hit(run, point):
            tally.say(point, f"the fault wasn't met; the run ended with {run.code}")
        yield point, run
    box.reset()


def judge_end(box: Sandbox, tally: Tally, point: Point, run: Run) -> None:
    """Judge whether a run that met an error reported it."""
    tally.ends[f"exit {run.code}"] += 1
    if run.code == 0:
        now = tree(box.work)
        if box.known.state(now) != "new" and box.scenario.outputs:
            tally.silent += 1
            tally.say(point, "exit 0, and the result isn't what it should be")
        if leftovers(now) and "slim: " not in run.stderr:
            tally.silent += 1
            tally.say(point, f"exit 0 without a word, and {leftovers(now)[:3]} lies about")
    elif run.code not in _ENDS or not _REPORTED.search(run.stderr):
        tally.say(point, f"ended with {run.code}: {run.stderr.strip()}")


def judge(box: Sandbox, tally: Tally, point: Point) -> None:
    """The outputs are whole, the input is untouched, and the next run makes everything good."""
    now = tree(box.work)
    state = box.known.state(now)
    if (
        state is None
        or state in box.scenario.never
        or ("aside" in state and not box.scenario.absent)
    ):
        tally.broken += 1
        tally.say(point, "the output is neither the old one nor the new one")
        return
    tally.states[state] += 1
    if inodes(box.folder / "in") != box.pristine:
        tally.broken += 1
        tally.say(point, "the input was touched")
    if box.known.is_whole(now) or box.scenario.program != "slim":
        return
    again = box.run(box.scenario.again)
    after = tree(box.work)
    if again.code != 0:
        tally.say(point, f"the next run ended with {again.code}: {again.stderr.strip()}")
    elif box.known.after != after:
        tally.say(
            point,
            f"after the next run, {sorted(box.known.after.items() ^ after.items())[:3]} differs",
        )
