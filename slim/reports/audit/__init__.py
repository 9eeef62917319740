"""The reports that an audit can write. A line here is all that a new one needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from slim.model.audit import Audit
from slim.reports import html
from slim.reports.audit import json_v1 as audit_json
from slim.reports.audit import terminal as audit_terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReporter:
    """One line of the table. ``render`` takes one audit for each manifest (at least one)."""

    name: str
    summary: str
    render: Callable[[Sequence[Audit]], str]


AUDIT_REPORTERS: Mapping[str, AuditReporter] = {
    reporter.name: reporter
    for reporter in (
        AuditReporter(
            name="html", summary="a page to look around in, in one file", render=html.render_audit
        ),
        AuditReporter(
            name="json",
            summary="everything, as a versioned contract with a JSON Schema",
            render=audit_json.render,
        ),
        AuditReporter(
            name="terminal",
            summary="what an audit prints, as plain text",
            render=audit_terminal.render,
        ),
    )
}
"""Every kind of report that ``slim audit --report NAME=FILE`` knows, by name."""
