"""From proposals to a plan: asks the passes in their order, and settles each proposal.

Reads through the inventory and the analyses only; does nothing to any file. Every proposal ends as
an action or as a :class:`~slim.model.plan.Skipped` with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import replace

from slim.analysis.facts import Facts
from slim.analysis.unused import used_by
from slim.config.settings import Config
from slim.config.up_to import up_to
from slim.model.finding import Evidence, Finding
from slim.model.plan import Action, Plan, Remove, Rewrite, Skipped, SkipReason
from slim.model.progress import Progress, Silent
from slim.model.record import EntryType, FileKey, FileRecord
from slim.model.rule import Phase, Rule, Safety
from slim.passes import PASSES, passes_of
from slim.passes.base import Context, Pass, Proposal, Refusal
from slim.plan.draft import Draft
from slim.plan.dropped import settle_dropped
from slim.plan.gpu import gpu_notes, gpu_warnings
from slim.plan.held_facts import HeldFacts, refuse_by_facts
from slim.plan.imported import hold_imported
from slim.plan.likely import Likely, likely
from slim.plan.links import Links, keep_shared_bytes
from slim.plan.notes import bytecode_notes, guided_notes
from slim.plan.protected import check_signed_records
from slim.plan.read_files import ReadFiles
from slim.plan.scope import Scope
from slim.plan.selection import Matchers, Selection
from slim.plan.suites import is_judged_alike
from slim.plan.warnings import warnings_of


class Planner:
    """Makes the plan for one stack. ``only`` limits which layers may change; analyses see all.

    ``matchers`` (for the enabled rules of each layer) and ``remembered`` (see :class:`Context`) are
    those of an earlier plan of the same stack. Without ``proved`` the plan is a quick estimate:
    nothing is held for being imported, and the passes that ask the library graph are left out.
    ``early`` is told what becomes of native files as far as that can be known before the analysis.
    """

    def __init__(
        self,
        facts: Facts,
        config: Config,
        progress: Progress,
        *,
        only: Iterable[str] = (),
        proved: bool = True,
        matchers: Matchers | None = None,
        remembered: MutableMapping[tuple[FileKey, str], Proposal | None] | None = None,
        early: Callable[[Likely], None] | None = None,
    ) -> None:
        self.facts = facts
        self._config = config
        self._progress = progress
        self._proved = proved
        self._only = tuple(only)
        self._scope = Scope(facts.stack, facts.inventory, config, self._only)
        self._selection = Selection(facts.stack, facts.inventory, config, matchers)
        self._remembered = {} if remembered is None else remembered
        self._first_looks: dict[tuple[FileKey, str], Proposal | None] = {}
        self._early = early
        self._rules = {rule.id: rule for rule in self._selection.rules}
        self._kept: set[tuple[FileKey, str]] = set()
        self._draft = Draft(units=frozenset(rule.id for rule in self._selection.rules if rule.unit))

    def plan(self) -> Plan:
        """Run every pass and settle every proposal.

        Raises UnsafeInputError for a change in a distribution whose RECORD is signed, and
        ConfigError where the configuration is strict and names something in vain.
        """
        self._progress.stage("Planning", total=len(PASSES) + 1, unit="passes")
        self._ask(Phase.REMOVE)
        with self.facts.digests.ahead() as begin:
            self._look_ahead(begin)
            self._settle_all()
        check_signed_records(self.facts.inventory, self._draft)
        self._note_blocked()
        return self._noted(
            self._draft.plan(
                unmatched=self._selection.unmatched(),
                warnings=warnings_of(self._config, self.facts, self._selection, self._scope),
            )
        )

    def _look_ahead(self, begin: Callable[[FileRecord], None]) -> None:
        """Begin what takes long, and is likely to be wanted once the analyses had their say."""
        if self._early is None and self._remembered:
            return  # an earlier plan's answers are there
        if self._proved:
            self._read_ahead()
        found = likely(self._context(), self._selection, self._scope)
        if self._early is not None:
            self._early(found)
        for layer, path in found.edits:
            begin(self.facts.inventory.records[layer][path])

    def _read_ahead(self) -> None:
        """Have other processes begin what is read of every Python file that is likely to stay."""
        gone = self._draft.gone
        stay = [record for record in self.facts.inventory if record.key not in gone]
        self.facts.listed_files.foresee(stay)
        self.facts.imports.foresee(stay)
        self.facts.unimportable.foresee(stay)

    def _settle_all(self) -> None:
        """Take back what has to stay, and ask the passes that depend on what goes."""
        draft, inventory = self._draft, self.facts.inventory
        links = self._links()
        read_files = ReadFiles(draft, self.facts, self._scope, self._rules)
        start = draft.copy()
        self._hold(links, read_files)
        while draft.begin_again(start):
            self._hold(links, read_files)
        if self._proved:
            self._progress.advance()
            read_files.hold()
            draft.hold_units()
            self._ask(Phase.LINK)
            read_files.hold_shipped()
        links.follow()
        while keep_shared_bytes(draft, inventory) or draft.hold_units():
            links.follow()
        self._ask(Phase.REWRITE)
        if self._proved:
            read_files.hold_descriptions()

    def _noted(self, plan: Plan) -> Plan:
        """Return the plan with the warnings and notes that follow from it."""
        return replace(
            plan,
            warnings=(*plan.warnings, *gpu_warnings(self._config, plan)),
            notes=(
                *bytecode_notes(self.facts, plan, self._scope),
                *gpu_notes(plan, self.facts.inventory),
                *guided_notes(self.facts),
            ),
        )

    def plan_up_to(self, profile: Safety) -> Plan:
        """Plan the same stack without what goes beyond a profile. Raises as :meth:`plan` does."""
        config = up_to(self._config, profile)
        planner = Planner(
            self.facts,
            config,
            Silent(),
            only=self._only,
            proved=self._proved,
            remembered=self._remembered,
        )
        return planner.plan()

    def _hold(self, links: Links, read_files: ReadFiles) -> None:
        """Take back what has to stay: for links, for importers, for facts that rules name."""
        draft = self._draft
        if self._proved:
            read_files.hold_programs()
        keep_shared_bytes(draft, self.facts.inventory)
        links.hold()
        if self._proved:
            hold_imported(draft, self.facts, self._scope, self._selection.rules)
            # What is held imports in turn.
            while (
                settle_dropped(draft, self.facts, self._scope)
                or keep_shared_bytes(draft, self.facts.inventory)
                or links.hold()
            ):
                hold_imported(draft, self.facts, self._scope, self._selection.rules)
        self._hold_facts()

    def may_change(self, layer: str) -> bool:
        """Return whether the user lets slim change a layer."""
        return self._scope.may_change(layer)

    def rules_about(self, record: FileRecord) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
        """Return the rules that select a file: those switched on for its layer, and the others."""
        return self._selection.about(record)

    def facts_about(self, record: FileRecord) -> tuple[Evidence, ...]:
        """Return what else is known of a file: why it is protected, and who imports it."""
        reason = self._scope.protection(record)
        protected = () if reason is None else (Evidence(kind="protected", text=reason),)
        return (*protected, *self._uses_of(record), *self.facts.imports.importers_of(record.key))

    def _uses_of(self, record: FileRecord) -> tuple[Evidence, ...]:
        """Return what traces tell of the uses of a file."""
        guidance = self.facts.guidance
        if guidance is None:
            return ()
        layer = self.facts.stack.layer(record.layer)
        modules = self.facts.module_index.modules.get(record.key, ())
        used = used_by(record, modules, layer, guidance)
        return () if used is None else (used,)

    def _ask(self, phase: Phase) -> None:
        """Settle what the passes of a phase propose, each knowing what earlier ones removed."""
        for asked in passes_of(phase):
            if not self._proved and asked.schema.uses_graph:
                continue
            for proposal in asked.propose(self._context()):
                self._settle(asked, proposal)
            self._progress.advance()

    def _links(self) -> Links:
        return Links(
            draft=self._draft,
            facts=self.facts,
            scope=self._scope,
            selects=self._selection.would_select,
        )

    def _hold_facts(self) -> None:
        """Find the facts that hold, and take back what they forbid; later passes respect them."""
        asked = {fact for rule in self._selection.rules for fact in rule.unless}
        held = HeldFacts(self.facts, self._config, self._draft.gone).established(asked)
        self._selection.conditions.establish(held)
        refuse_by_facts(self._draft, self._rules, self._selection.conditions)
        self._hold_asked()
        self._draft.hold_units()

    def _hold_asked(self) -> None:
        """Take back what a choice left out and code that stays asks for."""
        choices, draft = self._selection.choices, self._draft
        chosen = {
            key: (rule.choose, choices.value(rule, action.record) or "")
            for key, action in draft.actions.items()
            if (rule := self._rules.get(action.rule)) is not None and rule.choose
        }
        wanted: dict[str, set[str]] = {}
        for name, value in chosen.values():
            wanted.setdefault(name, set()).add(value)
        asked = choices.asked_for(wanted, self.facts.inventory, self.facts.read, draft.gone)
        for key, choice in chosen.items():
            if choice in asked:
                draft.refuse(draft.actions[key], SkipReason.CONDITION, (asked[choice],))

    def _context(self) -> Context:
        return Context(
            facts=self.facts,
            rules=self._selection.rules,
            select=self._selection.select,
            selected=self._selection.selected,
            marked=self._selection.marked,
            strongest=self._selection.strongest,
            settings=self._scope.settings.__getitem__,
            gone=self._draft.gone,
            held=self._scope.holds,
            gpu=self._config.gpu,
            remembered=self._remembered,
            first_looks=self._first_looks,
        )

    def _note_blocked(self) -> None:
        """Refuse what a rule would have taken if it weren't for a fact, unless another took it."""
        for (key, _), (rule, evidence) in self._selection.blocked.items():
            record = self.facts.inventory.records[key[0]][key[1]]
            if self.may_change(record.layer) and key not in self._draft.gone:
                self._draft.skipped[key, rule.id] = Skipped(
                    record=record,
                    pass_name=rule.pass_name,
                    rule=rule.id,
                    reason=SkipReason.CONDITION,
                    evidence=evidence,
                )

    def _settle(self, proposed_by: Pass, proposal: Proposal) -> None:
        record = self.facts.inventory.get(proposal.key)
        if (
            record is None
            or not self.may_change(record.layer)
            or record.type is EntryType.DIRECTORY
        ):
            return
        schema = proposed_by.schema
        if isinstance(proposal, Refusal):
            self._draft.skipped[(record.key, proposal.rule)] = Skipped(
                record=record,
                pass_name=schema.name,
                rule=proposal.rule,
                reason=proposal.reason,
                evidence=proposal.evidence,
            )
            return
        first = self._draft.actions.get(record.key)
        action = _action(record, schema.name, proposal)
        reason = self._scope.protection(record)
        stays = isinstance(action, Remove) or self._scope.is_final(record)
        if self._scope.keeps(record):
            text = "a keep glob of the configuration matches it"
            refused = (SkipReason.KEPT, Evidence(kind="configuration", text=text))
        elif reason is not None and stays and not schema.beats_protection:
            refused = (SkipReason.PROTECTED, Evidence(kind="protected", text=reason))
        elif first is None:
            self._draft.actions[record.key] = action
            return
        else:
            if schema.phase is Phase.REMOVE:
                self._also(first, action)
            return
        if first is None and (record.key, schema.name) not in self._kept:
            self._kept.add((record.key, schema.name))
            self._draft.refuse(action, refused[0], (refused[1],))

    def _also(self, first: Action, action: Action) -> None:
        """Note what another rule wants of a file that goes already, to be judged by itself.

        A rule of the user's comes before a built-in one. One that would be judged like another is
        left out.
        """
        if not isinstance(first, Remove) or not isinstance(action, Remove):
            return
        old, new = self._rules.get(first.rule), self._rules.get(action.rule)
        others = self._draft.others.setdefault(first.record.key, [])
        known = [rule for each in (first, *others) if (rule := self._rules.get(each.rule))]
        if new is None or any(is_judged_alike(rule, new) for rule in known):
            return
        if old is not None and old.builtin and not new.builtin:
            self._draft.actions[first.record.key] = action
            others.insert(0, first)
        else:
            others.append(action)


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
