"""``slim fleet``: many stacks at once, their report, and their budgets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slim import fleet
from slim.cli.errors import refuse_exceeded
from slim.cli.fleet_progress import fleet_progress
from slim.cli.groups import SuggestingGroup
from slim.cli.options import FILE, PATH, SectionCommand, combined, option
from slim.cli.reporting import Reporting, reporting_options
from slim.errors import FleetError, RefusedError
from slim.model.budget import Status
from slim.reports.budget import VERDICT_REPORTERS
from slim.reports.fleet import FLEET_REPORTERS

if TYPE_CHECKING:
    from slim.model.fleet import FleetResult

_WHERE = "Where it runs"
_OUTPUT = "What comes out"
_REPORT = "What is told"
_BUDGETS = "Budgets"
_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})", re.ASCII)
_EXAMPLES = (
    ("slim fleet audit fleet.toml", "look first: nothing is written"),
    ("slim fleet run fleet.toml --report html=fleet.html", "tonight's release"),
    ("slim fleet check .slim-fleet/2026-11-28 --baseline previous", "against its budgets"),
)
_RUN_EXAMPLES = (
    ("slim fleet run fleet.toml", "every stack, on this machine"),
    ("slim fleet run fleet.toml --release 2026-11-28", "go on with a run that was stopped"),
    ("slim fleet run fleet.toml --scheduler tcp://10.0.0.1:8786", "on a Dask cluster"),
    ("slim fleet run fleet.toml --shard 3/10", "one of ten jobs of a CI matrix"),
)
_AUDIT_EXAMPLES = (
    ("slim fleet audit fleet.toml -v", "what each rule would save, and what is refused"),
)
_REPORT_EXAMPLES = (
    ("slim fleet report .slim-fleet/2026-11-28 --report html=fleet.html", "of one run"),
    ("slim fleet report shards --json", "of what ten shards left, in one folder"),
)
_CHECK_EXAMPLES = (
    ("slim fleet check .slim-fleet/2026-11-28", "against [[budget]] of fleet.toml"),
    (
        "slim fleet check .slim-fleet/2026-11-28 --baseline previous --report junit=fleet.xml",
        "with growth since the last night",
    ),
)


class _Shard(click.ParamType):  # type: ignore[type-arg]
    """``I/N``: a number from 1, and how many there are."""

    name = "I/N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Take it apart, or say what is wrong with it."""
        if isinstance(value, tuple):
            return value
        match = _SHARD.fullmatch(str(value))
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            self.fail(f"{str(value)[:40]!r} isn't a shard such as 3/10", param, ctx)
        return int(match[1]), int(match[2])


_placement_options = combined(
    (
        option(
            "--scheduler",
            metavar="ADDRESS",
            section=_WHERE,
            help="Run the tasks on this Dask cluster, such as tcp://10.0.0.1:8786.",
        ),
        option(
            "--shard",
            type=_Shard(),
            metavar="I/N",
            section=_WHERE,
            help="Run only this share of the tasks, such as 3/10. No coordinator is needed.",
        ),
        option(
            "--children",
            type=click.IntRange(1, 1024),
            metavar="N",
            section=_WHERE,
            help="Most tasks at once on this machine. [default: as many as its processors and "
            "its memory allow]",
        ),
    )
)


@click.group("fleet", cls=SuggestingGroup, examples=_EXAMPLES)
def fleet_group() -> None:
    """Slim many stacks at once: here, on a Dask cluster, or in shards without a coordinator."""


@fleet_group.command(
    "run", cls=SectionCommand, examples=_RUN_EXAMPLES, short_help="Slim every stack of a fleet."
)
@click.argument("file", type=FILE, metavar="FLEET")
@option(
    "--release",
    metavar="NAME",
    section=_OUTPUT,
    help="Name of this release. The same name goes on with a run that was stopped. [default: "
    "today's date, UTC]",
)
@option(
    "--force",
    is_flag=True,
    section=_OUTPUT,
    help="Replace outputs that this fleet hasn't made of this input.",
)
@_placement_options
@reporting_options(_REPORT, FLEET_REPORTERS, verbose="Tell every stack, rule and refusal.")
def run_command(
    file: Path,
    release: str | None,
    force: bool,
    scheduler: str | None,
    shard: tuple[int, int] | None,
    children: int | None,
    reporting: Reporting,
) -> None:
    """Slim every stack that FLEET (a fleet.toml) selects, and publish each.

    A stack that fails doesn't stop the others: the report has its error, and the exit code is 8.
    What may pass (exit codes 5 and 6, a killed process) is tried again. A fleet that was stopped
    goes on when it is started again.
    """
    _check_placement(scheduler, shard, children)
    reporting.check(None, (file,))
    with fleet_progress(quiet=reporting.quiet, verbose=reporting.verbose) as observer:
        result = fleet.run_fleet(
            file,
            release=release,
            scheduler=scheduler,
            shard=shard,
            children=children,
            force=force,
            observer=observer,
        )
    _deliver(result, reporting)


