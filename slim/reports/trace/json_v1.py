"""The JSON reports of ``slim trace`` and its commands, version 1.

``schema/trace-v1``, ``trace-diff-v1`` and ``trace-check-v1`` describe them.
"""

from __future__ import annotations

from collections.abc import Mapping

from slim.model.report import TRACE_CHECK_REPORT, TRACE_DIFF_REPORT, TRACE_REPORT
from slim.model.risk import Risk
from slim.model.trace import Runs, Trace, Uses
from slim.model.trace_results import TraceComparison, TraceSummary, TraceVerdict, UseChange
from slim.reports.common.json_parts import SCHEMA_VERSION, evidence_items, owner_document
from slim.system.json_text import Json, dumps, named, prose


def render_summary(summary: TraceSummary) -> str:
    """Return a trace as JSON text, with a newline at its end."""
    return dumps(
        {
            "schema": TRACE_REPORT,
            "schema_version": SCHEMA_VERSION,
            **named("source", summary.source),
            "stack_known": summary.of_stack,
            **_trace(summary.trace),
            "unused": [
                {
                    **named("layer", one.layer),
                    "owner": owner_document(one.owner),
                    "size": one.size,
                    "importers": evidence_items(one.importers),
                    "required_by": [prose(text) for text in one.required_by],
                }
                for one in summary.unused
            ],
            "leave_one_out": _risk(summary.risk),
            "notes": [prose(note) for note in summary.notes],
        }
    )


def _risk(risk: Risk) -> Json:
    return {
        "runs": [{"name": prose(name), "modules": alone} for name, alone in risk.runs.items()],
        "owners": [
            {
                **named("layer", one.layer),
                "owner": owner_document(one.owner),
                "runs": [prose(run) for run in one.runs],
                "modules": one.modules,
                "files": one.files,
            }
            for one in risk.owners
        ],
    }


def _trace(trace: Trace) -> Json:
    return {
        "runs": [
            {
                "name": prose(name),
                "kind": run.kind.value,
                "platforms": [
                    {"platform": platform, "witnesses": sorted(witnesses)}
                    for platform, witnesses in sorted(run.witnesses.items())
                ],
            }
            for name, run in sorted(trace.runs.items())
        ],
        "owners": [
            {**named("layer", layer), "owner": owner_document(owner), **_uses(uses)}
            for layer, owner, uses in trace.all_uses()
        ],
        "families": [
            {
                "prefix": prefix,
                "places": [
                    {"place": prose(place), "members": _facts("module", members)}
                    for place, members in sorted(places.items())
                ],
            }
            for prefix, places in sorted(trace.families.items())
        ],
    }


def _uses(uses: Uses) -> Json:
    return {
        "modules": _facts("module", uses.modules),
        "read": _facts("path", uses.read),
        "folders": _facts("path", uses.folders),
        "natives": [
            {"platform": platform, **named("path", path), "runs": _names(runs)}
            for (platform, path), runs in sorted(uses.natives.items())
        ],
    }


def _facts(key: str, table: Mapping[str, Runs]) -> list[Json]:
    return [{**named(key, name), "runs": _names(runs)} for name, runs in sorted(table.items())]


def _names(runs: Runs) -> list[str]:
    return [prose(run) for run in sorted(runs)]


def render_comparison(comparison: TraceComparison) -> str:
    """Return the differences of two traces as JSON text, with a newline at its end."""
    return dumps(
        {
            "schema": TRACE_DIFF_REPORT,
            "schema_version": SCHEMA_VERSION,
            **named("before", comparison.before),
            **named("after", comparison.after),
            "same": comparison.same,
            "runs_added": _texts(comparison.runs_added),
            "runs_removed": _texts(comparison.runs_removed),
            "witnesses": [
                {"run": prose(run), "before": before, "after": after}
                for run, (before, after) in sorted(comparison.witnesses.items())
            ],
            "changes": [_change(change) for change in comparison.changes],
            "families_added": _texts(comparison.families_added),
            "families_removed": _texts(comparison.families_removed),
        }
    )


def _change(change: UseChange) -> Json:
    return {
        **named("layer", change.layer),
        "owner": prose(change.name),
        "versions_before": _texts(change.before),
        "versions_after": _texts(change.after),
        "added": _texts(change.added),
        "removed": _texts(change.removed),
    }


def _texts(texts: tuple[str, ...]) -> list[str]:
    return [prose(text) for text in texts]


def render_verdict(verdict: TraceVerdict) -> str:
    """Return what a trace lacks as JSON text, with a newline at its end."""
    return dumps(
        {
            "schema": TRACE_CHECK_REPORT,
            "schema_version": SCHEMA_VERSION,
            **named("source", verdict.source),
            **named("stack", verdict.stack),
            "passed": not verdict.lacks,
            "lacks": [
                {
                    "kind": lack.kind.value,
                    "layer": prose(lack.layer),
                    "name": prose(lack.name),
                    "text": prose(lack.text),
                    "hint": prose(lack.hint),
                }
                for lack in verdict.lacks
            ],
            "checked": {kind.value: number for kind, number in sorted(verdict.checked.items())},
            "notes": [prose(note) for note in verdict.notes],
        }
    )
