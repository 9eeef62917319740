"""The reports of ``slim audit``. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from slim.reports.reporter import Reporter, late, table

if TYPE_CHECKING:
    from slim.model.audit import Audit

AUDIT_REPORTERS: Mapping[str, Reporter[Sequence[Audit]]] = table(
    Reporter(
        name="html",
        summary="a page to look around in, in one file",
        suffix=".html",
        render=late("html.page:render_audit"),
    ),
    Reporter(
        name="json",
        summary="everything, as a versioned contract with a JSON Schema",
        suffix=".json",
        render=late("audit.json_v1"),
    ),
    Reporter(
        name="terminal",
        summary="what an audit prints, as plain text",
        suffix=".txt",
        render=late("audit.terminal"),
    ),
)
"""Reports that ``slim audit --report NAME=FILE`` can write. Each takes one audit a manifest."""
