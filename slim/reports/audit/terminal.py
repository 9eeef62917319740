"""The report of an audit on a terminal: where the bytes are, what stands out, what could go."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from slim.model.audit import Audit, LayerSize, SizeRow
from slim.model.footprint import Footprint
from slim.model.record import FileRecord
from slim.model.size import format_size
from slim.reports.audit.shorten import shortener_of
from slim.reports.audit.terminal_findings import draw_findings
from slim.reports.audit.terminal_floors import draw_floors
from slim.reports.audit.terminal_gpu import draw_gpu
from slim.reports.audit.terminal_savings import draw_savings
from slim.reports.audit.terminal_why import draw_why
from slim.reports.common.canvas import Canvas, draw_each, number_table
from slim.reports.common.stacks import stack_facts
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import count, duration, printable


def render(results: Sequence[Audit], style: TerminalStyle | None = None, verbosity: int = 0) -> str:
    """Return the audit as text. ``verbosity`` 1 shows every row, not only the largest."""
    return draw_each(
        results, style, lambda canvas, result: _draw(canvas, result, verbose=verbosity > 0)
    )


def _draw(canvas: Canvas, result: Audit, *, verbose: bool) -> None:
    _heading(canvas, result)
    for answer in result.why:
        draw_why(canvas, result, answer, verbose=verbose)
    if result.why:
        return
    draw_floors(canvas, result, verbose=verbose)
    _layers(canvas, result.layers, result.total)
    _account(canvas, "owner", result.by_owner, result.total, most=None if verbose else 10)
    _account(canvas, "category", result.by_category, result.total, most=None)
    _largest(canvas, result, most=len(result.largest) if verbose else 8, verbose=verbose)
    draw_gpu(canvas, result, verbose=verbose)
    draw_findings(canvas, result, verbose=verbose)
    draw_savings(canvas, result, verbose=verbose)
    _warnings(canvas, result.warnings, most=len(result.warnings) if verbose else 5)
    _closing(canvas, result, verbose=verbose)


def _heading(canvas: Canvas, result: Audit) -> None:
    total = result.total
    canvas.line(Text(printable(result.stack.source), "bold"))
    facts = stack_facts(result.stack, len(result.layers))
    canvas.facts([*facts, count(total.files, "file"), format_size(total.unpacked)])
    canvas.blank()


def _layers(canvas: Canvas, layers: Sequence[LayerSize], total: Footprint) -> None:
    titles = ["unpacked", *_deployed_title(total), "files"]
    table = number_table("layer", ["archive", *titles] if total.archive else titles)
    rows = [(row.layer.name, row.size, "") for row in layers]
    if len(rows) > 1:
        rows.append(("total", total, "bold"))
    for name, sizes, style in rows:
        cells = [format_size(sizes.unpacked), *_deployed(sizes, total), f"{sizes.files:,}"]
        if total.archive:
            cells.insert(0, format_size(sizes.archive) if sizes.archive else "-")
        table.add_row(printable(name), *cells, style=style)
    canvas.show(table)
    if total.bytecode:
        note = "with the bytecode that postinstall compiles on the user's machine"
        canvas.line(Text(f"~ an estimate: {note}", "dim"))
    canvas.blank()


def _account(
    canvas: Canvas, title: str, rows: Sequence[SizeRow], total: Footprint, *, most: int | None
) -> None:
    titles = ["unpacked", *_deployed_title(total), "share", "files"]
    table = number_table(title, titles, bars=canvas.roomy)
    largest = max((row.size.unpacked for row in rows), default=0)
    shown = rows[:most]
    for row in shown:
        bar = [canvas.bar(row.size.unpacked, largest, "cyan")] if canvas.roomy else []
        table.add_row(printable(row.label), *_amounts(row.size, total), *bar)
    rest = rows[len(shown) :]
    if rest:
        sizes = sum((row.size for row in rest), Footprint())
        table.add_row(f"{len(rest)} more", *_amounts(sizes, total), style="dim")
    canvas.show(table)
    canvas.blank()


def _amounts(sizes: Footprint, total: Footprint) -> list[str]:
    share = f"{100 * sizes.unpacked / total.unpacked:.1f}%" if total.unpacked else ""
    return [format_size(sizes.unpacked), *_deployed(sizes, total), share, f"{sizes.files:,}"]


def _deployed_title(total: Footprint) -> list[str]:
    return ["~deployed"] if total.bytecode else []


def _deployed(sizes: Footprint, total: Footprint) -> list[str]:
    return [f"~{format_size(sizes.deployed)}"] if total.bytecode else []


def _largest(canvas: Canvas, result: Audit, *, most: int, verbose: bool) -> None:
    table = number_table("largest files", ("size",))
    table.add_column("category", no_wrap=True, header_style="dim")
    shorten = shortener_of(result, verbose=verbose)
    records: Sequence[FileRecord] = result.largest[:most]
    for record in records:
        place = printable(shorten(record.deployed_path))
        table.add_row(place, format_size(record.size), Text(record.kind.value, "dim"))
    canvas.show(table)
    canvas.blank()


def _warnings(canvas: Canvas, warnings: Sequence[str], *, most: int) -> None:
    if not warnings:
        return
    canvas.line(Text(count(len(warnings), "warning"), "bold yellow"))
    canvas.listing([printable(warning) for warning in warnings], most)
    canvas.blank()


def _closing(canvas: Canvas, result: Audit, *, verbose: bool) -> None:
    canvas.rule()
    took = duration(result.elapsed)
    canvas.line(Text(f"Looked at everything in {took}; nothing was changed."))
    more = "--why GLOB tells why a file is there; --report html=FILE draws the map."
    canvas.line(Text(more if verbose else f"-v shows more; {more}", "dim"))
