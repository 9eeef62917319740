"""A plan that takes no module which an import of what stays asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from slim.config.settings import Config
from slim.model.record import FileRecord
from slim.plan.planned import PlannedStack
from slim.verification.lost_imports.check import Losses, find_losses
from slim.verification.lost_imports.forgiveness import Forgiveness

MAX_ROUNDS: Final = 5
"""How often a plan is looked at again: what comes back has imports of its own."""


def without_losses(planned: PlannedStack, config: Config) -> PlannedStack:
    """Return the same plan without removals of modules that are imported, and with the check.

    What is still lost after some rounds fails the check.
    """
    planned.loaded.context.progress.stage("Looking for lost imports", total=None)
    for _ in range(MAX_ROUNDS):
        losses = _losses(planned, config)
        if not losses.gone:
            break
        planned = planned.without({key: (why,) for key, why in losses.gone.items()})
    return replace(planned, checks=(*planned.checks, losses.check))


def _losses(planned: PlannedStack, config: Config) -> Losses:
    loaded, plan = planned.loaded, planned.plan
    forgiveness = Forgiveness(loaded.stack, plan, config.rules)

    def read(record: FileRecord) -> memoryview:
        edited = planned.edited.get(record.key)
        return loaded.read(record) if edited is None else edited.content.view()

    return find_losses(
        loaded.stack,
        loaded.inventory,
        plan,
        read,
        original=loaded.read,
        rule_of=lambda record: plan.actions[record.key].rule,
        forgives=forgiveness.why,
    )
