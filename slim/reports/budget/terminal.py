"""What ``slim check`` prints."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from slim.model.budget import LimitResult, Status, Verdict
from slim.reports.common.canvas import Canvas
from slim.reports.common.growth import (
    amount,
    cause_lines,
    content_metric,
    exact,
    exceeded_results,
    exceeded_text,
    limit_text,
    number,
)
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import count, percent, printable

_CAUSES = 6
_ROOMY = 76
"""Columns from which on there is room for the baseline's sizes."""

_STYLES = {Status.WITHIN: "green", Status.EXCEEDED: "bold red", Status.UNCHECKED: "yellow"}


def render(verdict: Verdict, style: TerminalStyle | None = None, verbose: int = 0) -> str:
    """The verdict as text. ``verbose`` shows everything that grew, not only the most."""
    canvas = Canvas(style or TerminalStyle())
    _table(canvas, verdict)
    for result, over, telling in exceeded_results(verdict):
        for item in over:
            told = exceeded_text(result, item)
            canvas.line(Text.assemble((canvas.style.bad, "bold red"), " ", (told, "bold")))
        for item in telling:
            _causes(canvas, item, most=len(item.causes) if verbose else _CAUSES)
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
    changes = canvas.style.width >= _ROOMY and any(
        item.before is not None for result in verdict.results for item in result.limits
    )
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
    table.add_column("", no_wrap=True)
    table.add_column("budget", overflow="fold", header_style="dim")
    if several:
        table.add_column("platform", overflow="fold", header_style="dim")
    table.add_column("", header_style="dim", no_wrap=True)
    table.add_column("is", justify="right", header_style="dim", no_wrap=True)
    table.add_column("limit", justify="right", header_style="dim", no_wrap=True)
    if changes:
        table.add_column("baseline", justify="right", header_style="dim", no_wrap=True)
    for result in verdict.results:
        for item in result.limits:
            metric = item.limit.metric
            table.add_row(
                _mark(canvas, item),
                printable(result.title),
                *([result.platform] if several else []),
                metric.value,
                Text(exact(metric, item), _STYLES[item.status]),
                limit_text(item),
                *([_before(item)] if changes else []),
            )
    canvas.show(table)
    canvas.blank()


def _mark(canvas: Canvas, item: LimitResult) -> Text:
    marks = {
        Status.WITHIN: canvas.style.good,
        Status.EXCEEDED: canvas.style.bad,
        Status.UNCHECKED: "?",
    }
    return Text(marks[item.status], _STYLES[item.status])


def _before(item: LimitResult) -> str:
    if item.before is None or item.actual is None:
        return ""
    change = percent(item.before, item.actual)
    return f"{number(item.limit.metric, item.before)}  {change}".rstrip()


def _causes(canvas: Canvas, item: LimitResult, most: int) -> None:
    metric = item.limit.metric
    if item.causes:
        word = content_metric(metric).value
        canvas.line(Text(f"what grew since the baseline ({word})", "dim"), indent=2)
        for depth, line in cause_lines(item.causes, metric, most=most, arrow=canvas.style.arrow):
            text = Text(f"{canvas.style.turn} {line}", "cyan") if depth else Text(line)
            canvas.line(text, indent=4 + 2 * depth)
    elif item.before is not None:
        canvas.line(Text("no owner has more content than in the baseline", "dim"), indent=2)
    else:
        by = content_metric(metric)
        told = ", ".join(f"{printable(label)} {amount(by, value)}" for label, value in item.largest)
        canvas.line(Text(f"the largest: {told}", "dim"), indent=2)


def _closing(canvas: Canvas, verdict: Verdict) -> None:
    within = sum(result.status is Status.WITHIN for result in verdict.results)
    over = sum(result.status is Status.EXCEEDED for result in verdict.results)
    waiting = sum(result.status is Status.UNCHECKED for result in verdict.results)
    parts = [f"{count(within, 'budget')} held"]
    if over:
        parts.insert(0, f"{count(over, 'budget')} exceeded")
    if waiting:
        parts.append(f"{waiting} not checked")
    style = "bold red" if over else "bold green" if within else "bold yellow"
    canvas.line(Text(", ".join(parts), style))
