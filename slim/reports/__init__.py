"""Reports: what a run did, told to people and to programs. They see the model only, and never print."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from slim.model.outcome import RunResult
from slim.reports import html
from slim.reports.run import json_v1, junit, markdown, signing, terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """One line of the table of reporters. ``render`` takes one result for each manifest (at least one)."""

    name: str
    summary: str
    render: Callable[[Sequence[RunResult]], str]


REPORTERS: Mapping[str, Reporter] = {
    reporter.name: reporter
    for reporter in (
        Reporter(
            name="html", summary="a page to look around in, in one file", render=html.render_run
        ),
        Reporter(
            name="json",
            summary="everything, as a versioned contract with a JSON Schema",
            render=json_v1.render,
        ),
        Reporter(name="junit", summary="what was verified, as JUnit XML", render=junit.render),
        Reporter(name="markdown", summary="a summary for CI pages", render=markdown.render),
        Reporter(
            name="terminal", summary="what a run prints, as plain text", render=terminal.render
        ),
    )
}
"""Every kind of report that ``--report NAME=FILE`` knows, by name."""


SIGNING_LIST = Reporter(
    name="signing-list", summary="what has to be signed, a path a line", render=signing.render
)
"""What ``--signing-list FILE`` writes: for a program that signs, so it has no heading and no reasons."""
