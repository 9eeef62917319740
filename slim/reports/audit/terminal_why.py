"""Answers to ``slim audit --why``, on a terminal: who needs a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text

from slim.model.audit import Audit, Why, WhyAnswer
from slim.model.finding import Evidence
from slim.model.size import format_size
from slim.reports.audit.shorten import shortener_of
from slim.reports.common.canvas import Canvas
from slim.reports.common.text import count, evidence_text, printable

_FACTS = 5


def draw_why(canvas: Canvas, result: Audit, answer: WhyAnswer, *, verbose: bool) -> None:
    """Draw what keeps the largest files that a glob matches."""
    amount = f"  {count(answer.files, 'file')}, {format_size(answer.size)}"
    canvas.line(Text.assemble((printable(answer.glob), "bold"), amount))
    canvas.blank()
    shorten = shortener_of(result, verbose=verbose)
    for why in answer.explained:
        _file(canvas, why, shorten, verbose=verbose)
    more = answer.files - len(answer.explained)
    if more:
        words = f"{more:,} smaller files aren't explained; give a narrower glob to see them"
        canvas.line(Text(words, "dim"))
        canvas.blank()


def _file(canvas: Canvas, why: Why, shorten: Callable[[str], str], *, verbose: bool) -> None:
    record = why.record
    words = f"  {record.kind.value}, {format_size(record.size)}"
    canvas.line(Text.assemble((printable(record.deployed_path), "bold"), (words, "dim")))
    owner = printable(record.owner.label)
    canvas.line(Text.assemble(("owner        ", "dim"), owner), indent=2)
    if why.native:
        canvas.line(Text.assemble(("headers      ", "dim"), printable(why.native)), indent=2)
    reasons = (
        ("required by", why.required_by),
        ("imported by", why.imported_by),
        ("needed by", why.needed_by),
        ("linked by", why.linked_by),
    )
    for title, facts in reasons:
        _facts(canvas, title, facts, shorten, most=len(facts) if verbose else _FACTS)
    if not any(facts for _, facts in reasons):
        words = "nothing in the stack requires, imports, links or loads it"
        canvas.line(Text(words, "yellow"), indent=2)
    canvas.blank()


def _facts(
    canvas: Canvas,
    title: str,
    facts: Sequence[Evidence],
    shorten: Callable[[str], str],
    *,
    most: int,
) -> None:
    for index, fact in enumerate(facts[:most]):
        head = title if index == 0 else ""
        words = Text.assemble((f"{head:<13}", "dim"), evidence_text(fact, shorten))
        canvas.line(words, indent=2)
    if len(facts) > most:
        canvas.line(Text(f"{'':<13}and {len(facts) - most} more", "dim"), indent=2)
