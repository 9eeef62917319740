"""Parts that several JSON reports have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from slim.model.finding import Evidence
from slim.model.footprint import Footprint
from slim.model.rule import Rule
from slim.system.json_text import Json, named, prose


def rule_summary(rule: Rule) -> Json:
    """What a report says about a rule."""
    return {
        "id": rule.id,
        "pass": rule.pass_name,
        "safety": rule.safety.label,
        "reason": rule.reason,
        "source": rule.source,
        "pack": rule.pack,
        "builtin": rule.builtin,
    }


def evidence_items(items: Iterable[Evidence]) -> list[Json]:
    """Evidence, as every JSON report tells it."""
    return [
        {
            "kind": item.kind,
            "text": prose(item.text),
            **({"file": None} if item.file is None else named("file", item.file)),
            "line": item.line,
            "strength": item.strength.value,
        }
        for item in items
    ]


def footprint_document(sizes: Footprint) -> Json:
    """Return sizes in bytes, and the number of files, as every JSON report gives them."""
    return {
        "archive": sizes.archive,
        "unpacked": sizes.unpacked,
        "bytecode": sizes.bytecode,
        "deployed": sizes.deployed,
        "files": sizes.files,
    }


def options_document(options: Mapping[str, object]) -> Json:
    """Return the options of a rule or an edit, sorted by name."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in sorted(options.items())
    }
