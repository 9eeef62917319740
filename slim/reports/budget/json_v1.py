"""The JSON report of ``slim check``, version 1: a contract of its own.

``schema/check-v1.schema.json`` (JSON Schema, draft 2020-12) describes it. Keys keep their names and
meanings; new ones may be added. Sizes are bytes. It also holds what was measured, so that it can be
the baseline of a later check (:mod:`slim.sizes.report_file` reads it).
"""

from __future__ import annotations

from slim.model.budget import BudgetResult, LimitResult, Verdict
from slim.model.diff import Snapshot
from slim.model.report import CHECK_REPORT
from slim.reports.common.growth_json import owner_document
from slim.reports.common.json_parts import SCHEMA_VERSION, footprint_document
from slim.system.json_text import Json, dumps, named, prose


def render(verdict: Verdict) -> str:
    """Return the verdict as JSON text, with a newline at its end."""
    return dumps(document(verdict))


def document(verdict: Verdict) -> Json:
    """Return the verdict as plain dictionaries and lists."""
    return {
        "schema": CHECK_REPORT,
        "schema_version": SCHEMA_VERSION,
        "slim": {"version": verdict.slim_version},
        "passed": verdict.passed,
        "results": [_result(result) for result in verdict.results],
        "elsewhere": [prose(budget.name) for budget in verdict.elsewhere],
        "warnings": [prose(warning) for warning in verdict.warnings],
        "measured": [_snapshot(snapshot) for snapshot in verdict.measured],
    }


def _result(result: BudgetResult) -> Json:
    budget = result.budget
    return {
        "budget": prose(budget.name),
        "subject": prose(result.subject),
        "platform": result.platform,
        "file": prose(budget.origin),
        "place": budget.place,
        "line": budget.line,
        "status": result.status.value,
        "limits": [_limit(limit) for limit in result.limits],
    }


def _limit(result: LimitResult) -> Json:
    limit = result.limit
    return {
        "metric": limit.metric.value,
        "kind": limit.kind.value,
        "limit": limit.text,
        "estimate": limit.metric.value == "deployed",
        "status": result.status.value,
        "actual": result.actual,
        "allowed": result.allowed,
        "baseline": result.before,
        "needs_baseline": limit.needs_baseline,
        "note": result.note,
        "causes": [owner_document(owner) for owner in result.causes],
        "largest": [{"owner": prose(label), "amount": value} for label, value in result.largest],
    }


def _snapshot(snapshot: Snapshot) -> Json:
    """Return a measurement without its single files."""
    return {
        **named("source", snapshot.source),
        "kind": snapshot.kind,
        "platform": snapshot.platform,
        "archive_known": snapshot.archive_known,
        "totals": footprint_document(snapshot.total),
        "layers": [
            {
                **named("name", layer.name),
                "layer_name": prose(layer.layer_name),
                "kind": layer.kind,
                "sizes": footprint_document(layer.footprint),
                "archive_sha256": layer.archive_sha256 or None,
                "tree_sha256": layer.tree_sha256 or None,
                "update": layer.update,
            }
            for layer in snapshot.layers
        ],
        "cells": [
            {
                "layer": prose(cell.layer),
                "owner": {"name": prose(cell.owner), "version": prose(cell.version)},
                "category": cell.category,
                "unpacked": cell.footprint.unpacked,
                "bytecode": cell.footprint.bytecode,
                "files": cell.footprint.files,
            }
            for cell in snapshot.cells
        ],
    }
