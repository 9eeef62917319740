"""``slim demo``: run the whole pipeline on a sample stack, put together from files at hand."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from slim import api
from slim.cli.options import PATH, SectionCommand, option
from slim.cli.progress import terminal_progress
from slim.cli.terminal import emit, style_for
from slim.errors import ConfigError
from slim.reports.run import RUN_REPORTERS
from slim.sample import APPLICATION, LAUNCH_MODULE

_EXAMPLES = (
    ("slim demo", "into ./slim-demo"),
    ("slim demo /tmp/try", "into another folder"),
)

_NEXT = """\
{stack} is a published stack as venvstacks writes one: the Python that runs slim as
the runtime layer, packages that slim requires as a framework layer, and a small application
layer ({application}, started with `python -m {module}`).
{slimmed} is the same stack as slim publishes it.

On your own stack, after `venvstacks publish`:
    slim run _artifacts --dry-run            look first: what would go, and what holds the rest
    slim run _artifacts -o _slim             write the smaller stack
    slim explain _artifacts PATH             why a file stays or goes
    slim audit PATH                          where the bytes are, in any folder or archive
"""


@click.command("demo", cls=SectionCommand, examples=_EXAMPLES)
@click.argument("folder", type=PATH, default="slim-demo")
@option("-q", "--quiet", is_flag=True, section="What is told", help="Tell nothing but errors.")
def demo_command(folder: Path, quiet: bool) -> None:
    """Build a sample stack from the Python that runs slim, make it smaller, and tell what was done.

    FOLDER (./slim-demo by default) gets both stacks: `stack`, and `slimmed`. Needs no network.
    """
    stack, slimmed = folder / "stack", folder / "slimmed"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(
            "isn't empty", file=folder, hint="remove it, or name another folder: slim demo FOLDER"
        )
    with terminal_progress(quiet=quiet) as progress:
        api.build_sample(stack, progress=progress)
        results = api.run(stack, slimmed, progress=progress)
    if quiet:
        return
    emit(RUN_REPORTERS["terminal"].render(results, style_for(sys.stdout)))
    emit(
        "\n"
        + _NEXT.format(stack=stack, slimmed=slimmed, application=APPLICATION, module=LAUNCH_MODULE)
    )
