"""Facts that keep rules from applying: what a rule names under ``unless``."""

from __future__ import annotations

from collections.abc import Mapping

from slim.config.settings import Config
from slim.model.facts import Fact
from slim.model.finding import Evidence
from slim.model.record import Owner
from slim.model.rule import Rule
from slim.model.untried import is_untried

_EMBEDDER = "a program outside of the stack may load it (embedded = false says that none does)"


class Conditions:
    """The facts that hold: from the start those that the configuration states."""

    def __init__(self, config: Config) -> None:
        self._strict_evidence = config.strict_evidence
        self._held: dict[Fact, tuple[Evidence, ...]] = {}
        if config.embedded:
            self._held[Fact.EMBEDDED] = (Evidence(kind="configuration", text=_EMBEDDER),)

    def establish(self, held: Mapping[Fact, tuple[Evidence, ...]]) -> None:
        """Add facts that were found in the stack, each with what shows it."""
        self._held.update(held)

    def against(self, rule: Rule, owner: Owner) -> tuple[Evidence, ...]:
        """Return what shows that the rule may not take a file of ``owner``.

        That is a fact which the rule names under ``unless``, or, where evidence is asked for, a
        version that it wasn't tried on.
        """
        held = next((self._held[fact] for fact in rule.unless if fact in self._held), ())
        if held or not self._strict_evidence or not is_untried(rule, owner):
            return held
        text = f"the rule wasn't tried on {owner.name} {owner.version} (strict_evidence = true)"
        return (Evidence(kind="configuration", text=text),)

    def may_refuse(self, rule: Rule) -> bool:
        """Return whether anything could speak against a rule."""
        return bool(rule.unless) or (self._strict_evidence and rule.package is not None)
