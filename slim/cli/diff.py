"""``slim diff``: tell what changed from one stack to another."""

from __future__ import annotations

from typing import Any

import click

from slim import api
from slim.cli.options import SectionCommand, chosen_config, jobs_option, option, source_options
from slim.cli.reporting import Reporting, reporting_options
from slim.reports.diff import DIFF_REPORTERS

_REPORT = "What is told"
_EXAMPLES = (
    ("slim diff _artifacts _slim", "what a run did, layer by layer"),
    ("slim diff old.tar.xz new.tar.xz -v", "two archives, in full"),
    ("slim diff v1.2:reports/slim.json _slim", "since a report that was committed"),
)


@click.command(
    "diff",
    cls=SectionCommand,
    examples=_EXAMPLES,
)
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="TAG",
    section=_REPORT,
    help="Only this platform, such as linux_x86_64. Repeatable.",
)
@reporting_options(_REPORT, DIFF_REPORTERS)
@source_options
@jobs_option()
def diff_command(
    before: str,
    after: str,
    platforms: tuple[str, ...],
    reporting: Reporting,
    **options: Any,
) -> None:
    """Tell what changed from A to B: by layer, owner, category and rule, and which files came and
    went.

    Each is a stack, an archive, a folder, the JSON report of a run or a check, REF:PATH for a
    report in git, or the URL of a stack, an archive or a report. The configuration only
    matters for rules that stopped covering a version.
    """
    config = chosen_config([before, after], options)
    reporting.check(None, (before, after, *config.files), new_files_may=True)
    with reporting.progress() as progress:
        comparisons = api.diff(before, after, config=config, platforms=platforms, progress=progress)
    reporting.deliver(DIFF_REPORTERS["terminal"], comparisons)
