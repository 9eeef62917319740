"""The page of a rule, for ``slim rules show`` and the documentation."""

from __future__ import annotations

from collections.abc import Sequence

from slim.model.facts import FACTS
from slim.model.rule import OptionValue, PassSchema, Rule, RuleEvidence, Verb
from slim.model.size import format_size
from slim.reports.common.text import count, printable

_NAMED = 6
"""Distributions that a line of evidence names."""


def rule_page(rule: Rule, schema: PassSchema | None = None) -> str:
    """Return all about a rule, as Markdown that also reads well as plain text.

    With the ``schema`` of its pass the page says what that pass does.
    """
    verb = schema.verb if schema else Verb.REMOVE
    facts = [
        ("pass", f"{rule.pass_name}: {schema.summary}" if schema else rule.pass_name),
        ("safety", f"{rule.safety.label} ({_profiles(rule)})"),
        ("pack", rule.pack if rule.builtin else f"{rule.pack}, yours: {rule.origin}"),
        ("package", str(rule.package) if rule.package else "any"),
        ("layers", ", ".join(sorted(kind.value for kind in rule.layers)) or "any"),
        ("platforms", ", ".join(rule.platforms) or "any"),
    ]
    if rule.unless:
        facts.append(("unless", "; ".join(f"{fact} ({FACTS[fact]})" for fact in rule.unless)))
    if rule.despite:
        facts.append(("despite", f"imports in {', '.join(rule.despite)}"))
    if rule.unit:
        facts.append(("unit", "what it selects in a distribution stands or falls together"))
    if rule.evidence or rule.builtin:
        facts.append(("tried", evidence_words(rule.evidence)))
    if rule.source:
        facts.append(("source", rule.source))
    lines = [f"# {rule.id}", "", *rule.reason.strip().splitlines(), ""]
    lines += [f"- {name}: {value}" for name, value in facts]
    if rule.options:
        lines += [
            "",
            "## Options",
            "",
            *(f"- {name}: {_value(value)}" for name, value in sorted(rule.options.items())),
        ]
    lines += _code("Removes" if verb is Verb.REMOVE else "Rewrites", rule.globs)
    lines += _code("Keeps", rule.keep)
    lines += _code("Examples: selected", rule.examples.match)
    lines += _code("Examples: not selected", rule.examples.no_match)
    return "\n".join(printable(line) for line in lines) + "\n"


def evidence_words(evidence: RuleEvidence | None) -> str:
    """Return a rule's evidence in one line: the distributions, and what passed on them."""
    if evidence is None:
        return "not tried"
    names = [f"{name} {', '.join(versions)}" for name, versions in sorted(evidence.tried.items())]
    more = len(names) - _NAMED
    where = "; ".join(names[:_NAMED]) + (f" and {count(more, 'other')}" if more > 0 else "")
    passed = count(evidence.uses, "use")
    if evidence.tests:
        passed += f", {count(evidence.tests, 'test')}"
    saved = f"; saved {format_size(evidence.saved)}" if evidence.saved else ""
    return f"on {where}: {passed}{saved}"


def _profiles(rule: Rule) -> str:
    names = [level.label for level in type(rule.safety) if level.applies(rule.safety)]
    return f"applied by the profile{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _value(value: OptionValue) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case tuple():
            return ", ".join(value) or "none"
        case _:
            return str(value)


def _code(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"## {title}", "", *(f"    {line}" for line in lines)] if lines else []
