"""The report of a run on a terminal: sizes, what went and why, and what was refused."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from slim.model.outcome import RunResult
from slim.model.size import format_size
from slim.reports.common.canvas import Canvas, draw_each, plain_table
from slim.reports.common.stacks import stack_facts
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import count, duration, printable
from slim.reports.run.grouping import cache_words, since_previous
from slim.reports.run.terminal_plan import draw_plan
from slim.reports.run.terminal_sizes import draw_sizes
from slim.reports.run.terminal_verification import draw_verification
from slim.reports.run.way_back import way_back_rows


def render(
    results: Sequence[RunResult], style: TerminalStyle | None = None, verbosity: int = 0
) -> str:
    """Return the report as text. ``verbosity`` 1 shows every group and row."""
    return draw_each(
        results, style, lambda canvas, result: _draw(canvas, result, verbose=verbosity > 0)
    )


def _draw(canvas: Canvas, result: RunResult, *, verbose: bool) -> None:
    _heading(canvas, result)
    draw_sizes(canvas, result)
    _since(canvas, result)
    draw_plan(canvas, result, verbose=verbose)
    draw_verification(canvas, result, verbose=verbose)
    _backup(canvas, result)
    _cache(canvas, result)
    _closing(canvas, result, verbose=verbose)


def _heading(canvas: Canvas, result: RunResult) -> None:
    canvas.line(Text(printable(result.stack.source), "bold"))
    facts = stack_facts(result.stack, len(result.layers))
    canvas.facts([*facts, f"profile {result.profile.label}"])
    if result.dry_run:
        canvas.line(Text("Dry run: nothing was written.", "bold yellow"))
    canvas.blank()


def _since(canvas: Canvas, result: RunResult) -> None:
    rows = since_previous(result)
    if not rows:
        return
    table = plain_table(header=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for name, words in rows:
        table.add_row(printable(name), words)
    canvas.show(table)
    canvas.blank()


def _cache(canvas: Canvas, result: RunResult) -> None:
    if result.cache is not None:
        words = f"  {cache_words(result)} {printable(result.cache.place)}"
        canvas.line(Text.assemble(("cache", "bold"), words))
        for text in result.cache.notes:
            canvas.line(Text(f"  {printable(text)}", "yellow"))


def _backup(canvas: Canvas, result: RunResult) -> None:
    backup, symbols = result.backup, result.symbols
    if backup is not None:
        originals = f"{count(backup.files, 'original')} of {format_size(backup.size)}"
        file = f"{printable(backup.file)}, {format_size(backup.archive_size)}"
        words = f"  {originals} in {file}; slim restore brings them back"
        canvas.line(Text.assemble(("kept", "bold"), words))
    if symbols is not None:
        files = f"{count(symbols.files, 'file')} for debuggers, {format_size(symbols.size)}"
        words = f"  {files}, in {printable(symbols.folder)}"
        canvas.line(Text.assemble(("symbols", "bold"), words))
    rows = tuple(way_back_rows(result))
    for title, words in rows:
        canvas.line(Text.assemble((title, "bold"), f"  {words}"))
    if backup is not None or symbols is not None or rows:
        canvas.blank()


def _closing(canvas: Canvas, result: RunResult, *, verbose: bool) -> None:
    canvas.rule()
    canvas.line(_ending(result))
    more = "slim explain STACK PATH tells all about a file; --report json=FILE, every detail."
    canvas.line(Text(more if verbose else f"-v shows more; {more}", "dim"))


def _ending(result: RunResult) -> Text:
    took, passed = duration(result.elapsed), result.verification.passed
    if result.compared_with is not None:
        words = "Nothing that worked stopped working" if passed else "Not everything works"
        ending = f" in {printable(result.compared_with)}, {took}."
        return Text.assemble((words, "bold green" if passed else "bold red"), ending)
    if result.dry_run:
        return Text(
            f"Dry run, {took}. To write the smaller stack, give -o OUT instead of --dry-run."
        )
    if not passed:
        return Text(f"Nothing was published: verification failed, {took}.", "bold red")
    return Text.assemble("Written to ", (printable(result.output or ""), "bold"), f", {took}.")
