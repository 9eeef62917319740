"""The verdict of ``slim check`` for the summary page of a CI run: GitHub-flavoured Markdown."""

from __future__ import annotations

from slim.model.budget import LimitResult, Status, Verdict
from slim.model.diff import Metric
from slim.reports.budget.words import (
    actual_text,
    baseline_text,
    exceeded_budgets,
    exceeded_text,
    limit_text,
)
from slim.reports.common.growth import amount, cause_lines
from slim.reports.common.markdown import cell, items, page, table
from slim.reports.common.text import count

_MARKS = {
    Status.WITHIN: "✅ within",
    Status.EXCEEDED: "❌ **exceeded**",
    Status.UNCHECKED: "⚠️ not checked",
}
_CAUSES = 10


def render(verdict: Verdict) -> str:
    """Return the verdict as Markdown text, with a newline at its end."""
    over = sum(result.status is Status.EXCEEDED for result in verdict.results)
    budgets = count(len(verdict.results), "budget")
    title = f"{over} of {budgets} exceeded" if over else f"{budgets} checked, none exceeded"
    rows = [
        [
            cell(result.title),
            cell(result.platform),
            limit.limit.metric.value,
            actual_text(limit),
            cell(limit_text(limit)),
            _baseline(limit),
            _MARKS[limit.status],
        ]
        for result in verdict.results
        for limit in result.limits
    ]
    header = ["Budget", "Platform", "Size", "Is", "Limit", "Baseline", "Result"]
    lines = [f"# slim check: {title}", "", *table(header, rows, "lllrrrl")]
    for exceeded in exceeded_budgets(verdict):
        lines += [f"### {cell(exceeded.result.title)}", ""]
        sentences = [exceeded_text(exceeded.result, limit) for limit in exceeded.limits]
        lines += [*(f"- {cell(sentence)}" for sentence in sentences), ""]
        lines += [line for limit in exceeded.explained for line in (*_causes(limit), "")]
    lines += [f"- {cell(warning)}" for warning in verdict.warnings]
    return page(lines)


def _baseline(limit: LimitResult) -> str:
    before, change = baseline_text(limit)
    return f"{before} ({change})" if change else before


def _causes(limit: LimitResult) -> list[str]:
    metric = limit.limit.metric.explained
    if limit.causes:
        causes = cause_lines(limit.causes, metric, most=_CAUSES, arrow="→")
        return [f"What grew since the baseline ({metric.value}):", "", *items(causes)]
    if limit.before is not None:
        return ["No owner has more content than in the baseline."]
    noun = "layers" if metric is Metric.UPDATE else "owners"
    largest = (f"- {cell(label)}: {amount(metric, value)}" for label, value in limit.largest)
    return [f"The largest {noun}:", "", *largest]
