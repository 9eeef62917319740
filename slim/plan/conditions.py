"""Facts that keep rules from applying: what a rule names under ``unless``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from slim.config.settings import Config
from slim.model.finding import Evidence
from slim.model.rule import Rule

Ask = Callable[[], tuple[Evidence, ...]]
"""Return what shows that a fact holds; nothing where it doesn't."""


class Conditions:
    """The facts of :data:`slim.model.rule.FACTS`, each looked for when a rule first asks."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._asked: Mapping[str, Ask] = {"embedded": self._embedded}
        self._known: dict[str, tuple[Evidence, ...]] = {}

    def against(self, rule: Rule) -> tuple[Evidence, ...]:
        """Return what shows that a fact holds which the rule names under ``unless``."""
        for name in rule.unless:
            if name not in self._known:
                self._known[name] = self._asked[name]()
            if self._known[name]:
                return self._known[name]
        return ()

    def _embedded(self) -> tuple[Evidence, ...]:
        if not self._config.embedded:
            return ()
        text = "a program outside of the stack may load it (embedded = false says that none does)"
        return (Evidence(kind="configuration", text=text),)
