"""The data of the page as compact JSON: a column an attribute, every text once, few rows."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from slim.model.finding import Evidence
from slim.model.plan import Plan, Remove, Rewrite
from slim.model.record import FileKey, FileRecord
from slim.model.rule import Rule
from slim.reports.common.text import evidence_text, printable
from slim.reports.html.content import Page, View
from slim.reports.html.gpu import gpu_data
from slim.reports.html.tree import KINDS, Node, finish, grow, walk
from slim.system.json_text import Json

GOES, SHRINKS, HELD = 1, 2, 3
"""State of a file: it goes, it gets another size, or a rule wanted it and something held it."""
MAX_EVIDENCE = 3
"""Facts about one file at most. The JSON report has all of them."""


@dataclass(slots=True)
class Texts:
    """Numbers of texts, in order of first use."""

    known: dict[str, int] = field(default_factory=dict)

    def number(self, text: str) -> int:
        """Return the number of a text."""
        return self.known.setdefault(text, len(self.known))


def pack(value: Json) -> str:
    """Return JSON, deflated (RFC 1951) and in base64.

    A browser reads it with ``DecompressionStream("deflate-raw")``.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = compressor.compress(text.encode("utf-8", "replace")) + compressor.flush()
    return base64.b64encode(packed).decode("ascii")


def page_data(pages: Sequence[Page], *, default_view: int) -> Json:
    """Return all that the script draws."""
    root = Node(name="everything", kind="stack")
    for page, name in zip(pages, _stack_names(pages), strict=True):
        place = root if len(pages) == 1 else root.child(name, "stack")
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
        "gpu": gpu_data([page.gpu for page in pages]),
    }


def _stack_names(pages: Sequence[Page]) -> list[str]:
    """Return a name for each stack: its platform, numbered where several are for the same one."""
    tags = [printable(page.stack.platform.tag) for page in pages]
    return [
        tag if tags.count(tag) == 1 else f"{tag} ({tags[:position].count(tag) + 1})"
        for position, tag in enumerate(tags)
    ]


def _columns(root: Node, numbers: dict[int, int]) -> Json:
    """Return the tree in preorder. ``numbers`` gets the position of every record, by its ``id``."""
    owners, categories = Texts(), Texts()
    names: list[str] = []
    depths: list[int] = []
    kinds: list[str] = []
    sizes: list[int] = []
    marks: list[int] = []
    for position, (depth, node) in enumerate(walk(root)):
        names.append(printable(node.name))
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
        "command": "\n".join(printable(view.command) for view in views if view.command),
        "rows": rows,
    }


def _rows(
    plan: Plan, places: Mapping[FileKey, int], texts: Texts, rules: Texts
) -> Iterable[list[int]]:
    """Return ``[node, state, rule, size after, fact, ...]`` for each file that a rule is about."""
    for key, action in plan.actions.items():
        match action:
            case Remove():
                state, after = GOES, 0
            case Rewrite():
                state, after = SHRINKS, action.size_after
        if key in places:
            facts = _facts(action.evidence, action.record, texts)
            yield [places[key], state, rules.number(action.rule), after, *facts]
    seen = set(plan.actions)
    for skipped in plan.skipped:
        key = skipped.record.key
        if key in seen or key not in places:
            continue
        seen.add(key)
        facts = _facts(skipped.evidence, skipped.record, texts)
        yield [places[key], HELD, rules.number(skipped.rule), skipped.record.size, *facts]


def _facts(evidence: Iterable[Evidence], record: FileRecord, texts: Texts) -> list[int]:
    facts = [item for item in evidence if item.kind != "glob"]
    return [
        texts.number(evidence_text(item, about=record.deployed_path))
        for item in facts[:MAX_EVIDENCE]
    ]


def _rule(name: str, rule: Rule | None) -> Json:
    if rule is None:
        return {"id": printable(name), "pass": "", "safety": "", "reason": ""}
    return {
        "id": printable(rule.id),
        "pass": rule.pass_name,
        "safety": rule.safety.label,
        "reason": printable(rule.reason),
    }
