"""Originals on a terminal: listed, extracted or put back."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from slim.model.backup import BackupAction, Restored, RestoredLayer
from slim.model.size import format_size
from slim.reports.common.canvas import Canvas, plain_table
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import count, printable
from slim.reports.restore import Row


def listed(rows: Sequence[Row], style: TerminalStyle | None = None, verbosity: int = 0) -> str:
    """Return a table of originals. ``verbosity`` 1 adds the evidence on which each went."""
    canvas = Canvas(style or TerminalStyle())
    table = plain_table()
    table.add_column("size", justify="right", no_wrap=True, header_style="dim")
    for title in ("was", "rule", "path"):
        table.add_column(title, overflow="fold", header_style="dim")
    for path, file in rows:
        size = format_size(file.size) if file.sha256 else "-"
        table.add_row(size, file.action.value, printable(file.rule), printable(path))
        for fact in file.evidence if verbosity else ():
            table.add_row("", "", "", Text(f"{canvas.style.turn} {printable(fact)}", "cyan"))
    canvas.show(table, names=(3,))
    canvas.line(Text(_total(rows), "bold"))
    return canvas.text()


def extracted(
    rows: Sequence[Row],
    left_out: Sequence[str],
    target: str,
    style: TerminalStyle | None = None,
) -> str:
    """Return how many originals were written into ``target``, and which were left out."""
    canvas = Canvas(style or TerminalStyle())
    words = f"{_total(rows)}, written to "
    canvas.line(Text.assemble(words, (printable(target), "bold"), "."))
    for name in left_out:
        words = f"left out, because it leads out of the folder: {printable(name)}"
        canvas.line(Text(words, "yellow"))
    return canvas.text()


def restored(results: Sequence[Restored], style: TerminalStyle | None = None) -> str:
    """Return the originals that were put back, layer by layer."""
    canvas = Canvas(style or TerminalStyle())
    for result in results:
        canvas.line(Text(printable(result.source), "bold"))
        for layer in result.layers:
            words = _layer(layer, canvas.style.arrow)
            canvas.line(Text(f"{printable(layer.name)}  {words}"), indent=2)
        for warning in result.warnings:
            canvas.line(Text(printable(warning), "yellow"), indent=2)
        canvas.line(Text.assemble("Written to ", (printable(result.output), "bold"), "."))
    return canvas.text()


def _total(rows: Sequence[Row]) -> str:
    files = [file for _, file in rows if file.action is not BackupAction.EMPTIED]
    return f"{count(len(files), 'original')}, {format_size(sum(file.size for file in files))}"


def _layer(layer: RestoredLayer, arrow: str) -> str:
    left = f"{count(layer.left, 'file')} still slimmed"
    if not layer.files:
        return left if layer.left else "as it was"
    words = f"{count(layer.files, 'original')} back, {format_size(layer.size)}"
    if layer.archive_before:
        before, after = format_size(layer.archive_before), format_size(layer.archive_after)
        words += f"; archive {before} {arrow} {after}"
    ending = "the original's tree again" if layer.whole else left
    return f"{words}; {ending}"
