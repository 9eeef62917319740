"""Rows put together for people. JSON keeps every row instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from slim.model.finding import Evidence
from slim.model.outcome import RunResult, SincePrevious
from slim.model.plan import Skipped, SkipReason
from slim.model.size import format_size
from slim.reports.common.text import common_place


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalGroup:
    """Files that one rule wanted and that stay for the same reason.

    ``place`` is the file or their common folder (a deployed path), ``held`` their bytes;
    ``evidence`` are distinct facts, those seen outside the group first.
    """

    reason: SkipReason
    rule: str
    owner: str
    place: str
    files: int
    held: int
    evidence: tuple[Evidence, ...]


def group_refusals(skipped: Iterable[Skipped]) -> list[RefusalGroup]:
    """Return refusals grouped by reason, layer, owner and rule; the largest first."""
    found: dict[tuple[str, str, str, str], list[Skipped]] = {}
    for item in sorted(
        skipped, key=lambda item: (item.record.key, item.pass_name, item.rule, item.reason)
    ):
        key = (item.reason.value, item.record.layer, item.record.owner.label, item.rule)
        found.setdefault(key, []).append(item)
    groups = [
        RefusalGroup(
            reason=items[0].reason,
            rule=items[0].rule,
            owner=items[0].record.owner.label,
            place=common_place([item.record.deployed_path for item in items]),
            files=len(items),
            held=sum(item.held for item in items),
            evidence=_evidence(items),
        )
        for items in found.values()
    ]
    return sorted(
        groups,
        key=lambda group: (-group.held, -group.files, group.place, group.rule, group.reason.value),
    )


def files_and_bytes(groups: Iterable[RefusalGroup]) -> tuple[int, int]:
    """Return how many files groups have, and how many bytes they hold."""
    members = list(groups)
    return sum(group.files for group in members), sum(group.held for group in members)


def _evidence(items: Sequence[Skipped]) -> tuple[Evidence, ...]:
    """Return distinct facts; those from outside the group first, because they say more."""
    own = {item.record.deployed_path for item in items}
    facts = dict.fromkeys(fact for item in items for fact in item.evidence)
    return tuple(sorted(facts, key=lambda fact: fact.file in own))


_SINCE = {
    SincePrevious.UNCHANGED: "unchanged since previous: 0 new bytes",
    SincePrevious.CHANGED: "changed since previous",
    SincePrevious.REPACKED: "same files as in previous, but another archive",
    SincePrevious.NEW: "not in previous",
}


def cache_words(result: RunResult) -> str:
    """Say how many archives are from a cache of results, or all of the run."""
    assert result.cache is not None
    if result.cache.whole:
        return "the whole run is from"
    known = [layer for layer in result.layers if layer.archive_name is not None]
    taken = sum(layer.cached for layer in known)
    words = f"{taken} of {len(known)} archives are from"
    return f"rechecked: {words}" if result.cache.rechecked else words


def since_previous(result: RunResult) -> list[tuple[str, str]]:
    """Return each layer with what became of it since it was last published, in words.

    Empty where nobody asked. After a dry run there are no bytes of new archives.
    """
    measured = archives_measured(result)
    return [
        (
            item.layer.name,
            _SINCE[item.since]
            + (f": {format_size(item.new_bytes)} new" if measured and item.new_bytes else ""),
        )
        for item in result.layers
        if item.since is not None
    ]


def archives_measured(result: RunResult) -> bool:
    """Return whether the sizes of new archives are known: they are measured, never guessed."""
    return not result.dry_run
