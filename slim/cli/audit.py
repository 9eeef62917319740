"""``slim audit``: tell where the bytes are, and what could go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from slim import api
from slim.cli.options import (
    PLACE,
    UNTRACED,
    SectionCommand,
    cache_option,
    chosen_config,
    jobs_option,
    option,
    platform_option,
    source_options,
)
from slim.cli.reporting import Reporting, reporting_options
from slim.reports.audit import AUDIT_REPORTERS

_WHERE = "What to look at"
_REPORT = "What is told"
_EXAMPLES = (
    ("slim audit .venv", "what takes the space in a venv"),
    ("slim audit _artifacts --report html=map.html", "a map to look at in a browser"),
    ("slim audit _artifacts --why 'libopenblas*'", "why is this here?"),
    (
        "slim audit Downloads/numpy-2.3.1-cp313-cp313-macosx_14_0_arm64.whl --json",
        "a wheel, for programs",
    ),
)


@click.command("audit", cls=SectionCommand, examples=_EXAMPLES)
@click.argument("path", type=PLACE)
@platform_option(_WHERE)
@option(
    "--why",
    multiple=True,
    metavar="GLOB",
    section=_REPORT,
    help="Why are these files there? Tells owner, who requires, imports and links them. "
    "Repeatable.",
)
@option(
    "--prove/--no-prove",
    default=None,
    section=_REPORT,
    help="Find out what imports forbid to remove, and which libraries nothing needs, as a run "
    "does. Takes several times as long. [default: only for the html report]",
)
@option(
    "--profile",
    type=UNTRACED,
    section=_REPORT,
    help="Whose rules are shown first. [default: standard]",
)
@reporting_options(_REPORT, AUDIT_REPORTERS)
@source_options
@cache_option()
@jobs_option()
def audit_command(
    path: Path | str,
    platforms: tuple[str, ...],
    why: tuple[str, ...],
    prove: bool | None,
    reporting: Reporting,
    **options: Any,
) -> None:
    """Tell where the bytes of PATH are, what stands out, and what could go. Changes nothing.

    PATH is anything: a published, exported or built stack, an archive (tar, zip, wheel), a venv, an
    unpacked application, a container layer, a plain folder, or the URL of a stack or an archive.
    No configuration is needed.
    """
    config = chosen_config([path], options)
    reporting.check(None, (path, *config.files), new_files_may=True)
    drawn = any(target.reporter is AUDIT_REPORTERS.get("html") for target in reporting.targets)
    with reporting.progress() as progress:
        results = api.audit(
            path,
            config=config,
            platforms=platforms,
            why=why,
            prove=drawn if prove is None else prove,
            findings=not why or bool(reporting.targets),
            progress=progress,
        )
    reporting.deliver(AUDIT_REPORTERS["terminal"], results)
