"""``slim trace``: record what a product uses, and look at what was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from slim import api
from slim.cli.groups import SuggestingGroup
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
from slim.cli.reporting import Reporting, reporting_options
from slim.errors import RefusedError, StorageError
from slim.reports.trace import TRACE_CHECK_REPORTERS, TRACE_DIFF_REPORTERS, TRACE_REPORTERS

_OUTPUT = "What comes out"
_RUN = "What is run"
_WHERE = "What to look at"
_REPORT = "What is told"
_RECORD = "run"
_EXAMPLES = (
    ("slim trace _artifacts -o slim.trace", "record the commands of slim.toml"),
    (
        "slim trace _artifacts -o chat.trace -- python -m my_app --chat",
        "record one command",
    ),
    ("slim trace merge linux.trace mac.trace -o slim.trace", "one trace of two machines"),
    ("slim trace show slim.trace _artifacts", "what it tells, and what could be dropped"),
    ("slim trace check slim.trace _artifacts", "whether it is still true of the stack, in CI"),
)


class _TraceGroup(SuggestingGroup):
    """Group in which a first word that isn't a command's name begins ``run``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert the name of the command that is meant."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_RECORD, *args]
        return super().parse_args(ctx, args)


_output = option(
    "-o",
    "--output",
    type=FILE,
    metavar="FILE",
    required=True,
    section=_OUTPUT,
    help="Where the trace goes.",
)
_report = reporting_options(_REPORT, TRACE_REPORTERS, verbose="Tell everything, not only the most.")


@click.group("trace", cls=_TraceGroup, examples=_EXAMPLES)
def trace_group() -> None:
    """Record what a product uses: `slim trace STACK -o FILE` is short for `slim trace run`."""


@trace_group.command(
    _RECORD,
    cls=SectionCommand,
    examples=_EXAMPLES[:2],
    short_help="Record the commands of a stack.",
)
@click.argument("stack", type=PATH)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@_output
@option(
    "--layer",
    metavar="NAME",
    section=_RUN,
    help="The layer that COMMAND is run in. [default: the only application]",
)
@option(
    "--name",
    metavar="NAME",
    section=_RUN,
    help="What the run of COMMAND is called. [default: its words]",
)
@option(
    "--timeout",
    type=click.IntRange(1, 24 * 3600),
    default=600,
    show_default=True,
    metavar="SECONDS",
    section=_RUN,
    help="How long COMMAND may take.",
)
@platform_option(_WHERE)
@_report
@source_options
@jobs_option()
def run_command(
    stack: Path,
    command: tuple[str, ...],
    output: Path,
    layer: str | None,
    name: str | None,
    timeout: int,
    platforms: tuple[str, ...],
    reporting: Reporting,
    **options: Any,
) -> None:
    """Deploy a copy of STACK in a sandbox, and record what its install step and its commands use.

    Commands are the [[verify.command]] and [[trace.command]] tables of the configuration, or the
    one COMMAND after `--`. STACK is never changed.
    """
    if not command and (layer is not None or name is not None):
        raise click.UsageError("--layer and --name go with a command after --")
    config = chosen_config([stack], options)
    _check(reporting, output, (stack, *config.files))
    with reporting.progress() as progress:
        recorded = api.trace(
            stack,
            command=command,
            layer=layer,
            name=name,
            timeout=timeout,
            config=config,
            platforms=platforms,
            progress=progress,
        )
    api.write_trace(output, recorded.trace)
    _tell(reporting, output, recorded.notes)


@trace_group.command(
    "merge", cls=SectionCommand, examples=_EXAMPLES[2:3], short_help="Make one trace of several."
)
@click.argument("traces", nargs=-1, required=True, type=FILE)
@_output
@_report
def merge_command(traces: tuple[Path, ...], output: Path, reporting: Reporting) -> None:
    """Write the union of TRACES: the same bytes in whatever order they come, and however often.

    The output may be one of them.
    """
    _check(reporting, output, traces, replaces=True)
    merged = api.merge_traces([api.read_trace(file) for file in traces])
    api.write_trace(output, merged)
    _tell(reporting, output)


@trace_group.command(
    "collect",
    cls=SectionCommand,
    examples=(
        (
            "slim trace collect logs _artifacts --name beta -o beta.trace",
            "what a recorder that the product carries wrote",
        ),
    ),
    short_help="Make a trace of a carried recorder's logs.",
)
@click.argument("logs", type=PATH)
@click.argument("stack", type=PATH)
@_output
@option("--name", metavar="NAME", required=True, section=_RUN, help="What the run is called.")
@platform_option(_WHERE)
@_report
@source_options
def collect_command(
    logs: Path,
    stack: Path,
    output: Path,
    name: str,
    platforms: tuple[str, ...],
    reporting: Reporting,
    **options: Any,
) -> None:
    """Make a trace of the folder LOGS, which a recorder wrote that a product carries.

    STACK is what the product was installed from. SLIM_TRACE named the folder.
    """
    config = chosen_config([stack], options)
    _check(reporting, output, (logs, stack, *config.files))
    with reporting.progress() as progress:
        recorded = api.collect_trace(
            logs, stack, name=name, config=config, platforms=platforms, progress=progress
        )
    api.write_trace(output, recorded.trace)
    _tell(reporting, output, recorded.notes)


