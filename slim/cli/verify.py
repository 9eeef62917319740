"""``slim verify``: try a slimmed stack against its original."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from slim.cli.options import (
    PATH,
    SectionCommand,
    chosen_config,
    jobs_option,
    platform_option,
    source_options,
)
from slim.cli.progress import watch
from slim.cli.targets import Telling, telling_options
from slim.errors import RefusedError
from slim.model.outcome import RunResult
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
    short_help="Try a slimmed stack against its original.",
)
@click.argument("original", type=PATH)
@click.argument("slimmed", type=PATH)
@platform_option(_WHERE)
@telling_options(_REPORT, RUN_REPORTERS)
@source_options
@jobs_option("Programs that run at once")
def verify_command(
    original: Path,
    slimmed: Path,
    platforms: tuple[str, ...],
    telling: Telling,
    **said: Any,
) -> None:
    """Deploy ORIGINAL and SLIMMED privately and check that what worked in the one works in the other.

    Both are folders that venvstacks (or slim) published, or trees that were deployed. Neither is
    changed. The commands of the configuration are run in both.
    """
    telling.check(None)
    config = chosen_config(original, said)
    from slim.verification import compare_stacks as verifier  # late: see slim.cli.run

    request = verifier.VerifyRequest(
        original=original,
        slimmed=slimmed,
        config=config,
        workers=config.workers,
        platforms=platforms,
    )
    with watch(quiet=telling.quiet) as progress:
        results = verifier.verify(request, progress)
    telling.show(lambda style: RUN_REPORTERS["terminal"].render(results, style, telling.verbose))
    telling.deliver(results)
    refuse_failures(results, "not everything works any more")


def refuse_failures(results: Sequence[RunResult], what: str) -> None:
    """Raise :class:`RefusedError` where a check failed."""
    failures = [
        text
        for result in results
        for check in result.verification.checks
        for text in check.failures
    ]
    if failures:
        raise RefusedError(f"{what}: {failures[0]}", hint="the report tells all that failed")
