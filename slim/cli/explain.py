"""``slim explain``: all about one file of a stack."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from slim.cli.options import (
    PATH,
    SectionCommand,
    chosen_config,
    config_options,
    option,
    selection_options,
)
from slim.cli.progress import watch
from slim.cli.terminal import emit, style_for

_EXAMPLES = (
    (
        "slim explain _artifacts framework-mlx/lib/python3.13/site-packages/numpy/testing/__init__.py",
        "a deployed path",
    ),
    (
        "slim explain _artifacts bin/python3 --profile aggressive",
        "a path in any layer, under another profile",
    ),
)


@click.command(
    "explain", cls=SectionCommand, examples=_EXAMPLES, short_help="Tell why a file stays or goes."
)
@click.argument("stack", type=PATH)
@click.argument("path")
@option("--json", "as_json", is_flag=True, help="As JSON.")
@selection_options
@config_options
def explain_command(stack: Path, path: str, as_json: bool, **said: Any) -> None:
    """Tell what becomes of the file PATH of STACK: by which rules, and on what evidence.

    PATH starts with the name of a layer, or is a path in any layer. Nothing is written.
    """
    from slim.pipeline import explain as explaining  # late: see slim.cli.run

    request = explaining.RunRequest(
        source=stack,
        output=None,
        config=chosen_config(stack, said),
        platforms=said["platforms"],
        layers=said["layers"],
        dry_run=True,
    )
    with watch(quiet=False) as progress:
        found = explaining.explain(request, path, progress)
    if as_json:
        from slim.reports.run import explain_json

        emit(explain_json.render(found))
    else:
        from slim.reports.run import explain

        emit(explain.render(found, style_for(sys.stdout)))
