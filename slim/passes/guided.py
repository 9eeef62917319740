"""Modules that no traced run of the product used.

Each is judged by :mod:`slim.analysis.unused`; what stays for being imported by something that stays
is for the planner's import proof to say. Data, whole distributions and shared libraries don't go by
this pass: the first never, the second by ``drop``, the third by the library graph once nothing that
stays needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from slim.analysis.families import OpenFamily, open_families
from slim.analysis.unused import Unused, Verdict, judge, layer_uses
from slim.model.finding import Finding
from slim.model.guided import Guidance
from slim.model.record import EntryType, FileRecord
from slim.model.rule import PassSchema, Rule, Verb
from slim.passes.base import Context, Proposal, Refusal

GUIDED_PASS = "guided"
MODULES = (".py", ".so", ".pyd")
"""Suffixes of Python sources and extension modules."""


class Guided:
    """The pass ``guided``."""

    schema = PassSchema(
        name=GUIDED_PASS,
        summary="modules that no traced run of the product used",
        verb=Verb.REMOVE,
    )

    def concerns(self, record: FileRecord) -> bool:
        """True for Python sources and extension modules."""
        return record.path.endswith(MODULES)

    def propose(self, context: Context) -> Iterable[Proposal]:
        """Propose each module that no run used; refuse what the traces can't vouch for.

        A family counts here if it is opened by code that stays in any case. What others open is for
        the planner to hold, once it knows whether they stay.
        """
        guidance = context.facts.guidance
        rules = [rule for rule in context.rules if rule.pass_name == GUIDED_PASS]
        if guidance is None or not rules:
            return
        unused = {
            record.key
            for record, _, verdict in _judged(context, rules, guidance, {})
            if isinstance(verdict, Unused)
        }
        families = open_families(context.facts.families, context.gone | unused)
        for record, rule, verdict in _judged(context, rules, guidance, families):
            if isinstance(verdict, Unused):
                yield Finding(key=record.key, rule=rule.id, evidence=(verdict.evidence,))
            elif verdict is not None and record.key not in context.gone:
                yield Refusal(
                    key=record.key,
                    rule=rule.id,
                    reason=verdict.reason,
                    evidence=(verdict.evidence,),
                )


def _judged(
    context: Context,
    rules: list[Rule],
    guidance: Guidance,
    families: Mapping[str, OpenFamily],
) -> Iterator[tuple[FileRecord, Rule, Verdict]]:
    """Yield each file that a rule is about with that rule, and what traces tell of it."""
    selected = {record.key: found[0] for record, found in context.selected(GUIDED_PASS)}
    for layer in context.stack:
        own = [rule for rule in rules if context.settings(layer.name).applies(rule)]
        if not own:
            continue
        uses = layer_uses(guidance, layer, families)
        for record in context.inventory.records[layer.name].values():
            rule = selected.get(record.key) or _of_data(record, own)
            if rule is None or record.type is not EntryType.FILE or context.held(record):
                continue
            if record.key in context.gone and not record.path.endswith(".py"):
                continue
            modules = context.facts.module_index.modules.get(record.key, ())
            yield record, rule, judge(record, modules, uses)


def _of_data(record: FileRecord, rules: Iterable[Rule]) -> Rule | None:
    """Return the rule under which a data file is refused; None for what can be imported."""
    if record.path.endswith(MODULES):
        return None
    return next(iter(rules), None)