@fleet_group.command(
    "audit",
    cls=SectionCommand,
    examples=_AUDIT_EXAMPLES,
    short_help="Tell what slimming a fleet would save.",
)
@click.argument("file", type=FILE, metavar="FLEET")
@_placement_options
@reporting_options(_REPORT, FLEET_REPORTERS, verbose="Tell every stack, rule and refusal.")
def audit_command(
    file: Path,
    scheduler: str | None,
    shard: tuple[int, int] | None,
    children: int | None,
    reporting: Reporting,
) -> None:
    """Tell what slimming every stack of FLEET (a fleet.toml) would save, which rules would be
    refused how often, and why. Writes nothing.
    """
    _check_placement(scheduler, shard, children)
    reporting.check(None, (file,))
    with fleet_progress(quiet=reporting.quiet, verbose=reporting.verbose) as observer:
        result = fleet.audit_fleet(
            file, scheduler=scheduler, shard=shard, children=children, observer=observer
        )
    _deliver(result, reporting)


@fleet_group.command(
    "report",
    cls=SectionCommand,
    examples=_REPORT_EXAMPLES,
    short_help="Tell what a fleet, or its shards, did.",
)
@click.argument("results", type=PATH, nargs=-1, required=True)
@reporting_options(_REPORT, FLEET_REPORTERS, verbose="Tell every stack, rule and refusal.")
def report_command(results: tuple[Path, ...], reporting: Reporting) -> None:
    """Join RESULTS: folders that slim fleet run wrote (STATE/RELEASE), folders with such folders in
    them, or JSON reports.

    Stacks that were planned and that nobody has done are told as missing; then, or where one has
    failed, the exit code is 8.
    """
    reporting.check(None, results, new_files_may=True)
    _deliver(fleet.read_fleet(results), reporting)


@fleet_group.command(
    "check",
    cls=SectionCommand,
    examples=_CHECK_EXAMPLES,
    short_help="Hold a fleet against its budgets.",
)
@click.argument("results", type=PATH, nargs=-1, required=True)
@option(
    "--budget",
    "file",
    type=FILE,
    metavar="FLEET",
    default=Path("fleet.toml"),
    show_default=True,
    section=_BUDGETS,
    help="The file with the [[budget]] tables.",
)
@option(
    "--baseline",
    type=PATH,
    metavar="RESULT",
    section=_BUDGETS,
    help="What to measure growth from: a folder, a JSON report, or 'previous' for the newest "
    "earlier release in the same folder.",
)
@reporting_options(_REPORT, VERDICT_REPORTERS)
def check_command(
    results: tuple[Path, ...], file: Path, baseline: Path | None, reporting: Reporting
) -> None:
    """Hold RESULTS (as of slim fleet report) to the budgets of the fleet: of each stack, of each
    platform, of all, and of their growth. The exit code is 1 where one is exceeded, or where
    stacks that it counts have no result.
    """
    reporting.check(None, (*results, file), new_files_may=True)
    verdict = fleet.check_fleet(results, file, baseline=baseline)
    try:
        reporting.deliver(VERDICT_REPORTERS["terminal"], verdict)
    finally:
        refuse_exceeded(verdict, hint="slim fleet report -v shows every stack")
        for result in verdict.results:
            for limit in result.limits:
                if limit.status is Status.UNCHECKED and limit.actual is None:
                    raise RefusedError(
                        f"{result.title}: can't be checked: {limit.note}",
                        hint="run the fleet again: it goes on with what has no result",
                    )


def _check_placement(
    scheduler: str | None, shard: tuple[int, int] | None, children: int | None
) -> None:
    """Raise :class:`click.UsageError` for options that contradict each other."""
    if scheduler is not None and shard is not None:
        raise click.UsageError("--scheduler and --shard contradict each other")
    if scheduler is not None and children is not None:
        raise click.UsageError("--children is for this machine; a cluster's workers have threads")


def _deliver(result: FleetResult, reporting: Reporting) -> None:
    try:
        reporting.deliver(FLEET_REPORTERS["terminal"], result)
    finally:
        failed = result.failed
        if failed:
            first = failed[0]
            words = first.error.text if first.error is not None else ""
            raise FleetError(
                f"{len(failed)} of {len(result.tasks)} stacks have no result: "
                f"{first.title}: {words}",
                hint="the report tells them all; the same command goes on with them",
            )
