"""Configuration: ``slim.toml`` or ``[tool.slim]``, the command line, and the rule packs named there."""

from __future__ import annotations

from typing import Final

CONFIG_NAMES: Final = ("slim.toml", "venvstacks.toml", "pyproject.toml")
"""Files that may hold a configuration, the first one wins; the latter two in a ``[tool.slim]`` table."""

KEEP_NAME: Final = "slim.keep.toml"
"""File that holds what an earlier verification found must stay."""
