"""Exceeded budgets as a GitLab code quality report.

Source: GitLab documentation, "Code Quality report format": description, check_name, fingerprint,
location, severity.
"""

from __future__ import annotations

from slim.model.budget import Verdict
from slim.reports.budget.sarif import RULE_ID, fingerprint
from slim.reports.common.growth import cause_lines, exceeded_text
from slim.system.json_text import dumps, prose

_CAUSES = 3


def render(verdict: Verdict) -> str:
    """A JSON array with an entry for each exceeded limit."""
    entries = []
    for result, item in verdict.exceeded():
        causes = [
            line
            for depth, line in cause_lines(item.causes, item.limit.metric, most=_CAUSES)
            if not depth
        ]
        told = exceeded_text(result, item)
        entries.append(
            {
                "description": prose("; ".join([told, *causes])),
                "check_name": RULE_ID,
                "fingerprint": fingerprint(result, item),
                "severity": "major",
                "location": {
                    "path": prose(result.budget.origin),
                    "lines": {"begin": result.budget.line or 1},
                },
            }
        )
    return dumps(entries)
