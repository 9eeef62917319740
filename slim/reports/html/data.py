"""What the page knows, as compact JSON: one column an attribute, text in tables, actions only where there are any."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slim.model.audit import Audit
from slim.model.finding import Evidence
from slim.model.footprint import Footprint
from slim.model.outcome import RunResult
from slim.model.plan import Plan, Remove, Rewrite
from slim.model.record import FileKey, FileRecord
from slim.model.rule import Rule
from slim.model.stack import Layer, Stack
from slim.reports.common.floors import floor_text, needs_text
from slim.reports.common.text import evidence_text
from slim.reports.html.tree import KINDS, Node, finish, grow, shown, walk

Json = dict[str, Any]

GOES, SHRINKS, HELD = 1, 2, 3
"""What becomes of a file: it goes, it gets another size, or a rule wanted it and something held it."""
MAX_EVIDENCE = 3
"""Facts told about one file. The JSON report has all of them."""


@dataclass(frozen=True, kw_only=True)
class View:
    """One plan to look at: a profile of an audit, or the run itself."""

    name: str
    proved: bool
    plan: Plan
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Page:
    """One stack for the page. ``records`` are those of each layer, in the stack's order."""

    stack: Stack
    records: Mapping[str, Sequence[FileRecord]]
    layers: tuple[tuple[Layer, Footprint, Footprint | None], ...]
    views: tuple[View, ...]
    rules: Mapping[str, Rule]
    findings: Sequence[Json] = ()
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Texts:
    """Gives every text a number, in order of first use."""

    known: dict[str, int] = field(default_factory=dict)

    def number(self, text: str) -> int:
        """The number of a text."""
        return self.known.setdefault(text, len(self.known))


def pack(value: Json) -> str:
    """JSON, deflated (RFC 1951) and in base64: what ``DecompressionStream("deflate-raw")`` of a browser reads."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return base64.b64encode(
        squeeze.compress(text.encode("utf-8", "replace")) + squeeze.flush()
    ).decode("ascii")


def page_data(pages: Sequence[Page], *, default_view: int) -> Json:
    """Everything that the script draws."""
    root = Node(name="everything", kind="stack")
    for page in pages:
        place = root if len(pages) == 1 else root.child(shown(page.stack.platform.tag), "stack")
        grow(((layer.name, page.records.get(layer.name, ())) for layer in page.stack), place)
    finish(root)
    numbers: dict[int, int] = {}
    columns = _columns(root, numbers)
    texts = Texts()
    rules = Texts()
    names = [view.name for view in pages[0].views]
    views = [
        _view(
            [view for page in pages for view in page.views if view.name == name],
            pages,
            numbers,
            texts,
            rules,
        )
        for name in names
    ]
    known: dict[str, Rule] = {name: rule for page in pages for name, rule in page.rules.items()}
    return {
        **columns,
        "views": views,
        "view": default_view,
        "texts": list(texts.known),
        "rules": [_rule(name, known.get(name)) for name in rules.known],
        "findings": [finding for page in pages for finding in page.findings],
    }


def _columns(root: Node, numbers: dict[int, int]) -> Json:
    """The tree in preorder. ``numbers`` gets the position of every record, by its identity."""
    owners, categories = Texts(), Texts()
    names: list[str] = []
    depths: list[int] = []
    kinds: list[str] = []
    sizes: list[int] = []
    marks: list[int] = []
    for position, (depth, node) in enumerate(walk(root)):
        names.append(shown(node.name))
        depths.append(depth)
        kinds.append(KINDS[node.kind])
        record = node.record
        if record is not None:
            numbers[id(record)] = position
            sizes.append(record.size)
            marks.append(categories.number(record.kind.value))
            owners.number(record.owner.label)
    return {
        "names": names,
        "depths": depths,
        "kinds": "".join(kinds),
        "sizes": sizes,
        "marks": marks,
        "categories": list(categories.known),
    }


def _view(
    views: Sequence[View],
    pages: Sequence[Page],
    numbers: Mapping[int, int],
    texts: Texts,
    rules: Texts,
) -> Json:
    rows: list[list[int]] = []
    for view, page in zip(views, pages, strict=True):
        places = {
            record.key: numbers[id(record)]
            for records in page.records.values()
            for record in records
        }  # only records of this page: keys of two platforms may be equal
        rows.extend(_rows(view.plan, places, texts, rules))
    rows.sort()
    return {
        "name": views[0].name,
        "proved": all(view.proved for view in views),
        "command": "\n".join(shown(view.command) for view in views if view.command),
        "rows": rows,
    }


def _rows(
    plan: Plan, places: Mapping[FileKey, int], texts: Texts, rules: Texts
) -> Iterable[list[int]]:
    """``[node, state, rule, size after, fact, ...]``, one row a file that a rule is about."""
    for key, action in plan.actions.items():
        match action:
            case Remove():
                state, after = GOES, 0
            case Rewrite():
                state, after = SHRINKS, action.size_after
        if key in places:
            facts = _facts(action.evidence, action.record, texts)
            yield [places[key], state, rules.number(action.rule), after, *facts]
    told = set(plan.actions)
    for skipped in plan.skipped:
        key = skipped.record.key
        if key in told or key not in places:
            continue
        told.add(key)
        facts = _facts(skipped.evidence, skipped.record, texts)
        yield [places[key], HELD, rules.number(skipped.rule), skipped.record.size, *facts]


def _facts(evidence: Iterable[Evidence], record: FileRecord, texts: Texts) -> list[int]:
    told = [item for item in evidence if item.kind != "glob"]
    return [
        texts.number(evidence_text(item, about=record.deployed_path))
        for item in told[:MAX_EVIDENCE]
    ]


def _rule(name: str, rule: Rule | None) -> Json:
    if rule is None:
        return {"id": shown(name), "pass": "", "safety": "", "reason": ""}
    return {
        "id": shown(rule.id),
        "pass": rule.pass_name,
        "safety": rule.safety.label,
        "reason": shown(rule.reason),
    }


def audit_page(audit: Audit) -> Page:
    """An audit as a page: one view a profile."""
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
    )


def run_page(result: RunResult) -> Page:
    """A run as a page: one view, before and after. Without an inventory, only what the plan is about is drawn."""
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
        warnings=result.plan.warnings,
    )


def _records_of(plan: Plan, stack: Stack) -> dict[str, tuple[FileRecord, ...]]:
    found = {action.record.key: action.record for action in plan.actions.values()}
    found |= {skipped.record.key: skipped.record for skipped in plan.skipped}
    return {
        layer.name: tuple(found[key] for key in sorted(found) if key[0] == layer.name)
        for layer in stack
    }


def _findings(audit: Audit) -> list[Json]:
    """What stands out, in the same words as on the terminal."""
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
            "rows": [[shown(place), amount, shown(note)] for place, amount, note in rows[:100]],
        }
        for title, meaning, rows in found
        if rows
    ]
