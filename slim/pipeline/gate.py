"""The gate of the profile ``aggressive``: what it infers is published only after it was tried.

A rule of that profile infers under any profile, so the gate stands before one that is enabled by
name as well. A trial is ``--verify`` with a launch command that passes for each application layer;
in a stack without such layers, one for any layer. ``--unverified`` opens the gate without.
"""

from __future__ import annotations

from collections.abc import Iterable

from slim.config.settings import LayerSettings
from slim.errors import ConfigError
from slim.inventory.located import Located
from slim.model.outcome import Verification
from slim.model.rule import Safety
from slim.model.stack import LayerKind, Stack
from slim.pipeline.prepare import RunRequest
from slim.verification.dynamic import launch
from slim.verification.dynamic.session import foreign

_INFERS = "removes by inference, and publishes only what was tried"

_NOT_RUN = "nothing was run"


def check_gate(request: RunRequest, located: Iterable[Located]) -> None:
    """Raise ConfigError for a run that would publish what nothing tries, before work begins."""
    for stack in (one.stack for one in located):
        if request.unverified or not needs_trial(request, stack):
            continue
        infers = _infers(request, stack)
        missing = _missing(request, stack)
        wanted = _wanted(missing) if missing else ""
        if not request.verify:
            with_command = f" with a {wanted}" if wanted else ""
            raise _refused(infers, request, f"give --verify{with_command}")
        if missing:
            message = f"{infers}: no [[verify.command]] starts {_layers(missing)}"
            raise _refused(message, request, f"add a {wanted}")
        obstacle = foreign(stack.platform)
        if obstacle:
            raise _refused(f"{infers}: {obstacle}", request, "run slim on such a host")


def check_tried(request: RunRequest, stack: Stack, tried: Verification) -> None:
    """Raise ConfigError where a trial that was needed couldn't run here."""
    if request.unverified or not needs_trial(request, stack) or _launched(tried):
        return
    reasons = (sentence for sentence in tried.untried if sentence.startswith(_NOT_RUN))
    obstacle = next(reasons, _NOT_RUN)
    message = f"{_infers(request, stack)}: {obstacle}"
    raise _refused(message, request, "run slim on a host that can run it")


def is_unverified(request: RunRequest, stack: Stack, tried: Verification) -> bool:
    """Return whether the result is published though the trial that it needs didn't pass."""
    if not needs_trial(request, stack):
        return False
    return bool(_missing(request, stack)) or not _launched(tried) or not tried.passed


def needs_trial(request: RunRequest, stack: Stack) -> bool:
    """Return whether a run publishes what rules of the profile ``aggressive`` make of any layer."""
    if request.dry_run or request.canary:
        return False
    chosen = _settings(request, stack)
    return any(_is_aggressive(layer) for layer in chosen) or bool(_enabled(request, chosen))


def _settings(request: RunRequest, stack: Stack) -> list[LayerSettings]:
    """Settings of the layers that the run may change."""
    chosen = [
        layer
        for layer in stack
        if not request.layers or {layer.name, layer.layer_name} & set(request.layers)
    ]
    return [request.config.settings_for(layer.name) for layer in chosen]


def _is_aggressive(layer: LayerSettings) -> bool:
    return not layer.skip and layer.profile >= Safety.AGGRESSIVE


def _enabled(request: RunRequest, layers: Iterable[LayerSettings]) -> list[str]:
    """Rules of the profile ``aggressive`` that are enabled by name for any of the layers."""
    inferring = [rule for rule in request.config.rules if rule.safety >= Safety.AGGRESSIVE]
    found = {
        rule.id
        for layer in layers
        for rule in inferring
        if rule.id in layer.enable and layer.applies(rule)
    }
    return sorted(found)


def _infers(request: RunRequest, stack: Stack) -> str:
    """Say what makes a trial necessary."""
    layers = _settings(request, stack)
    if any(_is_aggressive(layer) for layer in layers):
        return f"the profile aggressive {_INFERS}"
    rules = ", ".join(_enabled(request, layers))
    return f"what is enabled is of the profile aggressive, which {_INFERS} ({rules})"


def _launched(tried: Verification) -> bool:
    return any(check.name == launch.NAME and check.tried for check in tried.checks)


def _missing(request: RunRequest, stack: Stack) -> tuple[str, ...]:
    """Layers that no command starts; an empty name where no layer is an application's."""
    started = {command.layer for command in request.config.verify.commands}
    applications = [layer for layer in stack if layer.kind is LayerKind.APPLICATION]
    if not applications:
        return () if started else ("",)
    return tuple(
        layer.name for layer in applications if not {layer.name, layer.layer_name} & started
    )


def _wanted(missing: tuple[str, ...]) -> str:
    return f"[[verify.command]] for {_layers(missing)}"


def _layers(names: tuple[str, ...]) -> str:
    if not any(names):
        return "any layer"
    return f"layer {', '.join(names)}"


def _refused(message: str, request: RunRequest, instead: str) -> ConfigError:
    return ConfigError(
        message,
        file=request.source,
        hint=f"{instead}; or give --unverified to publish it all the same",
    )
