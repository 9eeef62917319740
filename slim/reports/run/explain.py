"""The story of one file on a terminal, for ``slim explain``."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from slim.model.finding import Evidence
from slim.model.outcome import Explanation
from slim.model.plan import Remove, Rewrite, Skipped
from slim.model.rule import Rule
from slim.model.size import format_size
from slim.reports.common.canvas import Canvas, draw_each
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import evidence_text, percent, printable

_STYLES = {
    "removed": "bold red",
    "rewritten": "bold yellow",
    "refused": "bold cyan",
    "kept": "bold green",
}


def render(explanations: Sequence[Explanation], style: TerminalStyle | None = None) -> str:
    """Return all explanations, one after the other."""
    return draw_each(explanations, style, _draw)


def _draw(canvas: Canvas, item: Explanation) -> None:
    record = item.record
    about = record.deployed_path
    canvas.line(Text(printable(about), "bold"))
    canvas.line(
        Text.assemble((item.verdict, _STYLES.get(item.verdict, "bold")), ": ", _verdict(item)),
        indent=2,
    )
    canvas.blank()
    weight = format_size(record.size)
    if record.bytecode_size:
        weight += f", and ~{format_size(record.bytecode_size)} of bytecode once deployed"
    facts = [
        ("size", weight),
        ("category", record.kind.value),
        ("owner", record.owner.label),
        ("layer", record.layer),
    ]
    if record.link_target is not None:
        facts.append(("link to", record.link_target))
    for name, value in facts:
        canvas.line(Text.assemble((f"{name:<9} ", "dim"), printable(value)), indent=2)
    if item.action is not None:
        _proof(canvas, item.action.evidence, about, "evidence")
    for skipped in item.skipped:
        _refusal(canvas, skipped, about)
    _rules(canvas, "rules that select it", item.considered)
    _rules(
        canvas,
        "rules that would select it under a bolder profile, or that are disabled",
        item.out_of_reach,
    )
    if item.facts:
        _proof(canvas, item.facts, about, "known about it")


def _verdict(item: Explanation) -> str:
    match item.action:
        case Remove(rule=rule):
            return f"by the rule {printable(rule)}"
        case Rewrite(rule=rule, record=record, size_after=after):
            sizes = f"{format_size(record.size)} to {format_size(after)}"
            return f"by the rule {printable(rule)}, {sizes} ({percent(record.size, after)})"
        case None:
            pass
    if item.skipped:
        reasons = ", ".join(dict.fromkeys(skipped.reason.value for skipped in item.skipped))
        return f"a rule selects it, and it stays ({reasons})"
    return "no rule that is applied selects it"


def _refusal(canvas: Canvas, skipped: Skipped, about: str) -> None:
    title = f"refused to the rule {printable(skipped.rule)} ({skipped.reason.value})"
    _proof(canvas, skipped.evidence, about, title)


def _proof(canvas: Canvas, evidence: Sequence[Evidence], about: str, title: str) -> None:
    canvas.blank()
    canvas.line(Text(title, "bold"), indent=2)
    if not evidence:
        canvas.line(Text("no further evidence", "dim"), indent=4)
    for fact in evidence:
        canvas.turn(f"{printable(fact.kind)}: {evidence_text(fact, about=about)}", "cyan", indent=4)


def _rules(canvas: Canvas, title: str, rules: Sequence[Rule]) -> None:
    if not rules:
        return
    canvas.blank()
    canvas.line(Text(title, "bold"), indent=2)
    for rule in rules:
        head = Text.assemble(
            printable(rule.id), (f"  {rule.safety.label}, pass {printable(rule.pass_name)}", "dim")
        )
        canvas.line(head, indent=4)
        canvas.line(Text(printable(" ".join(rule.reason.split()))), indent=6)
