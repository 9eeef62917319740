"""The report on a terminal: sizes, what went and why, what was refused, and what to do next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.rule import Rule as Line
from rich.table import Table
from rich.text import Text

from slim.model.footprint import Footprint, FootprintDelta
from slim.model.outcome import RunResult, SigningReason
from slim.model.plan import SkipReason
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
from slim.reports.run.backup import backup_line, symbols_line
from slim.reports.run.grouping import (
    RefusalGroup,
    archives_measured,
    contributors,
    group_refusals,
    shortener,
    since_previous,
)

_ROOMY = 96
_SNUG = 76
_BAR = 20
_REASONS = {
    SkipReason.PROTECTED: "protected files",
    SkipReason.KEPT: "kept by your configuration",
    SkipReason.IMPORTED: "imported by code that stays",
    SkipReason.LINKED: "linked by libraries that stay",
    SkipReason.REFERENCED: "mentioned by files that stay",
    SkipReason.UNSAFE_TO_EDIT: "can't be edited safely",
    SkipReason.NOTHING_GAINED: "nothing to gain",
    SkipReason.SIGNED: "signed",
    SkipReason.REQUIRED: "required to run",
    SkipReason.NEEDED: "needed: something stopped working without them",
}


def render(
    results: Sequence[RunResult], style: TerminalStyle | None = None, verbosity: int = 0
) -> str:
    """The report as text. ``verbosity`` 1 shows every group and row instead of the largest.

    Without a ``style`` it is plain text, 100 columns wide, as it is written to a file.
    """
    canvas = Canvas(style or TerminalStyle())
    for index, result in enumerate(results):
        if index:
            canvas.blank()
        _Report(canvas, result, verbosity).show()
    return canvas.text()


class _Report:
    """One result on a canvas, section by section."""

    def __init__(self, canvas: Canvas, result: RunResult, verbosity: int) -> None:
        self.canvas = canvas
        self.style = canvas.style
        self.result = result
        self.verbose = verbosity > 0
        self.shorten: Callable[[str], str] = str if self.verbose else shortener(result.stack)

    def show(self) -> None:
        self.heading()
        self.sizes()
        self.since()
        self.contributions()
        self.refusals()
        self.signing()
        self.stale()
        self.warnings()
        self.verification()
        self.keeping()
        self.closing()

    def heading(self) -> None:
        result, stack = self.result, self.result.stack
        facts = [stack_word(stack.kind), count(len(result.layers), "layer")]
        if stack.platform.tag != "unknown":
            facts.insert(1, printable(stack.platform.tag))
        facts.append(f"profile {result.profile.label}")
        dot = f" {self.style.dot} "
        self.canvas.line(Text(printable(stack.source), "bold"))
        self.canvas.line(Text(dot.join(facts), "dim"))
        if result.dry_run:
            self.canvas.line(Text("Dry run: nothing was written.", "bold yellow"))
        self.canvas.blank()

    # Sizes

    def sizes(self) -> None:
        rows = [(item.layer.name, item.before, item.after) for item in self.result.layers]
        if len(rows) != 1:
            rows.append(("total", self.result.before, self.result.after))
        for least, with_percent in ((_ROOMY, True), (_SNUG, False)):
            table = self._sizes_table(rows, with_percent=with_percent)
            if self.style.width >= max(least, self.canvas.width_of(table)):
                self.canvas.show(table)
                break
        else:
            self._sizes_stacked(rows)
        self.canvas.line(
            Text(
                "~ an estimate: unpacked, plus the bytecode that postinstall compiles on the user's machine",
                "dim",
            )
        )
        if not archives_measured(self.result) and self.result.before.archive:
            self.canvas.line(Text("? archives are measured once they are written", "dim"))
        self.canvas.blank()

    def _triples(
        self, before: Footprint, after: Footprint
    ) -> tuple[tuple[str, int, int | None], ...]:
        measured = archives_measured(self.result)
        return (
            ("", before.archive, after.archive if measured else None),
            ("", before.unpacked, after.unpacked),
            ("~", before.deployed, after.deployed),
        )

    def _sizes_table(
        self, rows: Sequence[tuple[str, Footprint, Footprint]], *, with_percent: bool
    ) -> Table:
        columns = [
            [self._triples(before, after)[index] for _, before, after in rows] for index in range(3)
        ]
        cells = [self._column(column, with_percent=with_percent) for column in columns]
        table = Table(
            box=None,
            padding=(0, 2 if not with_percent else 3, 0, 0),
            pad_edge=False,
            header_style="",
        )
        table.add_column("layer", overflow="fold", header_style="dim")
        for title in ("archive", "unpacked", "~deployed"):
            table.add_column(title, no_wrap=True, header_style="dim")
        for index, (name, _, _) in enumerate(rows):
            style = "bold" if name == "total" and index == len(rows) - 1 and len(rows) > 1 else ""
            table.add_row(
                Text(printable(name), style), *(column[index] for column in cells), style=style
            )
        if not with_percent:
            changes = [column[-1] for column in columns]
            table.add_row("", *(self._saving(before, after) for _, before, after in changes))
        return table

    def _sizes_stacked(self, rows: Sequence[tuple[str, Footprint, Footprint]]) -> None:
        for name, before, after in rows:
            self.canvas.line(Text(printable(name), "bold"))
            cells = self._column(self._triples(before, after), with_percent=True)
            for title, cell in zip(("archive", "unpacked", "deployed"), cells, strict=True):
                self.canvas.line(Text.assemble(f"  {title:<9}", cell))

    def _column(
        self, values: Sequence[tuple[str, int, int | None]], *, with_percent: bool
    ) -> list[Text]:
        """One column of sizes, its numbers aligned: ``33.8 MB -> 15.2 MB  -55%``."""
        left = [mark + size(before) if before else "-" for mark, before, _ in values]
        right = [
            "?" if after is None else mark + size(after) if after else "-"
            for mark, _, after in values
        ]
        change = ["" if after is None else percent(before, after) for _, before, after in values]
        wide = [max(len(text) for text in texts) for texts in (left, right, change)]
        cells = []
        for before, after, delta in zip(left, right, change, strict=True):
            if before == after == "-":
                cells.append(Text("-".rjust(wide[0]), "dim"))
                continue
            cell = Text.assemble(
                before.rjust(wide[0]), (f" {self.style.arrow} ", "dim"), after.rjust(wide[1])
            )
            if with_percent and wide[2]:
                cell.append(f"  {delta.rjust(wide[2])}", _change_style(delta))
            cells.append(cell)
        return cells

    def _saving(self, before: int, after: int | None) -> Text:
        delta = "" if after is None else percent(before, after)
        return Text(delta, _change_style(delta))

    def since(self) -> None:
        told = since_previous(self.result)
        if not told:
            return
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
        table.add_column(overflow="fold")
        table.add_column(overflow="fold")
        for name, words in told:
            table.add_row(printable(name), words)
        self.canvas.show(table)
        self.canvas.blank()

    # What went

    def contributions(self) -> None:
        accounts = self.result.accounts
        passes = contributors(accounts.by_pass)
        if not passes:
            self.canvas.line(Text("Nothing to remove, nothing to shrink.", "bold"))
            self.canvas.blank()
            return
        self._account("what went, by pass", passes, most=None)
        self._account(
            "top owners", contributors(accounts.by_owner), most=None if self.verbose else 8
        )
        if self.verbose:
            self._account("by rule", contributors(accounts.by_rule), most=None)
            self._account("by category", contributors(accounts.by_category), most=None)

    def _account(self, title: str, rows: Sequence[FootprintDelta], most: int | None) -> None:
        if not rows:
            return
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
        table.add_column(title, overflow="fold", header_style="bold")
        for name in ("removed", "shrunk", "saved"):
            table.add_column(name, justify="right", no_wrap=True, header_style="dim")
        table.add_column("files", justify="right", no_wrap=True, header_style="dim")
        bars = self.style.width >= _SNUG
        if bars:
            table.add_column("", no_wrap=True)
        shown = rows[:most]
        largest = max(row.saved for row in rows)
        for row in shown:
            cells = [_amount(row.removed), _amount(row.shrunk), Text(size(row.saved), "green")]
            cells.append(Text(f"{row.files_removed + row.files_rewritten:,}"))
            table.add_row(
                printable(row.label), *cells, *([self._bar(row.saved, largest)] if bars else [])
            )
        rest = rows[len(shown) :]
        if rest:
            sums = [
                sum(row.removed for row in rest),
                sum(row.shrunk for row in rest),
                sum(row.saved for row in rest),
            ]
            touched = sum(row.files_removed + row.files_rewritten for row in rest)
            cells = [*(_amount(value) for value in sums), Text(f"{touched:,}")]
            table.add_row(Text(f"{len(rest)} more", "dim"), *cells, style="dim")
        self.canvas.show(table)
        self.canvas.blank()

    def _bar(self, value: int, largest: int) -> Text:
        length = round(_BAR * value / largest) if largest > 0 else 0
        return Text(self.style.bar * max(length, 0), "green")

    # What was refused

    def refusals(self) -> None:
        groups = group_refusals(self.result.plan.skipped)
        if not groups:
            return
        files, held = sum(group.files for group in groups), sum(group.held for group in groups)
        self.canvas.line(
            Text.assemble(
                ("refused", "bold"),
                f"  {count(files, 'file')} that a rule selects stay, {size(held)}",
            )
        )
        by_reason: dict[SkipReason, list[RefusalGroup]] = {}
        for group in groups:
            by_reason.setdefault(group.reason, []).append(group)
        for reason, members in by_reason.items():
            self._reason(reason, members)
        self.canvas.blank()

    def _reason(self, reason: SkipReason, groups: Sequence[RefusalGroup]) -> None:
        files, held = sum(group.files for group in groups), sum(group.held for group in groups)
        self.canvas.line(
            Text.assemble(
                "  ",
                (_REASONS[reason], "yellow"),
                (f"  {count(files, 'file')}, {size(held)}", "dim"),
            )
        )
        if reason is SkipReason.NOTHING_GAINED and not self.verbose:
            return
        most = len(groups) if self.verbose else 4
        for group in groups[:most]:
            place = printable(self.shorten(group.place))
            amount = "" if group.files == 1 else f"{count(group.files, 'file')}, "
            told = f"  {amount}{size(group.held)}, rule {printable(group.rule)}"
            self.canvas.line(Text.assemble(place, (told, "dim")), indent=4)
            proofs = group.evidence if self.verbose else group.evidence[:2]
            for proof in proofs:
                self.canvas.line(
                    Text(
                        f"{self.style.turn} {evidence_text(proof, self.shorten, group.place)}",
                        "cyan",
                    ),
                    indent=6,
                )
            if len(group.evidence) > len(proofs):
                more = len(group.evidence) - len(proofs)
                self.canvas.line(Text(f"{self.style.turn} and {more} more", "dim"), indent=6)
        if len(groups) > most:
            rest = groups[most:]
            amount = (
                f"{count(sum(g.files for g in rest), 'file')}, {size(sum(g.held for g in rest))}"
            )
            self.canvas.line(Text(f"{len(rest)} more: {amount}", "dim"), indent=4)

    # The rest

    def signing(self) -> None:
        signing = self.result.signing
        if not signing:
            return
        changed = sum(item.reason is SigningReason.CHANGED for item in signing)
        told = f"{count(changed, 'changed file')}, {len(signing) - changed} signed by an identity or sealed"
        self.canvas.line(Text.assemble(("will need signing", "bold"), f"  {told}"))
        shown = (
            signing
            if self.verbose
            else [item for item in signing if item.reason is not SigningReason.CHANGED][:5]
        )
        self._list((f"{printable(item.deployed_path)}  {item.reason.value}" for item in shown), 0)

    def stale(self) -> None:
        stale = sorted(self.result.stack.stale, key=lambda item: (-item.size, item.name))
        if not stale:
            return
        told = f"{count(len(stale), 'archive')} that no manifest names, {size(sum(item.size for item in stale))}"
        self.canvas.line(Text.assemble(("stale", "bold"), f"  {told}; not part of the result"))
        most = len(stale) if self.verbose else 5
        self._list(
            (f"{printable(item.name)}  {size(item.size)}" for item in stale[:most]),
            len(stale) - most,
        )

    def warnings(self) -> None:
        plan = self.result.plan
        notes = [printable(warning) for warning in plan.warnings]
        if notes:
            most = len(notes) if self.verbose else 8
            self.canvas.line(Text(count(len(notes), "warning"), "bold yellow"))
            self._list(notes[:most], len(notes) - most)
        if self.verbose:
            idle = [printable(name) for name in sorted(plan.unmatched) if self._is_builtin(name)]
            if idle:
                self.canvas.line(
                    Text(count(len(idle), "built-in rule") + " found nothing to do here", "dim")
                )
                self._list([", ".join(idle)], 0, style="dim")
            if plan.notes:
                self.canvas.line(Text("notes", "bold"))
                self._list([printable(note) for note in plan.notes], 0)

    def _is_builtin(self, name: str) -> bool:
        rule = self.result.rules.get(name)
        return rule is None or rule.builtin

    def _list(self, lines: Iterable[str], more: int, style: str = "") -> None:
        for line in lines:
            self.canvas.line(Text(line, style), indent=2)
        if more > 0:
            self.canvas.line(Text(f"{more} more", "dim"), indent=2)
        self.canvas.blank()

    def verification(self) -> None:
        checks = self.result.verification.checks
        if not checks:
            return
        passed = self.result.verification.passed
        words = "plan verified" if self.result.dry_run else "verified"
        head = Text(f"{self.style.good} {words}", "bold green")
        if not passed:
            head = Text(f"{self.style.bad} verification failed", "bold red")
        told = [
            f"{printable(check.name)} {check.tried:,}"
            for check in checks
            if check.passed and not self.verbose
        ]
        took = sum(check.elapsed for check in checks)
        self.canvas.line(head.append(f"  {duration(took)}", "dim") if took else head)
        if told:
            self.canvas.line(Text(f" {self.style.dot} ".join(told)), indent=2)
        for check in checks:
            if check.passed and not self.verbose:
                continue
            mark = (self.style.good, "green") if check.passed else (self.style.bad, "red")
            note = f"  {printable(check.note)}" if check.note else ""
            self.canvas.line(
                Text.assemble(mark, f" {printable(check.name)} {check.tried:,}", (note, "dim")),
                indent=2,
            )
            most = len(check.failures) if self.verbose else 10
            for failure in check.failures[:most]:
                self.canvas.line(Text(printable(failure), "red"), indent=4)
            if len(check.failures) > most:
                self.canvas.line(Text(f"{len(check.failures) - most} more", "dim"), indent=4)
        self.repairs()
        self.canvas.blank()

    def repairs(self) -> None:
        """What verification took back, and what else it has to say."""
        verification = self.result.verification
        for repair in verification.repairs:
            told = f"taken back: {count(len(repair.files), 'file')} of {', '.join(map(printable, repair.rules))}"
            self.canvas.line(
                Text.assemble(
                    (told, "yellow"), (f"  {count(repair.tries, 'try', 'tries')}", "dim")
                ),
                indent=2,
            )
            most = len(repair.files) if self.verbose else 4
            for layer, path in repair.files[:most]:
                self.canvas.line(Text(printable(f"{layer}/{path}")), indent=4)
            if len(repair.files) > most:
                self.canvas.line(Text(f"{len(repair.files) - most} more", "dim"), indent=4)
            shown = len(repair.broken) if self.verbose else 2
            for one in repair.broken[:shown]:
                self.canvas.line(
                    Text(
                        f"{self.style.turn} {printable(one.subject.check)}: {printable(str(one))}",
                        "cyan",
                    ),
                    indent=4,
                )
            if len(repair.broken) > shown:
                self.canvas.line(
                    Text(f"{self.style.turn} and {len(repair.broken) - shown} more", "dim"),
                    indent=4,
                )
        for note in verification.notes:
            self.canvas.line(Text(printable(note), "dim"), indent=2)

    def keeping(self) -> None:
        """What was kept of all that went."""
        backup, symbols = self.result.backup, self.result.symbols
        if backup is not None:
            self.canvas.line(Text.assemble(("kept", "bold"), f"  {backup_line(backup)}"))
        if symbols is not None:
            self.canvas.line(Text.assemble(("symbols", "bold"), f"  {symbols_line(symbols)}"))
        if backup is not None or symbols is not None:
            self.canvas.blank()

    def closing(self) -> None:
        result = self.result
        took = duration(result.elapsed)
        if result.compared_with is not None:
            words = (
                "Nothing that worked stopped working"
                if result.verification.passed
                else "Not everything works"
            )
            style = "bold green" if result.verification.passed else "bold red"
            line = Text.assemble((words, style), f" in {printable(result.compared_with)}, {took}.")
        elif result.dry_run:
            line = Text(
                f"Dry run, {took}. To write the smaller stack, give -o OUT instead of --dry-run."
            )
        elif not result.verification.passed:
            line = Text(f"Nothing was published: verification failed, {took}.", "bold red")
        else:
            line = Text.assemble(
                "Written to ", (printable(result.output or ""), "bold"), f", {took}."
            )
        self.canvas.show(Line(style="dim", characters=self.style.rule))
        self.canvas.line(line)
        more = "slim explain STACK PATH tells all about a file; --report json=FILE, every detail."
        self.canvas.line(Text(more if self.verbose else f"-v shows more; {more}", "dim"))


def _change_style(delta: str) -> str:
    return "green" if delta.startswith("-") else "red" if delta.startswith("+") else "dim"


def _amount(value: int) -> Text:
    return Text(size(value)) if value else Text("-", "dim")
