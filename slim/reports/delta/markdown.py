"""Deltas that were made, as GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from slim.model.delta import DeltaMade
from slim.model.size import format_size
from slim.reports.common.markdown import cell, table
from slim.reports.delta.words import layer_cells, method_text, share


def render(results: Sequence[DeltaMade]) -> str:
    """The same as Markdown."""
    lines = ["# slim delta", ""]
    for result in results:
        lines += [f"## {cell(result.old_source)} → {cell(result.new_source)}", ""]
        lines += [f"{cell(result.platform)}", ""]
        rows = [[*map(cell, layer_cells(layer)), method_text(layer)] for layer in result.layers]
        left = share(result.download, result.full)
        rows.append(
            [
                "total",
                "",
                format_size(result.full) if result.full else "",
                format_size(result.download),
                left,
                "",
            ]
        )
        lines += table(["Layer", "Old archive", "New archive", "Update", "", "How"], rows, "lrrrrl")
    return "\n".join(lines).rstrip("\n") + "\n"
