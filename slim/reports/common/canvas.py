"""Canvas that reports for terminals are drawn on: rich, told how wide and in which characters."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from slim.reports.common.style import TerminalStyle

T = TypeVar("T")

MIN_WIDTH = 40
ROOM_FOR_BARS = 76
"""Columns from which on tables have bars, or a further column of sizes."""

_BAR = 20
_WORD = 10
"""Columns that a cell which may wrap takes at least; with less it is letters below each other."""

_UNBOUNDED = 10_000


class Canvas:
    """Text in the making: paragraphs, tables and lists, drawn one below the other."""

    def __init__(self, style: TerminalStyle) -> None:
        self.style = style
        self._file = io.StringIO()
        self._console = Console(
            file=self._file,
            width=max(style.width, MIN_WIDTH),
            force_terminal=style.color,
            color_system="standard" if style.color else None,
            no_color=not style.color,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
            _environ={},
        )

    @property
    def roomy(self) -> bool:
        """True if tables have room for bars."""
        return self.style.width >= ROOM_FOR_BARS

    def line(self, text: Text, indent: int = 0) -> None:
        """Draw one paragraph. Further lines are indented by two more; long names are folded."""
        text.overflow = "fold"
        room = self._console.width - indent
        if cell_len(text.plain) <= room or room < MIN_WIDTH // 2:
            self.show(Padding(text, (0, 0, 0, indent), expand=False))
            return
        first, *rest = text.wrap(self._console, room - 2, overflow="fold")
        self.show(Padding(first, (0, 0, 0, indent), expand=False))
        for part in rest:
            self.show(Padding(part, (0, 0, 0, indent + 2), expand=False))

    def turn(self, words: str, color: str, indent: int) -> None:
        """Draw a fact that belongs to the line above."""
        self.line(Text(f"{self.style.turn} {words}", color), indent)

    def listing(self, lines: Sequence[str], most: int, *, indent: int = 2, color: str = "") -> None:
        """Draw the first ``most`` lines, a paragraph each, and the number of the others."""
        for words in lines[:most]:
            self.line(Text(words, color), indent)
        if len(lines) > most:
            self.line(Text(f"{len(lines) - most} more", "dim"), indent)

    def facts(self, facts: Iterable[str]) -> None:
        """Draw facts beside each other, on one line where there is room."""
        self.line(Text(f" {self.style.dot} ".join(facts), "dim"))

    def bar(self, value: int, largest: int, color: str) -> Text:
        """Return a bar for a cell of a table, as long as ``value`` is of ``largest``."""
        length = round(_BAR * value / largest) if largest > 0 else 0
        return Text(self.style.bar * length, color)

    def show(self, renderable: RenderableType, names: Sequence[int] = (0,)) -> None:
        """Draw a table, or anything else that rich can draw.

        A table with titles that would lose words or numbers for want of room becomes a list: the
        cells of the columns ``names``, which say what a row is about, and below them the others.
        """
        if isinstance(renderable, Table) and renderable.show_header and not self._fits(renderable):
            self._list(renderable, names)
        else:
            self._console.print(renderable)

    def _fits(self, table: Table) -> bool:
        """Return whether what may not wrap is shown whole, and what may has room for a word."""
        needed = (len(table.columns) - 1) * table.padding[1]
        for column in table.columns:
            widest = max(cell_len(_words(cell)) for cell in (column.header, *column.cells))
            needed += widest if column.no_wrap else min(widest, _WORD)
        return needed <= self._console.width

    def _list(self, table: Table, names: Sequence[int]) -> None:
        titles = [_words(column.header) for column in table.columns]
        heading = " ".join(titles[index] for index in names if titles[index])
        if heading:
            self.line(Text(heading, "dim"))
        for row in zip(*(column.cells for column in table.columns), strict=True):
            texts = [" ".join(_words(cell).split()) for cell in row]
            name = " ".join(texts[index] for index in names if texts[index])
            if name:
                self.line(Text(name, "bold"))
            self._packed(_facts(titles, texts, names))

    def _packed(self, facts: Iterable[str]) -> None:
        """Draw facts, as many beside each other as there is room for."""
        line = ""
        for fact in facts:
            longer = f"{line} {self.style.dot} {fact}" if line else fact
            if line and cell_len(longer) + 2 > self._console.width:
                self.line(Text(line), indent=2)
                longer = fact
            line = longer
        if line:
            self.line(Text(line), indent=2)

    def rule(self) -> None:
        """Draw a line across."""
        self.show(Rule(style="dim", characters=self.style.rule))

    def width_of(self, renderable: RenderableType) -> int:
        """Return the columns that something takes where it need not wrap."""
        return Measurement.get(
            self._console, self._console.options.update_width(_UNBOUNDED), renderable
        ).maximum

    def blank(self) -> None:
        """Leave a line empty."""
        self._console.print()

    def text(self) -> str:
        """Return all of it without trailing blanks, and a newline at its end."""
        lines = [line.rstrip() for line in self._file.getvalue().split("\n")]
        return "\n".join(lines).rstrip("\n") + "\n"


def draw_each(
    results: Iterable[T], style: TerminalStyle | None, draw: Callable[[Canvas, T], None]
) -> str:
    """Return what ``draw`` draws of each result, with a blank line between two of them.

    Without a ``style`` it is plain text, 100 columns wide, as it is written to a file.
    """
    canvas = Canvas(style or TerminalStyle())
    for index, result in enumerate(results):
        if index:
            canvas.blank()
        draw(canvas, result)
    return canvas.text()


def _words(cell: RenderableType) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)


def _facts(titles: Sequence[str], texts: Sequence[str], names: Sequence[int]) -> list[str]:
    """Return the cells of a row with their titles, but for its name and for what it hasn't.

    A column without a title goes on with the one before it.
    """
    facts: list[str] = []
    for index, (title, words) in enumerate(zip(titles, texts, strict=True)):
        if index in names or words in ("", "-"):
            continue
        if title or not facts:
            facts.append(f"{title} {words}".lstrip())
        else:
            facts[-1] += f" {words}"
    return facts


def plain_table(*, header: bool = True, gap: int = 2) -> Table:
    """Return a table without lines and without columns; ``gap`` columns are between two cells."""
    return Table(
        box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="", show_header=header
    )


def number_table(title: str, numbers: Iterable[str], *, bars: bool = False) -> Table:
    """Return a table with names in its first column, and a column for each kind of number."""
    table = plain_table()
    table.add_column(title, overflow="fold", header_style="bold")
    add_numbers(table, numbers)
    if bars:
        table.add_column("", no_wrap=True)
    return table


def add_numbers(table: Table, titles: Iterable[str]) -> None:
    """Add a column for each kind of number, aligned right."""
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True, header_style="dim")
