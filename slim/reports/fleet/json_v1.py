"""The JSON report of a fleet, version 1: a contract of its own.

``schema/fleet-v1.schema.json`` (JSON Schema, draft 2020-12) describes it. Keys keep their names and
meanings; new ones may be added. Sizes are bytes. What depends on the machine or the moment stands
under the key ``run`` of each task. It can be the baseline of a later ``slim fleet check``.
"""

from __future__ import annotations

from slim.model.fleet import (
    FleetResult,
    distinct_archives,
    refusal_sums,
    rule_sums,
    shared_layers,
)
from slim.model.report import FLEET_REPORT
from slim.reports.common.json_parts import SCHEMA_VERSION, footprint_document
from slim.reports.fleet.sums import platform_sums
from slim.reports.fleet.task_json import task_document
from slim.system.json_text import Json, dumps, prose


def render(result: FleetResult) -> str:
    """Return the report as JSON text, with a newline at its end."""
    return dumps(document(result))


def document(result: FleetResult) -> Json:
    """Return the report as plain dictionaries and lists."""
    before, after = distinct_archives(result.done)
    return {
        "schema": FLEET_REPORT,
        "schema_version": SCHEMA_VERSION,
        "slim": {"version": result.slim_version},
        "fleet": {
            "name": prose(result.name),
            "release": prose(result.release),
            "dry_run": result.dry_run,
        },
        "totals": {
            "tasks": len(result.tasks),
            "done": len(result.done),
            "failed": len(result.failed),
            "before": footprint_document(result.before),
            "after": footprint_document(result.after),
            "different_archives": {
                "before": {"archives": before.files, "bytes": before.archive},
                "after": {"archives": after.files, "bytes": after.archive},
            },
        },
        "platforms": [
            {
                "platform": row.platform,
                "tasks": row.tasks,
                "done": row.done,
                "before": footprint_document(row.before),
                "after": footprint_document(row.after),
            }
            for row in platform_sums(result)
        ],
        "shared_layers": [
            {
                "name": prose(layer.name),
                "archive_sha256": layer.sha256,
                "before": layer.before,
                "after": list(layer.after),
                "stacks": [prose(title) for title in layer.stacks],
            }
            for layer in shared_layers(result.done)
        ],
        "rules": [
            {"rule": row.rule, "saved": row.saved, "files": row.files, "stacks": stacks}
            for row, stacks in rule_sums(result.done)
        ],
        "refusals": [
            {
                "rule": row.rule,
                "reason": row.reason,
                "held": row.held,
                "files": row.files,
                "stacks": stacks,
                "example": prose(row.example),
            }
            for row, stacks in refusal_sums(result.done)
        ],
        "tasks": [task_document(task) for task in result.tasks],
        "warnings": [prose(warning) for warning in result.warnings],
    }
