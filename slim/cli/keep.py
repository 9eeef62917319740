"""``slim.keep.toml``: its place, and writing it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slim.cli.terminal import tell
from slim.config import KEEP_NAME
from slim.errors import ConfigError
from slim.system.urls import is_url

if TYPE_CHECKING:
    from slim.config.settings import Config
    from slim.model.outcome import RunResult


def keep_file_for(options: Mapping[str, Any], config: Config) -> Path:
    """Return the file to write what must stay into.

    That is ``--keep-file``, the one that was read, or one beside the configuration; without a
    configuration, one in the current folder. ``options`` are those of the command, ``config`` is
    what they led to.
    """
    if options["keep_file"] is not None:
        return Path(options["keep_file"])
    return (Path(config.origin).parent if config.origin else Path.cwd()) / KEEP_NAME


def check_keep_file(file: Path, stack: Path | str) -> None:
    """Refuse a file to write into that lies in the stack. Raises ConfigError."""
    if not is_url(str(stack)) and file.resolve().is_relative_to(Path(stack).resolve()):
        raise ConfigError(
            "the file for what has to stay would lie in the input, which stays as it is",
            file=file,
            hint="--keep-file names another place",
        )


def write_keep_file(results: Iterable[RunResult], file: Path) -> None:
    """Add what the repairs found to the file, if anything. Raises StorageError and ConfigError."""
    repairs = [repair for result in results for repair in result.verification.repairs]
    if not repairs:
        return
    from slim.config.verify import read_keep_file
    from slim.reports.run.keep_toml import render_keep
    from slim.system.atomic import replace_file

    earlier = read_keep_file(file) if file.is_file() else {}
    replace_file(file, render_keep(repairs, earlier).encode())
    tell(
        f"slim: what has to stay is written to {file}; commit it, and the next run needs no search",
    )
