"""Key paths in messages: where a value is in a JSON or TOML document, as in ``packages[2].hashes``."""

from __future__ import annotations


def key_path(outer: str, key: str) -> str:
    """The path of a key of the object or table at ``outer``; an empty path is the whole document."""
    return f"{outer}.{key}" if outer and key else outer or key


def item_path(outer: str, index: int) -> str:
    """The path of an item of the list at ``outer``."""
    return f"{outer}[{index}]"
