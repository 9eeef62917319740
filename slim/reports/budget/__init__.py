"""The reports of ``slim check``. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from slim.reports.reporter import Reporter, late, table

if TYPE_CHECKING:
    from slim.model.budget import Verdict

VERDICT_REPORTERS: Mapping[str, Reporter[Verdict]] = table(
    Reporter(
        name="json",
        summary="everything, and a baseline for later",
        suffix=".json",
        render=late("budget.json_v1"),
    ),
    Reporter(
        name="markdown",
        summary="a summary for CI pages",
        suffix=".md",
        render=late("budget.markdown"),
    ),
    Reporter(
        name="sarif",
        summary="for code scanning (SARIF 2.1.0)",
        suffix=".sarif.json",
        render=late("budget.sarif"),
    ),
    Reporter(
        name="junit",
        summary="JUnit XML, one test case a budget",
        suffix=".xml",
        render=late("budget.junit"),
    ),
    Reporter(
        name="gitlab",
        summary="a GitLab code quality report",
        suffix=".gitlab.json",
        render=late("budget.gitlab"),
    ),
    Reporter(
        name="annotations",
        summary="workflow commands of GitHub Actions",
        suffix=".annotations.txt",
        render=late("budget.github"),
    ),
    Reporter(
        name="terminal",
        summary="what a check prints, as plain text",
        suffix=".txt",
        render=late("budget.terminal"),
    ),
)
"""Reports that ``slim check --report NAME=FILE`` can write."""
