"""``slim explain``: tell all about one file of a stack."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from slim import api
from slim.cli.options import (
    PLACE,
    SectionCommand,
    chosen_config,
    config_options,
    option,
    selection_options,
)
from slim.cli.progress import terminal_progress
from slim.cli.terminal import emit, style_for

_EXAMPLES = (
    (
        "slim explain _artifacts "
        "framework-mlx/lib/python3.13/site-packages/numpy/testing/__init__.py",
        "a deployed path",
    ),
    (
        "slim explain _artifacts bin/python3 --profile aggressive",
        "a path in any layer, under another profile",
    ),
)


@click.command("explain", cls=SectionCommand, examples=_EXAMPLES)
@click.argument("stack", type=PLACE)
@click.argument("path")
@option("--json", "as_json", is_flag=True, help="As JSON.")
@selection_options
@config_options
def explain_command(stack: Path | str, path: str, as_json: bool, **options: Any) -> None:
    """Tell what becomes of the file PATH of STACK: by which rules, and on what evidence.

    PATH starts with the name of a layer, or is a path in any layer. Nothing is written.
    """
    config = chosen_config([stack], options)
    with terminal_progress(quiet=False) as progress:
        explanations = api.explain(
            stack,
            path,
            config=config,
            platforms=options["platforms"],
            layers=options["layers"],
            progress=progress,
        )
    if as_json:
        from slim.reports.run import explain_json

        emit(explain_json.render(explanations))
    else:
        from slim.reports.run import explain

        emit(explain.render(explanations, style_for(sys.stdout)))
