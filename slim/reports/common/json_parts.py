"""Parts that several JSON reports have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from slim.model.finding import Evidence
from slim.model.footprint import Footprint
from slim.model.record import Owner
from slim.model.rule import Rule
from slim.model.stack import Stack
from slim.system.json_text import Json, named, prose

SCHEMA_VERSION = 1
"""Version of every contract that these parts are written for."""


def optional_name(key: str, name: str | None) -> Json:
    """Return a name under ``key`` (see :func:`~slim.system.json_text.named`), or null there."""
    return {key: None} if name is None else named(key, name)


def stack_document(stack: Stack) -> Json:
    """Return kind, platform and manifest of a stack."""
    return {
        "kind": stack.kind.value,
        "platform": {
            "tag": stack.platform.tag,
            "system": stack.platform.system.value,
            "machine": stack.platform.machine,
        },
        "manifest": stack.manifest_name,
    }


def owner_document(owner: Owner) -> Json:
    """Return kind, name and version of an owner of files."""
    return {"kind": owner.kind.value, "name": prose(owner.name), "version": prose(owner.version)}


def rule_summary(rule: Rule) -> Json:
    """Return identity, reason and origin of a rule."""
    return {
        "id": rule.id,
        "pass": rule.pass_name,
        "safety": rule.safety.label,
        "reason": rule.reason,
        "source": rule.source,
        "pack": rule.pack,
        "builtin": rule.builtin,
    }


def rule_summaries(rules: Mapping[str, Rule], ids: Iterable[str]) -> list[Json]:
    """Return the rules with these IDs that are known, sorted by ID."""
    return [rule_summary(rules[rule]) for rule in sorted(ids) if rule in rules]


def evidence_items(items: Iterable[Evidence]) -> list[Json]:
    """Return evidence, each fact with its file and line where it has one."""
    return [
        {
            "kind": item.kind,
            "text": prose(item.text),
            **optional_name("file", item.file),
            "line": item.line,
            "strength": item.strength.value,
        }
        for item in items
    ]


def content_document(sizes: Footprint) -> Json:
    """Return sizes in bytes and the number of files, without the archive, which isn't split."""
    return {
        "unpacked": sizes.unpacked,
        "bytecode": sizes.bytecode,
        "deployed": sizes.deployed,
        "files": sizes.files,
    }


def footprint_document(sizes: Footprint) -> Json:
    """Return sizes in bytes, and the number of files."""
    return {"archive": sizes.archive, **content_document(sizes)}


def optional_footprint(sizes: Footprint | None) -> Json | None:
    """Return sizes, or None for what wasn't, or isn't any more, there."""
    return None if sizes is None else footprint_document(sizes)


def options_document(options: Mapping[str, object]) -> Json:
    """Return the options of a rule or an edit, sorted by name."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in sorted(options.items())
    }
