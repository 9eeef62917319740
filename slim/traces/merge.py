"""Merging of traces: the union of what they tell, the same in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from slim.errors import ConfigError
from slim.model.trace import Runs, Trace, TracedRun, Uses

Key = TypeVar("Key")
Value = TypeVar("Value")


def merge(traces: Iterable[Trace]) -> Trace:
    """Return one trace of several: the same in whatever order they come, and however often.

    A run with the same name is the same run. Of its witnesses on one platform those count that each
    recording there had. Raises ConfigError where a name stands for runs of different kinds.
    """
    merged = Trace()
    for trace in traces:
        merged = Trace(
            runs=_union(merged.runs, trace.runs, _same_run),
            uses=_union(merged.uses, trace.uses, _both),
            families=_union(
                merged.families,
                trace.families,
                lambda one, other: _union(one, other, _facts),
            ),
        )
    return merged


def _union(
    one: Mapping[Key, Value], other: Mapping[Key, Value], both: Callable[[Value, Value], Value]
) -> dict[Key, Value]:
    found = dict(one)
    for key, value in other.items():
        found[key] = both(found[key], value) if key in found else value
    return found


def _same_run(one: TracedRun, other: TracedRun) -> TracedRun:
    if one.kind is not other.kind:
        kinds = sorted((one.kind.value, other.kind.value))
        raise ConfigError(
            f"the run {one.name!r} is {kinds[0]} in one trace and {kinds[1]} in another",
            hint="record one of them under another name",
        )
    return TracedRun(
        name=one.name,
        kind=one.kind,
        witnesses=_union(one.witnesses, other.witnesses, frozenset.intersection),
    )


def _both(one: Uses, other: Uses) -> Uses:
    return Uses(
        modules=_facts(one.modules, other.modules),
        read=_facts(one.read, other.read),
        folders=_facts(one.folders, other.folders),
        natives=_facts(one.natives, other.natives),
    )


def _facts(one: Mapping[Key, Runs], other: Mapping[Key, Runs]) -> dict[Key, Runs]:
    return _union(one, other, frozenset.union)
