"""``slim check``: hold a stack against its budgets, and say what grew."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from slim import __version__
from slim.cli.options import (
    FILE,
    PATH,
    SectionCommand,
    chosen_config,
    jobs_option,
    option,
    platform_option,
    source_options,
)
from slim.cli.progress import watch
from slim.cli.targets import Telling, telling_options
from slim.cli.terminal import emit
from slim.config import CONFIG_NAMES
from slim.config.budget import SCHEMA, parse_limit, read_budget_file
from slim.config.load import load_config
from slim.config.settings import Config
from slim.errors import ConfigError, RefusedError, StorageError
from slim.model.budget import Budget, LimitKind, Verdict
from slim.model.diff import Metric, Snapshot
from slim.passes import SCHEMAS
from slim.reports.budget import VERDICT_REPORTERS
from slim.reports.budget.words import exceeded_text
from slim.reports.common.text import count, printable
from slim.system.atomic import replace_file

_BUDGETS = "Budgets"
_REPORT = "What is told"
_SUMMARY = "GITHUB_STEP_SUMMARY"
_EXAMPLES = (
    ("slim check _slim", "against the [[budget]] tables of slim.toml"),
    ("slim check _slim --baseline report.json", "with limits of growth, and what grew"),
    ("slim check _slim --baseline v1.2:reports/slim.json", "against a report that was committed"),
    (
        "slim check _slim --baseline _published --delta update",
        "what clients download, too: limits called update",
    ),
    ("slim check _slim --report sarif=budgets.sarif --report junit=budgets.xml", "for programs"),
    ("slim check _slim --update-budget", "tighten the limits to today's sizes"),
)


@click.command(
    "check",
    cls=SectionCommand,
    examples=_EXAMPLES,
    short_help="Hold a stack against its size budgets.",
)
@click.argument("out", metavar="OUT")
@option(
    "--budget",
    type=FILE,
    metavar="FILE",
    section=_BUDGETS,
    help="Read the [[budget]] tables of this file, not those of the configuration.",
)
@option(
    "--baseline",
    metavar="WHAT",
    section=_BUDGETS,
    help="What to measure growth from: a report, a stack, or REF:PATH for a report in git.",
)
@option(
    "--delta",
    type=PATH,
    metavar="D",
    section=_BUDGETS,
    help="The update package from the baseline to OUT, for limits of what an update downloads.",
)
@option(
    "--update-budget",
    is_flag=True,
    section=_BUDGETS,
    help="Write today's sizes plus the headroom into the file, where that is less than what it says.",
)
@option(
    "--headroom",
    metavar="PERCENT",
    default="2%",
    show_default=True,
    section=_BUDGETS,
    help="What --update-budget adds to today's sizes.",
)
@option(
    "--allow-raise",
    is_flag=True,
    section=_BUDGETS,
    help="With --update-budget: raise limits that are exceeded.",
)
@platform_option(_BUDGETS)
@telling_options(
    _REPORT, VERDICT_REPORTERS, verbose="Tell everything that grew, not only the most."
)
@source_options
@jobs_option()
def check_command(
    out: str,
    budget: Path | None,
    baseline: str | None,
    delta: Path | None,
    update_budget: bool,
    headroom: str,
    allow_raise: bool,
    platforms: tuple[str, ...],
    telling: Telling,
    **said: Any,
) -> None:
    """Hold OUT against its size budgets. The exit code is 1 where one is exceeded.

    OUT is a stack, an archive, a folder, or the JSON report of a run. In GitHub Actions the verdict
    is also written to the page of the run, and as annotations.
    """
    if allow_raise and not update_budget:
        raise click.UsageError("--allow-raise goes with --update-budget")
    if delta is not None and baseline is None:
        raise click.UsageError("--delta is from a baseline to OUT; give --baseline, too")
    telling.check(None)
    share = _headroom(headroom)
    config = chosen_config(Path(out), said)
    file = _budget_file(config, budget)
    budgets = _budgets(config, budget, file, may_be_missing=update_budget)
    from slim.delta import document
    from slim.sizes import measure  # late: see slim.cli.run
    from slim.sizes.budget import check

    package = None if delta is None else document.read(delta)
    with watch(quiet=telling.quiet) as progress:
        measured = measure.measure(out, config.limits, config.workers, platforms, progress)
        earlier = (
            measure.measure(baseline, config.limits, config.workers, (), progress)
            if baseline
            else None
        )

    def verdict_of(chosen: Sequence[Budget]) -> Verdict:
        return check(
            measured,
            chosen,
            baseline=earlier,
            rules=config.rules,
            delta=package,
            slim_version=__version__,
        )

    notes: list[str] = []
    if update_budget:
        verdict = verdict_of(budgets) if budgets else None
        notes = _update(file, budgets, verdict, measured, share, allow_raise)
        config = chosen_config(Path(out), {**said, "config": said["config"] or _as_config(file)})
        budgets = _budgets(config, budget, file, may_be_missing=False)
    _tell(verdict_of(budgets), telling, notes)


def _tell(verdict: Verdict, telling: Telling, notes: Sequence[str]) -> None:
    told = "".join(f"{printable(note)}\n" for note in notes)
    telling.show(
        lambda style: VERDICT_REPORTERS["terminal"].render(verdict, style, telling.verbose) + told
    )
    telling.deliver(verdict)
    _summary(VERDICT_REPORTERS["markdown"].render(verdict))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        annotations = VERDICT_REPORTERS["annotations"].render(verdict)
        if telling.stdout_is_free:
            emit(annotations)
        else:
            click.echo(annotations, err=True, nl=False)
    over = [exceeded_text(result, item) for result, item in verdict.exceeded()]
    if over:
        more = f", and {len(over) - 1} more" if len(over) > 1 else ""
        raise RefusedError(
            f"over budget: {over[0]}{more}", hint="slim diff BASELINE OUT -v shows all that changed"
        )


def _summary(text: str) -> None:
    """Add to the page of a GitHub Actions run: the runner names the file to append to."""
    name = os.environ.get(_SUMMARY)
    if not name:
        return
    try:
        with Path(name).open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(text + "\n")
    except OSError as error:
        raise StorageError.from_os_error(error, file=name, hint=f"{_SUMMARY} names it") from error


def _headroom(text: str) -> int:
    try:
        limit = parse_limit(Metric.UNPACKED, f"+{text.strip().removeprefix('+')}")
    except ValueError:
        limit = None
    if limit is None or limit.kind is not LimitKind.GROWTH_SHARE:
        raise click.UsageError(f"--headroom takes a percentage such as 2%, not {text[:40]!r}")
    return limit.value


def _budget_file(config: Config, named: Path | None) -> Path:
    """The file that holds, or shall hold, the budgets."""
    if named is not None:
        return named
    return Path(config.origin) if config.origin else Path(CONFIG_NAMES[0])


def _as_config(file: Path) -> Path | None:
    return file if file.name in CONFIG_NAMES else None


def _budgets(
    config: Config, named: Path | None, file: Path, *, may_be_missing: bool
) -> tuple[Budget, ...]:
    """The budgets to check, with paths as reports tell them: relative to the current folder where they lie in it."""
    if named is None:
        found = config.budgets
    elif may_be_missing and not file.exists():
        found = ()
    elif file.name in CONFIG_NAMES:
        found = load_config(SCHEMAS, file=file).budgets
    else:
        found = read_budget_file(file)
    if not found and not may_be_missing:
        hint = "write [[budget]] tables, or start with slim check OUT --update-budget"
        raise ConfigError("there is no budget", file=named or config.origin, hint=hint)
    return tuple(replace(budget, origin=_relative(budget.origin)) for budget in found)


def _relative(name: str) -> str:
    try:
        return Path(name).resolve().relative_to(Path.cwd().resolve()).as_posix()
    except ValueError:
        return Path(name).as_posix()


def _update(
    file: Path,
    budgets: Sequence[Budget],
    verdict: Verdict | None,
    measured: Sequence[Snapshot],
    headroom: int,
    allow_raise: bool,
) -> list[str]:
    """Write the budgets; tell what changed."""
    from slim.config.budget_edit import rewritten, starting_budgets, updates

    nested = file.name in CONFIG_NAMES[1:]
    text, name = _text(file), _relative(str(file))
    if verdict is None:
        start = starting_budgets(measured, headroom=headroom, nested=nested)
        head = (
            text.rstrip("\n") + "\n\n"
            if text.strip()
            else ""
            if nested
            else f"schema = {SCHEMA}\n\n"
        )
        replace_file(file, (head + start).encode())
        return [f"{name}: budgets written"]
    changes = updates(budgets, verdict, headroom=headroom, allow_raise=allow_raise)
    if changes:
        replace_file(file, rewritten(text, changes, file=str(file), nested=nested).encode())
    notes = [f"{name}: {one.name}, {one.metric.value}: {one.old} -> {one.new}" for one in changes]
    return notes or [f"{name}: nothing to tighten in {count(len(budgets), 'budget')}"]


def _text(file: Path) -> str:
    if not file.exists():
        return ""
    from slim.rules.loader import read_text

    return read_text(file)
