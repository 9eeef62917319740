"""The JSON report of ``slim check``, version 1: a contract of its own.

``schema/check-v1.schema.json`` (JSON Schema, draft 2020-12) describes it. Keys keep their names and
meanings; new ones may be added. Sizes are bytes. It also holds what was measured, so that it can be
the baseline of a later check.
"""

from __future__ import annotations

from slim.model.budget import BudgetResult, LimitResult, Verdict
from slim.model.diff import OwnerChange, PlaceChange, Remark, Snapshot
from slim.model.report import CHECK_REPORT
from slim.reports.common.json_parts import footprint_document
from slim.system.json_text import Json, dumps, named, prose

SCHEMA_VERSION = 1


def render(verdict: Verdict) -> str:
    """The verdict as JSON text, with a newline at its end."""
    return dumps(document(verdict))


def document(verdict: Verdict) -> Json:
    """The verdict as plain dictionaries and lists."""
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
        "limits": [_limit(item) for item in result.limits],
    }


def _limit(item: LimitResult) -> Json:
    return {
        "metric": item.limit.metric.value,
        "kind": item.limit.kind.value,
        "limit": item.limit.text,
        "estimate": item.limit.metric.value == "deployed",
        "status": item.status.value,
        "actual": item.actual,
        "allowed": item.allowed,
        "baseline": item.before,
        "needs_baseline": item.limit.needs_baseline,
        "note": item.note,
        "causes": [owner_document(owner) for owner in item.causes],
        "largest": [{"owner": prose(label), "amount": value} for label, value in item.largest],
    }


def owner_document(owner: OwnerChange) -> Json:
    """What changed of one owner."""
    return {
        "owner": prose(owner.name),
        "versions_before": [prose(version) for version in owner.versions_before],
        "versions_after": [prose(version) for version in owner.versions_after],
        "before": None if owner.before is None else footprint_document(owner.before),
        "after": None if owner.after is None else footprint_document(owner.after),
        "categories": [
            {
                "category": item.label,
                "before": None if item.before is None else footprint_document(item.before),
                "after": None if item.after is None else footprint_document(item.after),
            }
            for item in owner.categories
        ],
        "places": [_place(place) for place in owner.places],
        "remarks": [remark_document(remark) for remark in owner.remarks],
    }


def remark_document(remark: Remark) -> Json:
    """One explanation of growth."""
    return {
        "kind": remark.kind.value,
        "text": prose(remark.text),
        "rule": remark.rule,
        **({"place": None} if remark.place is None else named("place", remark.place)),
        "size": remark.size,
        "files": remark.files,
    }


def _place(place: PlaceChange) -> Json:
    return {
        **named("place", place.place),
        "kind": place.kind.value,
        "files": place.files,
        "delta": place.delta,
    }


def _snapshot(snapshot: Snapshot) -> Json:
    """Return a measurement as plain dictionaries and lists, without its single files."""
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
