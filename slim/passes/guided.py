"""Modules that no traced run of the product used.

Each is judged by :mod:`slim.analysis.unused`; what stays for being imported by something that stays
is for the planner's import proof to say. Data, whole distributions and shared libraries don't go by
this pass: the first never, the second by ``drop``, the third by the library graph once nothing that
stays needs them.
"""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterable, Iterator, Mapping

from slim.analysis.families import OpenFamily, open_families
from slim.analysis.unused import Stays, Unused, Verdict, judge, layer_uses
from slim.model.finding import Evidence, Finding
from slim.model.guided import Guidance
from slim.model.plan import SkipReason
from slim.model.record import EntryType, FileKind, FileRecord
from slim.model.rule import PassSchema, Rule, Verb
from slim.passes.base import Context, Proposal, Refusal
from slim.system.syntax import parsed

GUIDED_PASS = "guided"
MODULES = (".py", ".so", ".pyd")
"""Suffixes of Python sources and extension modules."""
_LARGEST = 4096
"""Bytes of the largest source that may have no code."""
_PACKAGE_OF_DATA = Evidence(
    kind="trace", text="data is in its folder, which this makes a package: it has no code itself"
)


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
        with_data = {
            posixpath.dirname(record.path)
            for record in context.inventory.records[layer.name].values()
            if record.kind is FileKind.DATA and record.key not in context.gone
        }
        for record in context.inventory.records[layer.name].values():
            rule = selected.get(record.key) or _of_data(record, own)
            if rule is None or record.type is not EntryType.FILE or context.held(record):
                continue
            if record.key in context.gone and not record.path.endswith(".py"):
                continue
            modules = context.facts.module_index.modules.get(record.key, ())
            verdict = judge(record, modules, uses)
            if (
                isinstance(verdict, Unused)
                and posixpath.dirname(record.path) in with_data
                and any(module.package for module in modules)
                and _has_no_code(context, record)
            ):
                verdict = Stays(reason=SkipReason.DATA, evidence=_PACKAGE_OF_DATA)
            yield record, rule, verdict


def _has_no_code(context: Context, record: FileRecord) -> bool:
    """Return whether a source is blank, but for comments and a docstring."""
    if record.size > _LARGEST:
        return False
    try:
        tree = parsed(bytes(context.read(record)), newer=False)
    except (SyntaxError, ValueError):
        return False
    return all(
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in tree.body
    )


def _of_data(record: FileRecord, rules: Iterable[Rule]) -> Rule | None:
    """Return the rule under which a data file is refused; None for what can be imported."""
    if record.path.endswith(MODULES):
        return None
    return next(iter(rules), None)
