"""Configuration: ``slim.toml`` or ``[tool.slim]``, and the command line.

Both may name rule packs.
"""

from __future__ import annotations

from typing import Final

CONFIG_NAMES: Final = ("slim.toml", "venvstacks.toml", "pyproject.toml")
"""Files that may hold a configuration; the first one wins.

The latter two hold it in a ``[tool.slim]`` table.
"""

KEEP_NAME: Final = "slim.keep.toml"
"""File that holds what an earlier verification found must stay."""
