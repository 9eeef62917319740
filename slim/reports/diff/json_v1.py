"""The JSON report of ``slim diff``, version 1.

``schema/diff-v1.schema.json`` (JSON Schema, draft 2020-12) describes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from slim.model.diff import Comparison, RuleEffect
from slim.model.report import DIFF_REPORT
from slim.reports.common.growth_json import change_document, owner_document, remark_document
from slim.reports.common.json_parts import SCHEMA_VERSION, footprint_document
from slim.system.json_text import Json, dumps, named


def render(comparisons: Sequence[Comparison]) -> str:
    """Return all comparisons as JSON text, with a newline at its end."""
    return dumps(
        {
            "schema": DIFF_REPORT,
            "schema_version": SCHEMA_VERSION,
            "comparisons": [_comparison(comparison) for comparison in comparisons],
        }
    )


def _comparison(comparison: Comparison) -> Json:
    owners = [owner for owner in comparison.owners if owner.changed or owner.places]
    return {
        "before": {
            **named("source", comparison.source_before),
            "platform": comparison.platform_before,
        },
        "after": {
            **named("source", comparison.source_after),
            "platform": comparison.platform_after,
        },
        "same": comparison.same,
        "archives_known": comparison.archives,
        "totals": {
            "before": footprint_document(comparison.before),
            "after": footprint_document(comparison.after),
        },
        "by_layer": [change_document("label", change) for change in comparison.layers],
        "by_owner": [owner_document(owner) for owner in owners],
        "by_category": [change_document("label", change) for change in comparison.categories],
        "by_rule": [
            {"rule": change.rule, "before": _effect(change.before), "after": _effect(change.after)}
            for change in comparison.rules
        ],
        "remarks": [remark_document(remark) for remark in comparison.remarks],
    }


def _effect(effect: RuleEffect | None) -> Json | None:
    return None if effect is None else {"saved": effect.saved, "files": effect.files}
