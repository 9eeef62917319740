"""The JSON reports of ``slim delta`` and ``slim delta apply``, version 1.

``schema/delta-report-v1.schema.json`` and ``schema/delta-apply-v1.schema.json`` describe them.
"""

from __future__ import annotations

from collections.abc import Sequence

from slim.model.delta import DeltaApplied, DeltaMade, LayerMade, archive_size
from slim.model.report import DELTA_APPLY_REPORT, DELTA_REPORT
from slim.system.json_text import Json, dumps, named

SCHEMA_VERSION = 1


def render_made(results: Sequence[DeltaMade]) -> str:
    """Everything. ``schema/delta-report-v1.schema.json`` describes it."""
    return dumps(
        {
            "schema": DELTA_REPORT,
            "schema_version": SCHEMA_VERSION,
            "slim": {"version": results[0].slim_version},
            "deltas": [_made_document(result) for result in results],
        }
    )


def _made_document(result: DeltaMade) -> Json:
    run: Json = {"elapsed": round(sum(layer.elapsed for layer in result.layers), 3)}
    run |= {
        **named("old", result.old_source),
        **named("new", result.new_source),
        **named("output", result.output),
    }
    return {
        "platform": result.platform,
        "download": result.download,
        "archives": result.full,
        "layers": [_layer_document(layer) for layer in result.layers],
        "run": run,
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
    }


def render_applied(results: Sequence[DeltaApplied]) -> str:
    """Everything. ``schema/delta-apply-v1.schema.json`` describes it."""
    return dumps(
        {
            "schema": DELTA_APPLY_REPORT,
            "schema_version": SCHEMA_VERSION,
            "slim": {"version": results[0].slim_version},
            "stacks": [_applied_document(result) for result in results],
        }
    )


def _applied_document(result: DeltaApplied) -> Json:
    run: Json = {"elapsed": round(sum(layer.elapsed for layer in result.layers), 3)}
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
        "run": {**run, **named("output", result.output)},
    }
