"""Removed files whose absence ``slim verify`` forgives: those that rules or traces let go."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from slim.analysis.facts import Facts
from slim.analysis.families import open_families
from slim.analysis.unused import LayerUses, Unused, judge, layer_uses
from slim.config.settings import Config
from slim.model.plan import Plan
from slim.model.record import FileKey, FileRecord
from slim.model.rule import Phase, Safety
from slim.passes import passes_of
from slim.passes.guided import GUIDED_PASS
from slim.rules.match import LayerMatcher, RuleMatcher


def forgiven(
    facts: Facts, plan: Plan, config: Config, dropped: Collection[str]
) -> Iterator[FileKey]:
    """Yield removed files that a built-in rule of any profile selects, or that the user drops.

    ``dropped`` are the distributions that the user lists under ``drop``. The rule of the profile
    guided selects every module of a layer, so in a layer of that profile the traces say of each
    whether it may go; in others it forgives nothing.
    """
    builtin = RuleMatcher(rule for rule in config.rules if rule.builtin)
    gone = frozenset(key for key in plan.actions if plan.removes(key))
    unused = frozenset(untraced(facts, plan, config))
    names = (one.schema.name for one in passes_of(Phase.REMOVE))
    passes = [name for name in names if name != GUIDED_PASS]
    for layer in facts.stack:
        matcher = builtin.for_layer(layer)
        for record in facts.inventory.records[layer.name].values():
            if record.key in gone and (
                record.owner.name in dropped
                or record.key in unused
                or any(matcher.select(name, record) for name in passes)
            ):
                yield record.key


def untraced(facts: Facts, plan: Plan, config: Config) -> Iterator[FileKey]:
    """Yield removed files that the traces let go, in layers of the profile guided."""
    if facts.guidance is None:
        return
    builtin = RuleMatcher(rule for rule in config.rules if rule.builtin)
    gone = frozenset(key for key in plan.actions if plan.removes(key))
    for layer in facts.stack:
        if config.settings_for(layer.name).profile is Safety.GUIDED:
            matcher = builtin.for_layer(layer)
            uses = layer_uses(facts.guidance, layer, open_families(facts.families, gone))
            for record in facts.inventory.records[layer.name].values():
                if record.key in gone and _unused(facts, matcher, record, uses):
                    yield record.key


def _unused(facts: Facts, matcher: LayerMatcher, record: FileRecord, uses: LayerUses) -> bool:
    """Return whether the traces let a file go."""
    if not matcher.select(GUIDED_PASS, record):
        return False
    modules = facts.module_index.modules.get(record.key, ())
    return isinstance(judge(record, modules, uses), Unused)
