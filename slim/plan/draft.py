"""Plans in the making, and actions that are taken out of a plan again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from slim.model.finding import Evidence
from slim.model.plan import Action, Plan, Remove, Skipped, SkipReason
from slim.model.record import FileKey, FileRecord
from slim.plan.units import UnitKey, rest_of_units, unit_of

Failures = Mapping[FileKey, tuple[SkipReason, tuple[Evidence, ...]]]
"""Actions that can't stay in a plan, each with its reason and what shows it."""


@dataclass(kw_only=True)
class Draft:
    """A plan in the making: actions by file, and refusals by file and rule."""

    actions: dict[FileKey, Action] = field(default_factory=dict)
    skipped: dict[tuple[FileKey, str], Skipped] = field(default_factory=dict)
    units: frozenset[str] = frozenset()
    """Ids of the rules whose files stand or fall together."""
    others: dict[FileKey, list[Remove]] = field(default_factory=dict)
    """Removals by other rules that want the same file, the strongest first."""

    @property
    def gone(self) -> frozenset[FileKey]:
        """The files that are removed so far."""
        return frozenset(key for key, action in self.actions.items() if isinstance(action, Remove))

    def refuse(self, action: Action, reason: SkipReason, evidence: tuple[Evidence, ...]) -> None:
        """Have an action among the refusals, whether it was among the actions or not."""
        key = action.record.key
        self.actions.pop(key, None)
        self.skipped[(key, action.rule)] = _skipped(action, reason, evidence)

    def copy(self) -> Draft:
        """Return the same draft, for :meth:`begin_again`."""
        return replace(self, actions=dict(self.actions), skipped=dict(self.skipped))

    def begin_again(self, start: Draft) -> bool:
        """Go back to how everything was before anything was held, with the next rules.

        Each file that was refused to one rule and that another wants is taken by that one; the
        refusal is remembered. All else is judged anew, since such a file held others while it
        stayed. Return whether there was any such file; ``start`` changes with the draft.
        """
        again = [
            key for key, others in sorted(self.others.items()) if others and key not in self.actions
        ]
        for key in again:
            asked = (key, start.actions[key].rule)
            if asked in self.skipped:
                start.skipped[asked] = self.skipped[asked]
            start.actions[key] = self.others[key].pop(0)
        if again:
            self.actions = dict(start.actions)
            self.skipped = dict(start.skipped)
        return bool(again)

    def hold_units(self) -> bool:
        """Take back the rest of each unit of which a file is refused. Return whether any was."""
        broken: dict[UnitKey, FileRecord] = {}
        for key, skipped in sorted(self.skipped.items()):
            unit = unit_of(skipped.record, skipped.rule, self.units)
            if unit is not None and key[0] not in self.actions:
                broken.setdefault(unit, skipped.record)
        rest = rest_of_units(self.actions, broken, self.units) if broken else {}
        for removed, evidence in rest.items():
            self.refuse(self.actions[removed], SkipReason.UNIT, evidence)
        return bool(rest)

    def plan(self, *, unmatched: tuple[str, ...], warnings: tuple[str, ...]) -> Plan:
        """Return the finished plan: everything in the order of layers and paths.

        What one rule was refused and another takes isn't among the refusals.
        """
        gone = self.gone
        return Plan(
            actions=dict(sorted(self.actions.items())),
            skipped=tuple(self.skipped[key] for key in sorted(self.skipped) if key[0] not in gone),
            unmatched=unmatched,
            units=self.units,
            warnings=warnings,
        )


def withdraw(plan: Plan, failures: Failures) -> Plan:
    """Return the plan without some actions, which become refusals.

    Used for what verification refused: such a file is published as it was. The rest of its unit
    goes with it.
    """
    skipped = list(plan.skipped)
    actions = dict(plan.actions)
    broken: dict[UnitKey, FileRecord] = {}
    for key, (reason, evidence) in sorted(failures.items()):
        action = actions.pop(key)
        skipped.append(_skipped(action, reason, evidence))
        unit = unit_of(action.record, action.rule, plan.units)
        if unit is not None and isinstance(action, Remove):
            broken.setdefault(unit, action.record)
    for key, evidence in rest_of_units(actions, broken, plan.units).items():
        skipped.append(_skipped(actions.pop(key), SkipReason.UNIT, evidence))
    return replace(plan, actions=actions, skipped=tuple(skipped))


def _skipped(action: Action, reason: SkipReason, evidence: tuple[Evidence, ...]) -> Skipped:
    return Skipped(
        record=action.record,
        pass_name=action.pass_name,
        rule=action.rule,
        reason=reason,
        evidence=evidence,
    )
