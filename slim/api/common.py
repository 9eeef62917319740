"""Types and helpers that every module of the library's functions uses."""

from __future__ import annotations

import os
from pathlib import Path

PathName = str | os.PathLike[str]
"""Name of a file or folder."""


def optional_path(name: PathName | None) -> Path | None:
    """Return the path, or None for None."""
    return None if name is None else Path(name)
