"""Check ``unimportable``: no module that was cut could be imported in the original.

Each is tried in its own layer and in every layer that loads it. What could be imported was cut by
mistake, and the cut is taken back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from slim.analysis.imports.modules import ModuleIndex, dotted
from slim.model.outcome import Check
from slim.model.plan import Plan, Rewrite
from slim.model.stack import Stack
from slim.model.verify import Broken, Subject
from slim.passes.cut_module import EDITOR
from slim.verification.dynamic import imports
from slim.verification.dynamic.deploy import Deployment
from slim.verification.dynamic.imports import Imported

NAME: Final = "unimportable"
_WORKED: Final = "worked"


def subjects(plan: Plan, stack: Stack, index: ModuleIndex) -> frozenset[Subject]:
    """Return the modules that a plan cuts, once for each layer that they can be imported in."""
    found: set[Subject] = set()
    for key, action in plan.actions.items():
        if isinstance(action, Rewrite) and action.edit.editor == EDITOR:
            for module in index.modules.get(key, ()):
                for layer in stack:
                    if key[0] in (layer.name, *layer.requires):
                        name = dotted(module.name)
                        found.add(Subject(check=NAME, layer=layer.name, name=name))
    return frozenset(found)


def check(
    wanted: Sequence[Subject],
    original: Deployment,
    tried: Mapping[Subject, Imported],
    observed: dict[Subject, Imported],
    *,
    timeout: float,
    workers: int,
    advance: Callable[[int], None],
) -> Check:
    """Try what wasn't tried yet in the original; what was goes into ``observed``.

    ``tried`` are the outcomes of the check ``imports``.
    """
    started = time.monotonic()
    for one in wanted:
        known = tried.get(Subject(check=imports.NAME, layer=one.layer, name=one.name))
        if known is not None:
            observed.setdefault(one, known)
    left = [one for one in wanted if one not in observed]
    found = imports.observe(
        {"before": original}, left, timeout=timeout, workers=workers, advance=advance
    )
    observed.update(found["before"])
    broken = tuple(
        Broken(subject=one, before=_WORKED, after="it was cut, but the original can import it")
        for one in wanted
        if observed[one].ok
    )
    return Check(
        name=NAME,
        tried=len(wanted),
        failures=tuple(map(str, broken)),
        note="modules that were cut: the original can't import them either",
        elapsed=time.monotonic() - started,
        broken=broken,
    )


def still_broken(
    wanted: Sequence[Subject],
    deployment: Deployment,
    observed: Mapping[Subject, Imported],
    *,
    timeout: float,
    workers: int,
) -> list[Broken]:
    """List those of the modules that could be imported in the original and can't now."""
    now = imports.observe({"after": deployment}, wanted, timeout=timeout, workers=workers)["after"]
    return [
        Broken(subject=one, before=_WORKED, after=text)
        for one in wanted
        if (text := imports.lost(observed[one], now[one]))
    ]
