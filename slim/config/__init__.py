"""Configuration: ``slim.toml`` or ``[tool.slim]``, the command line, and the rule packs that they name."""

from slim.config.load import CONFIG_NAMES, Overrides, discover, load_config
from slim.config.verify import KEEP_NAME, find_keep_file, read_keep_file

__all__ = [
    "CONFIG_NAMES",
    "KEEP_NAME",
    "Overrides",
    "discover",
    "find_keep_file",
    "load_config",
    "read_keep_file",
]
