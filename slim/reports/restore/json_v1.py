"""Originals as JSON: listed, extracted or put back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from slim.model.backup import Restored, RestoredLayer
from slim.reports.common.json_parts import SCHEMA_VERSION
from slim.reports.restore import Row
from slim.system.json_text import Json, dumps, named, prose


def listed(rows: Iterable[Row], documents: Mapping[str, Mapping[str, Any]]) -> str:
    """Return originals as JSON text. ``documents`` has their rows in the index, by path."""
    originals = [{**named("deployed_path", path), **documents[path]} for path, _ in rows]
    return dumps({"schema_version": SCHEMA_VERSION, "originals": originals})


def extracted(rows: Iterable[Row], left_out: Iterable[str], target: str) -> str:
    """Return the originals that were written into ``target`` as JSON text."""
    return dumps(
        {
            "schema_version": SCHEMA_VERSION,
            **named("output", target),
            "extracted": [
                {**named("path", path), "size": file.size, "rule": file.rule} for path, file in rows
            ],
            "left_out": [named("path", name) for name in left_out],
        }
    )


def restored(results: Iterable[Restored]) -> str:
    """Return the originals that were put back as JSON text, layer by layer."""
    stacks = [
        {
            **named("source", result.source),
            **named("output", result.output),
            "platform": result.platform,
            "layers": [_layer(layer) for layer in result.layers],
            "warnings": [prose(text) for text in result.warnings],
        }
        for result in results
    ]
    return dumps({"schema_version": SCHEMA_VERSION, "restored": stacks})


def _layer(layer: RestoredLayer) -> Json:
    return {
        **named("name", layer.name),
        "files": layer.files,
        "bytes": layer.size,
        "left": layer.left,
        "original": layer.whole,
        "tree_sha256": layer.tree_sha256,
        "archive": {"before": layer.archive_before, "after": layer.archive_after},
    }
