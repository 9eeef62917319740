"""Comparison of a slimmed stack with its original (``slim verify``), whoever made it smaller."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slim import __version__
from slim.analysis.facts import Facts
from slim.config.settings import Config
from slim.errors import ConfigError
from slim.formats.base import Member, Tree
from slim.inventory.load import LoadedStack, load
from slim.inventory.locate import locate
from slim.inventory.located import Located
from slim.model.context import RunContext
from slim.model.finding import EditSpec
from slim.model.guard import is_guard
from slim.model.outcome import Check, LayerOutcome, RunResult, Verification
from slim.model.plan import Action, Plan, Remove, Rewrite
from slim.model.progress import Progress, Silent
from slim.model.record import EntryType, FileKey, FileRecord, Inventory
from slim.model.stack import Stack
from slim.plan.accounts import account, footprints
from slim.plan.guidance import guidance_for
from slim.rules.digest import rules_digest
from slim.sources.fetch import fetched
from slim.system.workspace import workspace
from slim.verification.compare_edits import judge_edits
from slim.verification.dynamic.session import obstacle, sandbox_note, session
from slim.verification.dynamic.targets import find_targets
from slim.verification.forgiven import forgiven
from slim.verification.lost_imports.compare import lost_between
from slim.verification.static import DROP_PASS, check_licences, check_links, check_records

DIFFERENCE = "difference"
"""Pass and rule of what differs: nobody says why it was done."""


@dataclass(frozen=True, kw_only=True)
class VerifyRequest:
    """Two stacks to compare. ``platforms`` limits it to some manifests; empty means all."""

    original: Path
    slimmed: Path
    config: Config
    platforms: tuple[str, ...] = ()


def verify(request: VerifyRequest, progress: Progress | None = None) -> tuple[RunResult, ...]:
    """Check the slimmed stack, one result for each manifest of the original; write nothing.

    Raises ConfigError where the two don't belong together, and the errors of reading.
    """
    with (
        fetched(request.original) as original,
        fetched(request.slimmed) as other,
        workspace() as spool,
    ):
        originals = locate(original, platforms=request.platforms, deployed=True)
        slimmed = locate(other, platforms=request.platforms, deployed=True)
        context = request.config.context(spool, progress or Silent())
        return tuple(
            _verify_one(request, one, _counterpart(one, slimmed, request), context)
            for one in originals
        )


def _counterpart(
    original: Located, slimmed: tuple[Located, ...], request: VerifyRequest
) -> Located:
    """Return the slimmed stack with the same layers; of several, the one for the same platform."""
    names = {layer.name for layer in original.stack}
    found = [one for one in slimmed if {layer.name for layer in one.stack} == names]
    same = [one for one in found if one.stack.platform.tag == original.stack.platform.tag]
    if same or len(found) == 1:
        return (same or found)[0]
    if len(slimmed) == 1 and len(original.stack.layers) == len(slimmed[0].stack.layers) == 1:
        return slimmed[0]  # two plain folders needn't have the same name
    there = "; ".join(", ".join(layer.name for layer in one.stack) for one in slimmed)
    raise ConfigError(
        f"has no stack with the layers {', '.join(sorted(names))}",
        file=request.slimmed,
        hint=f"there is: {there}; give the stack that was made from the original",
    )


def _verify_one(
    request: VerifyRequest, one: Located, other: Located, context: RunContext
) -> RunResult:
    started = time.monotonic()
    with (
        load(one, context, published_only=True) as before,
        load(other, context, published_only=True) as after,
    ):
        inventory = before.inventory
        trees = _matched(before, after)
        digests = _digests(after, trees)
        dropped = {
            spec.name
            for layer in before.stack
            for spec in request.config.settings_for(layer.name).drop
        }
        plan = _plan(inventory, trees, digests, dropped)
        added = tuple(_guards(before, after, trees))
        edits = judge_edits(before, trees, plan)
        with Facts.of(before, guidance_for(request.config, before.stack)) as facts:
            tried = _checks(request, before, trees, plan, dropped, edits.signed, facts)
            static = (
                *_static(before, trees, digests, plan, edits.signed, facts),
                lost_between(facts, trees, plan, request.config, dropped),
                *edits.checks,
            )
        return RunResult(
            stack=before.stack,
            plan=plan,
            accounts=account(inventory, plan, added),
            layers=tuple(_outcomes(before, after, trees, plan, added)),
            verification=replace(tried, checks=(*static, *tried.checks)),
            profile=request.config.profile,
            rules={rule.id: rule for rule in request.config.rules},
            rules_sha256=rules_digest(request.config.rules),
            compared_with=str(request.slimmed),
            elapsed=time.monotonic() - started,
            slim_version=__version__,
            inventory=inventory,
        )


def _matched(before: LoadedStack, after: LoadedStack) -> dict[str, Tree]:
    """Return the slimmed trees under the names of the original's layers."""
    names = [layer.name for layer in before.stack]
    others = [layer.name for layer in after.stack]
    pairs = zip(names, others, strict=True) if len(names) == 1 else ((name, name) for name in names)
    return {name: after.trees[other] for name, other in pairs}


