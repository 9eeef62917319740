"""The report for the summary page of a CI run: GitHub-flavoured Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from slim.model.footprint import Footprint, FootprintDelta
from slim.model.outcome import RunResult
from slim.reports.common.markdown_table import MARKDOWN
from slim.reports.common.markdown_table import cell as _cell
from slim.reports.common.markdown_table import table as _table
from slim.reports.common.text import count, duration, evidence_text, percent, size, stack_word
from slim.reports.run.grouping import (
    RefusalGroup,
    archives_measured,
    contributors,
    group_refusals,
    shortener,
    since_previous,
)

_OWNERS = 10
_GROUPS = 20


def render(results: Sequence[RunResult]) -> str:
    """The report as Markdown text, with a newline at its end."""
    sections = [_result(result) for result in results]
    return (
        "\n".join(["# slim", "", *(line for section in sections for line in section)]).rstrip("\n")
        + "\n"
    )


def _result(result: RunResult) -> list[str]:
    tag = result.stack.platform.tag
    title = (
        f"{_cell(result.stack.source)} ({_cell(tag)})"
        if tag != "unknown"
        else _cell(result.stack.source)
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
    lines += [*_totals(result), *_layers(result), *_since(result)]
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
        *_table(["Size", "Before", "After", "Change"], rows, "lrrr"),
        "Deployed is what lies on the user's disk: unpacked plus the bytecode that postinstall compiles.",
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
        row(_cell(item.layer.name), item.layer.kind.value, item.before, item.after)
        for item in result.layers
    ]
    return [
        "### Layers",
        "",
        *_table(["Layer", "Kind", "Archive", "Unpacked", "Deployed"], rows, "llrrr"),
    ]


def _since(result: RunResult) -> list[str]:
    told = since_previous(result)
    return [*(f"- {_cell(name)}: {words}" for name, words in told), ""] if told else []


def _account(
    title: str, noun: str, rows: Sequence[FootprintDelta], most: int | None = None
) -> list[str]:
    if not rows:
        return []
    shown = rows[:most]
    table = [
        [
            _cell(row.label),
            size(row.removed),
            size(row.shrunk),
            f"{row.files_removed:,}",
            f"{row.files_rewritten:,}",
        ]
        for row in shown
    ]
    rest = rows[len(shown) :]
    if rest:
        table.append(
            [
                f"*{len(rest)} more*",
                size(sum(row.removed for row in rest)),
                size(sum(row.shrunk for row in rest)),
                f"{sum(row.files_removed for row in rest):,}",
                f"{sum(row.files_rewritten for row in rest):,}",
            ]
        )
    return [
        f"### {title}",
        "",
        *_table([noun, "Removed", "Shrunk", "Files removed", "Files rewritten"], table, "lrrrr"),
    ]


def _refusals(result: RunResult) -> list[str]:
    groups, shorten = group_refusals(result.plan.skipped), shortener(result.stack)
    if not groups:
        return []
    files = sum(group.files for group in groups)
    held = sum(group.held for group in groups)
    lines = [f"### Refused: {count(files, 'file')} stay ({size(held)})", ""]
    rows = [
        [
            group.reason.value,
            _cell(shorten(group.place)),
            _cell(group.rule),
            f"{group.files:,}",
            size(group.held),
            _proof(group, shorten),
        ]
        for group in groups[:_GROUPS]
    ]
    if len(groups) > _GROUPS:
        rest = groups[_GROUPS:]
        files, held = sum(group.files for group in rest), sum(group.held for group in rest)
        rows.append(["", f"*{len(rest)} more*", "", f"{files:,}", size(held), ""])
    return [
        *lines,
        *_table(["Reason", "What", "Rule", "Files", "Size", "Evidence"], rows, "lllrrl"),
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
    rows = [[_cell(reason), str(number)] for reason, number in sorted(reasons.items())]
    return ["### Will need signing", "", *_table(["Why", "Files"], rows, "lr")]


def _stale(result: RunResult) -> list[str]:
    stale = sorted(result.stack.stale, key=lambda item: item.name)
    if not stale:
        return []
    total = sum(item.size for item in stale)
    return [
        f"### Stale archives: {size(total)}",
        "",
        "No manifest names them.",
        "",
        *_table(["Archive", "Size"], [[_cell(item.name), size(item.size)] for item in stale], "lr"),
    ]


def _warnings(result: RunResult) -> list[str]:
    lines = [f"- {_cell(warning)}" for warning in result.plan.warnings]
    return ["### Warnings", "", *lines, ""] if lines else []


def _verification(result: RunResult) -> list[str]:
    checks = result.verification.checks
    if not checks:
        return []
    word = "passed" if result.verification.passed else "FAILED"
    rows = [
        [
            _cell(check.name),
            f"{check.tried:,}",
            "passed" if check.passed else "**failed**",
            _cell(check.note),
        ]
        for check in checks
    ]
    failures = [
        f"- {_cell(check.name)}: {_cell(text)}" for check in checks for text in check.failures
    ]
    lines = [
        f"### Verification: {word}",
        "",
        *_table(["Check", "Tried", "Result", "Note"], rows, "lrll"),
    ]
    lines += [*failures, ""] if failures else []
    taken_back = [
        f"- {_cell(f'{layer}/{path}')}: {_cell(str(repair.broken[0]) if repair.broken else '')}"
        for repair in result.verification.repairs
        for layer, path in repair.files
    ]
    if taken_back:
        lines += ["#### Taken back: without them something stopped working", "", *taken_back, ""]
    notes = [f"- {_cell(note)}" for note in result.verification.notes]
    return [*lines, *notes, ""] if notes else lines


def _change(before: int, after: int | None, mark: str = "") -> list[str]:
    if after is None:
        return [mark + size(before), "not measured", ""]
    return [mark + size(before), mark + size(after), percent(before, after)]


def _arrow(before: int, after: int | None, mark: str = "") -> str:
    if after is None:
        return mark + size(before)
    if before == after == 0:
        return "-"
    change = percent(before, after)
    text = f"{mark}{size(before)} → {mark}{size(after)}"
    return f"{text} ({change})" if change else text
