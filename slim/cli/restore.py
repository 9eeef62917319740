"""``slim restore``: bring back what a run removed, all of it or some, or list it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from slim import api
from slim.cli.apart import check_apart
from slim.cli.options import (
    FILE,
    FILE_PLACE,
    PATH,
    PLACE,
    SectionCommand,
    chosen_config,
    jobs_option,
    option,
    platform_option,
    unsafe_store_option,
)
from slim.cli.progress import terminal_progress
from slim.cli.reporting import LOGGING, verbose_option
from slim.cli.terminal import emit, style_for

_WHAT = "What to do"
_REPORT = "What is told"
_RULES = "Configuration"
_EXAMPLES = (
    ("slim restore removed.tar.zst _slim -o _back", "the whole stack as it was"),
    (
        "slim restore removed.tar.zst _slim -o _back '$site/numpy/tests/**'",
        "some of it; RECORD and manifest are true",
    ),
    ("slim restore removed.tar.zst --list '**/*.so'", "what was kept, and the rule that took it"),
    ("slim restore removed.tar.zst --extract look '**/*.so'", "the files themselves, to look at"),
)


@click.command("restore", cls=SectionCommand, examples=_EXAMPLES)
@click.argument("file", type=FILE_PLACE)
@click.argument("arguments", nargs=-1, metavar="[STACK] [GLOB]...")
@option(
    "-o",
    "--output",
    type=PLACE,
    metavar="OUT",
    section=_WHAT,
    help="Where the restored stack goes: a path, or a URL.",
)
@option(
    "--list",
    "as_list",
    is_flag=True,
    section=_WHAT,
    help="List the originals in FILE; takes no STACK.",
)
@option(
    "--extract",
    type=PATH,
    metavar="DIR",
    section=_WHAT,
    help="Write the originals into this new folder, as LAYER/path; takes no STACK.",
)
@option("--force", is_flag=True, section=_WHAT, help="Replace what lies at OUT or DIR.")
@unsafe_store_option(_WHAT)
@platform_option(_WHAT)
@option("--json", "as_json", is_flag=True, section=_REPORT, help="As JSON.")
@option("-q", "--quiet", is_flag=True, section=_REPORT, help="Tell nothing but errors.")
@verbose_option(_REPORT, "With --list: the evidence on which each went, too.")
@option(
    "--config",
    type=FILE,
    metavar="FILE",
    section=_RULES,
    help="Read limits from this configuration.",
)
@option("--no-config", is_flag=True, section=_RULES, help="Read no configuration file.")
@jobs_option()
def restore_command(
    file: Path | str,
    arguments: tuple[str, ...],
    output: Path | str | None,
    as_list: bool,
    extract: Path | None,
    force: bool,
    unsafe_store: bool,
    platforms: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    **options: Any,
) -> None:
    """Put originals from FILE, which slim run --keep-removed wrote, back into STACK, and write the
    result to OUT.

    STACK is what that run wrote; all three may be URLs of an object store. Without a GLOB
    everything comes back, and every layer is checked to be the original again. With globs (over
    paths in a layer, or LAYER/path) those files come back; RECORD, sizes and hashes are true.
    """
    if sum((output is not None, as_list, extract is not None)) != 1:
        raise click.UsageError("give one of -o OUT with a STACK, --list, and --extract DIR")
    if output is not None and not arguments:
        raise click.UsageError("which STACK? Give what the run wrote")
    if quiet and (verbose or as_json):
        raise click.UsageError("-q contradicts -v and --json")
    inputs = [file, *arguments[:1]]
    config = chosen_config(inputs, {**options, "packs": (), "keep_file": None})
    for place in (output, extract):
        check_apart(place, (file, *config.files))
    from slim.reports.restore import json_v1, terminal

    style = style_for(sys.stdout)
    with terminal_progress(quiet=quiet or verbose >= LOGGING) as progress:
        where: dict[str, Any] = {"config": config, "platforms": platforms}
        how: dict[str, Any] = {**where, "force": force, "progress": progress}
        if as_list:
            stored = api.list_originals(file, arguments, **where)
            rows = [(original.place, original.file) for original in stored]
            if as_json:
                documents = {original.place: original.document for original in stored}
                text = json_v1.listed(rows, documents)
            else:
                text = terminal.listed(rows, style, verbose)
        elif extract is not None:
            extracted = api.extract_originals(file, extract, arguments, **how)
            rows = [(original.place, original.file) for original in extracted.originals]
            if as_json:
                text = json_v1.extracted(rows, extracted.left_out, extracted.folder)
            else:
                text = terminal.extracted(rows, extracted.left_out, extracted.folder, style)
        else:
            assert output is not None
            how["unsafe_store"] = unsafe_store
            results = api.restore(file, arguments[0], output, arguments[1:], **how)
            text = json_v1.restored(results) if as_json else terminal.restored(results, style)
    if not quiet:
        emit(text)
