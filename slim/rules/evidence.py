"""Evidence of rules: ``rules/evidence.toml``, and the ``evidence`` key of a rule of one's own.

The file has a table for each rule, under the rule's ID: ``tried`` holds versions by distribution;
``uses``, ``tests`` and ``saved`` (bytes) are numbers. The field trial writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from slim.errors import ConfigError
from slim.model.rule import PackageSpec, RuleEvidence, RulePack
from slim.system.toml_table import Problems, Table, parse_toml, read_text

EVIDENCE_FILE: Final = "evidence.toml"
"""Name of the file beside the built-in packs; it is no pack."""
_KEYS: Final = ("tried", "uses", "tests", "saved")


def read_evidence(path: Path) -> dict[str, RuleEvidence]:
    """Read the evidence of built-in rules, by ID.

    Raises :class:`ConfigError` with every problem, :class:`StorageError` where it can't be read.
    """
    problems = Problems(str(path))
    top = Table(parse_toml(read_text(path), problems) or {}, "", problems)
    found: dict[str, RuleEvidence] = {}
    for rule in top.values:
        table = top.table(rule)
        if table is not None:
            found[rule] = _evidence(table, None)
    if problems.found:
        raise ConfigError.from_problems(problems.found)
    return found


def is_evidence_file(path: Path) -> bool:
    """Return whether a file holds evidence of rules, and neither rules nor budgets.

    One that isn't TOML is none, so that the next reader reports it.
    """
    values = parse_toml(read_text(path), Problems(str(path))) or {}
    tables = [table for table in values.values() if isinstance(table, Mapping)]
    return bool(values) and len(tables) == len(values) and all("tried" in t for t in tables)


def with_evidence(
    packs: Iterable[RulePack], evidence: Mapping[str, RuleEvidence]
) -> tuple[RulePack, ...]:
    """Give each rule of the packs its evidence; what names no rule is left out."""
    return tuple(
        replace(
            pack,
            rules=tuple(
                replace(rule, evidence=evidence.get(rule.id, rule.evidence)) for rule in pack.rules
            ),
        )
        for pack in packs
    )


def inline_evidence(table: Table, package: PackageSpec | None) -> RuleEvidence | None:
    """Read the ``evidence`` of a rule; None where it has none.

    There ``tried`` may be an array: versions of the package that the rule names.
    """
    inner = table.table("evidence")
    return None if inner is None else _evidence(inner, package)


def _evidence(table: Table, package: PackageSpec | None) -> RuleEvidence:
    table.allow(_KEYS)
    return RuleEvidence(
        tried=_tried(table, package),
        uses=table.number("uses") or 0,
        tests=table.number("tests") or 0,
        saved=table.number("saved") or 0,
    )


def _tried(table: Table, package: PackageSpec | None) -> dict[str, tuple[str, ...]]:
    if isinstance(table.values.get("tried"), list):
        if package is None:
            table.note("tried", "versions of what? The rule names no package")
            return {}
        return {package.name: table.texts("tried")}
    inner = table.table("tried")
    if inner is None:
        table.note("tried", "is missing: the versions that the rule was tried on")
        return {}
    return {canonicalize_name(name): inner.texts(name) for name in inner.values}
