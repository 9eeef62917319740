"""Deltas on a terminal: one that was made, and one that was applied."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from slim.model.delta import DeltaApplied, DeltaMade, LayerMade
from slim.model.size import format_size
from slim.reports.common.canvas import Canvas
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import duration, printable
from slim.reports.delta.words import layer_cells, method_text, share


def render_made(
    results: Sequence[DeltaMade], style: TerminalStyle | None = None, verbose: int = 0
) -> str:
    """Each layer with its old and new archive and what an update downloads. ``verbose`` tells what was tried."""
    canvas = Canvas(style or TerminalStyle())
    arrow = canvas.style.arrow
    for index, result in enumerate(results):
        if index:
            canvas.blank()
        canvas.line(
            Text(f"{printable(result.old_source)} {arrow} {printable(result.new_source)}", "bold")
        )
        canvas.line(Text(printable(result.platform), "dim"))
        canvas.blank()
        table = _columns("layer", ("old archive", "new archive", "update", "", "how", ""))
        for layer in result.layers:
            table.add_row(*layer_cells(layer), method_text(layer), duration(layer.elapsed))
        elapsed = sum(layer.elapsed for layer in result.layers)
        total = (
            "total",
            "",
            format_size(result.full) if result.full else "",
            format_size(result.download),
        )
        table.add_row(*total, share(result.download, result.full), "", duration(elapsed))
        canvas.show(table)
        for layer in result.layers if verbose else ():
            for told in _tried(layer):
                canvas.line(Text(f"{printable(layer.delta.name)}: {told}", "dim"))
    return canvas.text()


def _tried(layer: LayerMade) -> list[str]:
    return [
        *(f"{method}: {format_size(value)}" for method, value in layer.tried.items()),
        *(f"{method} not tried: {why}" for method, why in layer.skipped.items()),
    ]


def render_applied(
    results: Sequence[DeltaApplied], style: TerminalStyle | None = None, verbose: int = 0
) -> str:
    """Each layer that was restored, and whether its archive has the published bytes. ``verbose`` tells what each
    was written as, too."""
    canvas = Canvas(style or TerminalStyle())
    for index, result in enumerate(results):
        if index:
            canvas.blank()
        canvas.line(Text(printable(result.output), "bold"))
        canvas.line(Text(printable(result.platform), "dim"))
        canvas.blank()
        table = _columns(
            "layer", ("size", "from", "restored as", "", *(["written as"] if verbose else []))
        )
        for layer in result.layers:
            words = _identity_words(layer.identical)
            cells = (
                printable(layer.name),
                format_size(layer.size),
                layer.action.value,
                words,
                duration(layer.elapsed),
            )
            table.add_row(*cells, *([printable(layer.place)] if verbose else []))
        canvas.show(table)
    return canvas.text()


def _identity_words(identical: bool | None) -> str:
    if identical is None:
        return "the same tree"
    return "the published bytes" if identical else "the same tree, packed anew"


def _columns(first: str, others: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
    table.add_column(first, overflow="fold", header_style="bold")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True, header_style="dim")
    return table
