"""From proposals to a plan: the safety gate, the import proof, protected files, conflicts, order.

Reads through the inventory and the analyses only; does nothing to any file. Every proposal ends as
an action or as a :class:`~slim.model.plan.Skipped` with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, replace

from slim.analysis import ReadFile
from slim.analysis.imports.proof import ImportProof
from slim.analysis.linkage.virtual_tree import VirtualTree
from slim.errors import ConfigError, Problem, UnsafeInputError
from slim.model.finding import Evidence, Finding
from slim.model.plan import Action, Plan, Remove, Rewrite, Skipped, SkipReason
from slim.model.progress import Progress
from slim.model.record import EntryType, FileKey, FileRecord, Inventory
from slim.model.rule import Rule, Safety
from slim.model.settings import Config, DropSpec
from slim.model.stack import Layer, Stack
from slim.passes import (
    GRAPH_PASSES,
    LINK_PASSES,
    PACKAGES,
    PASSES,
    REMOVING_PASSES,
    REWRITING_PASSES,
)
from slim.passes.base import Context, Pass, Proposal, Refusal
from slim.plan.protected import protected_paths
from slim.rules.match import GlobSet, LayerMatcher, RememberingMatcher, RuleMatcher, Selected

DROP_PREFIX = "drop:"


@dataclass(kw_only=True)
class _Draft:
    """A plan in the making."""

    actions: dict[FileKey, Action] = field(default_factory=dict)
    skipped: dict[tuple[FileKey, str], Skipped] = field(default_factory=dict)
    matched: set[str] = field(default_factory=set)

    @property
    def gone(self) -> frozenset[FileKey]:
        return frozenset(key for key, action in self.actions.items() if isinstance(action, Remove))

    def refuse(self, action: Action, reason: SkipReason, evidence: tuple[Evidence, ...]) -> None:
        key = action.record.key
        self.actions.pop(key, None)
        self.skipped[(key, action.rule)] = Skipped(
            record=action.record,
            pass_name=action.pass_name,
            rule=action.rule,
            reason=reason,
            evidence=evidence,
        )


class Planner:
    """Makes the plan for one stack. ``only`` limits which layers may change; the analysis sees all of them.

    ``proof``, ``matchers`` (for the enabled rules of each layer) and ``remembered`` (see
    :class:`Context`) are those of an earlier plan of the same stack. Without ``proved`` the plan is
    a quick estimate: nothing is held for being imported, and the passes that ask the library graph
    are left out.
    """

    def __init__(
        self,
        stack: Stack,
        inventory: Inventory,
        config: Config,
        read: ReadFile,
        progress: Progress,
        *,
        only: Iterable[str] = (),
        proof: ImportProof | None = None,
        proved: bool = True,
        matchers: Mapping[str, RememberingMatcher] | None = None,
        remembered: MutableMapping[tuple[FileKey, str], Proposal | None] | None = None,
    ) -> None:
        self.stack = stack
        self.inventory = inventory
        self.config = config
        self.read = read
        self.progress = progress
        self.proof = proof or ImportProof(stack, inventory, read)
        self._proved = proved
        self._only = frozenset(only)
        self._rules = {layer.name: config.rules_for(layer) for layer in stack}
        self._matchers: Mapping[str, LayerMatcher | RememberingMatcher] = matchers or {
            layer.name: RuleMatcher(self._rules[layer.name]).for_layer(layer) for layer in stack
        }
        self._protected = {layer.name: protected_paths(layer, inventory) for layer in stack}
        self._open = frozenset(
            layer.name
            for layer in stack
            if (not self._only or layer.name in self._only)
            and not config.settings_for(layer.name).skip
        )
        self._keep = {layer.name: self._keep_globs(layer) for layer in stack}
        self._remembered = {} if remembered is None else remembered
        self._draft = _Draft()

    def plan(self) -> Plan:
        """Run every pass and settle every proposal."""
        draft = self._draft
        passes = (*REMOVING_PASSES, *LINK_PASSES, *REWRITING_PASSES)
        self.progress.stage("Planning", total=len(passes) + 1, unit="passes")
        for one in REMOVING_PASSES:
            self._take(one)
        if self._proved:
            self._prove_imports()
            self.progress.advance()
            for one in LINK_PASSES:
                self._take(one)
        self._follow_links()
        self._keep_shared_bytes()
        for one in REWRITING_PASSES:
            if self._proved or one.schema.name not in GRAPH_PASSES:
                self._take(one)
        self._check_signed_records()
        return Plan(
            actions=dict(sorted(draft.actions.items())),
            skipped=tuple(draft.skipped[key] for key in sorted(draft.skipped)),
            unmatched=self._unmatched(),
            warnings=self._warnings(),
        )

    # -- what may change -------------------------------------------------------------------------------------------

    def may_change(self, layer: str) -> bool:
        """Whether the user lets slim change a layer."""
        return layer in self._open

    def _keep_globs(self, layer: Layer) -> re.Pattern[str] | None:
        return GlobSet(self.config.settings_for(layer.name).keep).for_layer(layer)

    def _held(self, record: FileRecord) -> bool:
        """Whether a file stays whatever a pass proposes."""
        kept = self._keep[record.layer]
        return (
            not self.may_change(record.layer)
            or record.path in self._protected[record.layer]
            or (kept is not None and kept.match(record.path) is not None)
        )

    def _select(self, pass_name: str, record: FileRecord) -> tuple[Rule, ...]:
        rules = self._matchers[record.layer].select(pass_name, record)
        self._draft.matched.update(rule.id for rule in rules)
        return rules

    def _selected(self, pass_name: str) -> Iterator[Selected]:
        for layer, files in self.inventory.records.items():
            for record, rules in self._matchers[layer].selected(pass_name, files.values()):
                self._draft.matched.update(rule.id for rule in rules)
                yield record, rules

    def _marked(self, pass_name: str, record: FileRecord) -> tuple[Rule, ...]:
        rules = self._matchers[record.layer].marked(pass_name, record)
        self._draft.matched.update(rule.id for rule in rules)
        return rules

    def rules_about(self, record: FileRecord) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
        """The rules that select a file: those switched on for its layer, and those that aren't."""
        layer = self.stack.layer(record.layer)
        matcher = RuleMatcher(self.config.rules).for_layer(layer)
        enabled = {rule.id for rule in self._rules[record.layer]}
        concerned = [one.schema.name for one in PASSES if one.concerns(record)]
        found = [rule for name in concerned for rule in matcher.select(name, record)]
        return (
            tuple(rule for rule in found if rule.id in enabled),
            tuple(rule for rule in found if rule.id not in enabled),
        )

    def facts_about(self, record: FileRecord) -> tuple[Evidence, ...]:
        """What else is known: why the file is protected, and who imports it."""
        reason = self._protected[record.layer].get(record.path)
        protected = () if reason is None else (Evidence(kind="protected", text=reason),)
        return (*protected, *self.proof.importers_of(record.key))

    # -- proposals -------------------------------------------------------------------------------------------------

    def _take(self, one: Pass) -> None:
        context = Context(
            stack=self.stack,
            inventory=self.inventory,
            rules=tuple(
                {rule.id: rule for rules in self._rules.values() for rule in rules}.values()
            ),
            select=self._select,
            selected=self._selected,
            marked=self._marked,
            read=self.read,
            gone=self._draft.gone,
            held=self._held,
            remembered=self._remembered,
            options={
                "bytecode": {
                    layer.name: self.config.settings_for(layer.name).bytecode
                    for layer in self.stack
                },
                "drop": {
                    layer.name: self.config.settings_for(layer.name).drop for layer in self.stack
                },
            },
        )
        for proposal in one.propose(context):
            self._settle(one, proposal)
        self.progress.advance()

    def _settle(self, one: Pass, proposal: Proposal) -> None:
        record = self.inventory.get(proposal.key)
        if (
            record is None
            or not self.may_change(record.layer)
            or record.type is EntryType.DIRECTORY
        ):
            return
        name = one.schema.name
        if isinstance(proposal, Refusal):
            self._draft.skipped[(record.key, proposal.rule)] = Skipped(
                record=record,
                pass_name=name,
                rule=proposal.rule,
                reason=proposal.reason,
                evidence=proposal.evidence,
            )
            return
        action = _action(record, name, proposal)
        if record.key in self._draft.actions:
            return
        kept = self._keep[record.layer]
        if kept is not None and kept.match(record.path):
            evidence = Evidence(
                kind="configuration", text="a keep glob of the configuration matches it"
            )
            self._draft.refuse(action, SkipReason.KEPT, (evidence,))
            return
        reason = self._protected[record.layer].get(record.path)
        if reason is not None and isinstance(action, Remove) and one is not PACKAGES:
            self._draft.refuse(
                action, SkipReason.PROTECTED, (Evidence(kind="protected", text=reason),)
            )
            return
        self._draft.actions[record.key] = action

    # -- the import proof ------------------------------------------------------------------------------------------

    def _prove_imports(self) -> None:
        """Take back what something that stays imports; a dropped distribution goes whole or not at all."""
        draft = self._draft
        while True:
            proof = self.proof.prove(
                draft.gone, weak_counts=self._weak_counts, accepted=self._accepted
            )
            dropped = {
                (key[0], draft.actions[key].rule): evidence
                for key, evidence in proof.refused.items()
                if draft.actions[key].rule.startswith(DROP_PREFIX)
            }
            if not dropped:
                break
            for key, action in sorted(draft.actions.items()):
                whole = dropped.get((key[0], action.rule))
                if whole is not None:
                    draft.refuse(action, SkipReason.IMPORTED, proof.refused.get(key, whole))
        for key, evidence in sorted(proof.refused.items()):
            draft.refuse(draft.actions[key], SkipReason.IMPORTED, evidence)
        for key, evidence in proof.weak.items():
            action = draft.actions[key]
            draft.actions[key] = replace(action, evidence=(*action.evidence, *evidence))

    def _weak_counts(self, key: FileKey) -> bool:
        """Guarded imports hold a file back unless the layer's profile is aggressive or the user dropped it by name."""
        if self._draft.actions[key].rule.startswith(DROP_PREFIX):
            return False
        return self.config.settings_for(key[0]).profile is not Safety.AGGRESSIVE

    def _accepted(self, candidate: FileKey, importer: FileRecord) -> bool:
        """Whether the user said that this importer may lose a distribution he drops (``despite``)."""
        rule = self._draft.actions[candidate].rule
        if not rule.startswith(DROP_PREFIX):
            return False
        name = rule.removeprefix(DROP_PREFIX)
        return any(
            spec.name == name and importer.owner.name in spec.despite
            for spec in self.config.settings_for(candidate[0]).drop
        )

    # -- links -----------------------------------------------------------------------------------------------------

    def _follow_links(self) -> None:
        """A symbolic link that pointed at a file goes with the file; a link that would dangle is worse than none."""
        before = VirtualTree(self.inventory)
        while True:
            after = VirtualTree(self.inventory, self._draft.gone)
            follow = [
                record
                for record in self.inventory
                if record.type is EntryType.SYMLINK
                and record.key not in self._draft.actions
                and self.may_change(record.layer)
                and (target := before.file(record.deployed_path)) is not None
                and target.key in self._draft.gone
                and after.file(record.deployed_path) is None
            ]
            if not follow:
                return
            for record in follow:
                target = before.file(record.deployed_path)
                assert target is not None
                cause = self._draft.actions[target.key]
                evidence = Evidence(
                    kind="link", text=f"points at {target.deployed_path}, which goes"
                )
                self._draft.actions[record.key] = Remove(
                    record=record, pass_name=cause.pass_name, rule=cause.rule, evidence=(evidence,)
                )

    def _keep_shared_bytes(self) -> None:
        """Removing one of two names of the same bytes saves nothing and would leave a hard link without its target."""
        for record in self.inventory:
            if record.type is not EntryType.HARDLINK or record.key in self._draft.actions:
                continue
            action = self._draft.actions.get((record.layer, record.link_target or ""))
            if isinstance(action, Remove):
                text = f"{record.path} is a hard link to it and stays"
                evidence = Evidence(kind="link", text=text, file=record.deployed_path)
                self._draft.refuse(action, SkipReason.REFERENCED, (evidence,))

    # -- the rest --------------------------------------------------------------------------------------------------

    def _check_signed_records(self) -> None:
        """A signed RECORD can't be written again, so its distribution can't change. Raises UnsafeInputError."""
        for layer, distributions in self.inventory.distributions.items():
            for distribution in distributions.values():
                changed = [
                    path
                    for path in sorted(distribution.files)
                    if (layer, path) in self._draft.actions
                ]
                for name in ("RECORD.jws", "RECORD.p7s"):
                    path = f"{distribution.info_dir}/{name}"
                    whole = (layer, f"{distribution.info_dir}/RECORD") in self._draft.actions
                    if changed and not whole and path in self.inventory.records[layer]:
                        raise UnsafeInputError(
                            f"signs the RECORD of {distribution.name}, which an edit of {changed[0]} would make untrue",
                            file=f"{layer}/{path}",
                            hint="keep the distribution as it is, with a keep glob for its files",
                        )

    def _unmatched(self) -> tuple[str, ...]:
        ids = {rule.id for rules in self._rules.values() for rule in rules}
        return tuple(sorted(ids - self._draft.matched))

    def _warnings(self) -> tuple[str, ...]:
        """The user's own rules and drops that match nothing; with ``strict`` they are errors, all at once."""
        own = {
            rule.id: rule for rules in self._rules.values() for rule in rules if not rule.builtin
        }
        idle = [
            Problem(
                file=own[name].origin or own[name].pack,
                place=f"rule {name}",
                message="matches nothing in this stack",
                hint="remove it, or correct its globs",
            )
            for name in self._unmatched()
            if name in own
        ]
        present = {name for found in self.inventory.distributions.values() for name in found}
        idle += [
            Problem(
                file=self.config.origin or "command line",
                place=f"drop {spec.name!r}",
                message="no layer that may change holds this distribution",
                hint="correct the name, or take it out",
            )
            for spec in sorted(self._all_drops(), key=lambda spec: spec.name)
            if spec.name not in present
        ]
        if idle and self.config.strict:
            raise ConfigError.from_problems(idle)
        return (*self.inventory.warnings, *(str(problem) for problem in idle))

    def _all_drops(self) -> Iterable[DropSpec]:
        return {spec for layer in self.stack for spec in self.config.settings_for(layer.name).drop}


def _action(record: FileRecord, pass_name: str, finding: Finding) -> Action:
    if finding.edit is None:
        return Remove(
            record=record, pass_name=pass_name, rule=finding.rule, evidence=finding.evidence
        )
    return Rewrite(
        record=record,
        pass_name=pass_name,
        rule=finding.rule,
        edit=finding.edit,
        size_after=finding.size_after,
        evidence=finding.evidence,
    )


def withdraw(
    plan: Plan, failures: Mapping[FileKey, tuple[SkipReason, tuple[Evidence, ...]]]
) -> Plan:
    """The plan without some actions, which become skipped: what verification refused is published unedited."""
    skipped = list(plan.skipped)
    actions = dict(plan.actions)
    for key, (reason, evidence) in sorted(failures.items()):
        action = actions.pop(key)
        skipped.append(
            Skipped(
                record=action.record,
                pass_name=action.pass_name,
                rule=action.rule,
                reason=reason,
                evidence=evidence,
            )
        )
    return replace(plan, actions=actions, skipped=tuple(skipped))
