"""The report for the summary page of a CI run: GitHub-flavoured Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from slim.model.footprint import Footprint, FootprintDelta
from slim.model.outcome import RunResult
from slim.model.size import format_size
from slim.reports.common.accounts import contributors, first_rows
from slim.reports.common.markdown import MARKDOWN, cell, page, table
from slim.reports.common.stacks import shortener, stack_word
from slim.reports.common.text import count, duration, evidence_text, percent, unverified_words
from slim.reports.run.grouping import (
    RefusalGroup,
    archives_measured,
    cache_words,
    files_and_bytes,
    group_refusals,
    since_previous,
)
from slim.reports.run.way_back import way_back_rows

_OWNERS = 10
_GROUPS = 20
_DEPLOYED = (
    "Deployed is what lies on the user's disk: unpacked plus the bytecode that postinstall "
    "compiles."
)


def render(results: Sequence[RunResult]) -> str:
    """Return the report as Markdown text, with a newline at its end."""
    sections = [_result(result) for result in results]
    return page(["# slim", "", *(line for section in sections for line in section)])


def _result(result: RunResult) -> list[str]:
    tag = result.stack.platform.tag
    title = (
        f"{cell(result.stack.source)} ({cell(tag)})"
        if tag != "unknown"
        else cell(result.stack.source)
    )
    lines = [
        f"## {title}",
        "",
        f"{stack_word(result.stack.kind).capitalize()}, {count(len(result.layers), 'layer')}, "
        f"profile {result.profile.label}, slim {result.slim_version}, {duration(result.elapsed)}.",
        "",
    ]
    if result.dry_run:
        lines += [
            "**Dry run: nothing was written.** Archive sizes are measured only after writing.",
            "",
        ]
    lines += [*_totals(result), *_layers(result), *_since(result), *_way_back(result)]
    lines += _account("By pass", "Pass", contributors(result.accounts.by_pass))
    lines += _account("Top owners", "Owner", contributors(result.accounts.by_owner), most=_OWNERS)
    return [
        *lines,
        *_refusals(result),
        *_signing(result),
        *_stale(result),
        *_warnings(result),
        *_verification(result),
    ]


def _totals(result: RunResult) -> list[str]:
    measured = archives_measured(result)
    before, after = result.before, result.after
    rows = [
        ["Unpacked", *_change(before.unpacked, after.unpacked)],
        ["Deployed (estimate)", *_change(before.deployed, after.deployed, mark="~")],
        ["Files", f"{before.files:,}", f"{after.files:,}", percent(before.files, after.files)],
    ]
    if before.archive or after.archive:
        rows.insert(0, ["Archives", *_change(before.archive, after.archive if measured else None)])
    return [
        *table(["Size", "Before", "After", "Change"], rows, "lrrr"),
        _DEPLOYED,
        "",
    ]


def _layers(result: RunResult) -> list[str]:
    measured = archives_measured(result)

    def row(name: str, kind: str, before: Footprint, after: Footprint) -> list[str]:
        return [
            name,
            kind,
            _arrow(before.archive, after.archive if measured else None),
            _arrow(before.unpacked, after.unpacked),
            _arrow(before.deployed, after.deployed, mark="~"),
        ]

    rows = [
        row(cell(item.layer.name), item.layer.kind.value, item.before, item.after)
        for item in result.layers
    ]
    return [
        "### Layers",
        "",
        *table(["Layer", "Kind", "Archive", "Unpacked", "Deployed"], rows, "llrrr"),
    ]


def _cache(result: RunResult) -> list[str]:
    if result.cache is None:
        return []
    lines = [f"Cache: {cache_words(result)} {cell(result.cache.place)}.", ""]
    notes = [f"- {cell(text)}" for text in result.cache.notes]
    return [*lines, *notes, ""] if notes else lines


def _since(result: RunResult) -> list[str]:
    rows = since_previous(result)
    listed = [*(f"- {cell(name)}: {words}" for name, words in rows), ""] if rows else []
    return [*_cache(result), *listed]


def _way_back(result: RunResult) -> list[str]:
    rows = [f"- {title.capitalize()}: {words}" for title, words in way_back_rows(result)]
    return [*rows, ""] if rows else []


def _account(
    title: str, noun: str, rows: Sequence[FootprintDelta], most: int | None = None
) -> list[str]:
    if not rows:
        return []
    shown, rest = first_rows(rows, most)
    lines = [_row(cell(row.label), row) for row in shown]
    if rest is not None:
        lines.append(_row(f"*{rest.label}*", rest))
    return [
        f"### {title}",
        "",
        *table([noun, "Removed", "Shrunk", "Files removed", "Files rewritten"], lines, "lrrrr"),
    ]


def _row(label: str, row: FootprintDelta) -> list[str]:
    sizes = [format_size(row.removed), format_size(row.shrunk)]
    return [label, *sizes, f"{row.files_removed:,}", f"{row.files_rewritten:,}"]


def _refusals(result: RunResult) -> list[str]:
    groups, shorten = group_refusals(result.plan.skipped), shortener(result.stack)
    if not groups:
        return []
    files, held = files_and_bytes(groups)
    lines = [f"### Refused: {count(files, 'file')} stay ({format_size(held)})", ""]
    rows = [
        [
            group.reason.value,
            cell(shorten(group.place)),
            cell(group.rule),
            f"{group.files:,}",
            format_size(group.held),
            _proof(group, shorten),
        ]
        for group in groups[:_GROUPS]
    ]
    if len(groups) > _GROUPS:
        rest = groups[_GROUPS:]
        files, held = files_and_bytes(rest)
        rows.append(["", f"*{len(rest)} more*", "", f"{files:,}", format_size(held), ""])
    return [
        *lines,
        *table(["Reason", "What", "Rule", "Files", "Size", "Evidence"], rows, "lllrrl"),
    ]


def _proof(group: RefusalGroup, shorten: Callable[[str], str]) -> str:
    if not group.evidence:
        return ""
    more = f" and {len(group.evidence) - 1} more" if len(group.evidence) > 1 else ""
    return evidence_text(group.evidence[0], shorten, group.place).translate(MARKDOWN) + more


def _signing(result: RunResult) -> list[str]:
    if not result.signing:
        return []
    reasons = Counter(item.reason.value for item in result.signing)
    rows = [[cell(reason), str(number)] for reason, number in sorted(reasons.items())]
    return ["### Will need signing", "", *table(["Why", "Files"], rows, "lr")]


def _stale(result: RunResult) -> list[str]:
    stale = sorted(result.stack.stale, key=lambda item: item.name)
    if not stale:
        return []
    total = sum(item.size for item in stale)
    return [
        f"### Stale archives: {format_size(total)}",
        "",
        "No manifest names them.",
        "",
        *table(
            ["Archive", "Size"], [[cell(item.name), format_size(item.size)] for item in stale], "lr"
        ),
    ]


def _warnings(result: RunResult) -> list[str]:
    lines = [f"- {cell(warning)}" for warning in result.plan.warnings]
    return ["### Warnings", "", *lines, ""] if lines else []


def _verification(result: RunResult) -> list[str]:
    checks = result.verification.checks
    if not checks:
        return []
    word = "passed" if result.verification.passed else "FAILED"
    if result.verification.unverified:
        word = unverified_words(result)
    rows = [
        [
            cell(check.name),
            f"{check.tried:,}",
            "passed" if check.passed else "**failed**",
            cell(check.note),
        ]
        for check in checks
    ]
    failures = [
        f"- {cell(check.name)}: {cell(text)}" for check in checks for text in check.failures
    ]
    lines = [
        f"### Verification: {word}",
        "",
        *table(["Check", "Tried", "Result", "Note"], rows, "lrll"),
    ]
    lines += [*failures, ""] if failures else []
    taken_back = [
        f"- {cell(f'{layer}/{path}')}: {cell(str(repair.broken[0]) if repair.broken else '')}"
        for repair in result.verification.repairs
        for layer, path in repair.files
    ]
    if taken_back:
        lines += ["#### Taken back: without them something stopped working", "", *taken_back, ""]
    untried = [f"- {cell(sentence)}" for sentence in result.verification.untried]
    if untried:
        lines += ["#### Not tried", "", *untried, ""]
    notes = [f"- {cell(note)}" for note in result.verification.notes]
    return [*lines, *notes, ""] if notes else lines


def _change(before: int, after: int | None, mark: str = "") -> list[str]:
    if after is None:
        return [mark + format_size(before), "not measured", ""]
    return [mark + format_size(before), mark + format_size(after), percent(before, after)]


def _arrow(before: int, after: int | None, mark: str = "") -> str:
    if after is None:
        return mark + format_size(before)
    if before == after == 0:
        return "-"
    change = percent(before, after)
    text = f"{mark}{format_size(before)} → {mark}{format_size(after)}"
    return f"{text} ({change})" if change else text
