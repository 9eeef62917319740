"""The verdict of ``slim check`` on a terminal."""

from __future__ import annotations

from rich.text import Text

from slim.model.budget import LimitResult, Status, Verdict
from slim.reports.budget.words import (
    actual_text,
    baseline_text,
    exceeded_budgets,
    exceeded_text,
    limit_text,
)
from slim.reports.common.canvas import Canvas, add_numbers, plain_table
from slim.reports.common.growth import amount, cause_lines
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import count, printable

_CAUSES = 6
_COLORS = {Status.WITHIN: "green", Status.EXCEEDED: "bold red", Status.UNCHECKED: "yellow"}


def render(verdict: Verdict, style: TerminalStyle | None = None, verbosity: int = 0) -> str:
    """Return the verdict as text. ``verbosity`` 1 shows all that grew, not only the most."""
    canvas = Canvas(style or TerminalStyle())
    _table(canvas, verdict)
    for exceeded in exceeded_budgets(verdict):
        for limit in exceeded.limits:
            words = (exceeded_text(exceeded.result, limit), "bold")
            canvas.line(Text.assemble((canvas.style.bad, "bold red"), " ", words))
        for limit in exceeded.explained:
            _causes(canvas, limit, most=len(limit.causes) if verbosity else _CAUSES)
        canvas.blank()
    for warning in verdict.warnings:
        canvas.line(Text(printable(warning), "yellow"))
    if verdict.elsewhere:
        names = ", ".join(printable(budget.name) for budget in verdict.elsewhere)
        canvas.line(Text(f"for other platforms: {names}", "dim"))
    if verdict.warnings or verdict.elsewhere:
        canvas.blank()
    _closing(canvas, verdict)
    return canvas.text()


def _table(canvas: Canvas, verdict: Verdict) -> None:
    several = len({result.platform for result in verdict.results}) > 1
    changes = canvas.roomy and any(
        limit.before is not None for result in verdict.results for limit in result.limits
    )
    table = plain_table()
    table.add_column("", no_wrap=True)
    table.add_column("budget", overflow="fold", header_style="dim")
    if several:
        table.add_column("platform", overflow="fold", header_style="dim")
    table.add_column("", header_style="dim", no_wrap=True)
    add_numbers(table, ("is", "limit", "baseline") if changes else ("is", "limit"))
    for result in verdict.results:
        for limit in result.limits:
            table.add_row(
                Text(_mark(canvas.style, limit.status), _COLORS[limit.status]),
                printable(result.title),
                *([result.platform] if several else []),
                limit.limit.metric.value,
                Text(actual_text(limit), _COLORS[limit.status]),
                limit_text(limit),
                *(["  ".join(baseline_text(limit)).rstrip()] if changes else []),
            )
    canvas.show(table, names=(0, 1))
    canvas.blank()


def _mark(style: TerminalStyle, status: Status) -> str:
    marks = {Status.WITHIN: style.good, Status.EXCEEDED: style.bad, Status.UNCHECKED: "?"}
    return marks[status]


def _causes(canvas: Canvas, limit: LimitResult, most: int) -> None:
    metric = limit.limit.metric.explained
    if limit.causes:
        canvas.line(Text(f"what grew since the baseline ({metric.value})", "dim"), indent=2)
        lines = cause_lines(limit.causes, metric, most=most, arrow=canvas.style.arrow)
        for depth, line in lines:
            if depth:
                canvas.turn(line, "cyan", indent=4 + 2 * depth)
            else:
                canvas.line(Text(line), indent=4)
    elif limit.before is not None:
        canvas.line(Text("no owner has more content than in the baseline", "dim"), indent=2)
    else:
        largest = (f"{printable(label)} {amount(metric, value)}" for label, value in limit.largest)
        canvas.line(Text(f"the largest: {', '.join(largest)}", "dim"), indent=2)


def _closing(canvas: Canvas, verdict: Verdict) -> None:
    statuses = [result.status for result in verdict.results]
    within, over = statuses.count(Status.WITHIN), statuses.count(Status.EXCEEDED)
    unchecked = statuses.count(Status.UNCHECKED)
    parts = [f"{count(within, 'budget')} held"]
    if over:
        parts.insert(0, f"{count(over, 'budget')} exceeded")
    if unchecked:
        parts.append(f"{unchecked} not checked")
    color = "bold green" if within else "bold yellow"
    canvas.line(Text(", ".join(parts), "bold red" if over else color))
