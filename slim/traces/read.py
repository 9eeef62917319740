"""Trace files, read strictly: every line is one that slim writes, or an error names it.

The order of lines within a section is free, and a line may stand twice: what git merges by lines
is read as what it says. Names of runs have to be declared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NoReturn

from slim.errors import UnsafeInputError
from slim.model.record import UNOWNED, Owner, OwnerKind
from slim.model.trace import RunKind, Runs, Trace, TracedRun, Uses, Witness, Witnesses
from slim.system.regular import read_input
from slim.traces.words import split
from slim.traces.write import HEADER, VERSION

MAX_TRACE: Final = 64 << 20
"""Bytes of a trace file that slim is willing to read; that of a large stack has half a million."""
_AGAIN: Final = "record it again with `slim trace`, or take the line out"


def read_trace(path: Path) -> Trace:
    """Read a trace file.

    Raises UnsafeInputError for a line that isn't one of a trace, LimitError for more than
    :data:`MAX_TRACE` bytes, and StorageError.
    """
    raw = read_input(path, MAX_TRACE, noun="trace")
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        hint = "a trace has other characters as escapes, within quotes"
        raise UnsafeInputError("not ASCII", file=path, place=f"line {line}", hint=hint) from error
    return parse(text, str(path))


def parse(text: str, file: str) -> Trace:
    """Parse the text of a trace file; ``file`` is what errors name. Raises UnsafeInputError."""
    lines = text.split("\n")
    reader = _Reader(file)
    reader.check_header(lines[0])
    if lines.pop() != "":
        reader.refuse_cut(len(lines) + 1)
    for line in lines[1:]:
        reader.take(line)
    return reader.trace()


class _Reader:
    """State between lines: the section, and what was read so far."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._number = 1
        self._section: tuple[str, ...] = ()
        self._runs: dict[str, tuple[RunKind, dict[str, Witnesses]]] = {}
        self._uses: dict[tuple[str, Owner], dict[str, dict[tuple[str, ...], set[str]]]] = {}
        self._families: dict[str, dict[str, dict[tuple[str, ...], set[str]]]] = {}
        self._facts: dict[str, dict[tuple[str, ...], set[str]]] = {}
        self._declared: dict[str, int] = {}
        self._named: dict[str, int] = {}

    def refuse(self, message: str, hint: str = _AGAIN) -> NoReturn:
        """Raise the error for the line that is read."""
        raise UnsafeInputError(message, file=self._file, place=f"line {self._number}", hint=hint)

    def refuse_cut(self, number: int) -> NoReturn:
        """Raise the error for a last line without its end."""
        self._number = number
        self.refuse("the file ends within a line", "it was cut off; record or fetch it again")

    def check_header(self, line: str) -> None:
        """Refuse what isn't a trace, or is one of a newer format."""
        start, _, version = line.rpartition(" ")
        if start != HEADER or not version.isdecimal():
            self.refuse(
                f"not a trace: it doesn't begin with {HEADER + ' 1'!r}",
                "give a file that `slim trace` wrote",
            )
        if version != str(VERSION):
            self.refuse(
                f"a trace of version {version[:20]}, and this slim reads {VERSION}",
                "take the slim that wrote it",
            )

    def take(self, line: str) -> None:
        """Read one line."""
        self._number += 1
        bare = line.lstrip(" ")
        depth, odd = divmod(len(line) - len(bare), 2)
        words = split(bare)
        if odd or not words:
            self.refuse("not a line of a trace: words with one space between them")
        match (depth, self._section[:1], words):
            case (0, _, ["run", kind, name]):
                self._run(kind, name)
            case (1, ("run",), ["on", platform, *witnesses]) if witnesses:
                self._on(platform, witnesses)
            case (0, _, ["layer", layer]):
                self._section, self._facts = ("layer", layer), {}
            case (1, ("layer",), ["unowned"]):
                self._owner(UNOWNED)
            case (1, ("layer",), ["distribution" | "runtime" as kind, name, version]):
                self._owner(Owner(kind=OwnerKind(kind), name=name, version=version))
            case (0, _, ["family", prefix]) if prefix.endswith("."):
                self._section, self._facts = ("family", prefix), {}
                self._families.setdefault(prefix, {})
            case (1, ("family",), ["at", place]):
                table = self._families[self._section[1]].setdefault(place, {})
                self._section, self._facts = (*self._section[:2], place), {"member": table}
            case (2, _, [word, *rest]) if word in self._facts:
                names = 2 if word == "native" else 1
                if len(rest) <= names:
                    self.refuse(f"{word} needs a name and the runs that used it")
                self._facts[word].setdefault(tuple(rest[:names]), set()).update(rest[names:])
                for run in rest[names:]:
                    self._named.setdefault(run, self._number)
            case _:
                self.refuse(f"{words[0]!r} doesn't belong here")

    def _run(self, kind: str, name: str) -> None:
        if kind not in tuple(RunKind):
            self.refuse(f"there is no kind of run {kind[:40]!r}: {', '.join(RunKind)}")
        known, _ = self._runs.setdefault(name, (RunKind(kind), {}))
        self._declared.setdefault(name, self._number)
        if known.value != kind:
            self.refuse(f"the run {name[:80]!r} is {known.value} as well")
        self._section, self._facts = ("run", name), {}

    def _on(self, platform: str, words: list[str]) -> None:
        for word in words:
            if word not in tuple(Witness):
                self.refuse(f"there is no witness {word[:40]!r}: {', '.join(Witness)}")
        found = frozenset(map(Witness, words))
        witnesses = self._runs[self._section[1]][1]
        witnesses[platform] = witnesses.get(platform, found) & found

    def _owner(self, owner: Owner) -> None:
        tables = self._uses.setdefault(
            (self._section[1], owner), {"module": {}, "read": {}, "folder": {}, "native": {}}
        )
        self._facts = tables

    def trace(self) -> Trace:
        """Return what was read. Refuses runs that weren't declared, or tell no platform."""
        for run, number in self._named.items():
            if run not in self._runs:
                self._number = number
                self.refuse(f"the run {run[:80]!r} isn't declared")
        for name, (_, witnesses) in self._runs.items():
            if not witnesses:
                self._number = self._declared[name]
                self.refuse(f"the run {name[:80]!r} has no line that says on which platform")
        return Trace(
            runs={
                name: TracedRun(name=name, kind=kind, witnesses=witnesses)
                for name, (kind, witnesses) in self._runs.items()
            },
            uses={key: _made(tables) for key, tables in self._uses.items()},
            families={
                prefix: {place: dict(_named(table)) for place, table in places.items() if table}
                for prefix, places in self._families.items()
            },
        )


def _made(tables: Mapping[str, Mapping[tuple[str, ...], set[str]]]) -> Uses:
    return Uses(
        modules=dict(_named(tables["module"])),
        read=dict(_named(tables["read"])),
        folders=dict(_named(tables["folder"])),
        natives={
            (platform, path): frozenset(runs) for (platform, path), runs in tables["native"].items()
        },
    )


def _named(table: Mapping[tuple[str, ...], set[str]]) -> Iterator[tuple[str, Runs]]:
    return ((name, frozenset(runs)) for (name,), runs in table.items())
