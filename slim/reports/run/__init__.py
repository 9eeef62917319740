"""The reports of ``slim run`` and ``slim verify``. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from slim.reports.reporter import Reporter, late, table

if TYPE_CHECKING:
    from slim.model.outcome import RunResult

RUN_REPORTERS: Mapping[str, Reporter[Sequence[RunResult]]] = table(
    Reporter(
        name="html",
        summary="a page to look around in, in one file",
        suffix=".html",
        render=late("html.page:render_run"),
    ),
    Reporter(
        name="json",
        summary="everything, as a versioned contract with a JSON Schema",
        suffix=".json",
        render=late("run.json_v1"),
    ),
    Reporter(
        name="junit",
        summary="what was verified, as JUnit XML",
        suffix=".xml",
        render=late("run.junit"),
    ),
    Reporter(
        name="markdown",
        summary="a summary for CI pages",
        suffix=".md",
        render=late("run.markdown"),
    ),
    Reporter(
        name="terminal",
        summary="what a run prints, as plain text",
        suffix=".txt",
        render=late("run.terminal"),
    ),
)
"""Reports that ``slim run --report NAME=FILE`` can write. Each takes one result a manifest."""

SIGNING_LIST: Reporter[Sequence[RunResult]] = Reporter(
    name="signing-list",
    summary="what has to be signed, a path a line",
    suffix=".txt",
    render=late("run.signing"),
)
"""The report of ``--signing-list FILE``, without headings: it is for a program that signs."""
