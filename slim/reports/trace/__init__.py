"""The reports of ``slim trace`` and its commands. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from slim.reports.reporter import Reporter, late, table

if TYPE_CHECKING:
    from slim.model.trace_results import TraceComparison, TraceSummary, TraceVerdict

TRACE_REPORTERS: Mapping[str, Reporter[TraceSummary]] = table(
    Reporter(
        name="json",
        summary="everything, with a JSON Schema",
        suffix=".json",
        render=late("trace.json_v1:render_summary"),
    ),
    Reporter(
        name="terminal",
        summary="what the command prints, as plain text",
        suffix=".txt",
        render=late("trace.terminal:render_summary"),
    ),
)
"""Reports that ``slim trace``, ``merge``, ``collect`` and ``show`` can write."""

TRACE_DIFF_REPORTERS: Mapping[str, Reporter[TraceComparison]] = table(
    Reporter(
        name="json",
        summary="everything, with a JSON Schema",
        suffix=".json",
        render=late("trace.json_v1:render_comparison"),
    ),
    Reporter(
        name="terminal",
        summary="what the command prints, as plain text",
        suffix=".txt",
        render=late("trace.terminal_diff"),
    ),
)
"""Reports that ``slim trace diff`` can write."""

TRACE_CHECK_REPORTERS: Mapping[str, Reporter[TraceVerdict]] = table(
    Reporter(
        name="json",
        summary="everything, with a JSON Schema",
        suffix=".json",
        render=late("trace.json_v1:render_verdict"),
    ),
    Reporter(
        name="terminal",
        summary="what the command prints, as plain text",
        suffix=".txt",
        render=late("trace.terminal:render_verdict"),
    ),
)
"""Reports that ``slim trace check`` can write."""
