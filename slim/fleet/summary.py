"""Sums of the results of a run, which are what a fleet keeps of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slim.model.fleet import (
    FleetDelta,
    FleetLayer,
    RefusalSum,
    RuleSum,
    TaskCost,
    TaskResult,
    TaskStatus,
)
from slim.model.outcome import LayerOutcome, RunResult
from slim.model.plan import Skipped

_WARNINGS = 20
"""Most warnings of a task."""


def summarise(
    results: Sequence[RunResult], deltas: tuple[FleetDelta, ...], *, status: TaskStatus
) -> TaskResult:
    """Return the result of a task from the results of its run; who it is about, the plan knows."""
    warnings = [warning for result in results for warning in result.plan.warnings]
    warnings += [f"cache: {note}" for one in results if one.cache for note in one.cache.notes]
    shown = warnings[:_WARNINGS]
    if len(warnings) > len(shown):
        shown.append(f"{len(warnings) - len(shown)} more warnings")
    return TaskResult(
        stack="",
        platform="",
        source="",
        status=status,
        layers=tuple(_layer(layer) for result in results for layer in result.layers),
        rules=_rules(results),
        refusals=_refusals(skipped for result in results for skipped in result.plan.skipped),
        deltas=deltas,
        warnings=tuple(shown),
        cost=TaskCost(
            cached_layers=sum(
                layer.cached or (result.cache is not None and result.cache.whole)
                for result in results
                for layer in result.layers
            ),
            cached_run=any(result.cache is not None and result.cache.whole for result in results),
        ),
    )


def _layer(outcome: LayerOutcome) -> FleetLayer:
    archive = outcome.layer.archive
    return FleetLayer(
        name=outcome.layer.name,
        kind=outcome.layer.kind.value,
        before=outcome.before,
        after=outcome.after,
        sha256_before=archive.sha256 if archive is not None else "",
        sha256_after=outcome.archive_sha256 or "",
        since=outcome.since.value if outcome.since is not None else "",
    )


def _rules(results: Iterable[RunResult]) -> tuple[RuleSum, ...]:
    found: dict[str, tuple[int, int]] = {}
    for result in results:
        for action in result.plan.actions.values():
            saved, files = found.get(action.rule, (0, 0))
            found[action.rule] = (saved + action.saved, files + 1)
    return tuple(
        RuleSum(rule=rule, saved=saved, files=files)
        for rule, (saved, files) in sorted(found.items())
    )


def _refusals(skipped: Iterable[Skipped]) -> tuple[RefusalSum, ...]:
    found: dict[tuple[str, str], list[Skipped]] = {}
    for item in skipped:
        found.setdefault((item.rule, item.reason.value), []).append(item)
    return tuple(
        RefusalSum(
            rule=rule,
            reason=reason,
            held=sum(item.held for item in items),
            files=len(items),
            example=_example(items),
        )
        for (rule, reason), items in sorted(found.items())
    )


def _example(items: Sequence[Skipped]) -> str:
    largest = max(items, key=lambda item: (item.held, item.record.key))
    words = largest.evidence[0].text if largest.evidence else ""
    path = largest.record.deployed_path
    return f"{path}: {words}" if words else path
