"""What ``slim diff`` found, as GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from slim.model.diff import Change, Comparison, Metric
from slim.reports.common.growth import cause_lines, change_cells
from slim.reports.common.markdown import cell, table

_OWNERS = 15


def render(comparisons: Sequence[Comparison]) -> str:
    """All comparisons as Markdown text, with a newline at its end."""
    lines = ["# slim diff", ""]
    for comparison in comparisons:
        lines += _comparison(comparison)
    return "\n".join(lines).rstrip("\n") + "\n"


def _comparison(item: Comparison) -> list[str]:
    lines = [f"## {cell(item.source_before)} → {cell(item.source_after)}", ""]
    if item.same:
        lines += ["No size differs.", ""]
    shown = [Metric.UNPACKED, Metric.DEPLOYED, Metric.FILES]
    if item.archives and (item.before.archive or item.after.archive):
        shown.insert(0, Metric.ARCHIVE)
    total = Change(label="total", before=item.before, after=item.after)
    layers = [change for change in item.layers if change.changed] if len(item.layers) > 1 else []
    rows = [
        [cell(change.label), metric.value, *change_cells(change, metric, "→")]
        for change in (*layers, total)
        for metric in shown
    ]
    lines += table(["Layer", "Size", "Before → after", "Change", ""], rows, "lllrr")
    owners = sorted(
        (owner for owner in item.owners if owner.changed or owner.places),
        key=lambda owner: (-abs(owner.delta(Metric.UNPACKED)), owner.name),
    )
    if owners:
        told = cause_lines(owners, Metric.UNPACKED, most=_OWNERS, arrow="→")
        lines += [
            "### By owner",
            "",
            *(f"{'  ' * depth}- {cell(line)}" for depth, line in told),
            "",
        ]
    changed = [change for change in item.categories if change.changed]
    if changed:
        rows = [
            [cell(change.label), *change_cells(change, Metric.UNPACKED, "→")] for change in changed
        ]
        lines += [
            "### By category",
            "",
            *table(["Category", "Unpacked", "Change", ""], rows, "llrr"),
        ]
    return lines
