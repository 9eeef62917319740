"""Configuration: ``slim.toml`` or ``[tool.slim]``, the command line, and the rule packs that they name."""

from slim.config.load import CONFIG_NAMES, Overrides, discover, load_config

__all__ = ["CONFIG_NAMES", "Overrides", "discover", "load_config"]
