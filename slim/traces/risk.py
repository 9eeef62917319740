"""Risk that the next run uses what no run of a trace did: judged by leaving out one at a time.

A run whose modules the others all imported would have been safe without a trace of its own. One
that imported more would have missed those modules, unless what stays for other reasons (imports of
what was used, open families) had kept them: so the numbers are bounds from above.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

from slim.model.risk import OwnerRisk, Risk
from slim.model.trace import RunKind, Runs, Trace

_SHOWN = 5
"""Owners that the sentences name."""

Fact = TypeVar("Fact")


def leave_one_out(trace: Trace) -> Risk:
    """Return what single uses of a trace showed and no other run did.

    The install step and logs of canaries count as others, and aren't left out themselves.
    """
    uses = {name for name, run in trace.runs.items() if run.kind is RunKind.USE}
    alone: Counter[str] = Counter()
    owners: list[OwnerRisk] = []
    for layer, owner, used in trace.all_uses():
        modules = _single(used.modules, uses)
        files = [*_single(used.read, uses), *_single(used.natives, uses)]
        alone.update(modules)
        if modules or files:
            owners.append(
                OwnerRisk(
                    layer=layer,
                    owner=owner,
                    runs=tuple(sorted({*modules, *files})),
                    modules=len(modules),
                    files=len(files),
                )
            )
    owners.sort(key=lambda one: (-len(one.runs), -one.modules, -one.files, one.layer, one.owner))
    return Risk(runs={name: alone[name] for name in sorted(uses)}, owners=tuple(owners))


def _single(facts: Mapping[Fact, Runs], uses: Iterable[str]) -> list[str]:
    """Return, for each fact that one run alone showed, that run, if it is among ``uses``."""
    return [run for runs in facts.values() if len(runs) == 1 for run in runs if run in uses]


def risk_sentences(risk: Risk) -> tuple[str, ...]:
    """Return what leave-one-out tells, in sentences for people."""
    if not risk.runs:
        return ("the trace has no use of the product, so nothing is known of the next one",)
    if not risk.known:
        return (
            f"the trace has one use alone ({next(iter(risk.runs))}): how much the next one "
            "needs beside it isn't known",
        )
    total, single = len(risk.runs), len(risk.surprising)
    modules = sum(risk.runs.values())
    if not single:
        return (f"leave-one-out: none of {total} runs imported a module that no other run did",)
    sentences = [
        f"leave-one-out: {single} of {total} runs imported modules that no other run did "
        f"({modules:,} module{'s' if modules != 1 else ''})"
    ]
    named = [one for one in risk.owners if one.modules]
    shown = [
        f"{one.owner.label} in {len(one.runs)} of {total} runs ({one.modules:,})"
        for one in named[:_SHOWN]
    ]
    more = [f"{len(named) - _SHOWN:,} more"] if len(named) > _SHOWN else []
    sentences.append(f"leave-one-out, by distribution: {', '.join([*shown, *more])}")
    return tuple(sentences)
