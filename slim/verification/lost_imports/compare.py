"""Imports that were lost between two stacks, whoever made the second one smaller."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from slim.analysis.facts import Facts
from slim.config.settings import Config
from slim.formats.base import Tree
from slim.model.outcome import Check
from slim.model.plan import Plan
from slim.model.record import FileRecord
from slim.model.rule import Phase
from slim.passes import passes_of
from slim.rules.match import RuleMatcher
from slim.verification.forgiven import untraced
from slim.verification.lost_imports.check import find_losses
from slim.verification.lost_imports.forgiveness import Forgiveness


def lost_between(
    facts: Facts,
    trees: Mapping[str, Tree],
    plan: Plan,
    config: Config,
    dropped: Collection[str],
) -> Check:
    """Check ``lost-imports`` of the slimmed ``trees``; ``plan`` tells what isn't in them.

    Which rule took a file isn't known, so the first is named that would.
    """
    matchers = {layer.name: RuleMatcher(config.rules).for_layer(layer) for layer in facts.stack}
    passes = [one.schema.name for one in passes_of(Phase.REMOVE)]

    def read(record: FileRecord) -> memoryview:
        member = trees[record.layer].members.get(record.path)
        content = None if member is None else member.content
        return memoryview(b"") if content is None else content.view()

    def rule_of(record: FileRecord) -> str:
        matcher = matchers[record.layer]
        found = (rule for name in passes for rule in matcher.select(name, record))
        return next((rule.id for rule in found), "")

    unused = frozenset(untraced(facts, plan, config))
    forgiveness = Forgiveness(facts.stack, plan, config.rules, dropped=dropped, unused=unused)
    return find_losses(
        facts.stack,
        facts.inventory,
        plan,
        read,
        original=facts.read,
        rule_of=rule_of,
        forgives=forgiveness.why,
    ).check
