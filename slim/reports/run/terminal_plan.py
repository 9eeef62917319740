"""The plan of a run on a terminal: what went, what was refused, what to sign, and warnings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text

from slim.model.footprint import FootprintDelta
from slim.model.outcome import RunResult, SigningReason
from slim.model.plan import SkipReason
from slim.model.size import format_size
from slim.model.untried import untried
from slim.reports.common.accounts import contributors, first_rows
from slim.reports.common.canvas import Canvas, number_table
from slim.reports.common.stacks import shortener
from slim.reports.common.text import count, evidence_text, printable
from slim.reports.run.grouping import RefusalGroup, files_and_bytes, group_refusals

_REASONS = {
    SkipReason.PROTECTED: "protected files",
    SkipReason.KEPT: "kept by your configuration",
    SkipReason.IMPORTED: "imported by code that stays",
    SkipReason.LINKED: "linked by libraries that stay",
    SkipReason.REFERENCED: "mentioned by files that stay",
    SkipReason.CONDITION: "needed by what runs this stack",
    SkipReason.UNSAFE_TO_EDIT: "can't be edited safely",
    SkipReason.NOTHING_GAINED: "nothing to gain",
    SkipReason.SIGNED: "signed",
    SkipReason.REQUIRED: "required to run",
    SkipReason.NEEDED: "needed: something stopped working without them",
    SkipReason.UNIT: "held by another file of the same unit",
    SkipReason.LICENCE: "not to be changed by their licence",
    SkipReason.UNTRACED: "not covered by the traces",
    SkipReason.FAMILY: "members of families that code imports by computed names",
    SkipReason.READ: "in folders that runs listed and read",
    SkipReason.WHOLE: "whole distributions that no run used: drop takes those",
    SkipReason.DATA: "data that no run opened",
}


def draw_plan(canvas: Canvas, result: RunResult, *, verbose: bool) -> None:
    """Draw what the plan of a run is about; with ``verbose`` all rows, not only the largest."""
    _contributions(canvas, result, verbose=verbose)
    _untried(canvas, result, verbose=verbose)
    _refusals(canvas, result, verbose=verbose)
    _signing(canvas, result, verbose=verbose)
    _stale(canvas, result, verbose=verbose)
    _warnings(canvas, result, verbose=verbose)


def _contributions(canvas: Canvas, result: RunResult, *, verbose: bool) -> None:
    accounts = result.accounts
    passes = contributors(accounts.by_pass)
    if not passes:
        canvas.line(Text("Nothing to remove, nothing to shrink.", "bold"))
        canvas.blank()
        return
    _account(canvas, "what went, by pass", passes)
    _account(canvas, "top owners", contributors(accounts.by_owner), most=None if verbose else 8)
    if verbose:
        _account(canvas, "by rule", contributors(accounts.by_rule))
        _account(canvas, "by category", contributors(accounts.by_category))


def _untried(canvas: Canvas, result: RunResult, *, verbose: bool) -> None:
    rows = untried(result.rules, result.plan.actions.values())
    if not rows:
        return
    words = f"{count(len(rows), 'rule')} took files of versions that the field trial didn't try"
    canvas.line(Text(words, "dim"))
    if verbose:
        listed = [f"{rule}: {', '.join(map(printable, rows[rule]))}" for rule in rows]
        canvas.listing(listed, len(listed), color="dim")
    canvas.blank()


def _account(
    canvas: Canvas, title: str, rows: Sequence[FootprintDelta], most: int | None = None
) -> None:
    if not rows:
        return
    table = number_table(title, ("removed", "shrunk", "saved", "files"), bars=canvas.roomy)
    largest = max(row.saved for row in rows)
    shown, rest = first_rows(rows, most)
    for row in shown:
        cells = [*_amounts(row), Text(format_size(row.saved), "green"), _touched(row)]
        bar = [canvas.bar(row.saved, largest, "green")] if canvas.roomy else []
        table.add_row(printable(row.label), *cells, *bar)
    if rest is not None:
        cells = [*_amounts(rest), _amount(rest.saved), _touched(rest)]
        table.add_row(Text(rest.label, "dim"), *cells, style="dim")
    canvas.show(table)
    canvas.blank()


def _amounts(row: FootprintDelta) -> list[Text]:
    return [_amount(row.removed), _amount(row.shrunk)]


def _amount(value: int) -> Text:
    return Text(format_size(value)) if value else Text("-", "dim")


def _touched(row: FootprintDelta) -> Text:
    return Text(f"{row.files_removed + row.files_rewritten:,}")


def _refusals(canvas: Canvas, result: RunResult, *, verbose: bool) -> None:
    groups = group_refusals(result.plan.skipped)
    if not groups:
        return
    files, held = files_and_bytes(groups)
    words = f"  {count(files, 'file')} that a rule selects stay, {format_size(held)}"
    canvas.line(Text.assemble(("refused", "bold"), words))
    by_reason: dict[SkipReason, list[RefusalGroup]] = {}
    for group in groups:
        by_reason.setdefault(group.reason, []).append(group)
    shorten: Callable[[str], str] = str if verbose else shortener(result.stack)
    for reason, members in by_reason.items():
        canvas.line(
            Text.assemble("  ", (_REASONS[reason], "yellow"), (f"  {_total(members)}", "dim"))
        )
        if verbose or reason is not SkipReason.NOTHING_GAINED:
            _groups(canvas, members, shorten, verbose=verbose)
    canvas.blank()


def _groups(
    canvas: Canvas,
    groups: Sequence[RefusalGroup],
    shorten: Callable[[str], str],
    *,
    verbose: bool,
) -> None:
    most = len(groups) if verbose else 4
    for group in groups[:most]:
        amount = "" if group.files == 1 else f"{count(group.files, 'file')}, "
        words = f"  {amount}{format_size(group.held)}, rule {printable(group.rule)}"
        canvas.line(Text.assemble(printable(shorten(group.place)), (words, "dim")), indent=4)
        facts = group.evidence if verbose else group.evidence[:2]
        for fact in facts:
            canvas.turn(evidence_text(fact, shorten, group.place), "cyan", indent=6)
        if len(group.evidence) > len(facts):
            canvas.turn(f"and {len(group.evidence) - len(facts)} more", "dim", indent=6)
    rest = groups[most:]
    if rest:
        canvas.line(Text(f"{len(rest)} more: {_total(rest)}", "dim"), indent=4)


def _total(groups: Sequence[RefusalGroup]) -> str:
    files, held = files_and_bytes(groups)
    return f"{count(files, 'file')}, {format_size(held)}"


def _signing(canvas: Canvas, result: RunResult, *, verbose: bool) -> None:
    signing = result.signing
    if not signing:
        return
    identities = [item for item in signing if item.reason is not SigningReason.CHANGED]
    changed = count(len(signing) - len(identities), "changed file")
    words = f"  {changed}, {len(identities)} signed by an identity or sealed"
    canvas.line(Text.assemble(("will need signing", "bold"), words))
    shown = signing if verbose else identities[:5]
    lines = [f"{printable(item.deployed_path)}  {item.reason.value}" for item in shown]
    canvas.listing(lines, len(lines))
    canvas.blank()


def _stale(canvas: Canvas, result: RunResult, *, verbose: bool) -> None:
    stale = sorted(result.stack.stale, key=lambda item: (-item.size, item.name))
    if not stale:
        return
    total = format_size(sum(item.size for item in stale))
    words = (
        f"  {count(len(stale), 'archive')} that no manifest names, {total}; not part of the result"
    )
    canvas.line(Text.assemble(("stale", "bold"), words))
    lines = [f"{printable(item.name)}  {format_size(item.size)}" for item in stale]
    canvas.listing(lines, len(stale) if verbose else 5)
    canvas.blank()


def _warnings(canvas: Canvas, result: RunResult, *, verbose: bool) -> None:
    plan = result.plan
    warnings = [printable(warning) for warning in plan.warnings]
    if warnings:
        canvas.line(Text(count(len(warnings), "warning"), "bold yellow"))
        canvas.listing(warnings, len(warnings) if verbose else 8)
        canvas.blank()
    if not verbose:
        return
    idle = [printable(name) for name in sorted(plan.unmatched) if _is_builtin(result, name)]
    if idle:
        words = f"{count(len(idle), 'built-in rule')} found nothing to do here"
        canvas.line(Text(words, "dim"))
        canvas.listing([", ".join(idle)], 1, color="dim")
        canvas.blank()
    if plan.notes:
        canvas.line(Text("notes", "bold"))
        canvas.listing([printable(note) for note in plan.notes], len(plan.notes))
        canvas.blank()


def _is_builtin(result: RunResult, name: str) -> bool:
    rule = result.rules.get(name)
    return rule is None or rule.builtin
