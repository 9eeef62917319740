"""GPU code on a terminal: by architecture, by distribution, by file."""

from __future__ import annotations

from rich.text import Text

from slim.model.audit import Audit
from slim.model.gpu_audit import GpuArchitecture, GpuFile
from slim.model.size import format_size
from slim.reports.audit.shorten import shortener_of
from slim.reports.common.canvas import Canvas, number_table
from slim.reports.common.gpu import architecture_name, architecture_names, terminal_colors
from slim.reports.common.text import count, printable

_FEW = 5
_MOST_NAMES = 14
_LEAST = 0.1
"""Percent below which a share isn't told."""


def draw_gpu(canvas: Canvas, result: Audit, *, verbose: bool) -> None:
    """Draw what is there for which architecture; with ``verbose`` every file and entry."""
    if not result.gpu.files:
        return
    _by_architecture(canvas, result, verbose=verbose)
    _by_owner(canvas, result, verbose=verbose)
    _by_file(canvas, result, verbose=verbose)
    damage = [printable(text) for file in result.gpu.files for text in file.damage]
    if damage:
        canvas.line(Text("GPU code that slim can't read", "bold yellow"))
        canvas.listing(damage, len(damage) if verbose else _FEW)
        canvas.blank()


def _by_architecture(canvas: Canvas, result: Audit, *, verbose: bool) -> None:
    gpu = result.gpu
    titles = ["in files", "unpacked", "share", "entries", "files"]
    table = number_table("GPU code for", titles, bars=canvas.roomy)
    largest = max((*(row.size for row in gpu.architectures), gpu.together))
    colors = terminal_colors(gpu.architectures)
    folded = [row for row in gpu.architectures if row.together and not row.size and not verbose]
    for row in gpu.architectures:
        if row in folded:
            continue
        color = colors[row.architecture]
        bar = [canvas.bar(row.size, largest, color)] if canvas.roomy else []
        name = Text(printable(architecture_name(row.kind, row.architecture)), color)
        amounts = (_in_files(row), format_size(row.unpacked), _share(row.size, gpu.size))
        table.add_row(name, *amounts, f"{row.entries:,}", f"{row.files:,}", *bar)
    if gpu.together:
        bar = [canvas.bar(gpu.together, largest, "white")] if canvas.roomy else []
        unpacked = format_size(sum(row.unpacked for row in folded)) if folded else ""
        entries = f"{sum(row.entries for row in folded):,}" if folded else ""
        together = (format_size(gpu.together), unpacked, _share(gpu.together, gpu.size), entries)
        files = sum(1 for file in gpu.files if file.together)
        table.add_row(_together_name(len(folded)), *together, f"{files:,}", *bar)
    canvas.show(table)
    canvas.blank()


def _together_name(folded: int) -> str:
    return f"{folded} more, compressed together" if folded else "compressed together"


def _in_files(row: GpuArchitecture) -> str:
    if row.together:
        return f"{format_size(row.size)} +" if row.size else "together"
    return format_size(row.size)


def _share(part: int, whole: int) -> str:
    if not whole or not part:
        return ""
    percent = 100 * part / whole
    return f"{percent:.1f}%" if percent >= _LEAST else f"<{_LEAST}%"


def _by_owner(canvas: Canvas, result: Audit, *, verbose: bool) -> None:
    table = number_table("GPU code of", ("in files", "files"))
    table.add_column("for", header_style="dim", ratio=1)
    for row in result.gpu.owners:
        shown = row.architectures if verbose else row.architectures[:_MOST_NAMES]
        names = architecture_names(shown)
        if len(row.architectures) > len(shown):
            names += f" and {len(row.architectures) - len(shown)} more"
        words = Text(printable(names), "dim")
        table.add_row(printable(row.owner.label), format_size(row.size), f"{row.files:,}", words)
    canvas.show(table)
    canvas.blank()


def _by_file(canvas: Canvas, result: Audit, *, verbose: bool) -> None:
    shorten = shortener_of(result, verbose=verbose)
    files = result.gpu.files
    shown = files if verbose else files[:_FEW]
    canvas.line(Text.assemble(("files with GPU code", "bold"), f": {count(len(files), 'file')}"))
    for file in shown:
        share = _share(file.size, file.record.size) or "0%"
        place = printable(shorten(file.record.deployed_path))
        canvas.line(Text(f"{format_size(file.size):>9}  {place} ({share} of it)"), 2)
        if verbose:
            for words in _entries(file):
                canvas.line(Text(words, "dim"), 13)
    if len(files) > len(shown):
        canvas.line(Text(f"{len(files) - len(shown)} more", "dim"), 2)
    canvas.blank()


def _entries(file: GpuFile) -> list[str]:
    rows = []
    for share in file.shares:
        size = "compressed together" if share.together else format_size(share.size)
        name = architecture_name(share.kind, share.architecture)
        entries = count(share.entries, "entry", "entries")
        rows.append(
            f"{printable(name)}: {entries}, {share.compression.value}, {size},"
            f" unpacked {format_size(share.unpacked)}"
        )
    if file.together:
        rows.append(f"compressed together: {format_size(file.together)}")
    return rows
