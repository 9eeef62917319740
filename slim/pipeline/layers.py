"""The second half of a run: what a plan makes of each layer is checked, written, read back and noted."""

from __future__ import annotations

from dataclasses import replace

from slim import __version__
from slim.model.context import RunContext
from slim.model.outcome import Check, LayerOutcome, SincePrevious
from slim.model.stack import Layer
from slim.pipeline.prepare import RunRequest
from slim.pipeline.previous import Previous, noted_tree, reused_archive
from slim.plan.planned import PlannedStack
from slim.publish.layers import NextLayer, next_layer, read_back, true_records
from slim.publish.notes import SLIM_KEY, compression_note
from slim.publish.publisher import Publisher, WrittenLayer


def _carrying(planned: PlannedStack, one: NextLayer, rules_sha256: str) -> NextLayer:
    carry = _carries(planned, one.new.layer, rules_sha256, one.tree_sha256)
    return replace(one, new=replace(one.new, carry=carry))


def _carries(planned: PlannedStack, layer: Layer, rules_sha256: str, tree_sha256: str) -> bool:
    """Whether the source archive can stand as it is: nothing in it changes, and it may not change at all, or this
    very slim with these very rules wrote it."""
    if any(key[0] == layer.name for key in planned.plan.actions):
        return False
    if layer.name not in planned.layers:
        return True
    note = layer.entry.get(SLIM_KEY)
    return isinstance(note, dict) and (
        note.get("version"),
        note.get("rules_sha256"),
        note.get("tree_sha256"),
    ) == (
        __version__,
        rules_sha256,
        tree_sha256,
    )


def write_layers(
    request: RunRequest,
    planned: PlannedStack,
    publisher: Publisher | None,
    rules_sha256: str,
    context: RunContext,
    previous: Previous | None = None,
) -> tuple[tuple[LayerOutcome, ...], tuple[Check, ...]]:
    """Write and read back every layer (after a dry run: only count)."""
    stack = planned.loaded.stack
    coming = [_carrying(planned, next_layer(planned, layer), rules_sha256) for layer in stack]
    # What may not change is carried over as it is, with whatever its RECORDs say.
    records = true_records(
        [one for one in coming if one.new.layer.name in planned.layers], planned.loaded.inventory
    )
    if previous is not None:
        coming = [_keeping(request, previous, one, context) for one in coming]
    if publisher is None or not records.passed:
        return tuple(_outcome(one, None, previous) for one in coming), (records,)
    written = publisher.write_layers(stack, [one.new for one in coming], context)
    published = read_back(written, coming, context)
    outcomes = tuple(
        _outcome(one, done, previous) for one, done in zip(coming, written, strict=True)
    )
    if published.passed:
        notes = {
            one.new.layer.name: _note(request, one, done, outcome, rules_sha256)
            for one, done, outcome in zip(coming, written, outcomes, strict=True)
            if not one.new.carry
        }
        publisher.write_manifest(stack, written, notes)
    return outcomes, (records, published)


def _keeping(
    request: RunRequest, previous: Previous, one: NextLayer, context: RunContext
) -> NextLayer:
    """The layer with what was published before, where that is the same."""
    reused = reused_archive(
        previous.find(one.new.layer),
        one.tree_sha256,
        request.config.format or one.new.source_format,
        context,
    )
    return replace(one, new=replace(one.new, reused=reused))


def _outcome(one: NextLayer, done: WrittenLayer | None, previous: Previous | None) -> LayerOutcome:
    archive = done.archive if done is not None else None
    return LayerOutcome(
        layer=one.new.layer,
        before=one.before,
        after=replace(one.after, archive=archive.size if archive else 0),
        archive_name=archive.name if archive else None,
        archive_sha256=archive.sha256 if archive else None,
        tree_sha256=one.tree_sha256,
        reused=one.new.carry,
        since=None if previous is None else _since(one, done, previous),
    )


def _since(one: NextLayer, done: WrittenLayer | None, previous: Previous) -> SincePrevious:
    before = previous.find(one.new.layer)
    if before is None:
        return SincePrevious.NEW
    reused = one.new.reused
    if done.reused if done is not None else reused is not None and reused.place is not None:
        return SincePrevious.UNCHANGED
    return (
        SincePrevious.REPACKED
        if noted_tree(before.layer) == one.tree_sha256
        else SincePrevious.CHANGED
    )


def _note(
    request: RunRequest,
    one: NextLayer,
    done: WrittenLayer,
    outcome: LayerOutcome,
    rules_sha256: str,
) -> dict[str, object]:
    """What goes into the manifest: enough to tell what was done, and that nothing has to be done again."""
    reused = one.new.reused if done.reused else None
    written = compression_note(outcome.archive_name, request.config.effort)
    return {
        **(written if reused is None else reused.compression),
        "version": __version__,
        "profile": request.config.settings_for(one.new.layer.name).profile.label,
        "rules_sha256": rules_sha256,
        "tree_sha256": one.tree_sha256,
        "archive_size": {"before": outcome.before.archive, "after": outcome.after.archive},
        "unpacked_size": {"before": outcome.before.unpacked, "after": outcome.after.unpacked},
        "deployed_size_estimate": {
            "before": outcome.before.deployed,
            "after": outcome.after.deployed,
        },
    }
