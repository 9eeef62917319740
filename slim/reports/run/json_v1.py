"""The JSON report, version 1: a contract of its own, never a dump of the model.

``schema/report-v1.schema.json`` (JSON Schema, draft 2020-12) describes it. What version 1 promises:
keys keep their names and meanings; new ones may be added. Sizes are bytes. Everything that depends
on the machine or the moment (where the stack lies, where the result went, how long it took) stands
under the one top-level key ``run``; the rest is the same bytes for the same input.

Names that aren't UTF-8: the name is given with U+FFFD for each bad byte, and ``<key>_base64``
beside it holds the real bytes. The text is ASCII (anything else is a JSON escape), so that no log
viewer can be misled by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slim.model.backup import BackupSummary
from slim.model.footprint import Footprint, FootprintDelta
from slim.model.outcome import (
    Accounts,
    CellDelta,
    LayerOutcome,
    RunResult,
    Verification,
)
from slim.model.report import RUN_REPORT
from slim.model.stack import StaleArchive
from slim.model.verify import Broken
from slim.reports.common.accounts import with_untouched
from slim.reports.common.json_parts import rule_summary
from slim.reports.run.grouping import archives_measured
from slim.reports.run.plan_json import action_document, skipped_document
from slim.system.json_text import Json, dumps, named, prose

SCHEMA_VERSION = 1


def render(results: Sequence[RunResult]) -> str:
    """The report as JSON text, with a newline at its end."""
    return dumps(document(results))


def document(results: Sequence[RunResult]) -> Json:
    """The report as plain dictionaries and lists. ``results`` holds one result for each manifest; at least one."""
    first = results[0]
    return {
        "schema": RUN_REPORT,
        "schema_version": SCHEMA_VERSION,
        "slim": {
            "version": first.slim_version,
            "profile": first.profile.label,
            "rules_sha256": first.rules_sha256,
        },
        "run": {
            "elapsed_seconds": round(sum(result.elapsed for result in results), 3),
            "stacks": [
                {
                    **named("source", result.stack.source),
                    **(
                        named("output", result.output)
                        if result.output is not None
                        else {"output": None}
                    ),
                    **(
                        named("kept", result.backup.file)
                        if result.backup is not None
                        else {"kept": None}
                    ),
                    **(
                        named("symbols", result.symbols.folder)
                        if result.symbols is not None
                        else {"symbols": None}
                    ),
                    "elapsed_seconds": round(result.elapsed, 3),
                    "check_seconds": {
                        check.name: round(check.elapsed, 3)
                        for check in result.verification.checks
                        if check.elapsed
                    },
                }
                for result in results
            ],
        },
        "runs": [_run(result) for result in results],
    }


def _run(result: RunResult) -> Json:
    actions = [
        action for layer in result.layers for action in result.plan.for_layer(layer.layer.name)
    ]
    position = {layer.layer.name: index for index, layer in enumerate(result.layers)}
    skipped = sorted(
        result.plan.skipped,
        key=lambda item: (
            position.get(item.record.layer, -1),
            *item.record.key,
            item.pass_name,
            item.rule,
            item.reason,
        ),
    )
    told = {item.rule for item in (*actions, *skipped)}
    return {
        "stack": {
            "kind": result.stack.kind.value,
            "platform": {
                "tag": result.stack.platform.tag,
                "system": result.stack.platform.system.value,
                "machine": result.stack.platform.machine,
            },
            "manifest": result.stack.manifest_name,
        },
        "dry_run": result.dry_run,
        "totals": _sizes(result.before, result.after, archive_known=archives_measured(result)),
        "layers": [_layer(layer, archives_measured(result)) for layer in result.layers],
        "accounts": _accounts(result.accounts),
        "actions": [action_document(action) for action in actions],
        "skipped": [skipped_document(item) for item in skipped],
        "signing": [
            {"layer": item.layer, **named("path", item.path), "reason": item.reason.value}
            for item in result.signing
        ],
        "kept": None if result.backup is None else _backup(result.backup),
        "symbols": None
        if result.symbols is None
        else {"files": result.symbols.files, "bytes": result.symbols.size},
        "stale": [_stale(item) for item in sorted(result.stack.stale, key=lambda item: item.name)],
        "rules": [
            rule_summary(result.rules[name]) for name in sorted(told) if name in result.rules
        ],
        "unmatched_rules": sorted(result.plan.unmatched),
        "warnings": [prose(warning) for warning in result.plan.warnings],
        "notes": [prose(note) for note in result.plan.notes],
        "verification": _verification(result.verification),
    }


def _backup(backup: BackupSummary) -> Json:
    return {
        "files": backup.files,
        "bytes": backup.size,
        "archive": {"size": backup.archive_size, "sha256": backup.archive_sha256},
    }


def _layer(outcome: LayerOutcome, measured: bool) -> Json:
    layer = outcome.layer
    return {
        **named("name", layer.name),
        "layer_name": prose(layer.layer_name),
        "kind": layer.kind.value,
        "python_version": layer.python_version,
        "requires": [prose(name) for name in layer.requires],
        "launch_module": layer.launch_module,
        "archive_before": None
        if layer.archive is None
        else {
            "name": prose(layer.archive.name),
            "size": layer.archive.size,
            "sha256": layer.archive.sha256,
        },
        "archive_after": None
        if outcome.archive_name is None
        else {
            "name": prose(outcome.archive_name),
            "size": outcome.after.archive,
            "sha256": outcome.archive_sha256,
        },
        "tree_sha256": outcome.tree_sha256,
        "reused": outcome.reused,
        "since_previous": None if outcome.since is None else outcome.since.value,
        "new_bytes": outcome.new_bytes if measured and outcome.since is not None else None,
        "sizes": _sizes(outcome.before, outcome.after, archive_known=measured),
    }


def _sizes(before: Footprint, after: Footprint, *, archive_known: bool) -> Json:
    return {
        "archive": {"before": before.archive, "after": after.archive if archive_known else None},
        "unpacked": {"before": before.unpacked, "after": after.unpacked},
        "bytecode": {"before": before.bytecode, "after": after.bytecode, "estimate": True},
        "deployed": {"before": before.deployed, "after": after.deployed, "estimate": True},
        "files": {"before": before.files, "after": after.files},
    }


def _accounts(accounts: Accounts) -> Json:
    return {
        "by_layer": _rows(accounts.by_layer),
        "by_owner": _rows(accounts.by_owner),
        "by_category": _rows(accounts.by_category),
        "by_pass": _rows(with_untouched(accounts.by_pass, accounts.by_layer)),
        "by_rule": _rows(with_untouched(accounts.by_rule, accounts.by_layer)),
        "cells": [_cell(cell) for cell in accounts.cells],
    }


def _cell(cell: CellDelta) -> Json:
    return {
        **named("layer", cell.layer),
        "owner": {
            "kind": cell.owner.kind.value,
            "name": prose(cell.owner.name),
            "version": prose(cell.owner.version),
        },
        "category": cell.category.value,
        "before": _content(cell.before),
        "after": _content(cell.after),
    }


def _content(sizes: Footprint) -> Json:
    return {"unpacked": sizes.unpacked, "bytecode": sizes.bytecode, "files": sizes.files}


def _rows(rows: Iterable[FootprintDelta]) -> list[Json]:
    return [
        {
            **named("label", row.label),
            "before": row.before,
            "removed": row.removed,
            "shrunk": row.shrunk,
            "after": row.after,
            "files": row.files,
            "files_removed": row.files_removed,
            "files_rewritten": row.files_rewritten,
        }
        for row in rows
    ]


def _stale(item: StaleArchive) -> Json:
    return {**named("name", item.name), "size": item.size}


def _verification(verification: Verification) -> Json:
    return {
        "passed": verification.passed if verification.checks else None,
        "checks": [
            {
                "name": check.name,
                "tried": check.tried,
                "passed": check.passed,
                "failures": [prose(failure) for failure in check.failures],
                "note": prose(check.note),
                "broken": [_broken(one) for one in check.broken],
            }
            for check in verification.checks
        ],
        "repairs": [
            {
                "broken": [_broken(one) for one in repair.broken],
                "files": [
                    {**named("layer", layer), **named("path", path)} for layer, path in repair.files
                ],
                "rules": list(repair.rules),
                "tries": repair.tries,
            }
            for repair in verification.repairs
        ],
        "notes": [prose(note) for note in verification.notes],
    }


def _broken(broken: Broken) -> Json:
    return {
        "check": broken.subject.check,
        "layer": prose(broken.subject.layer),
        "name": prose(broken.subject.name),
        "before": prose(broken.before),
        "after": prose(broken.after),
    }