@trace_group.command(
    "recorder",
    cls=SectionCommand,
    examples=(
        (
            "slim trace recorder app/lib/python3.13/site-packages",
            "let a product carry it, for a desk or a beta",
        ),
    ),
    short_help="Write the recorder that a product carries.",
)
@click.argument("folder", type=PATH)
def recorder_command(folder: Path) -> None:
    """Write the recorder and the .pth file that starts it into FOLDER, a layer's site-packages.

    It does nothing unless the environment variable SLIM_TRACE names a folder for its logs.
    """
    from slim.reports.common.text import printable

    if not folder.is_dir():  # a mistyped path would make a recorder that no Python ever reads
        raise StorageError(
            "no such folder",
            file=folder,
            hint="give the site-packages of a deployed layer: app/lib/python3.13/site-packages",
        )
    for file in api.place_recorder(folder):
        click.echo(printable(str(file)))


@trace_group.command(
    "show",
    cls=SectionCommand,
    examples=(
        *_EXAMPLES[3:4],
        ("slim trace show slim.trace --json | jq '.unused[].owner.name'", "for programs"),
    ),
    short_help="Tell what a trace says.",
)
@click.argument("trace", type=FILE)
@click.argument("stack", type=PATH, required=False)
@platform_option(_WHERE)
@_report
@source_options
def show_command(
    trace: Path,
    stack: Path | None,
    platforms: tuple[str, ...],
    reporting: Reporting,
    **options: Any,
) -> None:
    """Tell what TRACE says: runs, layers, families, and whole distributions that no run used.

    With STACK, it tells how large those are, who imports them, and what would fail without them.
    """
    inputs = [stack] if stack is not None else []
    config = chosen_config(inputs, options)
    reporting.check(None, (trace, stack, *config.files), new_files_may=True)
    with reporting.progress() as progress:
        summary = api.show_trace(
            trace, stack, config=config, platforms=platforms, progress=progress
        )
    reporting.deliver(TRACE_REPORTERS["terminal"], summary)


@trace_group.command(
    "diff",
    cls=SectionCommand,
    examples=(("slim trace diff old.trace slim.trace", "what a new recording saw"),),
    short_help="Tell what differs between two traces.",
)
@click.argument("before", type=FILE)
@click.argument("after", type=FILE)
@reporting_options(
    _REPORT, TRACE_DIFF_REPORTERS, verbose="Tell everything that differs, not only the most."
)
def diff_command(before: Path, after: Path, reporting: Reporting) -> None:
    """Tell what differs between two traces: runs, versions, uses, members of families."""
    reporting.check(None, (before, after), new_files_may=True)
    reporting.deliver(TRACE_DIFF_REPORTERS["terminal"], api.compare_traces(before, after))


@trace_group.command(
    "check",
    cls=SectionCommand,
    examples=_EXAMPLES[4:],
    short_help="Tell what a trace lacks for a stack.",
)
@click.argument("trace", type=FILE)
@click.argument("stack", type=PATH)
@platform_option(_WHERE)
@reporting_options(_REPORT, TRACE_CHECK_REPORTERS, verbose="Tell all of it, not only the most.")
@source_options
def check_command(
    trace: Path,
    stack: Path,
    platforms: tuple[str, ...],
    reporting: Reporting,
    **options: Any,
) -> None:
    """Tell what TRACE lacks for STACK and the configuration. The exit code is 1 where it does.

    Versions that were never traced, runs that are missing or vanished, and computed imports in used
    modules that no run exercised.
    """
    config = chosen_config([stack], options)
    reporting.check(None, (trace, stack, *config.files), new_files_may=True)
    with reporting.progress() as progress:
        verdict = api.check_trace(
            trace, stack, config=config, platforms=platforms, progress=progress
        )
    try:
        reporting.deliver(TRACE_CHECK_REPORTERS["terminal"], verdict)
    finally:
        if verdict.lacks:
            first = verdict.lacks[0]
            more = f", and {len(verdict.lacks) - 1} more" if len(verdict.lacks) > 1 else ""
            raise RefusedError(f"{first.text}{more}", file=trace, hint=first.hint)


def _check(
    reporting: Reporting, output: Path, inputs: tuple[Path, ...], *, replaces: bool = False
) -> None:
    """Find out before a long run what would go wrong with the trace and reports."""
    from slim.errors import ConfigError

    reporting.check(output, inputs, new_files_may=True)
    if output.is_dir():
        raise StorageError("the trace's file is a folder", file=output)
    if not output.absolute().parent.is_dir():
        raise StorageError(
            "the trace's folder doesn't exist", file=output.parent, hint="create it first"
        )
    for path in inputs if not replaces else ():
        if path.exists() and output.resolve().is_relative_to(path.resolve()):
            raise ConfigError(
                "the trace would lie in the input, which stays as it is",
                file=output,
                hint="write it beside the configuration, and keep it in git",
            )


def _tell(reporting: Reporting, output: Path, notes: tuple[str, ...] = ()) -> None:
    summary = api.show_trace(output, notes=notes)
    reporting.deliver(TRACE_REPORTERS["terminal"], summary)
