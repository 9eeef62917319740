"""Kinds of settings: how a value is written in a file and on the command line, and what adds up.

A kind reads a value from a TOML table, or parses it from the command line, and notes every mistake
with its place. Of two sources the upper one replaces what the lower one says; lists add up.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, Generic, TypeVar

from slim.model.settings import DropSpec, merge_drops
from slim.model.size import parse_size
from slim.rules.glob import GlobError, compile_glob
from slim.system.key_path import item_path
from slim.system.toml_table import Table, did_you_mean, show

Value = TypeVar("Value")

Note = Callable[[str, str | None], None]
"""Takes down a mistake: the message, and a hint or None."""

_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\Z")


class Kind(ABC, Generic[Value]):
    """A way in which the values of a setting are written, and put together.

    ``type_name`` is for the documentation. ``adds_up``: the sources' values are put together, and
    the option may be given several times. ``undoes`` names the setting whose values this one takes
    away in lower sources.
    """

    type_name: ClassVar[str]
    adds_up: ClassVar[bool] = False
    undoes: str = ""

    @abstractmethod
    def read(self, table: Table, key: str) -> Value | None:
        """Return the value of a key in a file; None where it is wrong, which is noted."""

    @abstractmethod
    def parse(self, written: object, note: Note) -> Value | None:
        """Return the value of an option; None where it is wrong, which is noted."""

    def combine(self, lower: Value, upper: Value) -> Value:
        """Return what two sources come to."""
        return upper


class LateChoices(Mapping[str, Value]):
    """Words and their values, from a table that is imported when they are needed."""

    def __init__(self, load: Callable[[], Mapping[str, Value]]) -> None:
        self._load = load

    @cached_property
    def _choices(self) -> Mapping[str, Value]:
        return self._load()

    def __getitem__(self, word: str) -> Value:
        return self._choices[word]

    def __iter__(self) -> Iterator[str]:
        return iter(self._choices)

    def __len__(self) -> int:
        return len(self._choices)


@dataclass(frozen=True, slots=True)
class Word(Kind[Value]):
    """One word of several, each standing for a value."""

    type_name: ClassVar[str] = "text"

    choices: Mapping[str, Value]

    def read(self, table: Table, key: str) -> Value | None:
        """See :meth:`Kind.read`."""
        word = table.text(key, choices=tuple(self.choices))
        return None if word is None else self.choices[word]

    def parse(self, written: object, note: Note) -> Value | None:
        """See :meth:`Kind.parse`."""
        word = str(written)
        if word in self.choices:
            return self.choices[word]
        message = f"{word[:80]!r} is none of {', '.join(self.choices)}"
        note(message, did_you_mean(word, self.choices))
        return None


class Flag(Kind[bool]):
    """True or false."""

    type_name = "boolean"

    def read(self, table: Table, key: str) -> bool | None:
        """See :meth:`Kind.read`."""
        return table.flag(key)

    def parse(self, written: object, note: Note) -> bool:
        """See :meth:`Kind.parse`."""
        return bool(written)


@dataclass(frozen=True, slots=True)
class Number(Kind[int]):
    """An integer within bounds."""

    type_name: ClassVar[str] = "integer"

    least: int
    most: int

    def read(self, table: Table, key: str) -> int | None:
        """See :meth:`Kind.read`."""
        return table.number(key, minimum=self.least, maximum=self.most)

    def parse(self, written: object, note: Note) -> int | None:
        """See :meth:`Kind.parse`."""
        if isinstance(written, int) and self.least <= written <= self.most:
            return written
        note(f"must be between {self.least} and {self.most}", None)
        return None


@dataclass(frozen=True, slots=True)
class Size(Kind[int]):
    """A number of bytes, at least ``least``; may be written ``"2 GB"``."""

    type_name: ClassVar[str] = "size"

    least: int

    def read(self, table: Table, key: str) -> int | None:
        """See :meth:`Kind.read`."""
        size = read_size(table, key)
        return size if size is None else self._checked(size, lambda text, _: table.note(key, text))

    def parse(self, written: object, note: Note) -> int | None:
        """See :meth:`Kind.parse`."""
        try:
            return self._checked(parse_size(str(written)[:80]), note)
        except ValueError as error:
            note(str(error), None)
            return None

    def _checked(self, size: int, note: Note) -> int | None:
        if size >= self.least:
            return size
        note(f"must be at least {self.least // 1_000_000} MB", None)
        return None


class _Texts(Kind[tuple[str, ...]]):
    """A list of strings; those of all sources count, each once."""

    type_name = "list"
    adds_up = True

    def read(self, table: Table, key: str) -> tuple[str, ...]:
        """See :meth:`Kind.read`."""
        return table.texts(key, check=self.problem)

    def parse(self, written: object, note: Note) -> tuple[str, ...]:
        """See :meth:`Kind.parse`."""
        texts = _strings(written)
        for text in texts:
            wrong = self.problem(text)
            if wrong is not None:
                note(wrong, None)
        return texts

    def combine(self, lower: tuple[str, ...], upper: tuple[str, ...]) -> tuple[str, ...]:
        """See :meth:`Kind.combine`."""
        return tuple(dict.fromkeys((*lower, *upper)))

    def problem(self, text: str) -> str | None:
        """Return what is wrong with one of the strings, or None."""
        return None


class Globs(_Texts):
    """Globs of files, relative to a layer."""

    def problem(self, text: str) -> str | None:
        """See :func:`glob_problem`."""
        return glob_problem(text)


class ModuleNames(_Texts):
    """Top-level names of modules, as an import statement has them."""

    def problem(self, text: str) -> str | None:
        """See :class:`_Texts`."""
        if text.isidentifier():
            return None
        return f"{text!r} is no top-level name of a module, such as torch"


class RuleIds(Kind[Iterable[str]]):
    """Rules by id, switched on or off; what is switched here isn't the other way in lower sources.

    Ids of rules that don't exist are for whoever knows all packs to find.
    """

    type_name = "list"
    adds_up = True

    def __init__(self, undoes: str) -> None:
        self.undoes = undoes

    def read(self, table: Table, key: str) -> tuple[str, ...]:
        """See :meth:`Kind.read`."""
        return table.texts(key)

    def parse(self, written: object, note: Note) -> tuple[str, ...]:
        """See :meth:`Kind.parse`."""
        return _strings(written)

    def combine(self, lower: Iterable[str], upper: Iterable[str]) -> frozenset[str]:
        """See :meth:`Kind.combine`."""
        return frozenset(lower) | frozenset(upper)


class Drops(Kind[tuple[DropSpec, ...]]):
    """Distributions, each with those that needn't hold it.

    In a file a name, or ``{name = "x", despite = ["y"]}``; on the command line ``NAME`` or
    ``NAME:IMPORTER,IMPORTER``.
    """

    type_name = "list"
    adds_up = True

    def read(self, table: Table, key: str) -> tuple[DropSpec, ...]:
        """See :meth:`Kind.read`."""
        value = table.values.get(key)
        if not isinstance(value, list):
            table.note(key, f"expected an array, not {show(value)}")
            return ()
        drops: dict[str, DropSpec] = {}
        for index, item in enumerate(value):
            place = item_path(key, index)
            if isinstance(item, str):
                inner = Table({"name": item}, table.at(place), table.problems)
            elif isinstance(item, dict):
                inner = Table(item, table.at(place), table.problems)
            else:
                table.note(
                    place, f"expected a name or {{name = ..., despite = [...]}}, not {show(item)}"
                )
                continue
            drop = _drop(inner)
            if drop is not None and drop.name in drops:
                table.note(place, f"{drop.name!r} is listed twice")
            elif drop is not None:
                drops[drop.name] = drop
        return tuple(drops.values())

    def parse(self, written: object, note: Note) -> tuple[DropSpec, ...]:
        """See :meth:`Kind.parse`."""
        drops: list[DropSpec] = []
        for text in _strings(written):
            name, _, despite = text.partition(":")
            try:
                names = frozenset(
                    parse_distribution(other.strip()) for other in despite.split(",") if despite
                )
                drops.append(DropSpec(name=parse_distribution(name.strip()), despite=names))
            except ValueError as error:
                note(str(error), None)
        return tuple(drops)

    def combine(
        self, lower: tuple[DropSpec, ...], upper: tuple[DropSpec, ...]
    ) -> tuple[DropSpec, ...]:
        """See :meth:`Kind.combine`."""
        return merge_drops((*lower, *upper))


def glob_problem(text: str) -> str | None:
    """Return what is wrong with a glob of files to keep, or None."""
    try:
        compile_glob(text)
    except GlobError as error:
        return f"{error}: {text[:80]!r}"
    return None


def parse_distribution(text: str) -> str:
    """Normalise a distribution's name (PEP 503). Raises :class:`ValueError` where it isn't one."""
    from packaging.utils import canonicalize_name  # late: the command line declares its options

    if not _NAME.match(text):
        raise ValueError(f"{text[:80]!r} isn't the name of a distribution")
    return canonicalize_name(text)


def read_size(table: Table, key: str) -> int | None:
    """Return a key's number of bytes, written as a number or in words such as ``"64 MiB"``."""
    value = table.values.get(key)
    if not isinstance(value, str):
        return table.number(key, minimum=1)
    try:
        size = parse_size(value[:80])
    except ValueError as error:
        table.note(key, str(error))
        return None
    if size < 1:
        table.note(key, "must be at least one byte")
        return None
    return size


def _drop(table: Table) -> DropSpec | None:
    table.allow(("name", "despite"))
    name = table.text("name", required=True)
    despite = table.texts("despite", check=_distribution_problem)
    if name is None:
        return None
    try:
        return DropSpec(
            name=parse_distribution(name), despite=frozenset(map(parse_distribution, despite))
        )
    except ValueError as error:
        table.note("name", str(error))
        return None


def _distribution_problem(text: str) -> str | None:
    try:
        parse_distribution(text)
    except ValueError as error:
        return str(error)
    return None


def _strings(written: object) -> tuple[str, ...]:
    return tuple(map(str, written)) if isinstance(written, Iterable) else ()
