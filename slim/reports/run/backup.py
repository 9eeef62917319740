"""What was kept of a run, and what came back of it: on a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from slim.model.backup import (
    BackupAction,
    BackupFile,
    BackupSummary,
    Restored,
    RestoredLayer,
    SymbolsSummary,
)
from slim.model.size import format_size
from slim.reports.common.canvas import Canvas
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import count, printable
from slim.reports.run.json_v1 import SCHEMA_VERSION
from slim.system.json_text import dumps, named, prose

Row = tuple[str, BackupFile]
"""An original: its path below the folder that layers are unpacked into (with a folder before it for each platform,
where a store has several), and all that is known about it."""


def backup_line(backup: BackupSummary) -> str:
    """One line for the report of a run."""
    told = f"{count(backup.files, 'original')} of {format_size(backup.size)} in {printable(backup.file)}"
    return f"{told}, {format_size(backup.archive_size)}; slim restore brings them back"


def symbols_line(symbols: SymbolsSummary) -> str:
    """One line for the report of a run."""
    return f"{count(symbols.files, 'file')} for debuggers, {format_size(symbols.size)}, in {printable(symbols.folder)}"


def listing(rows: Sequence[Row], style: TerminalStyle | None = None, verbosity: int = 0) -> str:
    """A table of originals. ``verbosity`` 1 adds the evidence on which each went."""
    canvas = Canvas(style or TerminalStyle())
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for title in ("size", "was", "rule", "path"):
        table.add_column(
            title,
            justify="right" if title == "size" else "left",
            overflow="fold",
            no_wrap=title == "size",
        )
    for path, file in rows:
        shown = format_size(file.size) if file.sha256 else "-"
        table.add_row(shown, file.action.value, printable(file.rule), printable(path))
        for text in file.evidence if verbosity else ():
            table.add_row("", "", "", Text(f"{canvas.style.turn} {printable(text)}", "cyan"))
    canvas.show(table)
    files = [file for _, file in rows if file.action is not BackupAction.EMPTIED]
    canvas.line(
        Text(
            f"{count(len(files), 'original')}, {format_size(sum(file.size for file in files))}",
            "bold",
        )
    )
    return canvas.text()


def listing_document(rows: Iterable[Row], document: Mapping[str, Mapping[str, Any]]) -> str:
    """The same as JSON. ``document`` has what the store's index says about each path."""
    items = [{**named("deployed_path", path), **document[path]} for path, _ in rows]
    return dumps({"schema_version": SCHEMA_VERSION, "originals": items})


def restored(results: Sequence[Restored], style: TerminalStyle | None = None) -> str:
    """What came back, layer by layer."""
    canvas = Canvas(style or TerminalStyle())
    for result in results:
        canvas.line(Text(printable(result.source), "bold"))
        for layer in result.layers:
            canvas.line(
                Text(f"{printable(layer.name)}  {_layer(layer, canvas.style.arrow)}"), indent=2
            )
        for warning in result.warnings:
            canvas.line(Text(printable(warning), "yellow"), indent=2)
        canvas.line(Text.assemble("Written to ", (printable(result.output), "bold"), "."))
    return canvas.text()


def _layer(layer: RestoredLayer, arrow: str) -> str:
    if not layer.files:
        return f"{count(layer.left, 'file')} still slimmed" if layer.left else "as it was"
    told = f"{count(layer.files, 'original')} back, {format_size(layer.size)}"
    if layer.archive_before:
        told += f"; archive {format_size(layer.archive_before)} {arrow} {format_size(layer.archive_after)}"
    if layer.whole:
        return f"{told}; the original's tree again"
    return f"{told}; {count(layer.left, 'file')} still slimmed"


def restored_document(results: Iterable[Restored]) -> str:
    """The same as JSON."""
    return dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "restored": [
                {
                    **named("source", result.source),
                    **named("output", result.output),
                    "platform": result.platform,
                    "layers": [
                        {
                            **named("name", layer.name),
                            "files": layer.files,
                            "bytes": layer.size,
                            "left": layer.left,
                            "original": layer.whole,
                            "tree_sha256": layer.tree_sha256,
                            "archive": {
                                "before": layer.archive_before,
                                "after": layer.archive_after,
                            },
                        }
                        for layer in result.layers
                    ],
                    "warnings": [prose(text) for text in result.warnings],
                }
                for result in results
            ],
        }
    )


def extracted(
    rows: Sequence[Row], left_out: Sequence[str], target: str, style: TerminalStyle | None = None
) -> str:
    """What was written out."""
    canvas = Canvas(style or TerminalStyle())
    files = [file for _, file in rows if file.action is not BackupAction.EMPTIED]
    told = f"{count(len(files), 'original')}, {format_size(sum(file.size for file in files))}, written to "
    canvas.line(Text.assemble(told, (printable(target), "bold"), "."))
    for name in left_out:
        canvas.line(
            Text(f"left out, because it leads out of the folder: {printable(name)}", "yellow")
        )
    return canvas.text()


def extracted_document(rows: Iterable[Row], left_out: Iterable[str], target: str) -> str:
    """The same as JSON."""
    return dumps(
        {
            "schema_version": SCHEMA_VERSION,
            **named("output", target),
            "extracted": [
                {**named("path", path), "size": file.size, "rule": file.rule} for path, file in rows
            ],
            "left_out": [named("path", name) for name in left_out],
        }
    )
