"""What ``slim diff --json`` prints, version 1. ``schema/diff-v1.schema.json`` (JSON Schema) describes it."""

from __future__ import annotations

from collections.abc import Sequence

from slim.model.diff import Change, Comparison, RuleEffect
from slim.model.report import DIFF_REPORT
from slim.reports.budget.json_v1 import owner_document, remark_document
from slim.reports.common.json_parts import footprint_document
from slim.system.json_text import Json, dumps, named, prose

SCHEMA_VERSION = 1


def render(comparisons: Sequence[Comparison]) -> str:
    """All comparisons as JSON text, with a newline at its end."""
    return dumps(
        {
            "schema": DIFF_REPORT,
            "schema_version": SCHEMA_VERSION,
            "comparisons": [_comparison(comparison) for comparison in comparisons],
        }
    )


def _comparison(item: Comparison) -> Json:
    return {
        "before": {**named("source", item.source_before), "platform": item.platform_before},
        "after": {**named("source", item.source_after), "platform": item.platform_after},
        "same": item.same,
        "archives_known": item.archives,
        "totals": {
            "before": footprint_document(item.before),
            "after": footprint_document(item.after),
        },
        "by_layer": [_change(change) for change in item.layers],
        "by_owner": [
            owner_document(owner) for owner in item.owners if owner.changed or owner.places
        ],
        "by_category": [_change(change) for change in item.categories],
        "by_rule": [
            {"rule": change.rule, "before": _effect(change.before), "after": _effect(change.after)}
            for change in item.rules
        ],
        "remarks": [remark_document(remark) for remark in item.remarks],
    }


def _change(change: Change) -> Json:
    return {
        "label": prose(change.label),
        "before": None if change.before is None else footprint_document(change.before),
        "after": None if change.after is None else footprint_document(change.after),
    }


def _effect(effect: RuleEffect | None) -> Json | None:
    return None if effect is None else {"saved": effect.saved, "files": effect.files}
