"""Sums and words about a fleet, the same in every report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from slim.model.fleet import FleetResult, TaskResult
from slim.model.footprint import Footprint
from slim.model.size import format_size
from slim.reports.common.text import count, percent


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSum:
    """All tasks of one platform."""

    platform: str
    tasks: int
    done: int
    before: Footprint
    after: Footprint


def platform_sums(result: FleetResult) -> Iterator[PlatformSum]:
    """Yield the sums by platform, in the order of their tags."""
    for platform in sorted({task.platform for task in result.tasks}):
        tasks = [task for task in result.tasks if task.platform == platform]
        done = [task for task in tasks if task.done]
        yield PlatformSum(
            platform=platform,
            tasks=len(tasks),
            done=len(done),
            before=sum((task.before for task in done), Footprint()),
            after=sum((task.after for task in done), Footprint()),
        )


def archive_cells(before: int, after: int, *, measured: bool) -> tuple[str, str, str]:
    """Return archive bytes before and after, and the change; unknown where nothing was written."""
    if not before:
        return "-", "-", ""
    if not measured:
        return format_size(before), "-", ""
    return format_size(before), format_size(after), percent(before, after)


def unpacked_cells(before: Footprint, after: Footprint) -> tuple[str, str, str]:
    """Return unpacked bytes before and after, and the change."""
    change = percent(before.unpacked, after.unpacked)
    return format_size(before.unpacked), format_size(after.unpacked), change


def tries_text(task: TaskResult) -> str:
    """Return what came from the cache and how often a task was tried, if worth a word."""
    if task.cost.resumed:
        return "done before"
    words = []
    if task.cost.cached_run:
        words.append("cached")
    elif task.cost.cached_layers:
        words.append(f"{task.cost.cached_layers}/{len(task.layers)} cached")
    if task.cost.tries > 1:
        words.append(count(task.cost.tries, "try", "tries"))
    return ", ".join(words)


def headline(result: FleetResult) -> str:
    """Return how many stacks are done and how many failed: ``11 of 12 stacks``."""
    total = len(result.tasks)
    words = count(len(result.done), "stack")
    return words if len(result.done) == total else f"{len(result.done)} of {count(total, 'stack')}"
