"""The table of rules that ``slim rules list`` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from slim.model.rule import Rule
from slim.reports.common.canvas import Canvas
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import count, printable


def render(rules: Sequence[Rule], style: TerminalStyle | None = None) -> str:
    """The rules as a table, in their order."""
    canvas = Canvas(style or TerminalStyle())
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
    table.add_column("rule", overflow="fold", header_style="dim", style="bold", ratio=3)
    table.add_column("pass", overflow="fold", header_style="dim")
    table.add_column("safety", no_wrap=True, header_style="dim")
    table.add_column("reason", overflow="fold", header_style="dim", ratio=6)
    for rule in rules:
        color = {"safe": "green", "standard": "", "aggressive": "yellow"}[rule.safety.label]
        table.add_row(
            printable(rule.id),
            printable(rule.pass_name),
            Text(rule.safety.label, color),
            printable(" ".join(rule.reason.split())),
        )
    canvas.show(table)
    canvas.blank()
    packs = len({rule.pack for rule in rules})
    told = f"{count(len(rules), 'rule')} in {count(packs, 'pack')}; slim rules show RULE tells all about one"
    canvas.line(Text(told, "dim"))
    return canvas.text()
