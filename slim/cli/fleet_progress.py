"""Progress of a fleet on stderr: a bar on a terminal, a line a stack in a log."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from slim.cli.terminal import style_for, tell
from slim.model.fleet import FleetObserver, FleetProgress, TaskResult
from slim.model.size import format_size
from slim.reports.common.text import count, duration, percent, printable


def progress_text(progress: FleetProgress) -> str:
    """Return stacks, bytes, hits, tries and failures: ``3/12 stacks, 1.2 GB/8.0 GB, 4 hits``."""
    parts = [
        f"{progress.stacks_done}/{count(progress.stacks, 'stack')}",
        f"{format_size(progress.size_done)}/{format_size(progress.size)}",
        f"{progress.running} running",
        count(progress.hits, "hit"),
        count(progress.tries, "try", "tries"),
    ]
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    return ", ".join(parts)


def result_text(progress: FleetProgress, result: TaskResult) -> str:
    """Return the line about a task that has ended."""
    head = f"[{progress.stacks_done}/{progress.stacks}] {printable(result.title)}"
    if not result.done:
        return f"{head}: {printable(result.error.text) if result.error else 'failed'}"
    if result.cost.resumed:
        return f"{head}: done before"
    before, after = result.before.unpacked, result.after.unpacked
    change = percent(before, after)
    sizes = f"{format_size(before)} -> {format_size(after)}" + (f" ({change})" if change else "")
    return f"{head}: {sizes}, {duration(result.cost.elapsed)}"


@contextmanager
def fleet_progress(*, quiet: bool, verbose: int) -> Iterator[FleetObserver]:
    """Give an observer: a bar on a terminal, with ``verbose`` a line for each stack elsewhere."""
    if quiet or sys.stderr is None or (not sys.stderr.isatty() and not verbose):
        yield lambda progress: None
        return
    if not sys.stderr.isatty():
        yield _line
        return
    from rich.console import Console  # late: only a terminal needs it
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    style = style_for(sys.stderr)
    console = Console(
        file=sys.stderr, width=style.width, no_color=not style.color, highlight=False, emoji=False
    )
    columns = (
        SpinnerColumn("dots" if style.unicode else "line"),
        BarColumn(bar_width=30),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task("looking for stacks", total=None)

        def observe(progress: FleetProgress) -> None:
            if progress.last is not None and (verbose or not progress.last.done):
                console.print(result_text(progress, progress.last), markup=False)
            bars.update(
                bar,
                total=max(progress.size, 1),
                completed=progress.size_done,
                description=progress_text(progress),
            )

        yield observe


def _line(progress: FleetProgress) -> None:
    if progress.last is not None:
        tell(result_text(progress, progress.last))
