"""Rules as a table, for ``slim rules list``."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from slim.model.rule import Rule, Safety
from slim.reports.common.canvas import Canvas, plain_table
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import count, printable

_COLORS = {
    Safety.SAFE: "green",
    Safety.STANDARD: "",
    Safety.AGGRESSIVE: "yellow",
    Safety.GUIDED: "cyan",
}


def render(rules: Sequence[Rule], style: TerminalStyle | None = None) -> str:
    """Return the rules as a table, in their order."""
    canvas = Canvas(style or TerminalStyle())
    table = plain_table()
    table.add_column("rule", overflow="fold", header_style="dim", style="bold", ratio=3)
    table.add_column("pass", overflow="fold", header_style="dim")
    table.add_column("safety", no_wrap=True, header_style="dim")
    table.add_column("reason", overflow="fold", header_style="dim", ratio=6)
    for rule in rules:
        table.add_row(
            printable(rule.id),
            printable(rule.pass_name),
            Text(rule.safety.label, _COLORS[rule.safety]),
            printable(" ".join(rule.reason.split())),
        )
    canvas.show(table)
    canvas.blank()
    packs = len({rule.pack for rule in rules})
    total = f"{count(len(rules), 'rule')} in {count(packs, 'pack')}"
    canvas.line(Text(f"{total}; slim rules show RULE tells all about one", "dim"))
    return canvas.text()
