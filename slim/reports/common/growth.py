"""Words for growth, the same in every report about budgets and differences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slim.model.diff import Change, Metric, OwnerChange, PlaceChange, PlaceKind, Remark
from slim.model.footprint import Footprint
from slim.model.size import format_size
from slim.reports.common.text import count, percent, printable

_CATEGORIES = 3
_REMARKS = 4
_PLACES = 3
_KINDS = {PlaceKind.NEW: "new", PlaceKind.GONE: "gone", PlaceKind.CHANGED: "changed"}


def amount(metric: Metric, value: int) -> str:
    """Return ``1.2 MB``, or ``12 files``."""
    return count(value, "file") if metric is Metric.FILES else format_size(value)


def number(metric: Metric, value: int) -> str:
    """Return ``1.2 MB``, or ``12`` where it is clear that files are counted."""
    return f"{value:,}" if metric is Metric.FILES else format_size(value)


def signed(metric: Metric, value: int) -> str:
    """Return ``+1.2 MB``, ``-12 files``, ``0 B``."""
    return f"+{amount(metric, value)}" if value > 0 else amount(metric, value)


def owner_text(change: OwnerChange, metric: Metric, arrow: str = "->") -> str:
    """Return one owner's growth on one line: ``pandas 3.1.0 -> 3.1.1 +1.2 MB: tests``."""
    metric = metric.explained
    growth = signed(metric, change.delta(metric))
    words = f"{printable(change.name)}{versions_text(change, arrow)} {growth}"
    categories = main_categories(change, metric)
    return f"{words}: {', '.join(categories)}" if categories else words


def versions_text(change: OwnerChange, arrow: str = "->") -> str:
    """Return what follows an owner's name: `` 3.1.0 -> 3.1.1``, `` 3.1.1``, `` 3.1.1 (new)``."""
    old, new = ", ".join(change.versions_before), ", ".join(change.versions_after)
    if change.before is None:
        return printable(f" {new} (new)" if new else " (new)")
    if change.after is None:
        return printable(f" {old} (gone)" if old else " (gone)")
    if old == new:
        return printable(f" {new}" if new else "")
    return printable(f" {old or 'none'} {arrow} {new or 'none'}")


def main_categories(change: OwnerChange, metric: Metric) -> list[str]:
    """Return the categories that most of a change is in.

    These are three at most, and each is at least a tenth of the largest.
    """
    sign = -1 if change.delta(metric) < 0 else 1
    parts = sorted(
        ((sign * category.delta(metric), category.label) for category in change.categories),
        key=lambda part: (-part[0], part[1]),
    )
    return [label for part, label in parts[:_CATEGORIES] if part > 0 and part * 10 >= parts[0][0]]


def place_text(place: PlaceChange) -> str:
    """Return ``new pandas/tests/  12 files, +1.2 MB``, without layer and site-packages."""
    words = f"{_KINDS[place.kind]} {printable(short_place(place.place))}"
    files = f"{count(place.files, 'file')}, " if place.files > 1 else ""
    return f"{words}  {files}{signed(Metric.UNPACKED, place.delta)}"


def remark_text(remark: Remark) -> str:
    """Return an explanation on one line, with the file it is about."""
    return printable(f"{remark.text}: {short_place(remark.place)}" if remark.place else remark.text)


def short_place(place: str) -> str:
    """Return a deployed path without layer and site-packages folder."""
    for folder in ("/site-packages/", "/dist-packages/"):
        _, found, rest = place.partition(folder)
        if found and rest:
            return rest
    return place


def cause_lines(
    owners: Sequence[OwnerChange], metric: Metric, *, most: int, arrow: str = "->"
) -> list[tuple[int, str]]:
    """Return lines about owners that grew, with their depth: 0 for an owner, 1 for its places."""
    lines: list[tuple[int, str]] = []
    for owner in owners[:most]:
        lines.append((0, owner_text(owner, metric, arrow)))
        lines += [(1, remark_text(remark)) for remark in owner.remarks[:_REMARKS]]
        lines += [(1, place_text(place)) for place in owner.places[:_PLACES] if place.delta > 0]
    if len(owners) > most:
        lines.append((0, more_owners(owners[most:], metric)))
    return lines


def more_owners(owners: Sequence[OwnerChange], metric: Metric) -> str:
    """Return ``3 more: +1.2 MB`` for owners that aren't shown."""
    metric = metric.explained
    return f"{len(owners)} more: {signed(metric, sum(owner.delta(metric) for owner in owners))}"


def bulleted(lines: Iterable[tuple[int, str]]) -> list[str]:
    """Return lines with a dash each, indented by their depth."""
    return [f"{'  ' * depth}- {line}" for depth, line in lines]


def change_cells(change: Change, metric: Metric, arrow: str) -> tuple[str, str, str]:
    """Return the cells of one row: ``33.8 MB -> 34.0 MB``, ``+200.0 kB``, ``+1%``."""
    before, after = metric.of(change.before or Footprint()), metric.of(change.after or Footprint())
    delta = signed(metric, after - before) if after != before else ""
    if change.before is None:
        return (f"new {arrow} {amount(metric, after)}", delta, "")
    if change.after is None:
        return (f"{amount(metric, before)} {arrow} gone", delta, "")
    sizes = f"{amount(metric, before)} {arrow} {amount(metric, after)}"
    return (sizes, delta, percent(before, after))
