"""Running one pass over a make-believe stack with rules made on the spot."""

from __future__ import annotations

from collections.abc import Callable

from slim.config.settings import LayerSettings
from slim.model.finding import Finding
from slim.model.record import FileKey, FileRecord
from slim.model.rule import Rule, Safety
from slim.passes.base import Context, Pass, Proposal, Refusal
from slim.rules.match import RuleMatcher
from tests.support.virtual_stacks import VirtualStack


def rule(pass_name: str, name: str = "all", **changes: object) -> Rule:
    """A rule of a pass that selects every file."""
    values: dict[str, object] = {
        "id": name,
        "pass_name": pass_name,
        "reason": "",
        "safety": Safety.STANDARD,
    }
    return Rule(**(values | changes))  # type: ignore[arg-type]


def propose(
    one: Pass,
    made: VirtualStack,
    *rules: Rule,
    gone: frozenset[FileKey] = frozenset(),
    held: Callable[[FileRecord], bool] = lambda _: False,
    settings: Callable[[str], LayerSettings] = lambda _: LayerSettings(),
) -> list[Proposal]:
    """What the pass proposes."""
    matchers = {layer.name: RuleMatcher(rules).for_layer(layer) for layer in made.stack}
    context = Context(
        facts=made.facts,
        rules=rules,
        select=lambda name, record: matchers[record.layer].select(name, record),
        selected=lambda name: (
            found
            for layer, files in made.inventory.records.items()
            for found in matchers[layer].selected(name, files.values())
        ),
        marked=lambda name, record: matchers[record.layer].marked(name, record),
        strongest=lambda name, record: next(
            iter(matchers[record.layer].select(name, record)), None
        ),
        gone=gone,
        held=held,
        settings=settings,
    )
    return list(one.propose(context))


def findings(proposals: list[Proposal]) -> dict[str, Finding]:
    """What is proposed, by deployed path."""
    return {"/".join(item.key): item for item in proposals if isinstance(item, Finding)}


def refusals(proposals: list[Proposal]) -> dict[str, Refusal]:
    """What is declined, by deployed path."""
    return {"/".join(item.key): item for item in proposals if isinstance(item, Refusal)}
