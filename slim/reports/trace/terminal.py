"""Traces on a terminal: what one tells, and what one lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from slim.model.record import OwnerKind
from slim.model.risk import Risk
from slim.model.size import format_size
from slim.model.trace import RunKind, Trace
from slim.model.trace_results import (
    Lack,
    LackKind,
    TraceSummary,
    TraceVerdict,
    UnusedOwner,
)
from slim.reports.common.canvas import Canvas, draw_each, number_table, plain_table
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import count, evidence_text, printable

_IMPORTERS = 3
_MEMBERS = 6
_FAMILIES = 12
_UNUSED = 10
_LACKS = 12
_TITLES = {
    LackKind.INSTALL: "install step",
    LackKind.RUN: "runs never recorded",
    LackKind.VANISHED: "runs that vanished",
    LackKind.VERSION: "versions never traced",
    LackKind.COMPUTED: "computed imports that no run exercised",
}


def render_summary(
    summary: TraceSummary, style: TerminalStyle | None = None, verbosity: int = 0
) -> str:
    """Return runs, layers, families and unused distributions. ``verbosity`` 1 shows all of them."""
    return draw_each(
        (summary,), style, lambda canvas, one: _summary(canvas, one, verbose=verbosity > 0)
    )


def _summary(canvas: Canvas, summary: TraceSummary, *, verbose: bool) -> None:
    trace = summary.trace
    canvas.line(Text(printable(summary.source), "bold"))
    canvas.line(Text(", ".join(sorted(trace.platforms)), "dim"))
    canvas.blank()
    _runs(canvas, trace)
    _layers(canvas, trace)
    _families(canvas, trace, verbose=verbose)
    _unused(canvas, summary, verbose=verbose)
    _risk(canvas, summary.risk, verbose=verbose)
    for platform in sorted(trace.platforms):
        if not trace.natives_known(platform):
            words = f"{platform}: what native code read isn't known, so native files and data stay"
            canvas.line(Text(words, "yellow"))
    for note in summary.notes:
        canvas.line(Text(printable(note), "yellow"))


def _runs(canvas: Canvas, trace: Trace) -> None:
    table = plain_table()
    table.add_column("run", overflow="fold", header_style="bold")
    for title in ("kind", "platform", "witnesses"):
        table.add_column(title, overflow="fold", header_style="dim")
    table.add_column("modules", justify="right", header_style="dim")
    modules = Counter(
        run for _, _, uses in trace.all_uses() for runs in uses.modules.values() for run in runs
    )
    for name, run in sorted(trace.runs.items()):
        first = True
        for platform, witnesses in sorted(run.witnesses.items()):
            cells = (printable(name), run.kind.value) if first else ("", "")
            number = f"{modules[name]:,}" if first else ""
            table.add_row(*cells, platform, ", ".join(sorted(witnesses)), number)
            first = False
    canvas.show(table)
    canvas.blank()


def _layers(canvas: Canvas, trace: Trace) -> None:
    table = number_table("layer", ("distributions", "used", "modules", "read", "native"))
    for layer in sorted({layer for layer, _ in trace.uses}):
        uses = [(owner, uses) for there, owner, uses in trace.all_uses() if there == layer]
        owners = [one for one, _ in uses if one.kind is OwnerKind.DISTRIBUTION]
        used = [
            one
            for one, what in uses
            if one.kind is OwnerKind.DISTRIBUTION and (what.modules or what.natives)
        ]
        numbers = (
            len(owners),
            len(used),
            *(
                sum(len(table) for table in tables)
                for tables in zip(
                    *((what.modules, what.read, what.natives) for _, what in uses), strict=True
                )
            ),
        )
        table.add_row(printable(layer), *(f"{number:,}" for number in numbers))
    canvas.show(table)
    canvas.blank()


def _families(canvas: Canvas, trace: Trace, *, verbose: bool) -> None:
    if not trace.families:
        return
    canvas.line(Text("families: modules that are imported by computed names", "bold"))
    prefixes = sorted(trace.families)
    for prefix in prefixes if verbose else prefixes[:_FAMILIES]:
        members = sorted(trace.members(prefix))
        shown = members if verbose else members[:_MEMBERS]
        names = ", ".join(name.removeprefix(prefix) for name in shown)
        more = f" and {len(members) - len(shown)} more" if len(members) > len(shown) else ""
        places = sorted(trace.families[prefix])
        at = f"at {places[0]}" + (f" and {len(places) - 1} more" if len(places) > 1 else "")
        called = "(top level)" if prefix == "." else f"{prefix}*"
        canvas.line(Text(printable(f"{called}  {names}{more}")), indent=2)
        canvas.turn(printable(at), "dim", indent=4)
    if not verbose and len(prefixes) > _FAMILIES:
        rest = len(prefixes) - _FAMILIES
        canvas.line(Text(f"and {rest} more; -v shows them", "dim"), indent=2)
    canvas.blank()


def _unused(canvas: Canvas, summary: TraceSummary, *, verbose: bool) -> None:
    if not any(run.kind is RunKind.USE for run in summary.trace.runs.values()):
        canvas.line(Text("No use of the product is in it, so nothing is told of what isn't used."))
        return
    if not summary.unused:
        canvas.line(Text("Every distribution was used."))
        return
    canvas.line(Text("distributions that no run used: they may be dropped as a whole", "bold"))
    rows = summary.unused if verbose else summary.unused[:_UNUSED]
    for one in rows:
        _one_unused(canvas, one, of_stack=summary.of_stack)
    if len(rows) < len(summary.unused):
        rest = len(summary.unused) - len(rows)
        canvas.line(Text(f"and {rest} more; -v shows them", "dim"), indent=2)
    if not summary.of_stack:
        words = "With the stack (slim trace show TRACE STACK) it is told who imports them."
        canvas.line(Text(words, "dim"), indent=2)
    canvas.blank()


def _risk(canvas: Canvas, risk: Risk, *, verbose: bool) -> None:
    """Draw leave-one-out; with one use alone there is nothing to leave out."""
    if not risk.known:
        return
    total, single = len(risk.runs), len(risk.surprising)
    words = f"{single} of {total} runs imported modules that no other run did"
    canvas.line(Text.assemble(("leave-one-out: ", "bold"), words))
    for name in risk.surprising:
        modules = count(risk.runs[name], "module")
        canvas.line(Text(printable(f"{name}: {modules}")), indent=2)
    rows = risk.owners if verbose else risk.owners[:_UNUSED]
    for one in rows:
        parts = [
            *([count(one.modules, "module")] if one.modules else []),
            *([count(one.files, "file")] if one.files else []),
        ]
        words = f"{one.owner.label} in {len(one.runs)} of {total} runs: {', '.join(parts)}"
        canvas.line(Text(printable(words), "dim"), indent=2)
    if len(rows) < len(risk.owners):
        rest = len(risk.owners) - len(rows)
        canvas.line(Text(f"and {rest} more; -v shows them", "dim"), indent=2)
    canvas.blank()


def _one_unused(canvas: Canvas, one: UnusedOwner, *, of_stack: bool) -> None:
    size = "" if one.size is None else f"  {format_size(one.size)}"
    canvas.line(Text(printable(f"{one.owner.label} in {one.layer}{size}")), indent=2)
    if not of_stack:
        return
    failing = one.failing
    for evidence in failing[:_IMPORTERS]:
        canvas.turn(f"would fail: {evidence_text(evidence)}", "red", indent=4)
    guarded = one.importers[len(failing) :]
    for evidence in guarded[: max(0, _IMPORTERS - len(failing))]:
        canvas.turn(f"copes without: {evidence_text(evidence)}", "cyan", indent=4)
    shown = min(len(one.importers), _IMPORTERS)
    if len(one.importers) > shown:
        rest = count(len(one.importers) - shown, "more place")
        canvas.turn(f"and {rest}", "dim", indent=4)
    if not one.importers:
        canvas.turn("nothing imports it", "green", indent=4)
    for text in one.required_by:
        canvas.turn(printable(text), "dim", indent=4)
    despite = sorted({text.split(" ", 1)[0] for text in one.required_by})
    named = f'"{one.owner.name}"'
    if despite:
        others = ", ".join(f'"{name}"' for name in despite)
        named = f'{{ name = "{one.owner.name}", despite = [{others}] }}'
    canvas.turn(printable(f"drop = [{named}]"), "green", indent=4)


def render_verdict(
    verdict: TraceVerdict, style: TerminalStyle | None = None, verbosity: int = 0
) -> str:
    """Return what a trace lacks, by kind. ``verbosity`` 1 shows all of it."""
    return draw_each(
        (verdict,), style, lambda canvas, one: _verdict(canvas, one, verbose=verbosity > 0)
    )


def _verdict(canvas: Canvas, verdict: TraceVerdict, *, verbose: bool) -> None:
    canvas.line(Text(printable(f"{verdict.source} for {verdict.stack}"), "bold"))
    canvas.blank()
    for kind, title in _TITLES.items():
        lacks = [lack for lack in verdict.lacks if lack.kind is kind]
        checked = verdict.checked.get(kind, 0)
        if not checked:
            continue
        of = f"{len(lacks)} of {checked:,}"
        canvas.line(Text(f"{title}: {of}", "red" if lacks else "green"))
        _lacks(canvas, lacks, verbose=verbose)
    for note in verdict.notes:
        canvas.line(Text(printable(note), "yellow"))


def _lacks(canvas: Canvas, lacks: Sequence[Lack], *, verbose: bool) -> None:
    for lack in lacks if verbose else lacks[:_LACKS]:
        canvas.line(Text(printable(lack.text)), indent=2)
    if not verbose and len(lacks) > _LACKS:
        canvas.line(Text(f"and {len(lacks) - _LACKS} more; -v shows them", "dim"), indent=2)
    for hint in sorted({lack.hint for lack in lacks}):
        canvas.turn(hint, "cyan", indent=4)
