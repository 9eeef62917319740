"""Modules of Qt that the user didn't choose: extension modules, libraries, plug-ins, QML modules.

Rules say which files may go, and to which modules plug-ins and data belong. What the chosen modules
need stays, and so does what anything outside of Qt imports, links or names
(:mod:`slim.analysis.qt.closure`).
"""

from __future__ import annotations

from collections.abc import Iterable

from slim.analysis.qt.closure import Candidate, QtUse
from slim.model.finding import Evidence, Finding
from slim.model.plan import SkipReason
from slim.model.record import FileRecord
from slim.model.rule import OptionSchema, PassSchema, Rule, Safety, Verb
from slim.passes.base import Context, Proposal, Refusal
from slim.rules.match import GlobSet

_REASONS = {
    "needed": SkipReason.LINKED,
    "qml": SkipReason.REFERENCED,
    "form": SkipReason.REFERENCED,
}

SCHEMA = PassSchema(
    name="qt",
    summary="modules of Qt (PySide6, PyQt6) that the user didn't choose, and nothing needs",
    verb=Verb.REMOVE,
    options={
        "modules": OptionSchema(
            type=tuple,
            default=(),
            help="modules of Qt that the files belong to; without any, a file stays where all that "
            "it links or imports of Qt does",
        ),
    },
    uses_graph=True,
    computes_choice=True,
)


class QtModules:
    """The pass ``qt``."""

    @property
    def schema(self) -> PassSchema:
        """Name, verb and options."""
        return SCHEMA

    def concerns(self, _record: FileRecord) -> bool:
        """True: its rules name the files."""
        return True

    def propose(self, context: Context) -> Iterable[Proposal]:
        """Propose what nothing needs, and refuse what something outside of Qt does."""
        selected = {
            record.key: rules[0]
            for record, rules in context.selected(SCHEMA.name)
            if rules[0].choose and record.key not in context.gone
        }
        if not selected:
            return
        records = context.inventory.records
        use = QtUse(
            context.facts,
            [
                Candidate(record=records[key[0]][key[1]], modules=_modules(rule))
                for key, rule in selected.items()
            ],
            gone=context.gone,
            held=context.held,
            weak_counts=lambda layer: context.settings(layer).profile is not Safety.AGGRESSIVE,
            accepted=_Accepted(context),
        )
        kept = use.kept()
        evidence = (Evidence(kind="choice", text="belongs to modules that weren't chosen"),)
        for key, rule in sorted(selected.items()):
            record = records[key[0]][key[1]]
            if key not in kept or context.held(record):
                # The planner says why a file stays that is held.
                yield Finding(key=key, rule=rule.id, evidence=evidence)
            elif kept[key]:
                reason = _REASONS.get(kept[key][0].kind, SkipReason.IMPORTED)
                yield Refusal(key=key, rule=rule.id, reason=reason, evidence=kept[key])


class _Accepted:
    """Tells whether the imports of a file hold nothing: a rule's ``despite`` names it."""

    def __init__(self, context: Context) -> None:
        globs = GlobSet(
            glob for rule in context.rules if rule.pass_name == SCHEMA.name for glob in rule.despite
        )
        self._patterns = {layer.name: globs.for_layer(layer) for layer in context.stack}

    def __call__(self, record: FileRecord) -> bool:
        pattern = self._patterns[record.layer]
        return pattern is not None and pattern.match(record.path) is not None


def _modules(rule: Rule) -> frozenset[str]:
    named = rule.options.get("modules", ())
    return frozenset(named if isinstance(named, tuple) else ())
