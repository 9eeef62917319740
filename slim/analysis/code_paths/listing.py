"""A folder that code or a script lists, walks, copies or packs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder that is listed.

    ``wanted`` are patterns of the names that count; ``recursive`` says that what lies deeper does.
    """

    folder: str
    wanted: tuple[str, ...]
    recursive: bool
    line: int
    text: str
