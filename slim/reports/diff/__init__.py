"""The reports of ``slim diff``. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from slim.reports.reporter import Reporter, late, table

if TYPE_CHECKING:
    from slim.model.diff import Comparison

DIFF_REPORTERS: Mapping[str, Reporter[Sequence[Comparison]]] = table(
    Reporter(
        name="json",
        summary="everything, with a JSON Schema",
        suffix=".json",
        render=late("diff.json_v1"),
    ),
    Reporter(
        name="markdown",
        summary="a summary for CI pages",
        suffix=".md",
        render=late("diff.markdown"),
    ),
    Reporter(
        name="terminal",
        summary="what a diff prints, as plain text",
        suffix=".txt",
        render=late("diff.terminal"),
    ),
)
"""Reports that ``slim diff --report NAME=FILE`` can write. Each takes one comparison a platform."""
