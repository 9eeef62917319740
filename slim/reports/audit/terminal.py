"""The audit on a terminal: where the bytes are, what stands out, and what could go."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.rule import Rule as Line
from rich.table import Table
from rich.text import Text

from slim.model.audit import Audit, ProfileSavings, SizeRow, Why, WhyAnswer
from slim.model.finding import Evidence
from slim.reports.common.canvas import Canvas
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import (
    count,
    duration,
    evidence_text,
    percent,
    printable,
    size,
    stack_word,
)
from slim.reports.run.grouping import shortener

_SNUG = 76
_BAR = 20
_FEW = 3


def render(results: Sequence[Audit], style: TerminalStyle | None = None, verbosity: int = 0) -> str:
    """The audit as text. ``verbosity`` 1 shows every row instead of the largest.

    Without a ``style`` it is plain text, 100 columns wide.
    """
    canvas = Canvas(style or TerminalStyle())
    for index, result in enumerate(results):
        if index:
            canvas.blank()
        _Report(canvas, result, verbosity > 0).show()
    return canvas.text()


class _Report:
    """One audit on a canvas, section by section."""

    def __init__(self, canvas: Canvas, result: Audit, verbose: bool) -> None:
        self.canvas = canvas
        self.style = canvas.style
        self.result = result
        self.verbose = verbose
        self.estimated = result.total.bytecode > 0
        self.archived = result.total.archive > 0
        self.shorten: Callable[[str], str] = str if verbose else _shortener(result)

    def show(self) -> None:
        self.heading()
        for answer in self.result.why:
            self.why(answer)
        if self.result.why:
            return
        self.layers()
        self.account("owner", self.result.by_owner, most=10)
        self.account("category", self.result.by_category, most=None)
        self.largest()
        self.standouts()
        self.savings()
        self.warnings()
        self.closing()

    def heading(self) -> None:
        stack = self.result.stack
        facts = [stack_word(stack.kind), count(len(self.result.layers), "layer")]
        if stack.platform.tag != "unknown":
            facts.insert(1, printable(stack.platform.tag))
        facts += [count(self.result.total.files, "file"), size(self.result.total.unpacked)]
        self.canvas.line(Text(printable(stack.source), "bold"))
        self.canvas.line(Text(f" {self.style.dot} ".join(facts), "dim"))
        self.canvas.blank()

    # Sizes

    def layers(self) -> None:
        table = self._table("layer")
        titles = (
            ["archive"] * self.archived + ["unpacked"] + ["~deployed"] * self.estimated + ["files"]
        )
        for title in titles:
            table.add_column(title, justify="right", no_wrap=True, header_style="dim")
        rows = [(row.layer.name, row.size, "") for row in self.result.layers]
        if len(rows) > 1:
            rows.append(("total", self.result.total, "bold"))
        for name, amount, style in rows:
            cells = [size(amount.archive) if amount.archive else "-"] * self.archived
            cells += (
                [size(amount.unpacked)]
                + [f"~{size(amount.deployed)}"] * self.estimated
                + [f"{amount.files:,}"]
            )
            table.add_row(printable(name), *cells, style=style)
        self.canvas.show(table)
        if self.estimated:
            self.canvas.line(
                Text(
                    "~ an estimate: with the bytecode that postinstall compiles on the user's machine",
                    "dim",
                )
            )
        self.canvas.blank()

    def account(self, title: str, rows: Sequence[SizeRow], most: int | None) -> None:
        table = self._table(title)
        for name in ["unpacked"] + ["~deployed"] * self.estimated + ["share", "files"]:
            table.add_column(name, justify="right", no_wrap=True, header_style="dim")
        bars = self.style.width >= _SNUG
        if bars:
            table.add_column("", no_wrap=True)
        shown = rows if self.verbose or most is None else rows[:most]
        top = max((row.size.unpacked for row in rows), default=0)
        for row in shown:
            table.add_row(
                printable(row.label),
                *self._amounts(row),
                *([self._bar(row.size.unpacked, top)] * bars),
            )
        rest = rows[len(shown) :]
        if rest:
            sums = SizeRow(
                label=f"{len(rest)} more", size=sum((row.size for row in rest[1:]), rest[0].size)
            )
            table.add_row(sums.label, *self._amounts(sums), style="dim")
        self.canvas.show(table)
        self.canvas.blank()

    def _amounts(self, row: SizeRow) -> list[str]:
        whole = self.result.total.unpacked
        share = f"{100 * row.size.unpacked / whole:.1f}%" if whole else ""
        deployed = [f"~{size(row.size.deployed)}"] * self.estimated
        return [size(row.size.unpacked), *deployed, share, f"{row.size.files:,}"]

    def largest(self) -> None:
        most = len(self.result.largest) if self.verbose else 8
        table = self._table("largest files")
        table.add_column("size", justify="right", no_wrap=True, header_style="dim")
        table.add_column("category", no_wrap=True, header_style="dim")
        for record in self.result.largest[:most]:
            place = printable(self.shorten(record.deployed_path))
            table.add_row(place, size(record.size), Text(record.kind.value, "dim"))
        self.canvas.show(table)
        self.canvas.blank()

    # What stands out

    def standouts(self) -> None:
        result = self.result
        self._finding(
            "unstripped symbols", sum(one.saved for one in result.unstripped), count(len(result.unstripped), "file"),
            "only debuggers and linkers read them",
            [(self.shorten(one.record.deployed_path), one.saved, "") for one in result.unstripped],
        )  # fmt: skip
        self._finding(
            "code for other machines", sum(one.size for one in result.foreign), count(len(result.foreign), "piece"),
            "the platform of its layer can't run it",
            [(self.shorten(one.record.deployed_path), one.size, one.what) for one in result.foreign],
        )  # fmt: skip
        across = [one for one in result.duplicates if len(one.layers) > 1]
        self._finding(
            "duplicate content", sum(one.wasted for one in result.duplicates), count(len(result.duplicates), "group"),
            f"the same bytes more than once; {count(len(across), 'group')} across layers",
            [
                (self.shorten(one.records[0].deployed_path), one.wasted, f"{len(one.records)} times")
                for one in result.duplicates
            ],
        )  # fmt: skip
        self._finding(
            "imported by nobody", sum(one.size for one in result.unused), count(len(result.unused), "distribution"),
            "no Python file outside mentions it",
            [(f"{one.owner.label} in {one.layer}", one.size, self._used_as(one.commands, one.required_by))
             for one in result.unused],
        )  # fmt: skip
        self._finding(
            "files no distribution owns", sum(row.size.unpacked for row in result.unowned),
            count(sum(row.size.files for row in result.unowned), "file"), "by folder",
            [(row.label, row.size.unpacked, count(row.size.files, "file")) for row in result.unowned],
        )  # fmt: skip
        stale = sorted(result.stack.stale, key=lambda one: (-one.size, one.name))
        self._finding(
            "stale archives", sum(one.size for one in stale), count(len(stale), "archive"),
            "no manifest names them; not counted above",
            [(one.name, one.size, "") for one in stale],
        )  # fmt: skip

    @staticmethod
    def _used_as(commands: Sequence[str], required_by: Sequence[str]) -> str:
        told = [f"commands {', '.join(commands[:3])}"] if commands else []
        if required_by:
            told.append(
                required_by[0] if len(required_by) == 1 else f"required {len(required_by)} times"
            )
        return "; ".join(told)

    def _finding(
        self,
        title: str,
        total: int,
        amount: str,
        meaning: str,
        rows: Sequence[tuple[str, int, str]],
    ) -> None:
        if not rows:
            return
        self.canvas.line(
            Text.assemble((title, "bold"), f"  {size(total)} in {amount}", (f"  {meaning}", "dim")),
        )
        most = len(rows) if self.verbose else _FEW
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
        table.add_column("", justify="right", no_wrap=True, min_width=11)
        table.add_column("", overflow="fold")
        for place, amount_of, note in rows[:most]:
            table.add_row(
                size(amount_of),
                Text.assemble(printable(place), (f"  {printable(note)}" if note else "", "dim")),
            )
        if len(rows) > most:
            rest = sum(row[1] for row in rows[most:])
            table.add_row(Text(size(rest), "dim"), Text(f"{len(rows) - most:,} more", "dim"))
        self.canvas.show(table)
        self.canvas.blank()

    # What could go

    def savings(self) -> None:
        savings = self.result.savings
        if not savings:
            return
        proved = savings[0].proved
        table = self._table("what a run would save" if proved else "what a run could save")
        for title in ("removed", "shrunk", "saved", "", "files"):
            table.add_column(title, justify="right", no_wrap=True, header_style="dim")
        whole = self.result.total.unpacked
        for saving in savings:
            table.add_row(
                f"profile {saving.profile.label}",
                size(saving.removed),
                size(saving.shrunk),
                Text(size(saving.saved), "green"),
                percent(whole, whole - saving.saved),
                f"{saving.files:,}",
            )
        self.canvas.show(table)
        if not proved:
            note = "an estimate; --prove finds out what imports hold back, and which libraries nothing needs"
            self.canvas.line(Text(note, "dim"))
        self.canvas.blank()
        for saving in savings:
            if self.verbose or saving.profile is self.result.profile:
                self._rules(saving)
        for saving in savings:
            if saving.command and saving.profile is self.result.profile:
                self.canvas.line(
                    Text.assemble(("to do it  ", "dim"), (printable(saving.command), "bold"))
                )
                self.canvas.blank()

    def _rules(self, saving: ProfileSavings) -> None:
        rows = saving.by_rule if self.verbose else saving.by_rule[:10]
        if not rows:
            return
        table = self._table(f"profile {saving.profile.label}, rule by rule")
        for title in ("saved", "files"):
            table.add_column(title, justify="right", no_wrap=True, header_style="dim")
        bars = self.style.width >= _SNUG
        if bars:
            table.add_column("", no_wrap=True)
        top = max((row.saved for row in rows), default=0)
        for row in rows:
            table.add_row(
                printable(row.label), Text(size(row.saved), "green"), f"{row.files:,}",
                *([self._bar(row.saved, top)] * bars),
            )  # fmt: skip
        rest = saving.by_rule[len(rows) :]
        if rest:
            table.add_row(
                f"{len(rest)} more",
                size(sum(row.saved for row in rest)),
                f"{sum(row.files for row in rest):,}",
                style="dim",
            )
        self.canvas.show(table)
        self.canvas.blank()

    # Why

    def why(self, answer: WhyAnswer) -> None:
        self.canvas.line(
            Text.assemble(
                (printable(answer.glob), "bold"),
                f"  {count(answer.files, 'file')}, {size(answer.size)}",
            )
        )
        self.canvas.blank()
        for one in answer.explained:
            self._explained(one)
        more = answer.files - len(answer.explained)
        if more:
            self.canvas.line(
                Text(
                    f"{more:,} smaller files aren't explained; give a narrower glob to see them",
                    "dim",
                )
            )
            self.canvas.blank()

    def _explained(self, one: Why) -> None:
        record = one.record
        told = f"{record.kind.value}, {size(record.size)}"
        self.canvas.line(
            Text.assemble((printable(record.deployed_path), "bold"), (f"  {told}", "dim"))
        )
        self.canvas.line(
            Text.assemble(("owner        ", "dim"), printable(record.owner.label)), indent=2
        )
        for title, facts in (
            ("required by", one.required_by),
            ("imported by", one.imported_by),
            ("needed by", one.needed_by),
            ("linked by", one.linked_by),
        ):
            self._facts(title, facts)
        if not (one.required_by or one.imported_by or one.needed_by or one.linked_by):
            self.canvas.line(
                Text("nothing in the stack requires, imports, links or loads it", "yellow"),
                indent=2,
            )
        self.canvas.blank()

    def _facts(self, title: str, facts: Sequence[Evidence]) -> None:
        most = len(facts) if self.verbose else 5
        for index, fact in enumerate(facts[:most]):
            head = title if index == 0 else ""
            self.canvas.line(
                Text.assemble((f"{head:<13}", "dim"), evidence_text(fact, self.shorten)), indent=2
            )
        if len(facts) > most:
            self.canvas.line(Text(f"{'':<13}and {len(facts) - most} more", "dim"), indent=2)

    # The rest

    def warnings(self) -> None:
        notes = self.result.warnings
        if not notes:
            return
        most = len(notes) if self.verbose else 5
        self.canvas.line(Text(count(len(notes), "warning"), "bold yellow"))
        for note in notes[:most]:
            self.canvas.line(Text(printable(note)), indent=2)
        if len(notes) > most:
            self.canvas.line(Text(f"{len(notes) - most} more", "dim"), indent=2)
        self.canvas.blank()

    def closing(self) -> None:
        self.canvas.show(Line(style="dim", characters=self.style.rule))
        self.canvas.line(
            Text(f"Looked at everything in {duration(self.result.elapsed)}; nothing was changed.")
        )
        more = "--why GLOB tells why a file is there; --report html=FILE draws the map."
        self.canvas.line(Text(more if self.verbose else f"-v shows more; {more}", "dim"))

    def _table(self, title: str) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
        table.add_column(title, overflow="fold", header_style="bold")
        return table

    def _bar(self, value: int, top: int) -> Text:
        return Text(self.style.bar * (round(_BAR * value / top) if top > 0 else 0), "cyan")


def _shortener(result: Audit) -> Callable[[str], str]:
    """Leaves out what people know of a path: layer and site-packages folder, and the name of a lone layer anyway."""
    shorten = shortener(result.stack)
    alone = f"{result.layers[0].layer.name}/" if len(result.layers) == 1 else "\0"
    return lambda path: shorten(path).removeprefix(alone)
