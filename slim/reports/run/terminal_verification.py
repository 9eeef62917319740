"""Verification on a terminal: checks, failures, and what was taken back."""

from __future__ import annotations

from rich.text import Text

from slim.model.outcome import Check, RunResult
from slim.model.verify import Repair
from slim.reports.common.canvas import Canvas
from slim.reports.common.text import count, duration, printable, unverified_words


def draw_verification(canvas: Canvas, result: RunResult, *, verbose: bool) -> None:
    """Draw every check that failed; those that passed on one line, or with ``verbose`` each."""
    verification = result.verification
    checks = verification.checks
    if not checks:
        return
    if verification.unverified:
        head = Text(f"{canvas.style.bad} {unverified_words(result)}", "bold red")
    elif verification.passed:
        words = "plan verified" if result.dry_run else "verified"
        head = Text(f"{canvas.style.good} {words}", "bold green")
    else:
        head = Text(f"{canvas.style.bad} verification failed", "bold red")
    took = sum(check.elapsed for check in checks)
    canvas.line(head.append(f"  {duration(took)}", "dim") if took else head)
    brief = [check for check in checks if check.passed and not verbose]
    if brief:
        facts = (f"{printable(check.name)} {check.tried:,}" for check in brief)
        canvas.line(Text(f" {canvas.style.dot} ".join(facts)), indent=2)
    for check in checks:
        if verbose or not check.passed:
            _check(canvas, check, verbose=verbose)
    for repair in verification.repairs:
        _repair(canvas, repair, verbose=verbose)
    for sentence in verification.untried:
        canvas.line(Text(f"not tried: {printable(sentence)}", "yellow"), indent=2)
    for note in verification.notes:
        canvas.line(Text(printable(note), "dim"), indent=2)
    canvas.blank()


def _check(canvas: Canvas, check: Check, *, verbose: bool) -> None:
    mark = (canvas.style.good, "green") if check.passed else (canvas.style.bad, "red")
    note = (f"  {printable(check.note)}" if check.note else "", "dim")
    canvas.line(Text.assemble(mark, f" {printable(check.name)} {check.tried:,}", note), indent=2)
    failures = [printable(failure) for failure in check.failures]
    canvas.listing(failures, len(failures) if verbose else 10, indent=4, color="red")


def _repair(canvas: Canvas, repair: Repair, *, verbose: bool) -> None:
    rules = ", ".join(map(printable, repair.rules))
    words = f"taken back: {count(len(repair.files), 'file')} of {rules}"
    tries = (f"  {count(repair.tries, 'try', 'tries')}", "dim")
    canvas.line(Text.assemble((words, "yellow"), tries), indent=2)
    files = [printable(f"{layer}/{path}") for layer, path in repair.files]
    canvas.listing(files, len(files) if verbose else 4, indent=4)
    most = len(repair.broken) if verbose else 2
    for broken in repair.broken[:most]:
        canvas.turn(f"{printable(broken.subject.check)}: {printable(str(broken))}", "cyan", 4)
    if len(repair.broken) > most:
        canvas.turn(f"and {len(repair.broken) - most} more", "dim", 4)
