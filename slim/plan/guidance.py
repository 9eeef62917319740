"""Traces of a run: read where a layer's settings go by them, and put beside the stack."""

from __future__ import annotations

from slim.config.settings import Config
from slim.errors import ConfigError
from slim.model.guard import GUARD_NEEDS
from slim.model.guided import Guidance
from slim.model.rule import Safety
from slim.model.settings import BytecodePolicy, RestPolicy
from slim.model.stack import LayerKind, Stack
from slim.traces.merge import merge
from slim.traces.read import read_trace


def guidance_for(config: Config, stack: Stack) -> Guidance | None:
    """Return what traces tell of a stack; None where nothing goes by traces.

    Raises ConfigError where something does and no trace is given, and the errors of reading them.
    """
    wanted = _wanted(config, stack)
    if wanted is None:
        return None
    if not config.guided.traces:
        raise ConfigError(
            f"{wanted} goes by traces of what the product uses, and there is none",
            file=config.origin,
            hint="record one with slim trace STACK -o slim.trace, then give --trace slim.trace, or "
            "list it under [guided] traces",
        )
    return Guidance(
        trace=merge(read_trace(path) for path in config.guided.traces),
        closed=config.guided.closed,
        unstarted=_unstarted(config, stack),
        guarded=config.has_guard,
        needed=GUARD_NEEDS if _has_packs(config) else frozenset(),
    )


def _has_packs(config: Config) -> bool:
    """Return whether a guard may be handed rest packs to unpack."""
    return config.has_guard and config.rest_packs is not RestPolicy.NONE


def not_started(config: Config, stack: Stack) -> tuple[str, ...]:
    """Layers that no command starts; an empty name where no layer is an application's."""
    started = {command.layer for command in config.verify.commands}
    applications = [layer for layer in stack if layer.kind is LayerKind.APPLICATION]
    if not applications:
        return () if started else ("",)
    return tuple(
        layer.name for layer in applications if not {layer.name, layer.layer_name} & started
    )


def _wanted(config: Config, stack: Stack) -> str | None:
    """Return which of the settings goes by traces, in words; None where none does."""
    guided = {rule.id for rule in config.rules if rule.safety is Safety.GUIDED}
    for layer in stack:
        settings = config.settings_for(layer.name)
        if settings.skip:
            continue
        if settings.profile is Safety.GUIDED:
            return "the profile guided"
        enabled = sorted(guided & settings.enable)
        if enabled:
            return f"the rule {enabled[0]}"
        if settings.bytecode is BytecodePolicy.TRACED:
            return 'bytecode = "traced"'
    return None


def _unstarted(config: Config, stack: Stack) -> frozenset[str]:
    """Return the layers that an application uses which no command starts."""
    missing = frozenset(not_started(config, stack))
    if missing == {""}:
        return frozenset(layer.name for layer in stack)
    return missing.union(
        name
        for layer in stack
        if layer.kind is LayerKind.APPLICATION and layer.name in missing
        for name in layer.requires
    )
