"""Actions and refusals as JSON, the same in the report of a run and in an explanation."""

from __future__ import annotations

from typing import assert_never

from slim.model.plan import Action, Remove, Rewrite, Skipped
from slim.model.record import FileRecord
from slim.reports.common.json_parts import evidence_items, options_document, owner_document
from slim.system.json_text import Json, named


def action_document(action: Action) -> Json:
    """Return what becomes of a file, by which rule, and on what evidence."""
    match action:
        case Remove():
            word, after, edit = "remove", 0, None
        case Rewrite():
            word, after = "rewrite", action.size_after
            edit = {"editor": action.edit.editor, "options": options_document(action.edit.options)}
        case _:
            assert_never(action)
    return {
        "action": word,
        **file_document(action.record),
        "pass": action.pass_name,
        "rule": action.rule,
        "before": action.record.size,
        "after": after,
        "bytecode": action.record.bytecode_size,
        "edit": edit,
        "evidence": evidence_items(action.evidence),
    }


def skipped_document(item: Skipped) -> Json:
    """Return an action that was refused, with its reason and evidence."""
    return {
        **file_document(item.record),
        "pass": item.pass_name,
        "rule": item.rule,
        "reason": item.reason.value,
        "held": item.held,
        "evidence": evidence_items(item.evidence),
    }


def file_document(record: FileRecord) -> Json:
    """Return the place, category and owner of a file."""
    return {
        **named("layer", record.layer),
        **named("path", record.path),
        "type": record.type.value,
        "category": record.kind.value,
        "owner": owner_document(record.owner),
    }
