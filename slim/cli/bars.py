"""Bars that show how far a command is, drawn by rich."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from slim.model.progress import Progress
from slim.model.size import format_size
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import printable


class _Amount(ProgressColumn):
    """Column that says how much is done, in the stage's unit."""

    def render(self, task: Task) -> Text:
        if not task.completed and task.total is None:
            return Text("")
        return Text(
            amount(int(task.completed), task.total, str(task.fields.get("unit", ""))), "dim"
        )


def amount(done: int, total: float | None, unit: str) -> str:
    """Return ``1,200/4,321 files``, ``3.4 MB/20.0 MB``; without a total just what is done."""
    if unit == "bytes":
        return (
            format_size(done) if total is None else f"{format_size(done)}/{format_size(int(total))}"
        )
    return f"{done:,} {unit}" if total is None else f"{done:,}/{int(total):,} {unit}"


class TerminalProgress:
    """Progress that shows one stage at a time. Safe to call from any thread: rich locks."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def stage(self, name: str, total: int | None = None, unit: str = "files") -> None:
        """Let the next stage take the line over."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(printable(name), total=total, unit=unit)

    def advance(self, amount: int = 1) -> None:
        """Move on. Without a stage there is nothing to move."""
        if self._task is not None:
            self._bars.advance(self._task, amount)


@contextmanager
def bars(stream: TextIO, style: TerminalStyle) -> Iterator[Progress]:
    """Give progress that is drawn on a terminal, and erased in the end."""
    console = Console(
        file=stream, width=style.width, no_color=not style.color, highlight=False, emoji=False
    )
    columns = (
        SpinnerColumn("dots" if style.unicode else "line"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        _Amount(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console, transient=True) as shown:
        yield TerminalProgress(shown)
