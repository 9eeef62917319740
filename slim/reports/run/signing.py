"""The list for ``--signing-list``: deployed paths, sorted, one a line, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from slim.errors import ConfigError
from slim.model.outcome import RunResult


def render(results: Sequence[RunResult]) -> str:
    """Return the list. Raises ConfigError for a path that can't stand on a line of its own."""
    paths = sorted({item.deployed_path for result in results for item in result.signing})
    for path in paths:
        if len(path.splitlines()) != 1 or any("\ud800" <= char <= "\udfff" for char in path):
            raise ConfigError(
                "the path of a file to be signed has characters that a list of lines can't hold",
                file=ascii(path),
                hint="take the list from the JSON report",
            )
    return "".join(f"{path}\n" for path in paths)
