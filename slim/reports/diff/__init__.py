"""The tables of reports about budgets and differences: what ``slim check --report`` and ``slim diff --report`` know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from slim.model.budget import Verdict
from slim.model.diff import Comparison
from slim.reports.budget import github as verdict_annotations
from slim.reports.budget import gitlab, sarif
from slim.reports.budget import json_v1 as verdict_json
from slim.reports.budget import junit as budget_junit
from slim.reports.budget import markdown as verdict_markdown
from slim.reports.budget import terminal as verdict_terminal
from slim.reports.diff import json_v1 as diff_json
from slim.reports.diff import markdown as diff_markdown
from slim.reports.diff import terminal as diff_terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictReporter:
    """One line of the table of reports of ``slim check``."""

    name: str
    summary: str
    render: Callable[[Verdict], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffReporter:
    """One line of the table of reports of ``slim diff``. ``render`` takes one comparison a platform."""

    name: str
    summary: str
    render: Callable[[Sequence[Comparison]], str]


VERDICT_REPORTERS: Mapping[str, VerdictReporter] = {
    reporter.name: reporter
    for reporter in (
        VerdictReporter(
            name="json", summary="everything, and a baseline for later", render=verdict_json.render
        ),
        VerdictReporter(
            name="markdown", summary="a summary for CI pages", render=verdict_markdown.render
        ),
        VerdictReporter(
            name="sarif", summary="for code scanning (SARIF 2.1.0)", render=sarif.render
        ),
        VerdictReporter(
            name="junit", summary="JUnit XML, one test case a budget", render=budget_junit.render
        ),
        VerdictReporter(
            name="gitlab", summary="a GitLab code quality report", render=gitlab.render
        ),
        VerdictReporter(
            name="annotations",
            summary="workflow commands of GitHub Actions",
            render=verdict_annotations.render,
        ),
        VerdictReporter(
            name="terminal",
            summary="what a check prints, as plain text",
            render=verdict_terminal.render,
        ),
    )
}

DIFF_REPORTERS: Mapping[str, DiffReporter] = {
    reporter.name: reporter
    for reporter in (
        DiffReporter(
            name="json", summary="everything, with a JSON Schema", render=diff_json.render
        ),
        DiffReporter(
            name="markdown", summary="a summary for CI pages", render=diff_markdown.render
        ),
        DiffReporter(
            name="terminal",
            summary="what a diff prints, as plain text",
            render=diff_terminal.render,
        ),
    )
}
