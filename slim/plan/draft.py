"""Plans in the making, and actions that are taken out of a plan again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from slim.model.finding import Evidence
from slim.model.plan import Action, Plan, Remove, Skipped, SkipReason
from slim.model.record import FileKey

Failures = Mapping[FileKey, tuple[SkipReason, tuple[Evidence, ...]]]
"""Actions that can't stay in a plan, each with its reason and what shows it."""


@dataclass(kw_only=True)
class Draft:
    """A plan in the making: actions by file, and refusals by file and rule."""

    actions: dict[FileKey, Action] = field(default_factory=dict)
    skipped: dict[tuple[FileKey, str], Skipped] = field(default_factory=dict)

    @property
    def gone(self) -> frozenset[FileKey]:
        """The files that are removed so far."""
        return frozenset(key for key, action in self.actions.items() if isinstance(action, Remove))

    def refuse(self, action: Action, reason: SkipReason, evidence: tuple[Evidence, ...]) -> None:
        """Have an action among the refusals, whether it was among the actions or not."""
        key = action.record.key
        self.actions.pop(key, None)
        self.skipped[(key, action.rule)] = _skipped(action, reason, evidence)

    def plan(self, *, unmatched: tuple[str, ...], warnings: tuple[str, ...]) -> Plan:
        """Return the finished plan: everything in the order of layers and paths."""
        return Plan(
            actions=dict(sorted(self.actions.items())),
            skipped=tuple(self.skipped[key] for key in sorted(self.skipped)),
            unmatched=unmatched,
            warnings=warnings,
        )


def withdraw(plan: Plan, failures: Failures) -> Plan:
    """Return the plan without some actions, which become refusals.

    Used for what verification refused: such a file is published as it was.
    """
    skipped = list(plan.skipped)
    actions = dict(plan.actions)
    for key, (reason, evidence) in sorted(failures.items()):
        skipped.append(_skipped(actions.pop(key), reason, evidence))
    return replace(plan, actions=actions, skipped=tuple(skipped))


def _skipped(action: Action, reason: SkipReason, evidence: tuple[Evidence, ...]) -> Skipped:
    return Skipped(
        record=action.record,
        pass_name=action.pass_name,
        rule=action.rule,
        reason=reason,
        evidence=evidence,
    )
