"""Sizes of a stack before and after a run, on a terminal: a table, or a list where it is narrow."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from slim.model.footprint import Footprint
from slim.model.outcome import RunResult
from slim.model.size import format_size
from slim.reports.common.canvas import Canvas, plain_table
from slim.reports.common.text import percent, printable
from slim.reports.run.grouping import archives_measured

_ROOM_FOR_PERCENT = 96
_ROOM_FOR_TABLE = 76
_TITLES = ("archive", "unpacked", "deployed")

Row = tuple[str, Footprint, Footprint]
"""Name of a layer, its sizes before and after."""

Change = tuple[str, int, int | None]
"""A mark (``~`` for estimates), bytes before, and bytes after where they are known."""


def draw_sizes(canvas: Canvas, result: RunResult) -> None:
    """Draw sizes by layer, and the total where there isn't exactly one layer."""
    rows: list[Row] = [(item.layer.name, item.before, item.after) for item in result.layers]
    if len(rows) != 1:
        rows.append(("total", result.before, result.after))
    measured = archives_measured(result)
    for room, with_percent in ((_ROOM_FOR_PERCENT, True), (_ROOM_FOR_TABLE, False)):
        table = _table(canvas, rows, measured, with_percent=with_percent)
        if canvas.style.width >= max(room, canvas.width_of(table)):
            canvas.show(table)
            break
    else:
        _list(canvas, rows, measured)
    note = "unpacked, plus the bytecode that postinstall compiles on the user's machine"
    canvas.line(Text(f"~ an estimate: {note}", "dim"))
    if not measured and result.before.archive:
        canvas.line(Text("? archives are measured once they are written", "dim"))
    canvas.blank()


def _table(canvas: Canvas, rows: Sequence[Row], measured: bool, *, with_percent: bool) -> Table:
    changes = [_changes(before, after, measured) for _, before, after in rows]
    columns = [list(column) for column in zip(*changes, strict=True)]
    cells = [_column(canvas, column, with_percent=with_percent) for column in columns]
    table = plain_table(gap=3 if with_percent else 2)
    table.add_column("layer", overflow="fold", header_style="dim")
    for title in ("archive", "unpacked", "~deployed"):
        table.add_column(title, no_wrap=True, header_style="dim")
    for index, (name, _, _) in enumerate(rows):
        total = name == "total" and index == len(rows) - 1 and len(rows) > 1
        style = "bold" if total else ""
        row = [column[index] for column in cells]
        table.add_row(Text(printable(name), style), *row, style=style)
    if not with_percent:
        table.add_row("", *(_saving(before, after) for _, before, after in changes[-1]))
    return table


def _list(canvas: Canvas, rows: Sequence[Row], measured: bool) -> None:
    for name, before, after in rows:
        canvas.line(Text(printable(name), "bold"))
        cells = _column(canvas, _changes(before, after, measured), with_percent=True)
        for title, cell in zip(_TITLES, cells, strict=True):
            canvas.line(Text.assemble(f"  {title:<9}", cell))


def _changes(before: Footprint, after: Footprint, measured: bool) -> tuple[Change, Change, Change]:
    return (
        ("", before.archive, after.archive if measured else None),
        ("", before.unpacked, after.unpacked),
        ("~", before.deployed, after.deployed),
    )


def _column(canvas: Canvas, changes: Sequence[Change], *, with_percent: bool) -> list[Text]:
    """Return one column of sizes, its numbers aligned: ``33.8 MB -> 15.2 MB  -55%``."""
    left = [f"{mark}{format_size(before)}" if before else "-" for mark, before, _ in changes]
    right = [_after(mark, after) for mark, _, after in changes]
    shares = ["" if after is None else percent(before, after) for _, before, after in changes]
    widths = [max(map(len, texts)) for texts in (left, right, shares)]
    cells = []
    for before, after, share in zip(left, right, shares, strict=True):
        if before == after == "-":
            cells.append(Text("-".rjust(widths[0]), "dim"))
            continue
        arrow = (f" {canvas.style.arrow} ", "dim")
        cell = Text.assemble(before.rjust(widths[0]), arrow, after.rjust(widths[1]))
        if with_percent and widths[2]:
            cell.append(f"  {share.rjust(widths[2])}", _color(share))
        cells.append(cell)
    return cells


def _after(mark: str, value: int | None) -> str:
    if value is None:
        return "?"
    return f"{mark}{format_size(value)}" if value else "-"


def _saving(before: int, after: int | None) -> Text:
    share = "" if after is None else percent(before, after)
    return Text(share, _color(share))


def _color(share: str) -> str:
    if share.startswith("-"):
        return "green"
    return "red" if share.startswith("+") else "dim"
