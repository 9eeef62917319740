"""Differences between two traces."""

from __future__ import annotations

from collections.abc import Collection

from slim.model.trace import Trace, Uses
from slim.model.trace_results import TraceComparison, UseChange


def compare(before: Trace, after: Trace, names: tuple[str, str]) -> TraceComparison:
    """Return what differs between two traces; ``names`` are their files.

    Which runs used what both have isn't compared.
    """
    owners = sorted({(layer, owner.name) for layer, owner in (*before.uses, *after.uses)})
    changes = (_change(before, after, layer, name) for layer, name in owners)
    old, new = _members(before), _members(after)
    return TraceComparison(
        before=names[0],
        after=names[1],
        runs_added=_more(after.runs, before.runs),
        runs_removed=_more(before.runs, after.runs),
        witnesses=_witnesses(before, after),
        changes=tuple(change for change in changes if change is not None),
        families_added=_more(new, old),
        families_removed=_more(old, new),
    )


def _more(one: Collection[str], other: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(set(one) - set(other)))


def _members(trace: Trace) -> set[str]:
    return {f"{prefix}: {member}" for prefix in trace.families for member in trace.members(prefix)}


def _witnesses(before: Trace, after: Trace) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for name in sorted(before.runs.keys() & after.runs.keys()):
        old, new = before.runs[name].witnesses, after.runs[name].witnesses
        for platform in sorted(old.keys() | new.keys()):
            words = tuple(", ".join(sorted(table.get(platform, ()))) for table in (old, new))
            if words[0] != words[1]:
                found[f"{name} on {platform}"] = (words[0], words[1])
    return found


def _change(before: Trace, after: Trace, layer: str, name: str) -> UseChange | None:
    old, new = (_of(trace, layer, name) for trace in (before, after))
    if old == new:
        return None
    used, using = ({use for uses in table.values() for use in uses} for table in (old, new))
    return UseChange(
        layer=layer,
        name=name,
        before=tuple(sorted(old)),
        after=tuple(sorted(new)),
        added=_more(using, used),
        removed=_more(used, using),
    )


def _of(trace: Trace, layer: str, name: str) -> dict[str, frozenset[str]]:
    """Return the uses of an owner's versions, as words."""
    return {
        owner.version: frozenset(_words(uses))
        for (there, owner), uses in trace.uses.items()
        if there == layer and owner.name == name
    }


def _words(uses: Uses) -> list[str]:
    return [
        *(f"module {name}" for name in uses.modules),
        *(f"read {path}" for path in uses.read),
        *(f"folder {path}" for path in uses.folders),
        *(f"native {path} on {platform}" for platform, path in uses.natives),
    ]
