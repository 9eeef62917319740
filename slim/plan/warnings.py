"""Warnings of a plan: the user's own rules, drops and families that match nothing."""

from __future__ import annotations

from collections.abc import Iterator

from slim.analysis.facts import Facts
from slim.config.settings import Config
from slim.errors import ConfigError, Problem
from slim.model.record import Inventory
from slim.plan.scope import Scope
from slim.plan.selection import Selection


def warnings_of(
    config: Config, facts: Facts, selection: Selection, scope: Scope
) -> tuple[str, ...]:
    """Return those of the inventory, and what the configuration names in vain.

    Raises ConfigError with all of the latter where the configuration is ``strict``.
    """
    inventory = facts.inventory
    idle = [
        *_idle_rules(selection),
        *_idle_drops(config, inventory, scope),
        *_idle_families(config, facts),
    ]
    if idle and config.strict:
        raise ConfigError.from_problems(idle)
    return (*inventory.warnings, *(str(problem) for problem in idle))


def _idle_rules(selection: Selection) -> Iterator[Problem]:
    own = {rule.id: rule for rule in selection.rules if not rule.builtin}
    for name in selection.unmatched():
        if name in own:
            yield Problem(
                file=own[name].origin or own[name].pack,
                place=f"rule {name}",
                message="matches nothing in this stack",
                hint="remove it, or correct its globs",
            )


def _idle_drops(config: Config, inventory: Inventory, scope: Scope) -> Iterator[Problem]:
    installed = {name for known in inventory.distributions.values() for name in known}
    listed = {spec for settings in scope.settings.values() for spec in settings.drop}
    for spec in sorted(listed, key=lambda spec: spec.name):
        if spec.name not in installed:
            yield Problem(
                file=config.origin or "command line",
                place=f"drop {spec.name!r}",
                message="no layer that may change holds this distribution",
                hint="correct the name, or take it out",
            )


def _idle_families(config: Config, facts: Facts) -> Iterator[Problem]:
    if facts.guidance is None:
        return
    known = facts.module_index.known
    for prefix in facts.guidance.closed:
        if prefix.rstrip(".").replace(".", "/") not in known:
            yield Problem(
                file=config.origin or "command line",
                place=f'guided.families "{prefix}"',
                message="no module of this stack begins so",
                hint="correct the start, or take it out",
            )
