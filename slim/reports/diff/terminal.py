"""The differences of ``slim diff`` on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from slim.model.diff import Change, Comparison, Metric, OwnerChange, RuleEffect
from slim.reports.common.canvas import Canvas, add_numbers, draw_each, plain_table
from slim.reports.common.growth import (
    amount,
    change_cells,
    more_owners,
    owner_text,
    place_text,
    remark_text,
    signed,
)
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import count, percent, printable
from slim.reports.diff.rows import changed_categories, changed_owners, shown_metrics, size_rows

_OWNERS = 10
_PLACES = 3


def render(
    comparisons: Sequence[Comparison], style: TerminalStyle | None = None, verbosity: int = 0
) -> str:
    """Return all comparisons as text. ``verbosity`` 1 shows everything, not only the largest."""
    return draw_each(
        comparisons,
        style,
        lambda canvas, comparison: _draw(canvas, comparison, verbose=verbosity > 0),
    )


def _draw(canvas: Canvas, comparison: Comparison, *, verbose: bool) -> None:
    arrow = canvas.style.arrow
    before, after = printable(comparison.source_before), printable(comparison.source_after)
    canvas.line(Text(f"{before} {arrow} {after}", "bold"))
    tags = dict.fromkeys((comparison.platform_before, comparison.platform_after))
    canvas.line(Text(f" {arrow} ".join(tags), "dim"))
    canvas.blank()
    if comparison.same:
        touched = any(owner.places for owner in comparison.owners)
        words = "Sizes are equal, contents differ." if touched else "No size differs."
        canvas.line(Text(words))
        canvas.blank()
    _sizes(canvas, comparison, verbose=verbose)
    _owners(canvas, changed_owners(comparison), verbose=verbose)
    _categories(canvas, changed_categories(comparison))
    _rules(canvas, comparison)


def _sizes(canvas: Canvas, comparison: Comparison, *, verbose: bool) -> None:
    table = plain_table()
    table.add_column("size", overflow="fold", header_style="bold")
    table.add_column("", no_wrap=True)
    add_numbers(table, ("before", "after", "change", ""))
    for row in size_rows(comparison, unchanged=verbose):
        for index, metric in enumerate(shown_metrics(comparison)):
            label = printable(row.label) if index == 0 else ""
            table.add_row(label, metric.value, *_size_cells(row, metric))
    canvas.show(table)
    canvas.blank()


def _size_cells(row: Change, metric: Metric) -> tuple[str, str, Text, str]:
    """Return size before and after, change, and change in percent."""
    mark = "~" if metric is Metric.DEPLOYED else ""
    before = amount(metric, metric.of(row.before)) if row.before else "-"
    after = amount(metric, metric.of(row.after)) if row.after else "-"
    share = ""
    if row.before and row.after:
        share = percent(metric.of(row.before), metric.of(row.after))
    before, after = (text if text == "-" else mark + text for text in (before, after))
    return before, after, _delta(metric, row.delta(metric)), share


def _delta(metric: Metric, delta: int) -> Text:
    if delta == 0:
        return Text("=", "dim")
    return Text(signed(metric, delta), "red" if delta > 0 else "green")


def _owners(canvas: Canvas, owners: Sequence[OwnerChange], *, verbose: bool) -> None:
    if not owners:
        return
    canvas.line(Text("by owner", "bold"))
    most = len(owners) if verbose else _OWNERS
    for owner in owners[:most]:
        words = owner_text(owner, Metric.UNPACKED, canvas.style.arrow)
        canvas.line(Text(words), indent=2)
        for remark in owner.remarks:
            canvas.turn(remark_text(remark), "yellow", indent=4)
        places = owner.places if verbose else owner.places[:_PLACES]
        for place in places:
            canvas.turn(place_text(place), "cyan", indent=4)
        if len(owner.places) > len(places):
            rest = count(len(owner.places) - len(places), "more place")
            canvas.turn(f"and {rest}", "dim", indent=4)
    if len(owners) > most:
        canvas.line(Text(more_owners(owners[most:], Metric.UNPACKED), "dim"), indent=2)
    canvas.blank()


def _categories(canvas: Canvas, changes: Sequence[Change]) -> None:
    if not changes:
        return
    table = plain_table()
    table.add_column("by category", overflow="fold", header_style="bold")
    table.add_column("unpacked", no_wrap=True, header_style="dim")
    add_numbers(table, ("change",))
    table.add_column("", justify="right", no_wrap=True)
    changes = sorted(
        changes, key=lambda change: (-abs(change.delta(Metric.UNPACKED)), change.label)
    )
    for change in changes:
        cells = change_cells(change, Metric.UNPACKED, canvas.style.arrow)
        table.add_row(printable(change.label), *cells)
    canvas.show(table)
    canvas.blank()


def _rules(canvas: Canvas, comparison: Comparison) -> None:
    if not comparison.rules:
        return
    canvas.line(Text("what rules saved", "bold"))
    for change in comparison.rules:
        effects = f"{_saved(change.before)} {canvas.style.arrow} {_saved(change.after)}"
        canvas.line(Text(f"{printable(change.rule)}  {effects}"), indent=2)
    canvas.blank()


def _saved(effect: RuleEffect | None) -> str:
    return "nothing" if effect is None else amount(Metric.UNPACKED, effect.saved)
