"""Facts that keep rules from applying: what a rule names under ``unless``."""

from __future__ import annotations

from collections.abc import Mapping

from slim.config.settings import Config
from slim.model.facts import Fact
from slim.model.finding import Evidence
from slim.model.rule import Rule

_EMBEDDER = "a program outside of the stack may load it (embedded = false says that none does)"


class Conditions:
    """The facts that hold: from the start those that the configuration states."""

    def __init__(self, config: Config) -> None:
        self._held: dict[Fact, tuple[Evidence, ...]] = {}
        if config.embedded:
            self._held[Fact.EMBEDDED] = (Evidence(kind="configuration", text=_EMBEDDER),)

    def establish(self, held: Mapping[Fact, tuple[Evidence, ...]]) -> None:
        """Add facts that were found in the stack, each with what shows it."""
        self._held.update(held)

    def against(self, rule: Rule) -> tuple[Evidence, ...]:
        """Return what shows that a fact holds which the rule names under ``unless``."""
        return next((self._held[fact] for fact in rule.unless if fact in self._held), ())
