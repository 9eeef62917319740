"""The differences of ``slim diff`` as GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from slim.model.diff import Comparison, Metric
from slim.reports.common.growth import cause_lines, change_cells
from slim.reports.common.markdown import cell, items, page, table
from slim.reports.diff.rows import changed_categories, changed_owners, shown_metrics, size_rows

_OWNERS = 15


def render(comparisons: Sequence[Comparison]) -> str:
    """Return all comparisons as Markdown text, with a newline at its end."""
    sections = [_comparison(comparison) for comparison in comparisons]
    return page(["# slim diff", "", *(line for section in sections for line in section)])


def _comparison(comparison: Comparison) -> list[str]:
    before, after = cell(comparison.source_before), cell(comparison.source_after)
    lines = [f"## {before} → {after}", ""]
    if comparison.same:
        lines += ["No size differs.", ""]
    rows = [
        [cell(change.label), metric.value, *change_cells(change, metric, "→")]
        for change in size_rows(comparison)
        for metric in shown_metrics(comparison)
    ]
    lines += table(["Layer", "Size", "Before → after", "Change", ""], rows, "lllrr")
    owners = changed_owners(comparison)
    if owners:
        causes = cause_lines(owners, Metric.UNPACKED, most=_OWNERS, arrow="→")
        lines += ["### By owner", "", *items(causes), ""]
    rows = [
        [cell(change.label), *change_cells(change, Metric.UNPACKED, "→")]
        for change in changed_categories(comparison)
    ]
    if rows:
        header = ["Category", "Unpacked", "Change", ""]
        lines += ["### By category", "", *table(header, rows, "llrr")]
    return lines