def _digests(after: LoadedStack, trees: Mapping[str, Tree]) -> dict[FileKey, str]:
    """Return SHA-256 of every file of the slimmed stack."""
    found = after.inventory
    by_tree = {id(after.trees[layer.name]): layer.name for layer in after.stack}
    return {
        (name, record.path): record.sha256
        for name, tree in trees.items()
        for record in found.records[by_tree[id(tree)]].values()
    }


def _guards(
    before: LoadedStack, after: LoadedStack, trees: Mapping[str, Tree]
) -> Iterator[FileRecord]:
    """Yield the files of guards that the slimmed layers have and the original ones don't."""
    by_tree = {id(after.trees[layer.name]): layer.name for layer in after.stack}
    for name, tree in trees.items():
        for path, record in after.inventory.records[by_tree[id(tree)]].items():
            if is_guard(path) and path not in before.inventory.records[name]:
                yield replace(record, layer=name)


def _plan(
    inventory: Inventory,
    trees: Mapping[str, Tree],
    digests: Mapping[FileKey, str],
    dropped: set[str],
) -> Plan:
    """Plan that tells what was done, from what there is."""
    actions: dict[FileKey, Action] = {}
    for record in inventory:
        member = trees[record.layer].members.get(record.path)
        if member is None:
            name = DROP_PASS if record.owner.name in dropped else DIFFERENCE
            actions[record.key] = Remove(record=record, pass_name=name, rule=DIFFERENCE)
        elif (
            record.type is EntryType.FILE
            and digests.get(record.key, record.sha256) != record.sha256
        ):
            actions[record.key] = Rewrite(
                record=record,
                pass_name=DIFFERENCE,
                rule=DIFFERENCE,
                edit=EditSpec(editor=DIFFERENCE),
                size_after=member.size,
            )
    return Plan(actions=dict(sorted(actions.items())))


def _members(opened: LoadedStack, trees: Mapping[str, Tree]) -> dict[str, list[Member]]:
    return {layer.name: list(trees[layer.name].members.values()) for layer in opened.stack}


def _checks(
    request: VerifyRequest,
    before: LoadedStack,
    trees: Mapping[str, Tree],
    plan: Plan,
    dropped: set[str],
    signed: Collection[FileKey],
    facts: Facts,
) -> Verification:
    """Run the dynamic checks, where they can run here."""
    config, inventory = request.config, before.inventory
    targets = replace(
        find_targets(before.stack, inventory, before.read, config.verify, dropped),
        signed=_rows(before.stack, signed),
    )
    original = before.members
    why_not = obstacle(before.stack, original)
    if why_not:
        return Verification(untried=(why_not,))
    meant = frozenset(forgiven(facts, plan, config, dropped))
    with session(
        targets,
        original,
        _members(before, trees),
        given_up=meant.__contains__,
        progress=before.context.progress,
        workers=before.context.workers,
    ) as suite:
        checks = suite.check_all()
        untried = (*sandbox_note(suite), *suite.untried)
        return Verification(checks=checks, notes=tuple(suite.notes), untried=untried)


def _rows(stack: Stack, signed: Collection[FileKey]) -> dict[str, frozenset[str]]:
    """Return files as the RECORDs of their layers name them."""
    return {
        layer.name: frozenset(
            posixpath.relpath(path, site)
            for name, path in signed
            if name == layer.name
            for site in layer.site_dirs
        )
        for layer in stack
    }


def _static(
    before: LoadedStack,
    trees: Mapping[str, Tree],
    digests: Mapping[FileKey, str],
    plan: Plan,
    signed: Collection[FileKey],
    facts: Facts,
) -> Iterator[Check]:
    inventory = before.inventory
    before.context.progress.stage("Resolving libraries")
    yield check_links(facts.libraries, inventory, plan)
    yield check_licences(inventory, plan)
    records = Check(name="record", tried=0)
    for layer in before.stack:
        tree = trees[layer.name]
        own = {
            path: digest
            for (name, path), digest in digests.items()
            if name == layer.name and digest
        }
        there = [one for one in inventory.distributions[layer.name].values() if one.info_dir]
        original = inventory.records[layer.name]
        found = check_records(
            layer.name,
            list(tree.members.values()),
            own,
            there,
            original,
            {path for name, path in signed if name == layer.name},
        )
        records = replace(
            records,
            tried=records.tried + found.tried,
            failures=(*records.failures, *found.failures),
        )
    yield records


def _outcomes(
    before: LoadedStack,
    after: LoadedStack,
    trees: Mapping[str, Tree],
    plan: Plan,
    added: Sequence[FileRecord],
) -> Iterator[LayerOutcome]:
    archives = {layer.name: layer.archive for layer in after.stack}
    by_tree = {id(after.trees[layer.name]): layer.name for layer in after.stack}
    for layer in before.stack:
        old, new = footprints(before.inventory, plan, layer.name, added)
        archive = archives.get(layer.name)
        yield LayerOutcome(
            layer=layer,
            before=replace(old, archive=layer.archive.size if layer.archive else 0),
            after=replace(new, archive=archive.size if archive else 0),
            archive_name=archive.name if archive else None,
            archive_sha256=archive.sha256 if archive else None,
            tree_sha256=after.tree_digest(by_tree[id(trees[layer.name])]),
        )
