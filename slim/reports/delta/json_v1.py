"""The JSON reports of ``slim delta`` and ``slim delta apply``, version 1.

``schema/delta-report-v1.schema.json`` and ``schema/delta-apply-v1.schema.json`` describe them.
"""

from __future__ import annotations

from collections.abc import Sequence

from slim.model.delta import DeltaApplied, DeltaMade, LayerMade, LayerRestored, archive_size
from slim.model.report import DELTA_APPLY_REPORT, DELTA_REPORT
from slim.reports.common.json_parts import SCHEMA_VERSION
from slim.system.json_text import Json, dumps, named


def render_made(results: Sequence[DeltaMade]) -> str:
    """Return all deltas that were made as JSON text, with a newline at its end."""
    return dumps(
        {
            "schema": DELTA_REPORT,
            "schema_version": SCHEMA_VERSION,
            "slim": {"version": results[0].slim_version},
            "deltas": [_made_document(result) for result in results],
        }
    )


def _made_document(result: DeltaMade) -> Json:
    return {
        "platform": result.platform,
        "download": result.download,
        "archives": result.full,
        "layers": [_layer_document(layer) for layer in result.layers],
        "run": {
            "elapsed": _elapsed(result.layers),
            **named("old", result.old_source),
            **named("new", result.new_source),
            **named("output", result.output),
        },
    }


def _layer_document(layer: LayerMade) -> Json:
    delta = layer.delta
    return {
        **named("layer", delta.name),
        "action": delta.action.value,
        "method": delta.method,
        "download": delta.download,
        "file": None if delta.file is None else delta.file.name,
        "archive_before": archive_size(delta.old),
        "archive_after": archive_size(delta.new),
        "tree_sha256_before": None if delta.old is None else delta.old.tree_sha256,
        "tree_sha256_after": None if delta.new is None else delta.new.tree_sha256,
        "tried": dict(layer.tried),
        "not_tried": dict(layer.skipped),
        **({"cached": True} if layer.cached else {}),
    }


def render_applied(results: Sequence[DeltaApplied]) -> str:
    """Return all deltas that were applied as JSON text, with a newline at its end."""
    return dumps(
        {
            "schema": DELTA_APPLY_REPORT,
            "schema_version": SCHEMA_VERSION,
            "slim": {"version": results[0].slim_version},
            "stacks": [_applied_document(result) for result in results],
        }
    )


def _applied_document(result: DeltaApplied) -> Json:
    return {
        "platform": result.platform,
        "layers": [
            {
                **named("layer", layer.name),
                "action": layer.action.value,
                "place": layer.place,
                "size": layer.size,
                "identical": layer.identical,
            }
            for layer in result.layers
        ],
        "run": {"elapsed": _elapsed(result.layers), **named("output", result.output)},
    }


def _elapsed(layers: Sequence[LayerMade] | Sequence[LayerRestored]) -> float:
    """Return the seconds that all layers took."""
    return round(sum(layer.elapsed for layer in layers), 3)
