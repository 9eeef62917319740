"""``slim audit``: where the bytes are, and what could go."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from slim.cli.look import emit, look_for
from slim.cli.options import OTHER, PATH, PROFILES, SectionCommand, chosen_config, option, source_options
from slim.cli.progress import watch
from slim.cli.targets import Target, TargetType, check_targets, deliver
from slim.reports import audit_terminal
from slim.reports.audits import AUDIT_REPORTERS

_WHERE = "What to look at"
_REPORT = "What is told"
_EXAMPLES = (
    ("slim audit .venv", "what takes the space in a venv"),
    ("slim audit _artifacts --report html=map.html", "a map to look at in a browser"),
    ("slim audit _artifacts --why 'libopenblas*'", "why is this here?"),
    ("slim audit Downloads/numpy-2.3.1-cp313-cp313-macosx_14_0_arm64.whl --json", "a wheel, for programs"),
)


@click.command("audit", cls=SectionCommand, examples=_EXAMPLES, short_help="Tell where the bytes are.")
@click.argument("path", type=PATH)
@option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="TAG",
    section=_WHERE,
    help="Only this platform, such as linux_x86_64. Repeatable.",
)
@option(
    "--why",
    multiple=True,
    metavar="GLOB",
    section=_REPORT,
    help="Why are these files there? Tells owner, who requires, imports and links them. Repeatable.",
)
@option(
    "--prove/--no-prove",
    default=None,
    section=_REPORT,
    help="Find out what imports forbid to remove, and which libraries nothing needs, as a run does. Takes "
    "several times as long. [default: only for the html report]",
)
@option("--profile", type=PROFILES, section=_REPORT, help="Whose rules are shown first. [default: standard]")
@option(
    "--report",
    "targets",
    multiple=True,
    type=TargetType(AUDIT_REPORTERS),
    section=_REPORT,
    help=f"Write a report ({', '.join(AUDIT_REPORTERS)}) to a file, or to stdout with '-'. Repeatable.",
)
@option("--json", "as_json", is_flag=True, section=_REPORT, help="The same as --report json=-.")
@option("-q", "--quiet", is_flag=True, section=_REPORT, help="Tell nothing but errors.")
@option("-v", "--verbose", count=True, section=_REPORT, help="Tell everything, not only the largest.")
@source_options
@option("--jobs", type=int, metavar="N", section=OTHER, help="Worker threads. [default: one a processor]")
def audit_command(
    path: Path,
    platforms: tuple[str, ...],
    why: tuple[str, ...],
    prove: bool | None,
    targets: tuple[Target, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    **said: Any,
) -> None:
    """Tell where the bytes of PATH are, what stands out, and what could go. Changes nothing.

    PATH is anything: a published, exported or built stack, an archive (tar, zip, wheel), a venv, an unpacked
    application, a container layer, or a plain folder. No configuration is needed.
    """
    if quiet and verbose:
        raise click.UsageError("-q and -v contradict each other")
    if as_json:
        targets = (*targets, Target(reporter=AUDIT_REPORTERS["json"], file=None))
    check_targets(targets, None)
    from slim.audit import engine  # late: see slim.cli.run

    drawn = any(target.reporter is AUDIT_REPORTERS.get("html") for target in targets)
    config = chosen_config(path, said)
    request = engine.AuditRequest(
        source=path,
        config=config,
        platforms=platforms,
        why=why,
        prove=drawn if prove is None else prove,
        findings=not why or bool(targets),
        workers=config.jobs or engine.available_cpus(),
    )
    with watch(quiet=quiet) as progress:
        results = engine.audit(request, progress)
    if not quiet and all(target.file is not None for target in targets):
        emit(audit_terminal.render(results, look_for(sys.stdout), verbose))
    deliver(targets, results)
