"""Deltas that were made, as GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from slim.model.delta import DeltaMade
from slim.reports.common.markdown import cell, page, table
from slim.reports.delta.words import layer_cells, method_text, total_cells

_HEADER = ("Layer", "Old archive", "New archive", "Update", "", "How")


def render(results: Sequence[DeltaMade]) -> str:
    """Return all deltas as Markdown text, with a newline at its end."""
    lines = ["# slim delta", ""]
    for result in results:
        lines += [f"## {cell(result.old_source)} → {cell(result.new_source)}", ""]
        lines += [cell(result.platform), ""]
        rows = [[*map(cell, layer_cells(layer)), method_text(layer)] for layer in result.layers]
        rows.append([*total_cells(result), ""])
        lines += table(_HEADER, rows, "lrrrrl")
    return page(lines)
