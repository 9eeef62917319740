"""Differences of two traces on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from slim.model.trace_results import TraceComparison, UseChange
from slim.reports.common.canvas import Canvas, draw_each
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import printable

_USES = 8


def render(
    comparison: TraceComparison, style: TerminalStyle | None = None, verbosity: int = 0
) -> str:
    """Return runs, uses and families that came and went. ``verbosity`` 1 shows all of them."""
    return draw_each(
        (comparison,), style, lambda canvas, one: _draw(canvas, one, verbose=verbosity > 0)
    )


def _draw(canvas: Canvas, comparison: TraceComparison, *, verbose: bool) -> None:
    arrow = canvas.style.arrow
    canvas.line(
        Text(f"{printable(comparison.before)} {arrow} {printable(comparison.after)}", "bold")
    )
    canvas.blank()
    if comparison.same:
        canvas.line(Text("Both tell the same."))
        return
    most = None if verbose else _USES
    _section(canvas, "runs", comparison.runs_added, comparison.runs_removed, None)
    for run, (before, after) in sorted(comparison.witnesses.items()):
        words = f"{run}: {before or 'not recorded'} {arrow} {after or 'not recorded'}"
        canvas.line(Text(printable(words), "yellow"), indent=2)
    for change in comparison.changes:
        title = printable(f"{_versions(change, arrow)} in {change.layer}")
        _section(canvas, title, change.added, change.removed, most)
    _section(
        canvas,
        "members of families",
        comparison.families_added,
        comparison.families_removed,
        most,
    )


def _versions(change: UseChange, arrow: str) -> str:
    before, after = (", ".join(filter(None, side)) for side in (change.before, change.after))
    if change.before == change.after:
        return f"{change.name} {before}".strip()
    left = before if change.before else "(not there)"
    right = after if change.after else "(not there)"
    return f"{change.name} {left} {arrow} {right}"


def _section(
    canvas: Canvas, title: str, added: Sequence[str], removed: Sequence[str], most: int | None
) -> None:
    """Draw what came and what went, at most so many lines of each; None: all."""
    if not added and not removed and title in ("runs", "members of families"):
        return
    canvas.line(Text(title, "bold"))
    for sign, words, color in (("+", added, "green"), ("-", removed, "red")):
        for text in words[:most]:
            canvas.line(Text(f"{sign} {printable(text)}", color), indent=2)
        if most is not None and len(words) > most:
            rest = f"{sign} {len(words) - most} more; -v shows them"
            canvas.line(Text(rest, "dim"), indent=2)
