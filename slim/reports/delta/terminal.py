"""Deltas on a terminal: one that was made, and one that was applied."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from slim.model.delta import DeltaApplied, DeltaMade, LayerMade
from slim.model.size import format_size
from slim.reports.common.canvas import Canvas, draw_each, number_table
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import duration, printable
from slim.reports.delta.words import layer_cells, method_text, total_cells


def render_made(
    results: Sequence[DeltaMade], style: TerminalStyle | None = None, verbosity: int = 0
) -> str:
    """Return the archives of each layer, and what an update downloads.

    ``verbosity`` 1 adds the methods that were tried.
    """
    return draw_each(
        results, style, lambda canvas, result: _made(canvas, result, verbose=verbosity > 0)
    )


def render_applied(
    results: Sequence[DeltaApplied], style: TerminalStyle | None = None, verbosity: int = 0
) -> str:
    """Return each layer that was restored, and whether its archive has the published bytes.

    ``verbosity`` 1 adds the names that they were written as.
    """
    return draw_each(
        results, style, lambda canvas, result: _applied(canvas, result, verbose=verbosity > 0)
    )


def _made(canvas: Canvas, result: DeltaMade, *, verbose: bool) -> None:
    old, new = printable(result.old_source), printable(result.new_source)
    _heading(canvas, f"{old} {canvas.style.arrow} {new}", result.platform)
    table = number_table("layer", ("old archive", "new archive", "update", "", "how", ""))
    for layer in result.layers:
        table.add_row(*layer_cells(layer), method_text(layer), duration(layer.elapsed))
    elapsed = sum(layer.elapsed for layer in result.layers)
    table.add_row(*total_cells(result), "", duration(elapsed))
    canvas.show(table)
    if result.cache is not None:
        taken = f"{sum(layer.cached for layer in result.layers)} of {len(result.layers)} layers are"
        words = f"  {taken} from {printable(result.cache.place)}"
        canvas.line(Text.assemble(("cache", "bold"), words))
        for text in result.cache.notes:
            canvas.line(Text(f"  {printable(text)}", "yellow"))
    for layer in result.layers if verbose else ():
        for words in _tried(layer):
            canvas.line(Text(f"{printable(layer.delta.name)}: {words}", "dim"))


def _tried(layer: LayerMade) -> list[str]:
    return [
        *(f"{method}: {format_size(value)}" for method, value in layer.tried.items()),
        *(f"{method} not tried: {why}" for method, why in layer.skipped.items()),
    ]


def _applied(canvas: Canvas, result: DeltaApplied, *, verbose: bool) -> None:
    _heading(canvas, printable(result.output), result.platform)
    titles = ["size", "from", "restored as", ""]
    table = number_table("layer", [*titles, "written as"] if verbose else titles)
    for layer in result.layers:
        cells = [
            printable(layer.name),
            format_size(layer.size),
            layer.action.value,
            _identity(layer.identical),
            duration(layer.elapsed),
        ]
        table.add_row(*cells, *([printable(layer.place)] if verbose else []))
    canvas.show(table)


def _heading(canvas: Canvas, words: str, platform: str) -> None:
    canvas.line(Text(words, "bold"))
    canvas.line(Text(printable(platform), "dim"))
    canvas.blank()


def _identity(identical: bool | None) -> str:
    if identical is None:
        return "the same tree"
    return "the published bytes" if identical else "the same tree, packed anew"
