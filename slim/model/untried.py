"""Built-in rules for a package, and the versions of it that they weren't tried on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from slim.model.plan import Action
from slim.model.record import Owner
from slim.model.rule import Rule


def is_untried(rule: Rule, owner: Owner) -> bool:
    """Return whether a built-in rule for a package wasn't tried on this version of it.

    A rule for every package (``*``) names none.
    """
    if not rule.builtin or rule.package is None or rule.package.name == "*":
        return False
    return rule.evidence is None or owner.version not in rule.evidence.tried.get(owner.name, ())


def untried(rules: Mapping[str, Rule], actions: Iterable[Action]) -> dict[str, tuple[str, ...]]:
    """Return what rules did though it wasn't tried: distributions with versions, by rule's ID."""
    found: dict[str, set[str]] = {}
    for action in actions:
        rule = rules.get(action.rule)
        if rule is not None and is_untried(rule, action.record.owner):
            found.setdefault(rule.id, set()).add(action.record.owner.label)
    return {rule: tuple(sorted(owners)) for rule, owners in sorted(found.items())}
