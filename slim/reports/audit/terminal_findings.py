"""Findings of an audit on a terminal: one short list for each kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from slim.model.audit import Audit
from slim.model.size import format_size
from slim.reports.audit.shorten import shortener_of
from slim.reports.common.canvas import Canvas, plain_table
from slim.reports.common.text import count, printable

_FEW = 3

Row = tuple[str, int, str]
"""A place, its bytes, and a note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """One kind of finding: ``amount`` is how many there are, ``meaning`` what is odd about them."""

    title: str
    amount: str
    meaning: str
    rows: Sequence[Row]


def draw_findings(canvas: Canvas, result: Audit, *, verbose: bool) -> None:
    """Draw the largest findings of every kind, or all of them."""
    for finding in _findings(result, verbose=verbose):
        if finding.rows:
            _draw(canvas, finding, most=len(finding.rows) if verbose else _FEW)


def _findings(result: Audit, *, verbose: bool) -> Iterator[_Finding]:
    shorten = shortener_of(result, verbose=verbose)
    yield _Finding(
        title="unstripped symbols",
        amount=count(len(result.unstripped), "file"),
        meaning="only debuggers and linkers read them",
        rows=[(shorten(one.record.deployed_path), one.saved, "") for one in result.unstripped],
    )
    yield _Finding(
        title="code for other machines",
        amount=count(len(result.foreign), "piece"),
        meaning="the platform of its layer can't run it",
        rows=[(shorten(one.record.deployed_path), one.size, one.what) for one in result.foreign],
    )
    across = sum(len(one.layers) > 1 for one in result.duplicates)
    yield _Finding(
        title="duplicate content",
        amount=count(len(result.duplicates), "group"),
        meaning=f"the same bytes more than once; {count(across, 'group')} across layers",
        rows=[
            (shorten(one.records[0].deployed_path), one.wasted, f"{len(one.records)} times")
            for one in result.duplicates
        ],
    )
    yield _Finding(
        title="imported by nobody",
        amount=count(len(result.unused), "distribution"),
        meaning="no Python file outside mentions it",
        rows=[
            (f"{one.owner.label} in {one.layer}", one.size, _uses(one.commands, one.required_by))
            for one in result.unused
        ],
    )
    yield _Finding(
        title="orphans",
        amount=count(len(result.orphans), "distribution"),
        meaning="nothing requires, imports, links or starts them",
        rows=[(f"{one.owner.label} in {one.layer}", one.size, one.drop) for one in result.orphans],
    )
    yield _Finding(
        title="import packages in two layers",
        amount=count(len(result.shadowed), "package"),
        meaning="every application imports the copy above",
        rows=[
            (f"{one.package} in {one.layer}", one.size, f"found in {', '.join(one.above)}")
            for one in result.shadowed
        ],
    )
    yield _Finding(
        title="files no distribution owns",
        amount=count(sum(row.size.files for row in result.unowned), "file"),
        meaning="by folder",
        rows=[
            (row.label, row.size.unpacked, count(row.size.files, "file")) for row in result.unowned
        ],
    )
    stale = sorted(result.stack.stale, key=lambda archive: (-archive.size, archive.name))
    yield _Finding(
        title="stale archives",
        amount=count(len(stale), "archive"),
        meaning="no manifest names them; not counted above",
        rows=[(archive.name, archive.size, "") for archive in stale],
    )


def _uses(commands: Sequence[str], required_by: Sequence[str]) -> str:
    uses = [f"commands {', '.join(commands[:3])}"] if commands else []
    if len(required_by) == 1:
        uses.append(required_by[0])
    elif required_by:
        uses.append(f"required {len(required_by)} times")
    return "; ".join(uses)


def _draw(canvas: Canvas, finding: _Finding, *, most: int) -> None:
    total = format_size(sum(row[1] for row in finding.rows))
    canvas.line(
        Text.assemble(
            (finding.title, "bold"),
            f"  {total} in {finding.amount}",
            (f"  {finding.meaning}", "dim"),
        )
    )
    table = plain_table(header=False)
    table.add_column("", justify="right", no_wrap=True, min_width=11)
    table.add_column("", overflow="fold")
    for place, amount, note in finding.rows[:most]:
        words = f"  {printable(note)}" if note else ""
        table.add_row(format_size(amount), Text.assemble(printable(place), (words, "dim")))
    rest = finding.rows[most:]
    if rest:
        amount = sum(row[1] for row in rest)
        table.add_row(Text(format_size(amount), "dim"), Text(f"{len(rest):,} more", "dim"))
    canvas.show(table)
    canvas.blank()
