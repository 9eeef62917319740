"""``slim diff``: what changed from one thing to another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from slim.cli.options import SectionCommand, chosen_config, jobs_option, option, source_options
from slim.cli.progress import watch
from slim.cli.targets import Telling, telling_options
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
    short_help="Tell what changed between two stacks.",
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
@telling_options(_REPORT, DIFF_REPORTERS)
@source_options
@jobs_option()
def diff_command(
    before: str,
    after: str,
    platforms: tuple[str, ...],
    telling: Telling,
    **said: Any,
) -> None:
    """Tell what changed from A to B: by layer, owner, category and rule, and which files came and went.

    Each is a stack, an archive, a folder, the JSON report of a run or a check, or REF:PATH for a
    report in git. The configuration only matters for rules that stopped covering a version.
    """
    telling.check(None)
    config = chosen_config(Path(after), said)
    from slim.sizes import measure  # late: see slim.cli.run
    from slim.sizes.diff import compare, empty, pair

    with watch(quiet=telling.quiet) as progress:
        old = measure.measure(before, config.limits, config.workers, platforms, progress)
        new = measure.measure(after, config.limits, config.workers, platforms, progress)
    comparisons = []
    for left, right in pair(old, new):
        present = left or right
        if present is not None:
            comparisons.append(
                compare(left or empty(present), right or empty(present), config.rules)
            )
    telling.show(
        lambda style: DIFF_REPORTERS["terminal"].render(comparisons, style, telling.verbose)
    )
    telling.deliver(comparisons)
