"""The JSON report of ``slim audit``, version 1: a contract of its own.

``schema/audit-v1.schema.json`` (JSON Schema, draft 2020-12) describes it.

All sizes are bytes. The same input gives the same text, except for ``run.elapsed_seconds``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slim.model.audit import (
    Audit,
    Duplicate,
    LayerSize,
    ProfileSavings,
    SizeRow,
    UnusedDistribution,
    Why,
)
from slim.model.floor import StackFloor
from slim.model.record import FileRecord
from slim.model.report import AUDIT_REPORT
from slim.reports.audit.json_gpu import gpu_document
from slim.reports.common.floors import version_text
from slim.reports.common.json_parts import (
    SCHEMA_VERSION,
    content_document,
    evidence_items,
    footprint_document,
    owner_document,
    rule_summaries,
    stack_document,
)
from slim.system.json_text import Json, dumps, named, prose

_MOST_ASKING = 20


def render(results: Sequence[Audit]) -> str:
    """Return the report as JSON text, with a newline at its end."""
    return dumps(document(results))


def document(results: Sequence[Audit]) -> Json:
    """Return the report as plain dictionaries and lists. ``results`` has one result a manifest."""
    return {
        "schema": AUDIT_REPORT,
        "schema_version": SCHEMA_VERSION,
        "slim": {"version": results[0].slim_version},
        "run": {"elapsed_seconds": round(sum(result.elapsed for result in results), 3)},
        "audits": [_audit(result) for result in results],
    }


def _audit(result: Audit) -> Json:
    rules = {row.label for saving in result.savings for row in saving.by_rule}
    return {
        **named("source", result.stack.source),
        "stack": stack_document(result.stack),
        "totals": footprint_document(result.total),
        "layers": [_layer(row) for row in result.layers],
        "by_owner": _rows(result.by_owner),
        "by_category": _rows(result.by_category),
        "cells": [
            {
                **named("layer", cell.layer),
                "owner": owner_document(cell.owner),
                "category": cell.category.value,
                **content_document(cell.size),
            }
            for cell in result.cells
        ],
        "largest": [_file(record) for record in result.largest],
        "foreign": [
            {**_file(one.record), "what": one.what, "foreign_size": one.size, "whole": one.whole}
            for one in result.foreign
        ],
        "unstripped": [{**_file(one.record), "saved": one.saved} for one in result.unstripped],
        "unused": [_unused(one) for one in result.unused],
        "orphans": [
            {
                **named("layer", one.layer),
                "owner": owner_document(one.owner),
                "size": one.size,
                "files": one.files,
                "drop": one.drop,
            }
            for one in result.orphans
        ],
        "shadowed": [
            {
                **named("layer", one.layer),
                "package": one.package,
                "above": [prose(name) for name in one.above],
                "size": one.size,
                "files": one.files,
            }
            for one in result.shadowed
        ],
        "duplicates": [_duplicate(one) for one in result.duplicates],
        "stale": [{**named("name", one.name), "size": one.size} for one in result.stack.stale],
        "unowned": _rows(result.unowned),
        "runs_on": [_floor(floor) for floor in result.floors],
        "gpu": gpu_document(result.gpu),
        "savings": [_savings(saving) for saving in result.savings],
        "rules": rule_summaries(result.rules, rules),
        "why": [
            {
                "glob": prose(answer.glob),
                "files": answer.files,
                "size": answer.size,
                "explained": [_why(one) for one in answer.explained],
            }
            for answer in result.why
        ],
        "warnings": [prose(text) for text in result.warnings],
    }


def _layer(row: LayerSize) -> Json:
    return {
        **named("name", row.layer.name),
        "kind": row.layer.kind.value,
        "python_version": row.layer.python_version,
        **footprint_document(row.size),
    }


def _rows(rows: Iterable[SizeRow]) -> list[Json]:
    return [{**named("label", row.label), **content_document(row.size)} for row in rows]


def _file(record: FileRecord) -> Json:
    return {
        **named("layer", record.layer),
        **named("path", record.path),
        "size": record.size,
        "category": record.kind.value,
        "owner": owner_document(record.owner),
    }


def _unused(one: UnusedDistribution) -> Json:
    return {
        **named("layer", one.layer),
        "owner": owner_document(one.owner),
        "size": one.size,
        "files": one.files,
        "commands": [prose(name) for name in one.commands],
        "required_by": [prose(text) for text in one.required_by],
    }


def _duplicate(one: Duplicate) -> Json:
    return {
        "sha256": one.sha256,
        "size": one.size,
        "wasted": one.wasted,
        "places": [
            {**named("layer", record.layer), **named("path", record.path)} for record in one.records
        ],
    }


def _floor(floor: StackFloor) -> Json:
    return {
        "runtime": floor.runtime.value,
        "machine": floor.machine,
        "version": version_text(floor),
        "files": floor.files,
        "asking_files": len(floor.asked_by),
        "asked_by": [
            {
                **named("layer", asked.record.layer),
                **named("path", asked.record.path),
                "owner": owner_document(asked.record.owner),
                "needs": prose(asked.needs),
                "symbols": [prose(symbol) for symbol in asked.symbols],
            }
            for asked in floor.asked_by[:_MOST_ASKING]
        ],
    }


def _savings(saving: ProfileSavings) -> Json:
    return {
        "profile": saving.profile.label,
        "proved": saving.proved,
        "removed": saving.removed,
        "shrunk": saving.shrunk,
        "saved": saving.saved,
        "files": saving.files,
        "command": prose(saving.command),
        "by_rule": [
            {
                "rule": row.label,
                "removed": row.removed,
                "shrunk": row.shrunk,
                "saved": row.saved,
                "files": row.files_removed + row.files_rewritten,
            }
            for row in saving.by_rule
        ],
    }


def _why(one: Why) -> Json:
    return {
        **_file(one.record),
        "native": prose(one.native),
        "required_by": evidence_items(one.required_by),
        "imported_by": evidence_items(one.imported_by),
        "needed_by": evidence_items(one.needed_by),
        "linked_by": evidence_items(one.linked_by),
    }
