"""Key paths, which say in messages where a value is in a JSON or TOML document.

For example ``packages[2].hashes``.
"""

from __future__ import annotations


def key_path(outer: str, key: str) -> str:
    """Path of a key of the object or table at ``outer``. The document itself has an empty path."""
    return f"{outer}.{key}" if outer and key else outer or key


def item_path(outer: str, index: int) -> str:
    """Path of an item of the list at ``outer``."""
    return f"{outer}[{index}]"
