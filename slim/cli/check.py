"""``slim check``: hold a stack against its budgets, and tell what grew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slim import api
from slim.cli.apart import check_apart
from slim.cli.errors import refuse_exceeded
from slim.cli.options import (
    FILE,
    PLACE,
    SectionCommand,
    chosen_config,
    jobs_option,
    option,
    platform_option,
    source_options,
)
from slim.cli.reporting import Reporting, reporting_options
from slim.cli.terminal import emit, tell
from slim.errors import OutputError, StorageError
from slim.reports.budget import VERDICT_REPORTERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from slim.model.budget import Verdict

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
    help="What to measure growth from: a report, a stack, REF:PATH for a report in git, or a URL.",
)
@option(
    "--delta",
    type=PLACE,
    metavar="D",
    section=_BUDGETS,
    help="The update package from the baseline to OUT, for limits of what an update downloads.",
)
@option(
    "--update-budget",
    is_flag=True,
    section=_BUDGETS,
    help="Write today's sizes plus the headroom into the file, where that is less than what it "
    "says.",
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
@reporting_options(
    _REPORT, VERDICT_REPORTERS, verbose="Tell everything that grew, not only the most."
)
@source_options
@jobs_option()
def check_command(
    out: str,
    budget: Path | None,
    baseline: str | None,
    delta: Path | str | None,
    update_budget: bool,
    headroom: str,
    allow_raise: bool,
    platforms: tuple[str, ...],
    reporting: Reporting,
    **options: Any,
) -> None:
    """Hold OUT against its size budgets. The exit code is 1 where one is exceeded.

    OUT is a stack, an archive, a folder, the JSON report of a run, or a URL of these. In GitHub
    Actions the verdict is also written to the page of the run, and as annotations.
    """
    if allow_raise and not update_budget:
        raise click.UsageError("--allow-raise goes with --update-budget")
    if not update_budget and _is_given("headroom"):
        raise click.UsageError("--headroom goes with --update-budget")
    if delta is not None and baseline is None:
        raise click.UsageError("--delta is from a baseline to OUT; give --baseline, too")
    from slim.cli.budgets import BudgetFile, parse_headroom

    share = parse_headroom(headroom)
    inputs = [name for name in (out, baseline) if name is not None]
    config = chosen_config(inputs, options)
    reporting.check(None, (out, baseline, budget, delta, *config.files), new_files_may=True)
    file = BudgetFile.of(config, budget)
    if update_budget:
        check_apart(file.path, (out, baseline), what="the budget")
    budgets = file.read(config, may_be_missing=update_budget)
    package = None if delta is None else api.read_delta(delta)
    with reporting.progress() as progress:
        measured = api.measure(out, config=config, platforms=platforms, progress=progress)
        earlier = None
        if baseline is not None:
            earlier = api.measure(baseline, config=config, progress=progress)
    notes: list[str] = []
    if update_budget:
        verdict = None
        if budgets:
            verdict = api.check(measured, budgets, baseline=earlier, delta=package, config=config)
        notes = file.update(budgets, verdict, measured, headroom=share, allow_raise=allow_raise)
        config = chosen_config(
            inputs,
            {**options, "config": options["config"] or file.as_config()},
            tell=False,
        )
        budgets = file.read(config)
    verdict = api.check(measured, budgets, baseline=earlier, delta=package, config=config)
    _report(verdict, reporting, notes)


def _report(verdict: Verdict, reporting: Reporting, notes: Iterable[str]) -> None:
    from slim.reports.common.text import printable

    lines = "".join(f"{printable(note)}\n" for note in notes)
    try:
        reporting.deliver(VERDICT_REPORTERS["terminal"], verdict, notes=lines)
        _append_summary(VERDICT_REPORTERS["markdown"].render(verdict))
        if os.environ.get("GITHUB_ACTIONS") == "true":
            annotations = VERDICT_REPORTERS["annotations"].render(verdict)
            if reporting.stdout_is_free:
                emit(annotations)
            else:
                tell(annotations, nl=False)
    finally:  # whether the budget held matters more than whether that could be told
        refuse_exceeded(verdict, hint="slim diff BASELINE OUT -v shows all that changed")


def _append_summary(text: str) -> None:
    """Append to the page of a GitHub Actions run, in the file that the runner names."""
    name = os.environ.get(_SUMMARY)
    if not name:
        return
    try:
        with Path(name).open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(text + "\n")
    except OSError as error:
        text = StorageError.from_os_error(error).message
        raise OutputError(text, file=name, hint=f"{_SUMMARY} names it") from error


def _is_given(name: str) -> bool:
    """Return whether the command line has this option, be it with its default."""
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE
