"""The report of a fleet for the summary page of a CI run: GitHub-flavoured Markdown."""

from __future__ import annotations

from slim.model.fleet import (
    FleetResult,
    distinct_archives,
    refusal_sums,
    rule_sums,
    shared_layers,
    worst,
)
from slim.model.size import format_size
from slim.reports.common.markdown import cell, page, table
from slim.reports.common.text import count, duration, percent
from slim.reports.fleet.sums import (
    archive_cells,
    headline,
    platform_sums,
    tries_text,
    unpacked_cells,
)

_ROWS = 20


def render(result: FleetResult) -> str:
    """Return the report as Markdown text, with a newline at its end."""
    what = "audit of " if result.dry_run else ""
    lines = [
        f"# slim fleet: {what}{cell(result.name)} {cell(result.release)}",
        "",
        f"{headline(result)}{' looked at' if result.dry_run else ''}, slim {result.slim_version}.",
        "",
    ]
    if result.dry_run:
        lines += [
            "**Nothing was written.** Archive sizes are measured only after writing.",
            "",
        ]
    lines += [*_failures(result), *_platforms(result), *_stacks(result), *_worst(result)]
    lines += [*_shared(result), *_rules(result), *_refusals(result), *_deltas(result)]
    lines += [f"- {cell(warning)}" for warning in result.warnings]
    return page(lines)


def _failures(result: FleetResult) -> list[str]:
    if not result.failed:
        return []
    rows = [
        [
            cell(task.title),
            str(task.error.exit_code) if task.error and task.error.exit_code > 0 else "",
            cell(task.error.text) if task.error else "",
            str(task.cost.tries),
        ]
        for task in result.failed
    ]
    header = ["Stack", "Exit code", "Error", "Tries"]
    return ["## Failures", "", *table(header, rows, "lrlr")]


def _platforms(result: FleetResult) -> list[str]:
    rows = [
        [
            cell(row.platform),
            f"{row.done} of {row.tasks}" if row.done < row.tasks else str(row.tasks),
            *archive_cells(row.before.archive, row.after.archive, measured=not result.dry_run),
            *unpacked_cells(row.before, row.after),
        ]
        for row in platform_sums(result)
    ]
    header = ["Platform", "Stacks", "Archives", "After", "", "Unpacked", "After", ""]
    return ["## Platforms", "", *table(header, rows, "lrrrrrrr")]


def _stacks(result: FleetResult) -> list[str]:
    rows = [
        [
            cell(task.title),
            *archive_cells(task.before.archive, task.after.archive, measured=not result.dry_run),
            *unpacked_cells(task.before, task.after),
            duration(task.cost.elapsed),
            tries_text(task),
        ]
        for task in result.done
    ]
    header = ["Stack", "Archives", "After", "", "Unpacked", "After", "", "Time", ""]
    return ["## Stacks", "", *table(header, rows, "lrrrrrrrl")] if rows else []


def _worst(result: FleetResult) -> list[str]:
    rows = [
        [cell(task.title), *unpacked_cells(task.before, task.after)] for task in worst(result.tasks)
    ]
    if len(result.done) <= 10:
        return []
    header = ["Stack", "Unpacked", "After", ""]
    return ["## Those that lost least", "", *table(header, rows, "lrrr")]


def _shared(result: FleetResult) -> list[str]:
    shared = shared_layers(result.done)
    if not shared:
        return []
    before, after = distinct_archives(result.done)
    words = (
        f"{count(before.files, 'different archive')} with {format_size(before.archive)} "
        f"of {format_size(result.before.archive)} in all"
    )
    if not result.dry_run:
        words += f"; after: {after.files:,} with {format_size(after.archive)}"
    rows = [
        [
            cell(layer.name),
            str(len(layer.stacks)),
            format_size(layer.before),
            ", ".join(map(format_size, layer.after)),
        ]
        for layer in shared[:_ROWS]
    ]
    header = ["Layer", "Stacks", "Archive", "After"]
    return ["## Shared layers", "", f"{words}.", "", *table(header, rows, "lrrr")]


def _rules(result: FleetResult) -> list[str]:
    rows = [
        [f"`{row.rule}`", format_size(row.saved), f"{row.files:,}", str(stacks)]
        for row, stacks in rule_sums(result.done)[:_ROWS]
    ]
    header = ["Rule", "Saved", "Files", "Stacks"]
    return ["## What each rule saved", "", *table(header, rows, "lrrr")] if rows else []


def _refusals(result: FleetResult) -> list[str]:
    rows = [
        [
            f"`{row.rule}`",
            row.reason,
            format_size(row.held),
            f"{row.files:,}",
            str(stacks),
            cell(row.example),
        ]
        for row, stacks in refusal_sums(result.done)[:_ROWS]
    ]
    header = ["Rule", "Reason", "Held", "Files", "Stacks", "For example"]
    return ["## What was refused", "", *table(header, rows, "llrrrl")] if rows else []


def _deltas(result: FleetResult) -> list[str]:
    rows = [
        [
            cell(task.title),
            cell(delta.since),
            format_size(delta.download),
            format_size(delta.full),
            percent(delta.full, delta.download),
        ]
        for task in result.done
        for delta in task.deltas
    ]
    header = ["Stack", "From", "Update", "Whole", ""]
    return ["## Updates", "", *table(header, rows, "llrrr")] if rows else []
