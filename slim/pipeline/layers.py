"""The second half of a run: new layers are checked, written, read back and noted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from slim import __version__
from slim.formats.ahead import Ahead
from slim.formats.digests import contents_digest
from slim.model.context import RunContext
from slim.model.outcome import Check, LayerOutcome, RestPack, SincePrevious
from slim.model.plan import Plan
from slim.model.stack import Layer, Stack
from slim.pipeline.guess import Guess
from slim.pipeline.prepare import RunRequest
from slim.pipeline.previous import Previous, noted_tree, reused_archive
from slim.pipeline.way_back import pack_note
from slim.plan.gpu import NOTE_KEY as GPU_KEY
from slim.plan.gpu import manifest_note
from slim.plan.planned import PlannedStack
from slim.publish.layers import (
    NextLayer,
    next_layer,
    read_back,
    times_compared,
    together,
    true_records,
)
from slim.publish.notes import SLIM_KEY, compression_note
from slim.publish.publisher import Publisher, WrittenLayer


def _carrying(
    planned: PlannedStack, state: NextLayer, rules_sha256: str, *, unverified: bool
) -> NextLayer:
    carry = _carries(planned, state.new.layer, rules_sha256, state.tree_sha256, unverified)
    return replace(state, new=replace(state.new, carry=carry))


def _carries(
    planned: PlannedStack, layer: Layer, rules_sha256: str, tree_sha256: str, unverified: bool
) -> bool:
    """True if the source archive can stand as it is.

    Nothing in it changes, and either it may not change at all, or this very slim with these very
    rules wrote it.
    """
    if any(key[0] == layer.name for key in planned.plan.actions):
        return False
    if layer.name not in planned.layers:
        return True
    note = layer.entry.get(SLIM_KEY)
    return isinstance(note, dict) and (
        note.get("version"),
        note.get("rules_sha256"),
        note.get("tree_sha256"),
        note.get("unverified", False),
    ) == (
        __version__,
        rules_sha256,
        tree_sha256,
        unverified,
    )


def write_layers(
    request: RunRequest,
    planned: PlannedStack,
    publisher: Publisher | None,
    rules_sha256: str,
    context: RunContext,
    previous: Previous | None = None,
    *,
    unverified: bool = False,
    packs: Mapping[str, tuple[RestPack, ...]] = MappingProxyType({}),
    guess: Guess | None = None,
) -> tuple[tuple[LayerOutcome, ...], tuple[Check, ...]]:
    """Write and read back every layer; without a ``publisher``, only count.

    ``unverified``: the manifest says that nothing tried what the profile infers. ``packs`` are the
    rest packs, by layer. ``guess`` has compressed some of what is written already.
    Returns each layer's outcome, and the checks of what was to be written and of what was.
    """
    stack = planned.loaded.stack
    states = [
        _carrying(planned, next_layer(planned, layer), rules_sha256, unverified=unverified)
        for layer in stack
    ]
    # What may not change is carried over as it is, with whatever its RECORDs say.
    records = true_records(
        [state for state in states if state.new.layer.name in planned.layers],
        planned.loaded.inventory,
    )
    if previous is not None:
        states = [_reusing(request, previous, state, context) for state in states]
    if publisher is None or not records.passed:
        return tuple(_outcome(request, state, None, previous, packs) for state in states), (
            records,
        )
    ahead = None if guess is None else guess.settled(planned.plan, [state.new for state in states])
    written, published = _written(publisher, stack, states, context, ahead)
    outcomes = tuple(
        _outcome(request, state, result, previous, packs)
        for state, result in zip(states, written, strict=True)
    )
    if published.passed:
        notes = {
            state.new.layer.name: {
                **_note(request, state, result, outcome, rules_sha256, planned.plan),
                **({"unverified": True} if unverified else {}),
            }
            for state, result, outcome in zip(states, written, outcomes, strict=True)
            if not state.new.carry
        }
        publisher.write_manifest(stack, written, notes)
    return outcomes, (records, published)


def _written(
    publisher: Publisher,
    stack: Stack,
    states: Sequence[NextLayer],
    context: RunContext,
    ahead: Ahead | None,
) -> tuple[list[WrittenLayer], Check]:
    """Write the layers, and read them back. What a cache gave wrongly is written all the same."""
    written = publisher.write_layers(stack, [state.new for state in states], context, ahead)
    checks = read_back(written, states, context)
    for at, copy in enumerate(written):
        if copy.from_cache and not checks[at].passed:
            written[at] = publisher.rewrite(stack, copy, checks[at].failures[0], context)
            checks[at] = read_back([written[at]], [states[at]], context)[0]
    published = together(checks)
    if publisher.cache is not None and published.passed:
        for copy in written:
            if copy.key is not None and copy.archive is not None and not copy.cached:
                publisher.cache.store(copy.key, copy.place, copy.archive, copy.blocks)
    return written, published


def _reusing(
    request: RunRequest, previous: Previous, state: NextLayer, context: RunContext
) -> NextLayer:
    """The layer with the archive of ``previous``, where that holds the same tree."""
    reused = reused_archive(
        previous.find(state.new.layer),
        state.tree_sha256,
        request.config.format or state.new.source_format,
        context,
    )
    return replace(state, new=replace(state.new, reused=reused))


def _outcome(
    request: RunRequest,
    state: NextLayer,
    written: WrittenLayer | None,
    previous: Previous | None,
    packs: Mapping[str, tuple[RestPack, ...]],
) -> LayerOutcome:
    archive = written.archive if written is not None else None
    times = written is not None and times_compared(written)
    contents = ""
    if archive is not None:
        contents = contents_digest(state.new.members, state.digests, times=times)
    return LayerOutcome(
        layer=state.new.layer,
        before=state.before,
        after=replace(state.after, archive=archive.size if archive else 0),
        archive_name=archive.name if archive else None,
        archive_sha256=archive.sha256 if archive else None,
        tree_sha256=state.tree_sha256,
        contents_sha256=contents,
        times_compared=times,
        reused=state.new.carry,
        cached=written is not None and written.cached,
        since=None if previous is None else _since(state, written, previous),
        guarded=0 if request.canary else state.guarded,
        watched=state.guarded if request.canary else 0,
        rest_packs=packs.get(state.new.layer.name, ()),
    )


def _since(state: NextLayer, written: WrittenLayer | None, previous: Previous) -> SincePrevious:
    before = previous.find(state.new.layer)
    if before is None:
        return SincePrevious.NEW
    reused = state.new.reused
    if written.reused if written is not None else reused is not None and reused.place is not None:
        return SincePrevious.UNCHANGED
    return (
        SincePrevious.REPACKED
        if noted_tree(before.layer) == state.tree_sha256
        else SincePrevious.CHANGED
    )


def _note(
    request: RunRequest,
    state: NextLayer,
    result: WrittenLayer,
    outcome: LayerOutcome,
    rules_sha256: str,
    plan: Plan,
) -> dict[str, object]:
    """The note in the manifest: what was done, so that a later run sees that nothing is left."""
    reused = state.new.reused if result.reused else None
    gpu = _gpu_note(request, state, plan)
    compression = compression_note(outcome.archive_name, request.config.effort)
    return {
        **(compression if reused is None else reused.compression),
        "version": __version__,
        "profile": request.config.settings_for(state.new.layer.name).profile.label,
        "rules_sha256": rules_sha256,
        "tree_sha256": state.tree_sha256,
        **({GPU_KEY: gpu} if gpu else {}),
        "archive_size": {"before": outcome.before.archive, "after": outcome.after.archive},
        "unpacked_size": {"before": outcome.before.unpacked, "after": outcome.after.unpacked},
        "deployed_size_estimate": {
            "before": outcome.before.deployed,
            "after": outcome.after.deployed,
        },
        **({"guarded_modules": outcome.guarded} if outcome.guarded else {}),
        **({"canary": True, "watched_modules": outcome.watched} if outcome.watched else {}),
        **pack_note(outcome.rest_packs),
    }


def _gpu_note(request: RunRequest, state: NextLayer, plan: Plan) -> object:
    """The note about a layer's GPU code: of this run, or of an earlier one."""
    note = manifest_note(request.config.gpu, plan, state.new.layer.name)
    earlier = state.new.layer.entry.get(SLIM_KEY)
    return note or (earlier.get(GPU_KEY) if isinstance(earlier, dict) else None)
