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

from slim.model.backup import BackupSummary, SymbolsSummary
from slim.model.cache import CacheUse
from slim.model.footprint import Footprint, FootprintDelta
from slim.model.outcome import (
    Accounts,
    CellDelta,
    LayerOutcome,
    RestPack,
    RunResult,
    Verification,
)
from slim.model.plan import Skipped
from slim.model.report import RUN_REPORT
from slim.model.stack import ArchiveInfo
from slim.model.untried import untried
from slim.model.verify import Broken, Repair
from slim.reports.common.accounts import with_untouched
from slim.reports.common.json_parts import (
    SCHEMA_VERSION,
    optional_name,
    owner_document,
    rule_summaries,
    stack_document,
)
from slim.reports.run.grouping import archives_measured
from slim.reports.run.plan_json import action_document, skipped_document
from slim.system.json_text import Json, dumps, named, prose


def render(results: Sequence[RunResult]) -> str:
    """Return the report as JSON text, with a newline at its end."""
    return dumps(document(results))


def document(results: Sequence[RunResult]) -> Json:
    """Return the report as plain dictionaries and lists. ``results`` has one result a manifest."""
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
            "stacks": [_circumstances(result) for result in results],
        },
        "runs": [_run(result) for result in results],
    }


def _circumstances(result: RunResult) -> Json:
    """Return what depends on the machine and the moment."""
    checks = result.verification.checks
    return {
        **named("source", result.stack.source),
        **optional_name("output", result.output),
        **optional_name("kept", result.backup.file if result.backup else None),
        **optional_name("symbols", result.symbols.folder if result.symbols else None),
        "elapsed_seconds": round(result.elapsed, 3),
        "check_seconds": {check.name: round(check.elapsed, 3) for check in checks if check.elapsed},
    }


def _run(result: RunResult) -> Json:
    plan, measured = result.plan, archives_measured(result)
    actions = [action for layer in result.layers for action in plan.for_layer(layer.layer.name)]
    skipped = _in_layer_order(result)
    rules = {item.rule for item in (*actions, *skipped)}
    untried_on = untried(result.rules, actions)
    stale = sorted(result.stack.stale, key=lambda archive: archive.name)
    return {
        "stack": stack_document(result.stack),
        "dry_run": result.dry_run,
        "totals": _sizes(result.before, result.after, archive_known=measured),
        "layers": [_layer(layer, measured) for layer in result.layers],
        "accounts": _accounts(result.accounts),
        "actions": [action_document(action) for action in actions],
        "skipped": [skipped_document(item) for item in skipped],
        "signing": [
            {"layer": item.layer, **named("path", item.path), "reason": item.reason.value}
            for item in result.signing
        ],
        "kept": None if result.backup is None else _backup(result.backup),
        "symbols": None if result.symbols is None else _symbols(result.symbols),
        **({} if result.cache is None else {"cache": _cache(result.cache)}),
        "stale": [{**named("name", archive.name), "size": archive.size} for archive in stale],
        "rules": [
            {**rule, "untried": [prose(owner) for owner in untried_on.get(str(rule["id"]), ())]}
            for rule in rule_summaries(result.rules, rules)
        ],
        "unmatched_rules": sorted(plan.unmatched),
        "warnings": [prose(warning) for warning in plan.warnings],
        "notes": [prose(note) for note in plan.notes],
        "verification": _verification(result.verification),
    }


def _in_layer_order(result: RunResult) -> list[Skipped]:
    """Return the refusals of a run in the order of its layers, and of paths within them."""
    position = {layer.layer.name: index for index, layer in enumerate(result.layers)}

    def order(item: Skipped) -> tuple[object, ...]:
        record = item.record
        place = (position.get(record.layer, -1), *record.key)
        return (*place, item.pass_name, item.rule, item.reason)

    return sorted(result.plan.skipped, key=order)


def _backup(backup: BackupSummary) -> Json:
    return {
        "files": backup.files,
        "bytes": backup.size,
        "archive": {"size": backup.archive_size, "sha256": backup.archive_sha256},
    }


def _cache(cache: CacheUse) -> Json:
    return {
        "whole_run": cache.whole,
        "rechecked": cache.rechecked,
        "notes": [prose(text) for text in cache.notes],
    }


def _symbols(symbols: SymbolsSummary) -> Json:
    return {"files": symbols.files, "bytes": symbols.size}


def _layer(outcome: LayerOutcome, measured: bool) -> Json:
    layer = outcome.layer
    known = measured and outcome.since is not None
    packs = [_pack(pack) for pack in outcome.rest_packs]
    return {
        **named("name", layer.name),
        "layer_name": prose(layer.layer_name),
        "kind": layer.kind.value,
        "python_version": layer.python_version,
        "requires": [prose(name) for name in layer.requires],
        "launch_module": layer.launch_module,
        "archive_before": _archive_before(layer.archive),
        "archive_after": _archive_after(outcome),
        "tree_sha256": outcome.tree_sha256,
        "reused": outcome.reused,
        "since_previous": None if outcome.since is None else outcome.since.value,
        "new_bytes": outcome.new_bytes if known else None,
        "sizes": _sizes(outcome.before, outcome.after, archive_known=measured),
        **({"cached": True} if outcome.cached else {}),
        **({"guarded_modules": outcome.guarded} if outcome.guarded else {}),
        **({"watched_modules": outcome.watched} if outcome.watched else {}),
        **({"rest_packs": packs} if packs else {}),
    }


def _pack(pack: RestPack) -> Json:
    return {
        "archive": prose(pack.archive),
        "size": pack.size,
        "sha256": pack.sha256,
        "files": pack.files,
        "unpacked": pack.unpacked,
        "tree_sha256": pack.tree_sha256,
    }


def _archive_before(archive: ArchiveInfo | None) -> Json | None:
    if archive is None:
        return None
    return {"name": prose(archive.name), "size": archive.size, "sha256": archive.sha256}


def _archive_after(outcome: LayerOutcome) -> Json | None:
    if outcome.archive_name is None:
        return None
    return {
        "name": prose(outcome.archive_name),
        "size": outcome.after.archive,
        "sha256": outcome.archive_sha256,
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
        "owner": owner_document(cell.owner),
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
                "broken": [_broken(broken) for broken in check.broken],
            }
            for check in verification.checks
        ],
        "repairs": [_repair(repair) for repair in verification.repairs],
        "notes": [prose(note) for note in verification.notes],
        "untried": [prose(sentence) for sentence in verification.untried],
        "unverified": verification.unverified,
    }


def _repair(repair: Repair) -> Json:
    return {
        "broken": [_broken(broken) for broken in repair.broken],
        "files": [{**named("layer", layer), **named("path", path)} for layer, path in repair.files],
        "rules": list(repair.rules),
        "tries": repair.tries,
    }


def _broken(broken: Broken) -> Json:
    return {
        "check": broken.subject.check,
        "layer": prose(broken.subject.layer),
        "name": prose(broken.subject.name),
        "before": prose(broken.before),
        "after": prose(broken.after),
    }
