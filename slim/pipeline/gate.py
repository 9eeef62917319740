"""The gate of the profiles ``aggressive`` and ``guided``: they publish only what was tried.

A rule of such a profile infers under any profile, so the gate stands before one that is enabled by
name as well. A trial is ``--verify`` with a launch command that passes for each application layer;
in a stack without such layers, one for any layer. A report of ``slim verify`` about the same layers
(``--tried``) is a trial as well. ``--unverified`` opens the gate without.
"""

from __future__ import annotations

from collections.abc import Iterable

from slim.config.settings import LayerSettings
from slim.errors import ConfigError
from slim.inventory.located import Located
from slim.model.outcome import Verification
from slim.model.rule import Rule, Safety
from slim.model.stack import Stack
from slim.pipeline.prepare import RunRequest
from slim.plan.guidance import not_started
from slim.verification.dynamic import launch
from slim.verification.dynamic.session import foreign

_INFERS = {
    Safety.AGGRESSIVE: "removes by inference, and publishes only what was tried",
    Safety.GUIDED: "removes what no traced run used, and publishes only what was tried",
}

_NOT_RUN = "nothing was run"


def check_gate(request: RunRequest, located: Iterable[Located]) -> None:
    """Raise ConfigError for a run that would publish what nothing tries, before work begins."""
    for stack in (one.stack for one in located):
        if request.unverified or not needs_trial(request, stack):
            continue
        infers = _infers(request, stack)
        missing = not_started(request.config, stack)
        wanted = _wanted(missing) if missing else ""
        if not request.verify and not request.tried:
            with_command = f" with a {wanted}" if wanted else ""
            raise _refused(infers, request, f"give --verify{with_command}")
        if missing:
            message = f"{infers}: no [[verify.command]] starts {_layers(missing)}"
            raise _refused(message, request, f"add a {wanted}")
        obstacle = None if request.tried else foreign(stack.platform)
        if obstacle:
            instead = "run slim on such a host, or give what slim verify told there as --tried"
            raise _refused(f"{infers}: {obstacle}", request, instead)


def check_tried(request: RunRequest, stack: Stack, tried: Verification) -> None:
    """Raise ConfigError where a trial that was needed couldn't run here."""
    if request.unverified or request.tried or not needs_trial(request, stack) or _launched(tried):
        return
    reasons = (sentence for sentence in tried.untried if sentence.startswith(_NOT_RUN))
    obstacle = next(reasons, _NOT_RUN)
    message = f"{_infers(request, stack)}: {obstacle}"
    raise _refused(message, request, "run slim on a host that can run it")


def is_unverified(request: RunRequest, stack: Stack, tried: Verification) -> bool:
    """Return whether the result is published though the trial that it needs didn't pass."""
    if request.tried or not needs_trial(request, stack):
        return False
    return bool(not_started(request.config, stack)) or not _launched(tried) or not tried.passed


def needs_trial(request: RunRequest, stack: Stack) -> bool:
    """Return whether a run publishes what rules of such a profile make of any layer."""
    if request.dry_run or request.canary:
        return False
    chosen = _settings(request, stack)
    return bool(_profiles(chosen)) or bool(_enabled(request, chosen))


def _settings(request: RunRequest, stack: Stack) -> list[LayerSettings]:
    """Settings of the layers that the run may change."""
    chosen = [
        layer
        for layer in stack
        if not request.layers or {layer.name, layer.layer_name} & set(request.layers)
    ]
    return [request.config.settings_for(layer.name) for layer in chosen]


def _profiles(layers: Iterable[LayerSettings]) -> list[Safety]:
    """The inferring profiles of the layers, the boldest first."""
    return sorted({layer.profile for layer in layers if not layer.skip} & _INFERS.keys())


def _enabled(request: RunRequest, layers: Iterable[LayerSettings]) -> list[Rule]:
    """Rules of such a profile that are enabled by name for any of the layers, by id."""
    inferring = [rule for rule in request.config.rules if rule.safety in _INFERS]
    found = {
        rule.id: rule
        for layer in layers
        for rule in inferring
        if rule.id in layer.enable and layer.applies(rule)
    }
    return [found[name] for name in sorted(found)]


def _infers(request: RunRequest, stack: Stack) -> str:
    """Say what makes a trial necessary."""
    layers = _settings(request, stack)
    for profile in _profiles(layers):
        return f"the profile {profile.label} {_INFERS[profile]}"
    enabled = _enabled(request, layers)
    level = min(rule.safety for rule in enabled)
    rules = ", ".join(rule.id for rule in enabled)
    return f"what is enabled is of the profile {level.label}, which {_INFERS[level]} ({rules})"


def _launched(tried: Verification) -> bool:
    return any(check.name == launch.NAME and check.tried for check in tried.checks)


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
