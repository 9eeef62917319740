"""Bytes that a client which has the baseline downloads to get a stack. Pure.

A layer costs nothing where the client has it: the same archive, or one with the very same files.
Otherwise it costs its archive, or, where there is a delta between the two stacks, what that has for
it.
"""

from __future__ import annotations

from dataclasses import replace

from slim.errors import ConfigError
from slim.model.delta import Delta, LayerDelta, LayerState, StackDelta
from slim.model.diff import MeasuredLayer, Snapshot

_HINT = "make it again: slim delta BASELINE OUT -o D"


def with_updates(snapshot: Snapshot, earlier: Snapshot, delta: Delta | None = None) -> Snapshot:
    """The stack with the bytes that an update from ``earlier`` downloads, layer by layer.

    None where that isn't known.

    Raises ConfigError where ``delta`` isn't one from ``earlier`` to this stack.
    """
    before = {layer.layer_name: layer for layer in earlier.layers}
    if len(earlier.layers) == len(snapshot.layers) == 1:
        before = {snapshot.layers[0].layer_name: earlier.layers[0]}
    stack = None if delta is None else _stack(delta, snapshot)
    layers = tuple(
        replace(layer, update=_update(layer, before.get(layer.layer_name), stack))
        for layer in snapshot.layers
    )
    return replace(snapshot, layers=layers)


def _stack(delta: Delta, snapshot: Snapshot) -> StackDelta:
    for stack in delta.stacks:
        if stack.platform == snapshot.platform or len(delta.stacks) == 1:
            return stack
    platforms = ", ".join(stack.platform for stack in delta.stacks)
    raise ConfigError(
        f"the delta has nothing for {snapshot.platform}",
        file=snapshot.source,
        hint=f"there is: {platforms}",
    )


def _update(
    layer: MeasuredLayer, before: MeasuredLayer | None, stack: StackDelta | None
) -> int | None:
    if stack is not None:
        changes = {change.name: change for change in stack.layers if change.new is not None}
        own = changes.get(layer.name) or (
            next(iter(changes.values())) if len(changes) == 1 else None
        )
        return _download(layer, before, own)
    if not layer.footprint.archive:
        return None
    if before is None:
        return layer.footprint.archive
    known = [
        (mine, other)
        for mine, other in (
            (layer.archive_sha256, before.archive_sha256),
            (layer.tree_sha256, before.tree_sha256),
        )
        if mine and other
    ]
    if not known:
        return None
    return 0 if any(mine == other for mine, other in known) else layer.footprint.archive


def _download(layer: MeasuredLayer, before: MeasuredLayer | None, change: LayerDelta | None) -> int:
    """Bytes that the delta has for the layer. Raises ConfigError where it isn't for it."""
    if (
        change is None
        or not _is(layer, change.new)
        or (before is not None and not _is(before, change.old))
    ):
        raise ConfigError(
            f"the delta isn't one from the baseline to this layer {layer.name!r}",
            file=layer.name,
            hint=_HINT,
        )
    return change.download


def _is(layer: MeasuredLayer, state: LayerState | None) -> bool:
    """True if a measured layer is the one that a delta speaks of."""
    if state is None:
        return False
    if layer.archive_sha256 and state.archive is not None:
        return layer.archive_sha256 == state.archive.sha256
    return not layer.tree_sha256 or layer.tree_sha256 == state.tree_sha256
