"""Trials on another machine: what ``slim verify`` told there of the very same layers.

A Mac tries what Linux makes, and its JSON report goes into git. The same input gives the same bytes
on any host, so the tree digests in the report say whether it is about this result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from slim.errors import ConfigError
from slim.model.outcome import RunResult
from slim.model.report import RUN_REPORT
from slim.system.json_cursor import JsonCursor, JsonSource
from slim.system.regular import read_input
from slim.verification.dynamic import launch

_HINT = "write one with slim verify ORIGINAL SLIMMED --report json=FILE, on a host that runs it"
_LARGEST = 256 * 1024 * 1024
"""The most bytes of a report. It names every file that was imported: tens of megabytes at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Trial of one stack. ``trees`` are the tree digests of its layers, by name."""

    file: Path
    platform: str
    trees: Mapping[str, str]
    passed: bool
    launched: int
    """Commands that were run."""


def read_trials(files: Iterable[Path]) -> tuple[Trial, ...]:
    """Read the trials of JSON reports.

    Raises StorageError, LimitError, and UnsafeInputError for what is no such report.
    """
    return tuple(trial for file in files for trial in _trials(file))


def check_tried_elsewhere(
    results: Iterable[RunResult], trials: Iterable[Trial], commands: int
) -> None:
    """Raise ConfigError for a result that no trial is about, or that failed one.

    ``commands`` is the number of commands that a trial has to have run.
    """
    known = tuple(trials)
    for result in results:
        platform = result.stack.platform.tag
        trees = {outcome.layer.name: outcome.tree_sha256 for outcome in result.layers}
        about = [trial for trial in known if trial.platform == platform]
        same = [trial for trial in about if trial.trees == trees]
        problem = f"no report given by --tried is about a stack for {platform}"
        if same:
            failed = [trial for trial in same if not trial.passed]
            if not failed and any(trial.launched >= max(1, commands) for trial in same):
                continue
            problem = f"{same[0].file}: not all of the {commands} commands were run there"
            if failed:
                problem = f"{failed[0].file}: the trial failed there"
        elif about:
            changed = sorted(
                name for name, digest in trees.items() if about[0].trees.get(name) != digest
            )
            problem = f"{about[0].file} is about another result: {', '.join(changed)} differ"
        raise ConfigError(
            f"what was tried elsewhere isn't what this run would publish: {problem}",
            file=result.output,
            hint="publish it elsewhere with --unverified, try that with slim verify, and give its "
            "report here",
        )


def _trials(file: Path) -> Iterator[Trial]:
    text = read_input(file, _LARGEST, noun="report")
    top = JsonSource(file=file, hint=_HINT).parse(text)
    if top["schema"].text() != RUN_REPORT:
        raise top.wrong("not a report of slim verify or slim run")
    for run in top["runs"].items():
        yield _trial(file, run)


def _trial(file: Path, run: JsonCursor) -> Trial:
    verification = run["verification"]
    launched = sum(
        check["tried"].number()
        for check in verification["checks"].items()
        if check["name"].text() == launch.NAME
    )
    return Trial(
        file=file,
        platform=run["stack"]["platform"]["tag"].text(),
        trees={layer.name("name"): layer["tree_sha256"].text() for layer in run["layers"].items()},
        passed=verification["passed"].flag(),
        launched=launched,
    )
