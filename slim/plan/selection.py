"""Rules that are switched on, layer by layer, and a count of those that selected anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from slim.config.settings import Config
from slim.model.finding import Evidence
from slim.model.record import FileKey, FileRecord, Inventory
from slim.model.rule import Rule
from slim.model.stack import Stack
from slim.passes import PASSES
from slim.plan.choices import Choices
from slim.plan.conditions import Conditions
from slim.rules.match import LayerMatcher, RememberingMatcher, RuleMatcher, Selected

Matchers = Mapping[str, LayerMatcher | RememberingMatcher]
"""A matcher for the enabled rules of each layer, by name."""


class Selection:
    """The rules of a plan, asked file by file. Remembers which of them matched anything.

    ``matchers`` are those of an earlier plan of the same stack, if there are any. A rule whose
    ``unless`` holds selects nothing; ``blocked`` notes what it would have selected.
    """

    def __init__(
        self, stack: Stack, inventory: Inventory, config: Config, matchers: Matchers | None = None
    ) -> None:
        self._stack = stack
        self._inventory = inventory
        self._config = config
        self._enabled = {layer.name: config.rules_for(layer) for layer in stack}
        self._matchers: Matchers = matchers or {
            layer.name: RuleMatcher(self._enabled[layer.name]).for_layer(layer) for layer in stack
        }
        self.conditions = Conditions(config)
        self.choices = Choices(stack, inventory, config)
        self._matched: set[str] = set()
        self.blocked: dict[tuple[FileKey, str], tuple[Rule, tuple[Evidence, ...]]] = {}
        """What rules would have selected if it weren't for a fact, by file and rule's id."""
        self.rules: tuple[Rule, ...] = tuple(
            {rule.id: rule for rules in self._enabled.values() for rule in rules}.values()
        )
        """Every rule that is switched on for any layer."""

    def select(self, pass_name: str, record: FileRecord) -> tuple[Rule, ...]:
        """Return the rules of a pass that select a file, the strongest first."""
        return self._noted(record, self._matchers[record.layer].select(pass_name, record))

    def would_select(self, pass_name: str, record: FileRecord) -> bool:
        """Return whether a rule of a pass selects a file, which need not be in the stack."""
        rules = self._matchers[record.layer].select(pass_name, record)
        return any(not self._is_against(rule, record) for rule in rules)

    def strongest(self, pass_name: str, record: FileRecord) -> Rule | None:
        """Return the first rule of a pass that selects a file, as far as is known; note nothing."""
        rules = self._matchers[record.layer].select(pass_name, record)
        return next((rule for rule in rules if not self._is_against(rule, record)), None)

    def selected(self, pass_name: str) -> Iterator[Selected]:
        """Yield every file that rules of a pass select, with those rules."""
        for layer, files in self._inventory.records.items():
            for record, rules in self._matchers[layer].selected(pass_name, files.values()):
                allowed = self._noted(record, rules)
                if allowed:
                    yield record, allowed

    def marked(self, pass_name: str, record: FileRecord) -> tuple[Rule, ...]:
        """Return the rules of a pass that mark a file as lying in a folder of plug-ins."""
        return self._noted(record, self._matchers[record.layer].marked(pass_name, record))

    def about(self, record: FileRecord) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
        """Return the rules that select a file: those switched on for its layer, and the others."""
        matcher = RuleMatcher(self._config.rules).for_layer(self._stack.layer(record.layer))
        enabled = {rule.id for rule in self._enabled[record.layer]}
        concerned = [known.schema.name for known in PASSES if known.concerns(record)]
        rules = [rule for name in concerned for rule in matcher.select(name, record)]
        return (
            tuple(rule for rule in rules if rule.id in enabled),
            tuple(rule for rule in rules if rule.id not in enabled),
        )

    def unmatched(self) -> tuple[str, ...]:
        """Return the ids of the rules that are switched on and selected nothing, sorted."""
        return tuple(sorted({rule.id for rule in self.rules} - self._matched))

    def _is_against(self, rule: Rule, record: FileRecord) -> bool:
        """Return whether a choice or a fact keeps a rule from selecting a file."""
        if rule.choose and self.choices.leaves(rule, record):
            return True
        return bool(self.conditions.against(rule, record.owner))

    def _noted(self, record: FileRecord, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        if any(rule.choose for rule in rules):
            rules = tuple(
                rule for rule in rules if not rule.choose or not self.choices.leaves(rule, record)
            )
        self._matched.update(rule.id for rule in rules)
        if not any(self.conditions.may_refuse(rule) for rule in rules):
            return rules
        allowed = []
        for rule in rules:
            evidence = self.conditions.against(rule, record.owner)
            if evidence:
                self.blocked[record.key, rule.id] = (rule, evidence)
            else:
                allowed.append(rule)
        return tuple(allowed)
