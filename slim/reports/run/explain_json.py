"""The story of one file as JSON, for ``slim explain --json``."""

from __future__ import annotations

from collections.abc import Iterable

from slim.model.outcome import Explanation
from slim.reports.common.json_parts import SCHEMA_VERSION, evidence_items, rule_summary
from slim.reports.run.plan_json import action_document, file_document, skipped_document
from slim.system.json_text import dumps


def render(explanations: Iterable[Explanation]) -> str:
    """Return the explanations as JSON text, in the shapes of the report of a run."""
    return dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "explanations": [
                {
                    **file_document(item.record),
                    "size": item.record.size,
                    "bytecode": item.record.bytecode_size,
                    "verdict": item.verdict,
                    "action": None if item.action is None else action_document(item.action),
                    "skipped": [skipped_document(skipped) for skipped in item.skipped],
                    "considered": [rule_summary(rule) for rule in item.considered],
                    "out_of_reach": [rule_summary(rule) for rule in item.out_of_reach],
                    "facts": evidence_items(item.facts),
                }
                for item in explanations
            ],
        }
    )
