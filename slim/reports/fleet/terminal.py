"""The report of a fleet on a terminal."""

from __future__ import annotations

from rich.text import Text

from slim.model.fleet import (
    FleetResult,
    distinct_archives,
    refusal_sums,
    rule_sums,
    shared_layers,
)
from slim.model.footprint import Footprint
from slim.model.size import format_size
from slim.reports.common.canvas import Canvas, number_table
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import count, duration, printable
from slim.reports.fleet.sums import (
    archive_cells,
    headline,
    platform_sums,
    tries_text,
    unpacked_cells,
)

_STACKS, _ROWS = 40, 10


def render(result: FleetResult, style: TerminalStyle | None = None, verbosity: int = 0) -> str:
    """Return the report as text. ``verbosity`` 1 shows every stack, rule and refusal."""
    canvas = Canvas(style or TerminalStyle())
    canvas.line(Text(f"{printable(result.name)} {printable(result.release)}", "bold"))
    facts = [headline(result)]
    if result.dry_run:
        facts.append("audit: nothing was written")
    canvas.facts([*facts, *(row.platform for row in platform_sums(result))])
    canvas.blank()
    most = len(result.tasks) if verbosity else _STACKS
    _stacks(canvas, result, most)
    _rules(canvas, result, None if verbosity else _ROWS)
    _refusals(canvas, result, None if verbosity else _ROWS)
    _shared(canvas, result)
    for warning in result.warnings:
        canvas.line(Text(printable(warning), "yellow"))
    for task in result.failed:
        words = printable(task.error.text) if task.error else ""
        canvas.line(
            Text.assemble((canvas.style.bad, "bold red"), f" {printable(task.title)}: ", words)
        )
        if task.error is not None and task.error.hint:
            canvas.turn(printable(task.error.hint), "dim", indent=2)
    return canvas.text()


def _stacks(canvas: Canvas, result: FleetResult, most: int) -> None:
    archives = canvas.roomy
    titles = ("archives", "", "") if archives else ()
    table = number_table("stack", (*titles, "unpacked", "", "", "time", ""))
    measured = not result.dry_run

    def sizes(before: Footprint, after: Footprint) -> tuple[str, ...]:
        cells = archive_cells(before.archive, after.archive, measured=measured)
        return (*(cells if archives else ()), *unpacked_cells(before, after))

    for task in result.done[:most]:
        row = (*sizes(task.before, task.after), duration(task.cost.elapsed), tries_text(task))
        table.add_row(printable(task.title), *row)
    rest = len(result.done) - most
    table.add_row(
        f"{rest} more, and the total" if rest > 0 else "total",
        *sizes(result.before, result.after),
        "",
        "",
        style="bold",
    )
    canvas.show(table)
    canvas.blank()


def _rules(canvas: Canvas, result: FleetResult, most: int | None) -> None:
    rows = rule_sums(result.done)
    if not rows:
        return
    table = number_table("what each rule saved", ("saved", "files", "stacks"), bars=canvas.roomy)
    largest = rows[0][0].saved
    for row, stacks in rows[:most]:
        bar = [canvas.bar(row.saved, largest, "green")] if canvas.roomy else []
        table.add_row(row.rule, format_size(row.saved), f"{row.files:,}", str(stacks), *bar)
    canvas.show(table)
    canvas.blank()


def _refusals(canvas: Canvas, result: FleetResult, most: int | None) -> None:
    rows = refusal_sums(result.done)
    if not rows:
        return
    table = number_table("what was refused", ("why", "held", "files", "stacks"))
    for row, stacks in rows[:most]:
        table.add_row(row.rule, row.reason, format_size(row.held), f"{row.files:,}", str(stacks))
    canvas.show(table)
    canvas.blank()


def _shared(canvas: Canvas, result: FleetResult) -> None:
    shared = shared_layers(result.done)
    if not shared:
        return
    before, after = distinct_archives(result.done)
    words = (
        f"{count(len(shared), 'layer')} shared; {count(before.files, 'different archive')} "
        f"with {format_size(before.archive)}"
    )
    if not result.dry_run:
        words += f" {canvas.style.arrow} {after.files:,} with {format_size(after.archive)}"
    canvas.line(Text(words, "dim"))
    canvas.blank()
