"""The import proof, applied to a draft: removals of files that something which stays imports."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from slim.analysis.facts import Facts
from slim.analysis.imports.proof import Proof
from slim.model.finding import Evidence
from slim.model.plan import SkipReason
from slim.model.record import FileKey, FileRecord
from slim.model.rule import Rule, Safety
from slim.passes.guided import GUIDED_PASS, MODULES
from slim.passes.packages import DROP_PREFIX
from slim.plan.draft import Draft
from slim.plan.held_families import HeldFamilies
from slim.plan.scope import Scope
from slim.plan.suites import Suites, is_for_every_package, is_generic
from slim.plan.units import UnitKey, rest_of_units, unit_of
from slim.rules.match import GlobSet

_NO_IMPORTS = frozenset({"api", "data", "path", "stub", "beside", "listing", "family"})
"""Kinds of evidence of what needs a file without importing it."""
_UNUSED_UNIT = Evidence(
    kind="trace", text="no traced run used a module of what stands or falls together with it"
)


def hold_imported(draft: Draft, facts: Facts, scope: Scope, rules: Iterable[Rule]) -> None:
    """Take back what something that stays imports or reads, and what is no test after all.

    What stays holds the families that it opens as well, if no run used their members.

    A dropped distribution goes whole or not at all, so one file that has to stay takes all of it
    back, and its own imports count from then on. So does a unit.
    """
    rules = tuple(rules)
    weights = _Weights(draft=draft, scope=scope, despite=_despite(facts, rules))
    families = HeldFamilies(draft, facts)
    by_name = _taken_by(draft, {rule.id for rule in rules if is_generic(rule)})
    unnamed = _taken_by(draft, {rule.id for rule in rules if is_for_every_package(rule)})
    unused_units = _unused_units(draft)
    guided = {key for key, action in draft.actions.items() if action.pass_name == GUIDED_PASS}
    suites = Suites(facts.stack, facts.inventory, facts.read)
    reasons = {key: suites.why_no_test(draft.actions[key].record) for key in sorted(by_name)}
    standing = {key: reason for key, reason in reasons.items() if reason is not None}
    may_be_read = [key for key in sorted(by_name | unnamed) if weights.weak_counts(key)]

    def listed(stay: Collection[FileKey]) -> Mapping[FileKey, Evidence]:
        left = (key for key in may_be_read if key not in stay and key in draft.actions)
        records = [draft.actions[key].record for key in left]
        return facts.listed_files.among(records, draft.gone.difference(stay))

    standing |= listed(standing)
    meant = families.members(standing.keys())
    while True:
        draft.hold_units()
        standing |= {key: meant[key] for key in guided & meant.keys() & draft.actions.keys()}
        units = [unit for unit in unused_units if unit.isdisjoint(meant)]
        unused = guided.union(*units)
        proof = facts.imports.prove(
            draft.gone,
            weak_counts=weights.weak_counts,
            accepted=weights.accepted,
            by_name=by_name,
            unnamed=unnamed,
            unused=unused,
            standing=standing,
        )
        held = standing.keys() | proof.refused.keys()
        more, opened = listed(held), families.members(held)
        if more or not opened.keys() <= meant.keys():  # by what is held itself
            standing |= more
            meant = {**opened, **meant}
            continue
        if not _take_back_rest(draft, proof):
            break
    for key, evidence in sorted(proof.refused.items()):
        draft.refuse(draft.actions[key], _reason(evidence), evidence)
    for keys in units:
        if keys <= draft.actions.keys() and not keys.isdisjoint(proof.weak):
            _add_evidence(draft, dict.fromkeys(keys, (_UNUSED_UNIT,)))
    _add_evidence(draft, proof.weak)


def _take_back_rest(draft: Draft, proof: Proof) -> bool:
    """Take back drops and units of which a file has to stay; return whether there were any."""
    dropped = {
        (key[0], draft.actions[key].rule): evidence
        for key, evidence in proof.refused.items()
        if draft.actions[key].rule.startswith(DROP_PREFIX)
    }
    broken = {
        unit: draft.actions[key].record
        for key in sorted(proof.refused, reverse=True)
        if (unit := _unit(draft, key)) is not None
    }
    rest = rest_of_units(draft.actions, broken, draft.units)
    for key, action in sorted(draft.actions.items()):
        whole = dropped.get((key[0], action.rule))
        if whole is not None:
            draft.refuse(action, SkipReason.IMPORTED, proof.refused.get(key, whole))
    for key, evidence in rest.items():
        imported = proof.refused.get(key)
        reason = SkipReason.UNIT if imported is None else SkipReason.IMPORTED
        draft.refuse(draft.actions[key], reason, imported or evidence)
    return bool(dropped or rest)


def _taken_by(draft: Draft, rules: Collection[str]) -> set[FileKey]:
    return {key for key, action in draft.actions.items() if action.rule in rules}


def _add_evidence(draft: Draft, found: Mapping[FileKey, tuple[Evidence, ...]]) -> None:
    for key, evidence in found.items():
        action = draft.actions[key]
        draft.actions[key] = replace(action, evidence=(*action.evidence, *evidence))


def _unused_units(draft: Draft) -> list[frozenset[FileKey]]:
    """List the units of which no traced run used any module: nobody missed the rest either."""
    found: dict[UnitKey, set[FileKey]] = {}
    for key in draft.actions:
        if (unit := _unit(draft, key)) is not None:
            found.setdefault(unit, set()).add(key)
    return [
        frozenset(keys)
        for keys in found.values()
        if (modules := [key for key in keys if key[1].endswith(MODULES)])
        and all(
            any(other.pass_name == GUIDED_PASS for other in draft.others.get(key, ()))
            for key in modules
        )
    ]


def _despite(facts: Facts, rules: Iterable[Rule]) -> Mapping[tuple[str, str], re.Pattern[str]]:
    return {
        (rule.id, layer.name): pattern
        for rule in rules
        if rule.despite
        for layer in facts.stack
        if (pattern := GlobSet(rule.despite).for_layer(layer)) is not None
    }


def _unit(draft: Draft, key: FileKey) -> UnitKey | None:
    action = draft.actions[key]
    return unit_of(action.record, action.rule, draft.units)


def _reason(evidence: tuple[Evidence, ...]) -> SkipReason:
    kinds = {piece.kind for piece in evidence}
    if not kinds <= _NO_IMPORTS:
        return SkipReason.IMPORTED
    return SkipReason.FAMILY if "family" in kinds else SkipReason.REFERENCED


@dataclass(frozen=True, kw_only=True)
class _Weights:
    """The two questions of the proof that the configuration answers."""

    draft: Draft
    scope: Scope
    despite: Mapping[tuple[str, str], re.Pattern[str]]
    """Files whose imports don't hold what a rule takes, by rule and layer of the file."""

    def weak_counts(self, key: FileKey) -> bool:
        """Return whether guarded imports hold a file back.

        They don't where the layer's profile is aggressive, or the user dropped the file's
        distribution by name.
        """
        if self.draft.actions[key].rule.startswith(DROP_PREFIX):
            return False
        return self.scope.settings[key[0]].profile is not Safety.AGGRESSIVE

    def accepted(self, candidate: FileKey, importer: FileRecord) -> bool:
        """Return whether the rule, or the user's drop, lets this importer lose it (``despite``)."""
        rule = self.draft.actions[candidate].rule
        pattern = self.despite.get((rule, importer.layer))
        if pattern is not None and pattern.match(importer.path):
            return True
        if not rule.startswith(DROP_PREFIX):
            return False
        name = rule.removeprefix(DROP_PREFIX)
        return any(
            spec.name == name and importer.owner.name in spec.despite
            for spec in self.scope.settings[candidate[0]].drop
        )
