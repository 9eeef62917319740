"""The savings of a run that an audit foresees, on a terminal: by profile, and by rule."""

from __future__ import annotations

from rich.text import Text

from slim.model.audit import Audit, ProfileSavings
from slim.model.size import format_size
from slim.reports.common.accounts import first_rows
from slim.reports.common.canvas import Canvas, number_table
from slim.reports.common.text import percent, printable

_RULES = 10
_UNPROVED = (
    "an estimate; --prove finds out what imports hold back, and which libraries nothing needs"
)


def draw_savings(canvas: Canvas, result: Audit, *, verbose: bool) -> None:
    """Draw the savings of every profile, and by rule those of the chosen one, or of all."""
    savings = result.savings
    if not savings:
        return
    proved = savings[0].proved
    table = number_table(
        "what a run would save" if proved else "what a run could save",
        ("removed", "shrunk", "saved", "", "files"),
    )
    whole = result.total.unpacked
    for saving in savings:
        table.add_row(
            f"profile {saving.profile.label}",
            format_size(saving.removed),
            format_size(saving.shrunk),
            Text(format_size(saving.saved), "green"),
            percent(whole, whole - saving.saved),
            f"{saving.files:,}",
        )
    canvas.show(table)
    if not proved:
        canvas.line(Text(_UNPROVED, "dim"))
    canvas.blank()
    for saving in savings:
        if verbose or saving.profile is result.profile:
            _rules(canvas, saving, most=None if verbose else _RULES)
    for saving in savings:
        if saving.command and saving.profile is result.profile:
            command = (printable(saving.command), "bold")
            canvas.line(Text.assemble(("to do it  ", "dim"), command))
            canvas.blank()


def _rules(canvas: Canvas, saving: ProfileSavings, *, most: int | None) -> None:
    rows, rest = first_rows(saving.by_rule, most)
    if not rows:
        return
    title = f"profile {saving.profile.label}, rule by rule"
    table = number_table(title, ("saved", "files"), bars=canvas.roomy)
    largest = max(row.saved for row in rows)
    for row in rows:
        bar = [canvas.bar(row.saved, largest, "cyan")] if canvas.roomy else []
        saved = Text(format_size(row.saved), "green")
        table.add_row(printable(row.label), saved, f"{row.files:,}", *bar)
    if rest is not None:
        table.add_row(rest.label, format_size(rest.saved), f"{rest.files:,}", style="dim")
    canvas.show(table)
    canvas.blank()
