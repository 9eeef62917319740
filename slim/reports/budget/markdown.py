"""The verdict of ``slim check`` for the summary page of a CI run: GitHub-flavoured Markdown."""

from __future__ import annotations

from slim.model.budget import LimitResult, Status, Verdict
from slim.model.diff import Metric
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
from slim.reports.common.markdown import cell, table
from slim.reports.common.text import count, percent

_MARKS = {
    Status.WITHIN: "✅ within",
    Status.EXCEEDED: "❌ **exceeded**",
    Status.UNCHECKED: "⚠️ not checked",
}
_CAUSES = 10


def render(verdict: Verdict) -> str:
    """The verdict as Markdown text, with a newline at its end."""
    over = sum(result.status is Status.EXCEEDED for result in verdict.results)
    checked = len(verdict.results)
    title = (
        f"{over} of {count(checked, 'budget')} exceeded"
        if over
        else f"{count(checked, 'budget')} checked, none exceeded"
    )
    rows = [
        [
            cell(result.title),
            cell(result.platform),
            item.limit.metric.value,
            exact(item.limit.metric, item),
            cell(limit_text(item)),
            _before(item),
            _MARKS[item.status],
        ]
        for result in verdict.results
        for item in result.limits
    ]
    header = ["Budget", "Platform", "Size", "Is", "Limit", "Baseline", "Result"]
    lines = [f"# slim check: {title}", "", *table(header, rows, "lllrrrl")]
    for result, limits, telling in exceeded_results(verdict):
        lines += [f"### {cell(result.title)}", ""]
        lines += [*(f"- {cell(exceeded_text(result, item))}" for item in limits), ""]
        lines += [line for item in telling for line in (*_why(item), "")]
    lines += [f"- {cell(warning)}" for warning in verdict.warnings]
    return "\n".join(lines).rstrip("\n") + "\n"


def _before(item: LimitResult) -> str:
    if item.before is None or item.actual is None:
        return ""
    change = percent(item.before, item.actual)
    told = number(item.limit.metric, item.before)
    return f"{told} ({change})" if change else told


def _why(item: LimitResult) -> list[str]:
    metric = item.limit.metric
    by = content_metric(metric)
    if item.causes:
        lines = [f"What grew since the baseline ({by.value}):", ""]
        return lines + [
            f"{'  ' * depth}- {cell(line)}"
            for depth, line in cause_lines(item.causes, metric, most=_CAUSES, arrow="→")
        ]
    if item.before is not None:
        return ["No owner has more content than in the baseline."]
    noun = "layers" if metric is Metric.UPDATE else "owners"
    return [
        f"The largest {noun}:",
        "",
        *(f"- {cell(label)}: {amount(by, value)}" for label, value in item.largest),
    ]
