"""Putting many rows together for people. JSON keeps every row instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from slim.model.finding import Evidence
from slim.model.footprint import FootprintDelta
from slim.model.outcome import RunResult, SincePrevious
from slim.model.plan import Skipped, SkipReason
from slim.model.report import UNTOUCHED
from slim.model.stack import Stack
from slim.reports.common.text import common_place, size


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalGroup:
    """Files that one rule wanted and that stay for the same reason. ``place`` is the file or their common folder
    (a deployed path), ``held`` bytes; ``evidence`` are distinct facts, those seen outside the group
    first."""

    reason: SkipReason
    rule: str
    owner: str
    place: str
    files: int
    held: int
    evidence: tuple[Evidence, ...]


def group_refusals(skipped: Iterable[Skipped]) -> list[RefusalGroup]:
    """Group refusals by reason, layer, owner and rule; the largest first."""
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


def _evidence(items: Sequence[Skipped]) -> tuple[Evidence, ...]:
    """What holds a group from outside says more than its files holding each other."""
    own = {item.record.deployed_path for item in items}
    facts = dict.fromkeys(fact for item in items for fact in item.evidence)
    return tuple(sorted(facts, key=lambda fact: fact.file in own))


def contributors(rows: Sequence[FootprintDelta]) -> list[FootprintDelta]:
    """The rows of an account that changed something, the largest saving first."""
    changed = [row for row in rows if row.saved or row.files_removed or row.files_rewritten]
    return sorted(changed, key=lambda row: (-row.saved, row.label))


def with_untouched(
    rows: Sequence[FootprintDelta], whole: Iterable[FootprintDelta]
) -> list[FootprintDelta]:
    """An account of what was touched, with one more row for the rest of the ``whole``: every byte is visible."""
    everything = list(whole)
    before = sum(row.before for row in everything) - sum(row.before for row in rows)
    files = sum(row.files for row in everything) - sum(row.files for row in rows)
    rest = FootprintDelta(label=UNTOUCHED, before=before, files=files)
    return [*rows, rest] if before or files else list(rows)


def shortener(stack: Stack) -> Callable[[str], str]:
    """Give the function that leaves out what people know of a deployed path: layer and site-packages folder."""
    prefixes = sorted(
        (f"{layer.name}/{folder}/" for layer in stack for folder in layer.site_dirs),
        key=len,
        reverse=True,
    )

    def shorten(path: str) -> str:
        return next(
            (path.removeprefix(prefix) for prefix in prefixes if path.startswith(prefix)), path
        )

    return shorten


_SINCE = {
    SincePrevious.UNCHANGED: "unchanged since previous: 0 new bytes",
    SincePrevious.CHANGED: "changed since previous",
    SincePrevious.REPACKED: "same files as in previous, but another archive",
    SincePrevious.NEW: "not in previous",
}


def since_previous(result: RunResult) -> list[tuple[str, str]]:
    """Each layer with what became of it since it was last published, in words; empty where nobody asked. After a dry
    run no bytes are told for archives that aren't written yet."""
    measured = archives_measured(result)
    return [
        (
            item.layer.name,
            _SINCE[item.since]
            + (f": {size(item.new_bytes)} new" if measured and item.new_bytes else ""),
        )
        for item in result.layers
        if item.since is not None
    ]


def archives_measured(result: RunResult) -> bool:
    """Whether the sizes of the new archives are known: archive bytes are measured after writing, never guessed."""
    return not result.dry_run
