"""The oldest systems that a stack runs on, on a terminal: a line each, with the file that asks."""

from __future__ import annotations

from rich.text import Text

from slim.model.audit import Audit
from slim.reports.audit.shorten import shortener_of
from slim.reports.common.canvas import Canvas
from slim.reports.common.floors import floor_text, needs_text
from slim.reports.common.text import count, printable

_TITLE = "runs on   "


def draw_floors(canvas: Canvas, result: Audit, *, verbose: bool) -> None:
    """Draw what asks for the newest glibc, macOS or Windows; with ``verbose`` all such files."""
    if not result.floors:
        return
    shorten = shortener_of(result, verbose=verbose)
    machines = len({floor.machine for floor in result.floors}) > 1
    for index, floor in enumerate(result.floors):
        head = floor_text(floor, machine=machines)
        shown = floor.asked_by if verbose else floor.asked_by[:1]
        for number, asked in enumerate(shown):
            place = printable(shorten(asked.record.deployed_path))
            words = f"{place} asks for it ({printable(needs_text(asked))})"
            more = len(floor.asked_by) - len(shown)
            if more:
                words += f", and so {'does' if more == 1 else 'do'} {count(more, 'other file')}"
            title = _TITLE if index == 0 and number == 0 else " " * len(_TITLE)
            what = f"{head}: " if number == 0 else "  "
            canvas.line(Text.assemble((title, "dim"), what, (words, "dim")))
    canvas.blank()
