"""Exceeded budgets as a GitLab code quality report.

Source: GitLab documentation, "Code Quality report format": description, check_name, fingerprint,
location, severity.
"""

from __future__ import annotations

from slim.model.budget import BudgetResult, LimitResult, Verdict
from slim.reports.budget.sarif import RULE_ID, fingerprint
from slim.reports.budget.words import exceeded_text
from slim.reports.common.growth import cause_lines
from slim.system.json_text import Json, dumps, prose

_CAUSES = 3


def render(verdict: Verdict) -> str:
    """Return a JSON array with an entry for each exceeded limit."""
    return dumps([_entry(result, limit) for result, limit in verdict.exceeded()])


def _entry(result: BudgetResult, limit: LimitResult) -> Json:
    causes = cause_lines(limit.causes, limit.limit.metric, most=_CAUSES)
    sentences = [exceeded_text(result, limit), *(line for depth, line in causes if not depth)]
    return {
        "description": prose("; ".join(sentences)),
        "check_name": RULE_ID,
        "fingerprint": fingerprint(result, limit),
        "severity": "major",
        "location": {
            "path": prose(result.budget.origin),
            "lines": {"begin": result.budget.line or 1},
        },
    }
