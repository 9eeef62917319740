"""The page of a fleet: one self-contained HTML file with a picture. It loads nothing."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from slim.model.fleet import (
    FleetResult,
    TaskResult,
    distinct_archives,
    refusal_sums,
    rule_sums,
    shared_layers,
    worst,
)
from slim.model.size import format_size
from slim.reports.common.templates import page_environment, page_part
from slim.reports.common.text import count, duration, percent, printable
from slim.reports.fleet.sums import (
    archive_cells,
    headline,
    platform_sums,
    tries_text,
    unpacked_cells,
)

_WIDTH, _HEIGHT = 1000, 240
_GAP = 0.15
"""Share of a column that stays empty."""


def render(result: FleetResult) -> str:
    """Return the page."""
    return (
        page_environment()
        .from_string(_part("page.html.j2"))
        .render(
            title=printable(f"{result.name} {result.release}"),
            version=result.slim_version,
            dry_run=result.dry_run,
            facts=[headline(result), *(row.platform for row in platform_sums(result))],
            sizes=_sizes(result),
            picture=_picture(result),
            width=_WIDTH,
            height=_HEIGHT,
            failures=[_failure(task) for task in result.failed],
            platforms=_platforms(result),
            stacks=[_stack(task, measured=not result.dry_run) for task in result.done],
            worst=[
                (printable(task.title), *unpacked_cells(task.before, task.after))
                for task in worst(result.tasks)
            ],
            shared=_shared(result),
            different=_different(result),
            rules=_rules(result),
            refusals=_refusals(result),
            deltas=_deltas(result),
            warnings=_warnings(result),
            style=Markup(_part("page.css")),
        )
    )


def _platforms(result: FleetResult) -> list[tuple[str, ...]]:
    measured = not result.dry_run
    return [
        (
            row.platform,
            f"{row.done} of {row.tasks}" if row.done < row.tasks else str(row.tasks),
            *archive_cells(row.before.archive, row.after.archive, measured=measured),
            *unpacked_cells(row.before, row.after),
        )
        for row in platform_sums(result)
    ]


def _shared(result: FleetResult) -> list[tuple[str | int, ...]]:
    return [
        (
            printable(layer.name),
            len(layer.stacks),
            format_size(layer.before),
            ", ".join(map(format_size, layer.after)) or "-",
            printable(", ".join(layer.stacks)),
        )
        for layer in shared_layers(result.done)
    ]


def _different(result: FleetResult) -> str:
    """Return how many different archives there are, and how large they are together."""
    before, after = distinct_archives(result.done)
    words = (
        f"{count(before.files, 'different archive')} with {format_size(before.archive)}, "
        f"of {format_size(result.before.archive)} in all stacks"
    )
    if result.dry_run:
        return words
    return f"{words}; after: {after.files:,} with {format_size(after.archive)}"


def _refusals(result: FleetResult) -> list[tuple[str | int, ...]]:
    return [
        (
            row.rule,
            row.reason,
            format_size(row.held),
            f"{row.files:,}",
            stacks,
            printable(row.example),
        )
        for row, stacks in refusal_sums(result.done)
    ]


def _deltas(result: FleetResult) -> list[tuple[str, ...]]:
    return [
        (
            printable(task.title),
            printable(delta.since),
            format_size(delta.download),
            format_size(delta.full),
            percent(delta.full, delta.download),
        )
        for task in result.done
        for delta in task.deltas
    ]


def _warnings(result: FleetResult) -> list[str]:
    own = [f"{task.title}: {text}" for task in result.done for text in task.warnings]
    return [printable(text) for text in (*result.warnings, *own)]


def _sizes(result: FleetResult) -> list[tuple[str, str, str, str]]:
    """Return rows of what, before, after and change, of the whole fleet."""
    before, after = result.before, result.after
    rows = []
    if before.archive:
        cells = archive_cells(before.archive, after.archive, measured=not result.dry_run)
        rows.append(("download", *cells))
    rows.append(("unpacked", *unpacked_cells(before, after)))
    return rows


def _picture(result: FleetResult) -> list[dict[str, Any]]:
    """Return the columns of the picture: a stack each, its unpacked bytes before and after."""
    tasks = sorted(result.done, key=lambda task: (-task.before.unpacked, task.title))
    if not tasks:
        return []
    largest = max(max(task.before.unpacked, task.after.unpacked) for task in tasks) or 1
    step = _WIDTH / max(len(tasks), 12)
    columns = []
    for number, task in enumerate(tasks):
        before, after = task.before.unpacked, task.after.unpacked
        change = percent(before, after)
        words = f"{task.title}: {format_size(before)} → {format_size(after)}"
        columns.append(
            {
                "x": f"{number * step:.2f}",
                "width": f"{step * (1 - _GAP):.2f}",
                "before": f"{_HEIGHT * before / largest:.2f}",
                "before_y": f"{_HEIGHT - _HEIGHT * before / largest:.2f}",
                "after": f"{_HEIGHT * after / largest:.2f}",
                "after_y": f"{_HEIGHT - _HEIGHT * after / largest:.2f}",
                "words": printable(f"{words} ({change})" if change else words),
            }
        )
    return columns


def _failure(task: TaskResult) -> dict[str, str]:
    error = task.error
    return {
        "title": printable(task.title),
        "source": printable(task.source),
        "text": printable(error.text) if error else "",
        "hint": printable(error.hint) if error else "",
        "code": f"exit code {error.exit_code}" if error and error.exit_code > 0 else "",
        "tries": count(task.cost.tries, "try", "tries"),
    }


def _stack(task: TaskResult, *, measured: bool) -> tuple[str, ...]:
    return (
        printable(task.title),
        *archive_cells(task.before.archive, task.after.archive, measured=measured),
        *unpacked_cells(task.before, task.after),
        duration(task.cost.elapsed),
        f"{task.cost.cpu_seconds:.1f} s",
        format_size(task.cost.peak_memory) if task.cost.peak_memory else "-",
        tries_text(task),
    )


def _rules(result: FleetResult) -> list[tuple[str, str, str, int, str]]:
    rows = rule_sums(result.done)
    largest = max((row.saved for row, _ in rows), default=0) or 1
    return [
        (
            row.rule,
            format_size(row.saved),
            f"{row.files:,}",
            stacks,
            f"{max(0.0, 100 * row.saved / largest):.1f}",
        )
        for row, stacks in rows
    ]


def _part(name: str) -> str:
    return page_part("slim.reports.fleet", name)
