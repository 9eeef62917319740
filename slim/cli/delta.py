"""``slim delta``: make update packages between two stacks, and apply them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from slim import api
from slim.cli.apart import check_apart
from slim.cli.groups import SuggestingGroup
from slim.cli.options import (
    FILE,
    PLACE,
    LateChoice,
    SectionCommand,
    chosen_config,
    effort_options,
    jobs_option,
    option,
    platform_option,
    results_cache_option,
    unsafe_store_option,
)
from slim.cli.reporting import Reporting, reporting_options
from slim.reports.delta import APPLIED_REPORTERS, DELTA_REPORTERS

_OUTPUT = "What comes out"
_WHERE = "What to look at"
_REPORT = "What is told"
_RULES = "Configuration"
_MAKE = "make"
_EXAMPLES = (
    (
        "slim delta _published-1.4 _slim -o update-1.5",
        "what clients of 1.4 download to get what is in _slim",
    ),
    (
        "slim delta apply _published-1.4 update-1.5 -o _published-1.5",
        "the new stack again, bit for bit",
    ),
)
_MAKE_EXAMPLES = (
    *_EXAMPLES[:1],
    ("slim delta old new -o update --json | jq '.deltas[0].download'", "for programs"),
)
_APPLY_EXAMPLES = (
    *_EXAMPLES[1:],
    (
        "slim delta apply /opt/app/layers update-1.5 -o /opt/app/layers-1.5",
        "from layers that were installed",
    ),
    ("slim delta apply old update -o new --format folder", "unpacked, from archives"),
)


def _format_names() -> tuple[str, ...]:
    from slim.formats import FORMATS

    return (*(known.name for known in FORMATS), "folder")


class _DeltaGroup(SuggestingGroup):
    """Group in which a first word that isn't a command's name begins ``make``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert the name of the command that is meant."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_MAKE, *args]
        return super().parse_args(ctx, args)


@click.group("delta", cls=_DeltaGroup, examples=_EXAMPLES)
def delta_group() -> None:
    """Make and apply update packages: `slim delta OLD NEW -o D` is short for `slim delta make`."""


@delta_group.command(
    _MAKE, cls=SectionCommand, examples=_MAKE_EXAMPLES, short_help="Make an update package."
)
@click.argument("old", type=PLACE)
@click.argument("new", type=PLACE)
@option(
    "-o",
    "--output",
    type=PLACE,
    metavar="D",
    required=True,
    section=_OUTPUT,
    help="Where the delta goes.",
)
@results_cache_option(_OUTPUT)
@option("--force", is_flag=True, section=_OUTPUT, help="Replace what lies at D.")
@unsafe_store_option(_OUTPUT)
@platform_option(_WHERE)
@reporting_options(_REPORT, DELTA_REPORTERS, verbose="Tell what was tried, too.")
def make_command(
    old: Path | str,
    new: Path | str,
    output: Path | str,
    results_cache: str | None,
    force: bool,
    unsafe_store: bool,
    platforms: tuple[str, ...],
    reporting: Reporting,
) -> None:
    """Make what a client that has OLD needs to get NEW: for each layer that changed a patch, or the
    whole archive where that is smaller.

    OLD and NEW are published stacks, exports, archives or folders, or URLs of stacks. Neither is
    changed.
    """
    reporting.check(output, (old, new))
    with reporting.progress() as progress:
        results = api.make_delta(
            old,
            new,
            output,
            platforms=platforms,
            force=force,
            cache=results_cache,
            unsafe_store=unsafe_store,
            progress=progress,
        )
    reporting.deliver(DELTA_REPORTERS["terminal"], results)


@delta_group.command(
    "apply", cls=SectionCommand, examples=_APPLY_EXAMPLES, short_help="Apply an update package."
)
@click.argument("old", type=PLACE)
@click.argument("delta", type=PLACE)
@option(
    "-o",
    "--output",
    type=PLACE,
    metavar="NEW",
    required=True,
    section=_OUTPUT,
    help="Where the new stack goes.",
)
@option(
    "--format",
    "format_name",
    type=LateChoice(_format_names),
    section=_OUTPUT,
    help="What layers are written as. [default: archives from archives, folders from folders]",
)
@effort_options(_OUTPUT)
@option("--force", is_flag=True, section=_OUTPUT, help="Replace what lies at NEW.")
@unsafe_store_option(_OUTPUT)
@platform_option(_WHERE)
@reporting_options(_REPORT, APPLIED_REPORTERS, verbose="Tell what each layer was written as, too.")
@option(
    "--config",
    type=FILE,
    metavar="FILE",
    section=_RULES,
    help="Read level and memory from this configuration.",
)
@option("--no-config", is_flag=True, section=_RULES, help="Read no configuration file.")
@jobs_option()
def apply_command(
    old: Path | str,
    delta: Path | str,
    output: Path | str,
    format_name: str | None,
    force: bool,
    unsafe_store: bool,
    platforms: tuple[str, ...],
    reporting: Reporting,
    **options: Any,
) -> None:
    """Restore the new stack from OLD and DELTA: the same names, permissions, times and contents.
    Anything that isn't the very stack that the delta was made from is refused.

    OLD is the published stack, or the folder that its layers were unpacked into. It is never
    changed. Archives get the published bytes where they are compressed as those were. How, the
    manifest of the new stack says, if slim wrote it; --level, --memory and --xz-arm64 say it
    otherwise.
    """
    from slim.model.settings import Effort

    config = chosen_config([old, delta], {**options, "packs": (), "keep_file": None})
    check_apart(output, config.files)
    reporting.check(output, (old, delta, *config.files))
    with reporting.progress() as progress:
        results = api.apply_delta(
            old,
            delta,
            output,
            config=config,
            format=format_name,
            effort=config.effort if options["level"] or config.effort != Effort() else None,
            platforms=platforms,
            force=force,
            unsafe_store=unsafe_store,
            progress=progress,
        )
    reporting.deliver(APPLIED_REPORTERS["terminal"], results)
