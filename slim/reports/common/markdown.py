"""Tables, lists, names and whole pages in GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slim.reports.common.text import printable

MARKDOWN = str.maketrans(
    {char: f"\\{char}" for char in "\\`*_[]|~#"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
)
"""Translation of a text that Markdown takes literally (``str.translate``)."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]], alignment: str) -> list[str]:
    """Return the lines of a table, and a blank one. ``alignment`` has a letter a column: l or r."""
    rule = ["---:" if letter == "r" else "---" for letter in alignment]
    return [*(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)), ""]


def items(lines: Iterable[tuple[int, str]]) -> list[str]:
    """Return a list whose items are given with their depth; names in them are taken literally."""
    return [f"{'  ' * depth}- {cell(line)}" for depth, line in lines]


def cell(name: str) -> str:
    """Return a name that Markdown takes literally, in one table cell."""
    return printable(name).translate(MARKDOWN)


def page(lines: Iterable[str]) -> str:
    """Return lines as text, with one newline at its end."""
    return "\n".join(lines).rstrip("\n") + "\n"
