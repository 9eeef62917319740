"""Whole distributions that no run used, with who imports them and what would fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from slim.analysis.facts import Facts
from slim.inventory.load import LoadedStack
from slim.model.finding import Evidence, Strength
from slim.model.record import Distribution, FileKey, Owner, OwnerKind
from slim.model.trace import RunKind, Trace, Uses, layer_key
from slim.model.trace_results import TraceSummary, UnusedOwner
from slim.passes.packages import Requirements
from slim.traces.risk import leave_one_out


def summarise(
    trace: Trace, source: str, loaded: Iterable[LoadedStack] = (), notes: tuple[str, ...] = ()
) -> TraceSummary:
    """Return what a trace tells, with the distributions that nobody used.

    Of ``loaded`` stacks (one a platform) come their sizes and importers. Distributions that only
    the install step used are used.
    """
    if not any(run.kind is RunKind.USE for run in trace.runs.values()):
        return TraceSummary(source=source, trace=trace, notes=notes)
    unused = [
        UnusedOwner(layer=layer, owner=owner)
        for layer, owner, uses in trace.all_uses()
        if owner.kind is OwnerKind.DISTRIBUTION and not _is_used(uses)
    ]
    of_stack = False
    for stack in loaded:
        unused, of_stack = _with_stack(unused, stack), True
    unused.sort(key=lambda one: (-(one.size or 0), one.layer, one.owner))
    return TraceSummary(
        source=source,
        trace=trace,
        unused=tuple(unused),
        of_stack=of_stack,
        risk=leave_one_out(trace),
        notes=notes,
    )


def _is_used(uses: Uses) -> bool:
    """Return whether more of a distribution was used than its metadata."""
    if uses.modules or uses.natives:
        return True
    return any(".dist-info/" not in path for path in uses.read)


def _with_stack(unused: list[UnusedOwner], loaded: LoadedStack) -> list[UnusedOwner]:
    """Return those that the stack holds, with their sizes and who wants them."""
    inventory = loaded.inventory
    layers = {layer_key(layer): layer.name for layer in loaded.stack}
    requirements = Requirements(loaded.stack, inventory)
    sizes: Counter[tuple[str, Owner]] = Counter()
    for record in inventory:
        sizes[record.layer, record.owner] += record.size
    found: list[tuple[UnusedOwner, Distribution]] = []
    for one in unused:
        name = layers.get(one.layer, "")
        distribution = inventory.distributions.get(name, {}).get(one.owner.name)
        if distribution is not None and distribution.owner == one.owner:
            found.append((one, distribution))
    keys: dict[FileKey, int] = {
        (distribution.layer, path): number
        for number, (_, distribution) in enumerate(found)
        for path in distribution.files
    }
    own = [
        {f"{distribution.layer}/{path}" for path in distribution.files} for _, distribution in found
    ]
    importers: list[dict[tuple[str, int | None], Evidence]] = [{} for _ in found]
    with Facts.of(loaded) as facts:
        for key, evidence in facts.imports.importers_of_each(keys).items():
            number = keys[key]
            for item in evidence:
                if item.file is not None and item.file not in own[number]:
                    importers[number].setdefault((item.file, item.line), item)
    return [
        replace(
            one,
            size=sizes[distribution.layer, distribution.owner],
            importers=tuple(
                sorted(
                    importers[number].values(),
                    key=lambda item: (
                        item.strength is not Strength.STRONG,
                        item.file or "",
                        item.line or 0,
                    ),
                )
            ),
            required_by=tuple(
                evidence.text for evidence in requirements.on(distribution, frozenset())
            ),
        )
        for number, (one, distribution) in enumerate(found)
    ]
