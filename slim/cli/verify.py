"""``slim verify``: try a slimmed stack against its original."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from slim import api
from slim.cli.errors import refuse_failures
from slim.cli.options import (
    PLACE,
    SectionCommand,
    chosen_config,
    jobs_option,
    platform_option,
    source_options,
)
from slim.cli.reporting import Reporting, reporting_options
from slim.reports.run import RUN_REPORTERS

_WHERE = "What to look at"
_REPORT = "What is told"
_EXAMPLES = (
    ("slim verify _artifacts _slim", "two published folders"),
    (
        "slim verify deployed slim-deployed --config slim.toml",
        "two deployed trees, with the commands of slim.toml",
    ),
    ("slim verify _artifacts _slim -q --report junit=verify.xml", "in CI"),
)


@click.command(
    "verify",
    cls=SectionCommand,
    examples=_EXAMPLES,
)
@click.argument("original", type=PLACE)
@click.argument("slimmed", type=PLACE)
@platform_option(_WHERE)
@reporting_options(_REPORT, RUN_REPORTERS)
@source_options
@jobs_option("Programs that run at once")
def verify_command(
    original: Path | str,
    slimmed: Path | str,
    platforms: tuple[str, ...],
    reporting: Reporting,
    **options: Any,
) -> None:
    """Deploy ORIGINAL and SLIMMED privately and check that what worked in the one works in the
    other.

    Both are folders that venvstacks (or slim) published, or trees that were deployed. Neither is
    changed. The commands of the configuration are run in both.
    """
    config = chosen_config([original, slimmed], options)
    reporting.check(None, (original, slimmed, *config.files))
    with reporting.progress() as progress:
        results = api.verify(
            original, slimmed, config=config, platforms=platforms, progress=progress
        )
    try:
        reporting.deliver(RUN_REPORTERS["terminal"], results)
    finally:
        refuse_failures(results, "not everything works any more")
