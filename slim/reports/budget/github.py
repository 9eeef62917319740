"""Exceeded budgets as annotations of a GitHub Actions run: workflow commands, one line each.

Source: GitHub documentation, "Workflow commands for GitHub Actions" (setting an error message).
"""

from __future__ import annotations

from slim.model.budget import BudgetResult, LimitResult, Verdict
from slim.reports.budget.words import exceeded_text
from slim.reports.common.growth import cause_lines
from slim.reports.common.text import printable

_CAUSES = 5


def render(verdict: Verdict) -> str:
    """Return a line for each exceeded limit, and one for each warning.

    ``::error file=slim.toml,line=3,title=...::...`` and ``::warning title=...::...``.
    """
    lines = [_error(result, limit) for result, limit in verdict.exceeded()]
    lines += [
        f"::warning title=slim check::{_message(printable(warning))}"
        for warning in verdict.warnings
    ]
    return "".join(f"{line}\n" for line in lines)


def _error(result: BudgetResult, limit: LimitResult) -> str:
    budget = result.budget
    causes = cause_lines(limit.causes, limit.limit.metric, most=_CAUSES)
    message = "\n".join([exceeded_text(result, limit), *(line for _, line in causes)])
    properties = [f"file={_property(budget.origin)}"] if budget.origin else []
    properties += [f"line={budget.line}"] if budget.line else []
    properties.append(f"title={_property(f'Budget {printable(result.title)} exceeded')}")
    return f"::error {','.join(properties)}::{_message(message)}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
