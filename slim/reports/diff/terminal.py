"""What ``slim diff`` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from slim.model.diff import Change, Comparison, Metric
from slim.reports.common.canvas import Canvas
from slim.reports.common.growth import (
    amount,
    change_cells,
    owner_text,
    place_text,
    remark_text,
    signed,
)
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import count, percent, printable

_OWNERS = 10
_PLACES = 3


def render(
    comparisons: Sequence[Comparison], style: TerminalStyle | None = None, verbose: int = 0
) -> str:
    """All comparisons, one after the other. ``verbose`` shows everything, not only the largest."""
    canvas = Canvas(style or TerminalStyle())
    for index, comparison in enumerate(comparisons):
        if index:
            canvas.blank()
        _Drawing(canvas, comparison, verbose).draw()
    return canvas.text()


class _Drawing:
    def __init__(self, canvas: Canvas, comparison: Comparison, verbose: int) -> None:
        self.canvas = canvas
        self.item = comparison
        self.arrow = canvas.style.arrow
        self.verbose = verbose

    def draw(self) -> None:
        item = self.item
        head = f"{printable(item.source_before)} {self.arrow} {printable(item.source_after)}"
        self.canvas.line(Text(head, "bold"))
        tags = dict.fromkeys((item.platform_before, item.platform_after))
        self.canvas.line(Text(f" {self.arrow} ".join(tags), "dim"))
        self.canvas.blank()
        if item.same:
            self.canvas.line(
                Text(
                    "No size differs."
                    if not self._touched()
                    else "Sizes are equal, contents differ."
                )
            )
            self.canvas.blank()
        self._sizes()
        self._owners()
        self._rows("by category", [change for change in item.categories if change.changed])
        self._rules()

    def _touched(self) -> bool:
        return any(owner.places for owner in self.item.owners)

    def _metrics(self) -> list[Metric]:
        shown = [Metric.UNPACKED, Metric.DEPLOYED, Metric.FILES]
        known = self.item.archives and (self.item.before.archive or self.item.after.archive)
        return [Metric.ARCHIVE, *shown] if known else shown

    def _sizes(self) -> None:
        item = self.item
        rows = (
            [change for change in item.layers if change.changed or self.verbose]
            if len(item.layers) > 1
            else []
        )
        rows.append(Change(label="total", before=item.before, after=item.after))
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
        table.add_column("size", overflow="fold", header_style="bold")
        table.add_column("", no_wrap=True)
        for name in ("before", "after", "change", ""):
            table.add_column(name, justify="right", no_wrap=True, header_style="dim")
        for row in rows:
            for index, metric in enumerate(self._metrics()):
                before = amount(metric, metric.of(row.before)) if row.before else "-"
                after = amount(metric, metric.of(row.after)) if row.after else "-"
                delta = row.delta(metric)
                share = (
                    percent(metric.of(row.before), metric.of(row.after))
                    if row.before and row.after
                    else ""
                )
                label = printable(row.label) if index == 0 else ""
                mark = "~" if metric is Metric.DEPLOYED else ""
                table.add_row(
                    label,
                    metric.value,
                    mark + before,
                    mark + after,
                    self._delta(metric, delta),
                    share,
                )
        self.canvas.show(table)
        self.canvas.blank()

    def _delta(self, metric: Metric, delta: int) -> Text:
        style = "red" if delta > 0 else "green" if delta < 0 else "dim"
        return Text(signed(metric, delta) if delta else "=", style)

    def _owners(self) -> None:
        owners = [owner for owner in self.item.owners if owner.changed or owner.places]
        if not owners:
            return
        owners.sort(key=lambda owner: (-abs(owner.delta(Metric.UNPACKED)), owner.name))
        self.canvas.line(Text("by owner", "bold"))
        most = len(owners) if self.verbose else _OWNERS
        for owner in owners[:most]:
            self.canvas.line(Text(owner_text(owner, Metric.UNPACKED, self.arrow)), indent=2)
            for remark in owner.remarks:
                self.canvas.line(
                    Text(f"{self.canvas.style.turn} {remark_text(remark)}", "yellow"), indent=4
                )
            places = owner.places if self.verbose else owner.places[:_PLACES]
            for place in places:
                self.canvas.line(
                    Text(f"{self.canvas.style.turn} {place_text(place)}", "cyan"), indent=4
                )
            if len(owner.places) > len(places):
                rest = len(owner.places) - len(places)
                self.canvas.line(
                    Text(f"{self.canvas.style.turn} and {count(rest, 'more place')}", "dim"),
                    indent=4,
                )
        if len(owners) > most:
            total = sum(owner.delta(Metric.UNPACKED) for owner in owners[most:])
            self.canvas.line(
                Text(f"{len(owners) - most} more: {signed(Metric.UNPACKED, total)}", "dim"),
                indent=2,
            )
        self.canvas.blank()

    def _rows(self, title: str, changes: Sequence[Change]) -> None:
        if not changes:
            return
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
        table.add_column(title, overflow="fold", header_style="bold")
        table.add_column("unpacked", no_wrap=True, header_style="dim")
        table.add_column("change", justify="right", no_wrap=True, header_style="dim")
        table.add_column("", justify="right", no_wrap=True)
        for change in sorted(
            changes, key=lambda one: (-abs(one.delta(Metric.UNPACKED)), one.label)
        ):
            sizes, delta, share = change_cells(change, Metric.UNPACKED, self.arrow)
            table.add_row(printable(change.label), sizes, delta, share)
        self.canvas.show(table)
        self.canvas.blank()

    def _rules(self) -> None:
        if not self.item.rules:
            return
        self.canvas.line(Text("what rules saved", "bold"))
        for change in self.item.rules:
            old = (
                "nothing"
                if change.before is None
                else f"{amount(Metric.UNPACKED, change.before.saved)}"
            )
            new = (
                "nothing"
                if change.after is None
                else f"{amount(Metric.UNPACKED, change.after.saved)}"
            )
            self.canvas.line(Text(f"{printable(change.rule)}  {old} {self.arrow} {new}"), indent=2)
        self.canvas.blank()
