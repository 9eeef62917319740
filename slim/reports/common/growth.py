"""Words for growth, the same in every report about budgets and differences."""

from __future__ import annotations

from collections.abc import Sequence

from slim.model.budget import BudgetResult, LimitKind, LimitResult, Status, Verdict
from slim.model.diff import Change, Metric, OwnerChange, PlaceChange, PlaceKind, Remark
from slim.model.footprint import Footprint
from slim.model.size import format_size
from slim.reports.common.text import count, percent, printable

_CATEGORIES = 3
_NOUNS = {
    Metric.ARCHIVE: "archive size",
    Metric.UNPACKED: "unpacked size",
    Metric.DEPLOYED: "deployed size (an estimate)",
    Metric.FILES: "number of files",
    Metric.UPDATE: "download of an update",
}
_KINDS = {PlaceKind.NEW: "new", PlaceKind.GONE: "gone", PlaceKind.CHANGED: "changed"}


def content_metric(metric: Metric) -> Metric:
    """What growth is told in: archive bytes can't be split among owners, the bytes in them can."""
    return Metric.UNPACKED if metric is Metric.ARCHIVE else metric


def amount(metric: Metric, value: int) -> str:
    """``1.2 MB``, or ``12 files``."""
    return count(value, "file") if metric is Metric.FILES else format_size(value)


def number(metric: Metric, value: int) -> str:
    """``1.2 MB``, or ``12`` where it is clear that files are counted."""
    return f"{value:,}" if metric is Metric.FILES else format_size(value)


def signed(metric: Metric, value: int) -> str:
    """``+1.2 MB``, ``-12 files``, ``0 B``."""
    return f"+{amount(metric, value)}" if value > 0 else amount(metric, value)


def owner_text(change: OwnerChange, metric: Metric, arrow: str = "->") -> str:
    """One owner's growth on one line: ``pandas 3.1.0 -> 3.1.1 +1.2 MB: tests``."""
    by = content_metric(metric)
    told = f"{printable(change.name)}{versions_text(change, arrow)} {signed(by, change.delta(by))}"
    names = main_categories(change, by)
    return f"{told}: {', '.join(names)}" if names else told


def versions_text(change: OwnerChange, arrow: str = "->") -> str:
    """`` 3.1.0 -> 3.1.1``, `` 3.1.1``, `` 3.1.1 (new)``: what follows an owner's name."""
    old, new = ", ".join(change.versions_before), ", ".join(change.versions_after)
    if change.before is None:
        return printable(f" {new} (new)" if new else " (new)")
    if change.after is None:
        return printable(f" {old} (gone)" if old else " (gone)")
    if old == new:
        return printable(f" {new}" if new else "")
    return printable(f" {old or 'none'} {arrow} {new or 'none'}")


def main_categories(change: OwnerChange, metric: Metric) -> list[str]:
    """The categories that the change mostly is in: each at least a tenth of the largest, three at most."""
    whole = change.delta(metric)
    sign = -1 if whole < 0 else 1
    parts = sorted(
        ((sign * item.delta(metric), item.label) for item in change.categories),
        key=lambda part: (-part[0], part[1]),
    )
    return [label for part, label in parts[:_CATEGORIES] if part > 0 and part * 10 >= parts[0][0]]


def place_text(place: PlaceChange) -> str:
    """``new pandas/tests/  12 files, +1.2 MB``; folders of layer and site-packages are left out."""
    told = f"{_KINDS[place.kind]} {printable(short_place(place.place))}"
    files = f"{count(place.files, 'file')}, " if place.files > 1 else ""
    return f"{told}  {files}{signed(Metric.UNPACKED, place.delta)}"


def remark_text(remark: Remark) -> str:
    """An explanation on one line, with the file it is about."""
    return printable(f"{remark.text}: {short_place(remark.place)}" if remark.place else remark.text)


def short_place(place: str) -> str:
    """Leave out what people know of a deployed path."""
    for folder in ("/site-packages/", "/dist-packages/"):
        _, found, rest = place.partition(folder)
        if found and rest:
            return rest
    return place


def limit_text(item: LimitResult) -> str:
    """The limit as the most that is allowed: ``42.0 MB``, ``43.1 MB (+2%)``."""
    metric = item.limit.metric
    if item.limit.kind is LimitKind.ABSOLUTE:
        return number(metric, item.limit.value)
    if item.allowed is None:
        return item.limit.text
    return f"{number(metric, item.allowed)} ({item.limit.text})"


def exceeded_text(result: BudgetResult, item: LimitResult) -> str:
    """One exceeded limit as a sentence: ``download: archive size is 43.0 MB, 1.0 MB over the limit of 42.0 MB``."""
    metric = item.limit.metric
    over = f"{item.over:,}" if metric is Metric.FILES else format_size(item.over)
    told = f"{printable(result.title)}: {_NOUNS[metric]} is {exact(metric, item)}, {over} over the limit of "
    told += limit_text(item)
    if item.before is not None:
        change = percent(item.before, item.actual or 0)
        told += (
            f"; the baseline has {number(metric, item.before)}{f' ({change})' if change else ''}"
        )
    return told


def exceeded_results(
    verdict: Verdict,
) -> list[tuple[BudgetResult, list[LimitResult], list[LimitResult]]]:
    """Every budget that is exceeded, its exceeded limits, and those of them whose causes are worth telling: one for
    each metric that growth is told in."""
    found = []
    for result in verdict.results:
        over = [item for item in result.limits if item.status is Status.EXCEEDED]
        telling: dict[Metric, LimitResult] = {}
        for item in over:
            telling.setdefault(content_metric(item.limit.metric), item)
        if over:
            found.append((result, over, list(telling.values())))
    return found


def exact(metric: Metric, item: LimitResult) -> str:
    """What there is now; in full where rounding would make it look like the limit."""
    if item.actual is None:
        return "not measured"
    told = number(metric, item.actual)
    if (
        item.status is Status.EXCEEDED
        and item.allowed is not None
        and told == number(metric, item.allowed)
    ):
        return f"{item.actual:,} B" if metric is not Metric.FILES else told
    return told


def cause_lines(
    owners: Sequence[OwnerChange], metric: Metric, *, most: int, arrow: str = "->"
) -> list[tuple[int, str]]:
    """What grew, with where and why below each: (depth, line)."""
    lines: list[tuple[int, str]] = []
    for owner in owners[:most]:
        lines.append((0, owner_text(owner, metric, arrow)))
        lines += [(1, remark_text(remark)) for remark in owner.remarks[:4]]
        lines += [(1, place_text(place)) for place in owner.places[:3] if place.delta > 0]
    if len(owners) > most:
        rest = owners[most:]
        by = content_metric(metric)
        total = sum(owner.delta(by) for owner in rest)
        lines.append((0, f"{len(rest)} more: {signed(by, total)}"))
    return lines


def change_cells(change: Change, metric: Metric, arrow: str) -> tuple[str, str, str]:
    """``33.8 MB -> 34.0 MB``, ``+200.0 kB``, ``+1%`` of one row."""
    before, after = metric.of(change.before or Footprint()), metric.of(change.after or Footprint())
    delta = signed(metric, after - before) if after != before else ""
    if change.before is None:
        return (f"new {arrow} {amount(metric, after)}", delta, "")
    if change.after is None:
        return (f"{amount(metric, before)} {arrow} gone", delta, "")
    return (
        f"{amount(metric, before)} {arrow} {amount(metric, after)}",
        delta,
        percent(before, after),
    )
