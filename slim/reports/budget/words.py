"""Words about budgets and their limits, the same in every report of ``slim check``."""

from __future__ import annotations

from dataclasses import dataclass

from slim.model.budget import BudgetResult, LimitKind, LimitResult, Status, Verdict
from slim.model.diff import Metric
from slim.reports.common.growth import number
from slim.reports.common.text import percent, printable

_NOUNS = {
    Metric.ARCHIVE: "archive size",
    Metric.UNPACKED: "unpacked size",
    Metric.DEPLOYED: "deployed size (an estimate)",
    Metric.FILES: "number of files",
    Metric.UPDATE: "download of an update",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exceeded:
    """An exceeded budget with its exceeded ``limits``.

    ``explained`` are those of them whose causes are shown: one for each metric that growth is
    explained in.
    """

    result: BudgetResult
    limits: tuple[LimitResult, ...]
    explained: tuple[LimitResult, ...]


def exceeded_budgets(verdict: Verdict) -> list[Exceeded]:
    """Return every exceeded budget, in the order of the verdict."""
    found = []
    for result in verdict.results:
        limits = tuple(limit for limit in result.limits if limit.status is Status.EXCEEDED)
        explained: dict[Metric, LimitResult] = {}
        for limit in limits:
            explained.setdefault(limit.limit.metric.explained, limit)
        if limits:
            found.append(
                Exceeded(result=result, limits=limits, explained=tuple(explained.values()))
            )
    return found


def limit_text(limit: LimitResult) -> str:
    """Return the most that is allowed: ``42.0 MB``, ``43.1 MB (+2%)``."""
    metric = limit.limit.metric
    if limit.limit.kind is LimitKind.ABSOLUTE:
        return number(metric, limit.limit.value)
    if limit.allowed is None:
        return limit.limit.text
    return f"{number(metric, limit.allowed)} ({limit.limit.text})"


def actual_text(limit: LimitResult) -> str:
    """Return the size now; in full where rounding would make it equal to the exceeded limit."""
    if limit.actual is None:
        return "not measured"
    metric = limit.limit.metric
    words = number(metric, limit.actual)
    exceeded = limit.status is Status.EXCEEDED and limit.allowed is not None
    if exceeded and metric is not Metric.FILES and words == number(metric, limit.allowed or 0):
        return f"{limit.actual:,} B"
    return words


def baseline_text(limit: LimitResult) -> tuple[str, str]:
    """Return the size of the baseline, and the change since then; both empty if there is none."""
    if limit.before is None or limit.actual is None:
        return "", ""
    return number(limit.limit.metric, limit.before), percent(limit.before, limit.actual)


def exceeded_text(result: BudgetResult, limit: LimitResult) -> str:
    """Return one exceeded limit as a sentence.

    ``download: archive size is 43.0 MB, 1.0 MB over the limit of 42.0 MB``.
    """
    metric = limit.limit.metric
    words = (
        f"{printable(result.title)}: {_NOUNS[metric]} is {actual_text(limit)}, "
        f"{number(metric, limit.over)} over the limit of {limit_text(limit)}"
    )
    if limit.before is None:
        return words
    change = percent(limit.before, limit.actual or 0)
    words += f"; the baseline has {number(metric, limit.before)}"
    return f"{words} ({change})" if change else words
