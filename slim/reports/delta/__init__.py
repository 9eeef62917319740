"""The reports of ``slim delta`` and ``slim delta apply``. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from slim.reports.reporter import Reporter, late, table

if TYPE_CHECKING:
    from slim.model.delta import DeltaApplied, DeltaMade

DELTA_REPORTERS: Mapping[str, Reporter[Sequence[DeltaMade]]] = table(
    Reporter(
        name="json",
        summary="everything, with a JSON Schema",
        suffix=".json",
        render=late("delta.json_v1:render_made"),
    ),
    Reporter(
        name="markdown",
        summary="a summary for CI pages",
        suffix=".md",
        render=late("delta.markdown"),
    ),
    Reporter(
        name="terminal",
        summary="what the command prints, as plain text",
        suffix=".txt",
        render=late("delta.terminal:render_made"),
    ),
)
"""Reports that ``slim delta --report NAME=FILE`` can write. Each takes one result a platform."""

APPLIED_REPORTERS: Mapping[str, Reporter[Sequence[DeltaApplied]]] = table(
    Reporter(
        name="json",
        summary="everything, with a JSON Schema",
        suffix=".json",
        render=late("delta.json_v1:render_applied"),
    ),
    Reporter(
        name="terminal",
        summary="what the command prints, as plain text",
        suffix=".txt",
        render=late("delta.terminal:render_applied"),
    ),
)
"""Reports that ``slim delta apply --report NAME=FILE`` can write."""
