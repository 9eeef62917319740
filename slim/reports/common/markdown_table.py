"""Tables and names in GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slim.reports.common.text import printable

MARKDOWN = str.maketrans(
    {char: f"\\{char}" for char in "\\`*_[]|~#"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
)
"""What a text has to be translated with so that Markdown takes it literally."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]], alignment: str) -> list[str]:
    """The lines of a table, and a blank one. ``alignment`` has a letter a column, ``r`` for right."""
    rule = ["---:" if letter == "r" else "---" for letter in alignment]
    return [*(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)), ""]


def cell(name: str) -> str:
    """A name that Markdown takes literally, in one table cell."""
    return printable(name).translate(MARKDOWN)
