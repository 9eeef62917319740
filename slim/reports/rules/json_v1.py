"""Rules as JSON, for ``slim rules list --json``."""

from __future__ import annotations

from collections.abc import Iterable

from slim.model.rule import Rule, RuleEvidence
from slim.reports.common.json_parts import SCHEMA_VERSION, options_document, rule_summary
from slim.system.json_text import Json, dumps


def render(rules: Iterable[Rule]) -> str:
    """Return the rules, each whole, as JSON text."""
    return dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "rules": [
                {
                    **rule_summary(rule),
                    "layers": sorted(kind.value for kind in rule.layers),
                    "package": None
                    if rule.package is None
                    else {"name": rule.package.name, "specifier": rule.package.specifier},
                    "platforms": list(rule.platforms),
                    "globs": list(rule.globs),
                    "keep": list(rule.keep),
                    "options": options_document(rule.options),
                    "unless": [fact.value for fact in rule.unless],
                    "despite": list(rule.despite),
                    "unit": rule.unit,
                    "examples": {
                        "match": list(rule.examples.match),
                        "no_match": list(rule.examples.no_match),
                    },
                    "evidence": None if rule.evidence is None else _evidence(rule.evidence),
                }
                for rule in rules
            ],
        }
    )


def _evidence(evidence: RuleEvidence) -> Json:
    return {
        "tried": {name: list(versions) for name, versions in sorted(evidence.tried.items())},
        "uses": evidence.uses,
        "tests": evidence.tests,
        "saved": evidence.saved,
    }
