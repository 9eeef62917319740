"""Exceeded budgets as annotations of a GitHub Actions run: workflow commands, one line each.

Source: GitHub documentation, "Workflow commands for GitHub Actions" (setting an error message).
"""

from __future__ import annotations

from slim.model.budget import Verdict
from slim.reports.common.growth import cause_lines, exceeded_text
from slim.reports.common.text import printable

_CAUSES = 5


def render(verdict: Verdict) -> str:
    """``::error file=slim.toml,line=3,title=...::...`` for each exceeded limit, ``::warning::`` for each warning."""
    lines = []
    for result, item in verdict.exceeded():
        causes = [line for _, line in cause_lines(item.causes, item.limit.metric, most=_CAUSES)]
        message = "\n".join([exceeded_text(result, item), *causes])
        where = [f"file={_property(result.budget.origin)}"] if result.budget.origin else []
        where += [f"line={result.budget.line}"] if result.budget.line else []
        where.append(f"title={_property(f'Budget {printable(result.title)} exceeded')}")
        lines.append(f"::error {','.join(where)}::{_message(message)}")
    lines += [
        f"::warning title=slim check::{_message(printable(warning))}"
        for warning in verdict.warnings
    ]
    return "".join(f"{line}\n" for line in lines)


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
