"""Warnings and notes of a plan that takes out GPU code."""

from __future__ import annotations

from collections.abc import Iterator

from slim.binaries.gpu.recompress import DRIVERS
from slim.config.settings import Config
from slim.model.gpu_target import GpuSettings
from slim.model.plan import Plan, Rewrite
from slim.model.record import Inventory
from slim.passes.gpu_code import EDITOR, is_nvidias

NOTE_KEY = "gpu"
"""Key of slim's note in the manifest about a layer's GPU code."""


def gpu_warnings(config: Config, plan: Plan) -> Iterator[str]:
    """Yield what to see to before GPU code goes; nothing without ``[gpu]``."""
    if config.gpu is None:
        return
    edited = list(_edited(plan))
    if not edited:
        yield (
            f"{config.origin or 'configuration'}: gpu: no library holds GPU code that slim can "
            "take out, or compress again"
        )
        return
    number = f"{len(edited)} {'library' if len(edited) == 1 else 'libraries'}"
    yield (
        f"[gpu] changes the loaded code of {number}. slim checks what it can without a GPU, and "
        "hasn't run any of it on one: try the result on each of your devices"
    )
    if any(action.edit.options.get("recompress") for action in edited):
        yield (
            "[gpu] recompress: GPU code becomes Zstandard, which NVIDIA's drivers read from "
            f"{DRIVERS} on; on older ones the libraries fail"
        )


def gpu_notes(plan: Plan, inventory: Inventory) -> Iterator[str]:
    """Yield which of NVIDIA's own libraries are changed."""
    owners = {
        inventory.records[layer][path].owner.label
        for layer, path in (action.record.key for action in _edited(plan))
        if is_nvidias(inventory.records[layer][path])
    }
    if owners:
        yield (
            "NVIDIA's libraries are changed, because nvidia_licence_allows is true: "
            f"{', '.join(sorted(owners))}"
        )


def manifest_note(settings: GpuSettings | None, plan: Plan, layer: str) -> dict[str, object]:
    """Return what the manifest says of a layer whose GPU code changes; empty for any other."""
    if settings is None or not any(action.record.layer == layer for action in _edited(plan)):
        return {}
    names = [str(target) for target in settings.targets]
    packed = any(
        action.record.layer == layer and action.edit.options.get("recompress")
        for action in _edited(plan)
    )
    return {
        **({"architectures": names} if names else {}),
        **({"recompressed": True, "drivers": DRIVERS} if packed else {}),
    }


def _edited(plan: Plan) -> Iterator[Rewrite]:
    for action in plan.actions.values():
        if isinstance(action, Rewrite) and action.edit.editor == EDITOR:
            yield action
