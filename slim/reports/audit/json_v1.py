"""The JSON report of ``slim audit``: a versioned contract, described by ``schema/audit-v1.schema.json``.

All sizes are bytes. The same input gives the same text, except for ``run.elapsed_seconds``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from slim.model.audit import (
    Audit,
    Duplicate,
    LayerSize,
    ProfileSavings,
    SizeRow,
    UnusedDistribution,
    Why,
)
from slim.model.footprint import Footprint
from slim.model.record import FileRecord, Owner
from slim.model.report import AUDIT_REPORT
from slim.reports.common.json_parts import evidence_items, rule_summary
from slim.system.json_text import dumps, named, prose

SCHEMA_VERSION = 1

Json = dict[str, Any]


def render(results: Sequence[Audit]) -> str:
    """The report as JSON text, with a newline at its end."""
    return dumps(document(results))


def document(results: Sequence[Audit]) -> Json:
    """The report as plain dictionaries and lists; one result for each manifest, at least one."""
    return {
        "schema": AUDIT_REPORT,
        "schema_version": SCHEMA_VERSION,
        "slim": {"version": results[0].slim_version},
        "run": {"elapsed_seconds": round(sum(result.elapsed for result in results), 3)},
        "audits": [_audit(result) for result in results],
    }


def _audit(result: Audit) -> Json:
    told = {row.label for saving in result.savings for row in saving.by_rule}
    return {
        **named("source", result.stack.source),
        "stack": {
            "kind": result.stack.kind.value,
            "platform": {
                "tag": result.stack.platform.tag,
                "system": result.stack.platform.system.value,
                "machine": result.stack.platform.machine,
            },
            "manifest": result.stack.manifest_name,
        },
        "totals": _size(result.total),
        "layers": [_layer(row) for row in result.layers],
        "by_owner": _rows(result.by_owner),
        "by_category": _rows(result.by_category),
        "cells": [
            {
                **named("layer", cell.layer),
                "owner": _owner(cell.owner),
                "category": cell.category.value,
                **_size(cell.size, archive=False),
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
        "duplicates": [_duplicate(one) for one in result.duplicates],
        "stale": [{**named("name", one.name), "size": one.size} for one in result.stack.stale],
        "unowned": _rows(result.unowned),
        "savings": [_savings(saving) for saving in result.savings],
        "rules": [
            rule_summary(result.rules[name]) for name in sorted(told) if name in result.rules
        ],
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


def _size(size: Footprint, *, archive: bool = True) -> Json:
    return {
        **({"archive": size.archive} if archive else {}),
        "unpacked": size.unpacked,
        "bytecode": size.bytecode,
        "deployed": size.deployed,
        "files": size.files,
    }


def _layer(row: LayerSize) -> Json:
    return {
        **named("name", row.layer.name),
        "kind": row.layer.kind.value,
        "python_version": row.layer.python_version,
        **_size(row.size),
    }


def _rows(rows: Iterable[SizeRow]) -> list[Json]:
    return [{**named("label", row.label), **_size(row.size, archive=False)} for row in rows]


def _owner(owner: Owner) -> Json:
    return {"kind": owner.kind.value, "name": prose(owner.name), "version": prose(owner.version)}


def _file(record: FileRecord) -> Json:
    return {
        **named("layer", record.layer),
        **named("path", record.path),
        "size": record.size,
        "category": record.kind.value,
        "owner": _owner(record.owner),
    }


def _unused(one: UnusedDistribution) -> Json:
    return {
        **named("layer", one.layer),
        "owner": _owner(one.owner),
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
        "required_by": evidence_items(one.required_by),
        "imported_by": evidence_items(one.imported_by),
        "needed_by": evidence_items(one.needed_by),
        "linked_by": evidence_items(one.linked_by),
    }
