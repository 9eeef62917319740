"""Where ``slim.keep.toml`` lies, and writing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from slim.config import KEEP_NAME
from slim.config.load import discover
from slim.config.verify import find_keep_file, read_keep_file
from slim.model.outcome import RunResult
from slim.reports.run.keep_toml import render_keep
from slim.system.atomic import replace_file


def keep_file_for(start: Path, said: Mapping[str, Any]) -> Path:
    """Where what must stay is written: ``--keep-file``, the one that was read, or beside the configuration; without
    one, in the current folder. ``said`` are the options of the command."""
    if said["keep_file"] is not None:
        return Path(said["keep_file"])
    config = said["config"] or (None if said["no_config"] else discover(start))
    found = None if said["no_config"] else find_keep_file(config, start)
    return found or (config.parent if config is not None else Path.cwd()) / KEEP_NAME


def keep_found(results: Sequence[RunResult], file: Path) -> None:
    """Write what the repairs found, beside what the file holds already. Raises StorageError and ConfigError."""
    repairs = [repair for result in results for repair in result.verification.repairs]
    if not repairs:
        return
    earlier = read_keep_file(file) if file.is_file() else {}
    replace_file(file, render_keep(repairs, earlier).encode())
    click.echo(
        f"slim: what has to stay is written to {file}; commit it, and the next run needs no search",
        err=True,
    )
