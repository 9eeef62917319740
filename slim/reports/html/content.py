"""The content of the page: what an audit or a run shows of one stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from slim.model.audit import Audit
from slim.model.footprint import Footprint
from slim.model.gpu_audit import GpuAudit
from slim.model.outcome import RunResult
from slim.model.plan import Plan
from slim.model.record import FileRecord
from slim.model.rule import Rule
from slim.model.stack import Layer, Stack
from slim.reports.common.floors import floor_text, needs_text
from slim.reports.common.text import printable, unverified_words
from slim.system.json_text import Json


@dataclass(frozen=True, kw_only=True)
class View:
    """One plan to look at: a profile of an audit, or the run itself."""

    name: str
    proved: bool
    plan: Plan
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Page:
    """One stack for the page: ``records`` by layer, ``layers`` with sizes before and after."""

    stack: Stack
    records: Mapping[str, Sequence[FileRecord]]
    layers: tuple[tuple[Layer, Footprint, Footprint | None], ...]
    views: tuple[View, ...]
    rules: Mapping[str, Rule]
    findings: Sequence[Json] = ()
    warnings: tuple[str, ...] = ()
    alert: str = ""
    """Said in red at the top."""
    gpu: GpuAudit = field(default_factory=GpuAudit)
    """GPU code; a run doesn't look for it."""


def audit_page(audit: Audit) -> Page:
    """Return an audit as a page: one view a profile."""
    commands = {saving.profile: saving for saving in audit.savings}
    return Page(
        stack=audit.stack,
        records={name: tuple(found.values()) for name, found in audit.inventory.records.items()},
        layers=tuple((row.layer, row.size, None) for row in audit.layers),
        views=tuple(
            View(
                name=profile.label,
                proved=commands[profile].proved,
                plan=plan,
                command=commands[profile].command,
            )
            for profile, plan in audit.plans.items()
        ),
        rules=audit.rules,
        findings=_findings(audit),
        warnings=audit.warnings,
        gpu=audit.gpu,
    )


def run_page(result: RunResult) -> Page:
    """Return a run as a page: one view, before and after.

    Without an inventory only the files are drawn that the plan is about.
    """
    if result.inventory is not None:
        records = {name: tuple(found.values()) for name, found in result.inventory.records.items()}
    else:
        records = _records_of(result.plan, result.stack)
    return Page(
        stack=result.stack,
        records=records,
        layers=tuple((item.layer, item.before, item.after) for item in result.layers),
        views=(View(name=result.profile.label, proved=True, plan=result.plan),),
        rules=result.rules,
        warnings=(
            *result.plan.warnings,
            *(f"not tried: {sentence}" for sentence in result.verification.untried),
        ),
        alert=unverified_words(result) if result.verification.unverified else "",
    )


def _records_of(plan: Plan, stack: Stack) -> dict[str, tuple[FileRecord, ...]]:
    found = {action.record.key: action.record for action in plan.actions.values()}
    found |= {skipped.record.key: skipped.record for skipped in plan.skipped}
    return {
        layer.name: tuple(found[key] for key in sorted(found) if key[0] == layer.name)
        for layer in stack
    }


def _findings(audit: Audit) -> list[Json]:
    """Return findings, the largest hundred of each kind."""
    found: list[tuple[str, str, list[tuple[str, int, str]]]] = [
        (
            "Unstripped symbols",
            "Bytes that only debuggers and linkers read.",
            [(one.record.deployed_path, one.saved, "") for one in audit.unstripped],
        ),
        (
            "Code for other machines",
            "Native code that the platform of its layer can't run.",
            [(one.record.deployed_path, one.size, one.what) for one in audit.foreign],
        ),
        (
            "Duplicate content",
            "The same bytes more than once. The size is that of all copies but one.",
            [
                (one.records[0].deployed_path, one.wasted, f"{len(one.records)} times")
                for one in audit.duplicates
            ],
        ),
        (
            "Imported by nobody",
            "Distributions that no Python file outside them mentions.",
            [
                (
                    f"{one.layer}: {one.owner.label}",
                    one.size,
                    "; ".join((*one.commands, *one.required_by)),
                )
                for one in audit.unused
            ],
        ),
        (
            "Owned by nobody",
            "Files that no distribution and no runtime answers for, by folder.",
            [(row.label, row.size.unpacked, f"{row.size.files:,} files") for row in audit.unowned],
        ),
        (
            "What it runs on",
            "The oldest systems that native files ask for, and the files that do.",
            [
                (
                    asked.record.deployed_path,
                    asked.record.size,
                    f"{floor_text(floor, machine=True)}: {needs_text(asked)}",
                )
                for floor in audit.floors
                for asked in floor.asked_by
            ],
        ),
        (
            "Stale archives",
            "Archives that no manifest names. They aren't part of the map.",
            [(one.name, one.size, "") for one in audit.stack.stale],
        ),
    ]
    return [
        {
            "title": title,
            "meaning": meaning,
            "total": sum(row[1] for row in rows),
            "count": len(rows),
            "rows": [
                [printable(place), amount, printable(note)] for place, amount, note in rows[:100]
            ],
        }
        for title, meaning, rows in found
        if rows
    ]
