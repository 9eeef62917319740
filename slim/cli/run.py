"""``slim run``: make a stack smaller, or show what would become of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from slim import api
from slim.cli.apart import check_apart, local
from slim.cli.errors import refuse_failures
from slim.cli.keep import check_keep_file, keep_file_for, write_keep_file
from slim.cli.options import (
    FILE,
    PATH,
    PLACE,
    SectionCommand,
    Share,
    cache_option,
    chosen_config,
    config_options,
    effort_options,
    jobs_option,
    option,
    results_cache_option,
    selection_options,
    setting_option,
    unsafe_store_option,
)
from slim.cli.reporting import Reporting, Target, reporting_options
from slim.reports.run import RUN_REPORTERS, SIGNING_LIST

_OUTPUT = "What comes out"
_PROOF = "Proof"
_BACKUP = "What is kept"
_REPORT = "What is told"
_EXAMPLES = (
    ("slim run _artifacts --dry-run", "look first: nothing is written"),
    ("slim run _artifacts -o _slim", "write the smaller stack"),
    (
        "slim run _artifacts -o _slim --profile safe --report markdown=summary.md",
        "in CI, with a summary",
    ),
    ("slim run _artifacts -o _slim --verify", "try it before it is published"),
    (
        "slim run _artifacts -o _slim --previous _published",
        "new archives only for layers that changed",
    ),
    ("slim run _artifacts -o _slim --json | jq '.runs[0].totals'", "for programs"),
    (
        "slim run _artifacts -o _slim --keep-removed removed.tar.zst",
        "lose nothing: slim restore brings it back",
    ),
    (
        "slim run s3://bucket/stack -o s3://bucket/slimmed/1.5 --newest s3://bucket/slimmed",
        "from and to an object store",
    ),
    ("slim run _artifacts -o _slim --symbols symbols", "and keep what debuggers need"),
    (
        "slim run dist/venv -o smaller --keep '**/tests/data/**' --disable tests-folders",
        "a plain folder, with exceptions",
    ),
)


@click.command("run", cls=SectionCommand, examples=_EXAMPLES)
@click.argument("stack", type=PLACE)
@option(
    "-o",
    "--output",
    type=PLACE,
    metavar="OUT",
    section=_OUTPUT,
    help="Where the smaller stack goes: a folder, or a URL such as s3://bucket/release.",
)
@option("--dry-run", is_flag=True, section=_OUTPUT, help="Show what would happen; write nothing.")
@setting_option("format", _OUTPUT)
@effort_options(_OUTPUT)
@option(
    "--previous",
    type=PLACE,
    metavar="WHAT",
    section=_OUTPUT,
    help="What was published before: a folder, a manifest, or a URL. A layer with the same files "
    "keeps its archive, name and build number, so that nobody downloads it again.",
)
@results_cache_option(_OUTPUT)
@option(
    "--recheck",
    type=Share(),
    metavar="PERCENT",
    section=_OUTPUT,
    help="With --cache: make this share of the runs that are in it anew, such as 2%, and compare.",
)
@option("--force", is_flag=True, section=_OUTPUT, help="Replace what lies at OUT.")
@option(
    "--newest",
    metavar="URL",
    section=_OUTPUT,
    help="Name OUT as the newest release below this URL, once it is published; URL/@newest is "
    "then read as OUT.",
)
@unsafe_store_option(_OUTPUT)
@option(
    "--verify",
    is_flag=True,
    section=_PROOF,
    help="Deploy the result privately and try it before it is published: libraries, "
    "imports, metadata, your commands. What broke something is taken back.",
)
@option(
    "--no-repair",
    is_flag=True,
    section=_PROOF,
    help="With --verify: fail instead of taking anything back.",
)
@option(
    "--unverified",
    is_flag=True,
    section=_PROOF,
    help="Publish what the profile aggressive infers though no launch command tried it; report "
    "and manifest say so.",
)
@option(
    "--tried",
    type=FILE,
    multiple=True,
    metavar="FILE",
    section=_PROOF,
    help="Take what slim verify told on another host (its JSON report) for the trial: it has to "
    "be about the very layers that this run makes. May be given several times.",
)
@option(
    "--keep-removed",
    type=FILE,
    metavar="FILE",
    section=_BACKUP,
    help="Store the original of everything that is removed or rewritten in this archive "
    "(.tar.zst), by layer, with the rule that took it. slim restore brings it back.",
)
@option(
    "--symbols",
    type=PATH,
    metavar="DIR",
    section=_BACKUP,
    help="Add what debuggers need of stripped native files to this folder, where gdb, lldb, "
    "debuginfod and symbol servers look for it: .build-id, UUIDs, GUIDs.",
)
@option(
    "--canary",
    is_flag=True,
    section=_BACKUP,
    help="Remove nothing: the layers log, into the file that SLIM_CANARY names, what would have "
    "gone and is used. The log is a trace.",
)
@setting_option("guard", _BACKUP)
@setting_option("rest_pack", _BACKUP)
@selection_options
@config_options
@setting_option("strict", _REPORT)
@option(
    "--signing-list",
    type=FILE,
    metavar="FILE",
    section=_REPORT,
    help="Write what has to be signed for macOS, a path a line, below the folder that layers are "
    "unpacked into.",
)
@reporting_options(_REPORT, RUN_REPORTERS)
@cache_option()
@jobs_option()
def run_command(
    stack: Path | str,
    output: Path | str | None,
    dry_run: bool,
    previous: Path | str | None,
    results_cache: str | None,
    recheck: float | None,
    force: bool,
    newest: str | None,
    unsafe_store: bool,
    verify: bool,
    no_repair: bool,
    unverified: bool,
    tried: tuple[Path, ...],
    keep_removed: Path | None,
    symbols: Path | None,
    canary: bool,
    signing_list: Path | None,
    reporting: Reporting,
    **options: Any,
) -> None:
    """Make the layers of STACK smaller, prove that they still work, and write them to OUT.

    STACK is a folder that venvstacks published, exported or built, a single layer archive, any
    folder with Python in it, or the URL of a published stack. It is never changed.
    """
    _check_options(output, dry_run, verify, no_repair, keep_removed, symbols)
    if recheck is not None and results_cache is None:
        raise click.UsageError("--recheck says how much of a --cache is made anew; give both")
    if results_cache is not None and dry_run:
        raise click.UsageError("--dry-run writes nothing that a --cache could hold")
    if signing_list is not None:
        reporting = reporting.also(Target(reporter=SIGNING_LIST, file=signing_list))
    config = chosen_config([stack], options)
    keep_file = keep_file_for(options, config)
    if verify:
        check_keep_file(keep_file, stack)
    read = (*config.files, *tried)
    check_apart(output, read, earlier=previous)
    cache = _check_extras((*read, previous), keep_removed, symbols, results_cache)
    kept = keep_file if verify else None
    reporting.check(output, (stack, previous, *read), written=(keep_removed, symbols, cache, kept))
    with reporting.progress() as progress:
        results = api.run(
            stack,
            output,
            config=config,
            platforms=options["platforms"],
            layers=options["layers"],
            dry_run=dry_run,
            force=force,
            verify=verify,
            repair=not no_repair,
            unverified=unverified,
            tried=tried,
            keep_removed=keep_removed,
            symbols=symbols,
            previous=previous,
            canary=canary,
            newest=newest,
            unsafe_store=unsafe_store,
            cache=results_cache,
            recheck=recheck or 0.0,
            progress=progress,
        )
    write_keep_file(results, keep_file)
    try:
        reporting.deliver(RUN_REPORTERS["terminal"], results)
    finally:
        refuse_failures(results, "verification refused the result")


def _check_extras(
    read: Iterable[Path | str | None],
    keep_removed: Path | None,
    symbols: Path | None,
    results_cache: str | None,
) -> Path | None:
    """Raise an error where what a run writes beside its output would meet what it reads.

    Returns the folder of the cache, if it is one.
    """
    check_apart(keep_removed, read, what="the file for originals")
    check_apart(symbols, read, what="the folder for symbols", added_to=True)
    cache = local(results_cache)
    if cache is not None and cache == local(symbols):
        raise click.UsageError("symbols and results can't go to the same folder")
    return cache


def _check_options(
    output: Path | str | None,
    dry_run: bool,
    verify: bool,
    no_repair: bool,
    keep_removed: Path | None,
    symbols: Path | None,
) -> None:
    """Raise :class:`click.UsageError` for options that contradict each other."""
    if (output is None) != dry_run:
        wanted = "-o OUT says where the smaller stack goes, --dry-run only looks"
        raise click.UsageError(
            f"give one of them, not both: {wanted}" if dry_run else f"{wanted}; give one of them"
        )
    if no_repair and not verify:
        raise click.UsageError("--no-repair says what --verify does; give both")
    if keep_removed is not None and dry_run:
        raise click.UsageError("--dry-run removes nothing that --keep-removed could store")
    if symbols is not None and dry_run:
        raise click.UsageError("--dry-run strips nothing whose --symbols could be stored")
