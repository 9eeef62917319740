"""One task of a fleet as JSON: in the fleet's report, and in what a fleet keeps of each task."""

from __future__ import annotations

from slim.model.fleet import FleetLayer, TaskCost, TaskError, TaskResult
from slim.reports.common.json_parts import footprint_document, optional_name
from slim.system.json_text import Json, named, prose


def task_document(task: TaskResult, cost: TaskCost | None = None) -> Json:
    """Return a task's result, and under ``run`` what depends on the machine and the moment."""
    return {
        "stack": prose(task.stack),
        "platform": task.platform,
        "status": task.status.value,
        "error": None if task.error is None else error_document(task.error),
        "input_bytes": task.size,
        "before": footprint_document(task.before),
        "after": footprint_document(task.after),
        "layers": [_layer(layer) for layer in task.layers],
        "rules": [{"rule": row.rule, "saved": row.saved, "files": row.files} for row in task.rules],
        "refusals": [
            {
                "rule": row.rule,
                "reason": row.reason,
                "held": row.held,
                "files": row.files,
                "example": prose(row.example),
            }
            for row in task.refusals
        ],
        "deltas": [
            {"since": prose(delta.since), "download": delta.download, "full": delta.full}
            for delta in task.deltas
        ],
        "warnings": [prose(warning) for warning in task.warnings],
        "run": _run(task, cost or task.cost),
    }


def error_document(error: TaskError) -> Json:
    """Return an error: exit code, label, message, place and hint."""
    return {
        "exit_code": error.exit_code,
        "label": error.label,
        "message": prose(error.message),
        "where": prose(error.where),
        "hint": prose(error.hint),
    }


def _run(task: TaskResult, cost: TaskCost) -> Json:
    return {
        **named("source", task.source),
        **optional_name("output", task.output or None),
        "elapsed_seconds": round(cost.elapsed, 3),
        "cpu_seconds": round(cost.cpu_seconds, 3),
        "peak_memory": cost.peak_memory,
        "tries": cost.tries,
        "resumed": cost.resumed,
        "cached_layers": cost.cached_layers,
        "cached_run": cost.cached_run,
        "earlier_errors": [error_document(error) for error in task.earlier],
    }


def _layer(layer: FleetLayer) -> Json:
    return {
        **named("name", layer.name),
        "kind": layer.kind,
        "before": footprint_document(layer.before),
        "after": footprint_document(layer.after),
        "archive_sha256_before": layer.sha256_before or None,
        "archive_sha256_after": layer.sha256_after or None,
        "since_previous": layer.since or None,
    }
