"""Reading TOML into frozen types.

Every mistake is noted with its key path, and all of them are reported at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from slim.errors import ConfigError, Problem
from slim.system.key_path import item_path, key_path
from slim.system.regular import read_input

T = TypeVar("T", str, bool, int)

MAX_TOML_SIZE: Final = 4 << 20
"""Bytes of a rule or configuration file that slim is willing to parse."""


@dataclass(slots=True)
class Problems:
    """Collects what is wrong with one file."""

    file: str
    found: list[Problem] = field(default_factory=list)

    def add(self, place: str, message: str, hint: str | None = None) -> None:
        """Note a mistake at a key path; an empty path means the file as a whole."""
        self.found.append(Problem(file=self.file, place=place, message=message, hint=hint))


def read_text(path: Path) -> str:
    """Text of a configuration or rule file.

    Raises :class:`StorageError`, and :class:`ConfigError` for what isn't UTF-8, isn't a regular
    file, or is larger than :data:`MAX_TOML_SIZE`.
    """
    raw = read_input(
        path, MAX_TOML_SIZE, noun="configuration", irregular=ConfigError, too_large=ConfigError
    )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            "the file isn't UTF-8", file=path, place=f"byte {error.start}", hint="save it as UTF-8"
        ) from error


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint naming the closest known word, or None where nothing is close."""
    close = difflib.get_close_matches(word[:80], sorted(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else None


def parse_toml(text: str, problems: Problems) -> Mapping[str, object] | None:
    """Parse TOML, or note why it can't be.

    Reasons are its syntax (with line and column), its size, and nesting beyond what Python parses.
    """
    import tomllib  # late: this module also serves the command line's options

    if len(text) > MAX_TOML_SIZE:
        problems.add("", f"the file is larger than {MAX_TOML_SIZE} bytes")
        return None
    try:
        return tomllib.loads(text)
    except RecursionError:
        problems.add("", "arrays or tables are nested too deeply")
    except ValueError as error:
        problems.add("", f"not valid TOML: {error}")
    return None


def show(value: object) -> str:
    """A value for a message: its TOML type, and the value where it is short."""
    names: dict[type, str] = {
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a float",
    }
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    name = names.get(type(value))
    if name is None:
        return "a date or time"
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**30 else "..."
    return f"{name} ({text[:60]})"


class Table:
    """A TOML table being read.

    Missing keys give None (or the default); wrong ones are noted and give the same.
    """

    def __init__(self, values: Mapping[str, object], place: str, problems: Problems) -> None:
        self.values = values
        self.place = place
        self.problems = problems

    def at(self, key: str) -> str:
        """The key path of one of the table's keys."""
        return key_path(self.place, key)

    def note(self, key: str, message: str, hint: str | None = None) -> None:
        """Note a mistake in one of the table's keys."""
        self.problems.add(self.at(key), message, hint)

    def allow(self, known: Sequence[str]) -> None:
        """Note every key that isn't known."""
        for key in self.values:
            if key not in known:
                hint = did_you_mean(key, known) or f"known keys: {', '.join(sorted(known))}"
                self.note(key[:80], "unknown key", hint)

    def text(self, key: str, *, required: bool = False, choices: Sequence[str] = ()) -> str | None:
        """A string that isn't blank."""
        value = self._typed(key, str, "a string", required=required)
        if value is None:
            return None
        if not value.strip():
            self.note(key, "is empty")
            return None
        if choices and value not in choices:
            hint = did_you_mean(value, choices)
            self.note(key, f"{value[:80]!r} is none of {', '.join(choices)}", hint)
            return None
        return value

    def flag(self, key: str) -> bool | None:
        """A boolean."""
        return self._typed(key, bool, "true or false")

    def number(self, key: str, *, minimum: int = 0, maximum: int = 2**63 - 1) -> int | None:
        """An integer within bounds."""
        value = self._typed(key, int, "an integer")
        if value is None or minimum <= value <= maximum:
            return value
        self.note(key, f"must be between {minimum} and {maximum}")
        return None

    def text_or_texts(self, key: str) -> tuple[str, ...]:
        """One string, or an array of them."""
        if isinstance(self.values.get(key), str):
            text = self.text(key)
            return () if text is None else (text,)
        return self.texts(key)

    def texts(
        self, key: str, *, check: Callable[[str], str | None] | None = None
    ) -> tuple[str, ...]:
        """An array of strings, without repetition.

        ``check`` returns what is wrong with a string, or None.
        """
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            self.note(key, f"expected an array of strings, not {show(value)}")
            return ()
        good: dict[str, None] = {}
        for index, item in enumerate(value):
            place = item_path(key, index)
            if not isinstance(item, str):
                self.note(place, f"expected a string, not {show(item)}")
            elif item in good:
                self.note(place, f"{item[:80]!r} is listed twice")
            elif check is not None and (wrong := check(item)) is not None:
                self.note(place, wrong)
            else:
                good[item] = None
        return tuple(good)

    def strings(self, key: str) -> tuple[str, ...]:
        """The strings in an array, without noting what is wrong with the rest.

        For a second look at a key.
        """
        value = self.values.get(key)
        return (
            tuple(item for item in value if isinstance(item, str))
            if isinstance(value, list)
            else ()
        )

    def table(self, key: str) -> Table | None:
        """A table inside."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.note(key, f"expected a table, not {show(value)}")
            return None
        return Table(value, self.at(key), self.problems)

    def tables(self, key: str) -> list[Table]:
        """An array of tables."""
        value = self.values.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.note(key, f"expected an array of tables, written [[{self.at(key)}]]")
            return []
        return [
            Table(item, item_path(self.at(key), index), self.problems)
            for index, item in enumerate(value)
        ]

    def schema(self, supported: int) -> None:
        """Check the file's ``schema`` number.

        Files of a newer schema are refused rather than misread.
        """
        value = self._typed("schema", int, "an integer", required=True)
        if value is not None and value != supported:
            self.note(
                "schema",
                f"schema {value} isn't supported",
                f"this version of slim reads schema {supported}",
            )

    def _typed(self, key: str, wanted: type[T], name: str, *, required: bool = False) -> T | None:
        value = self.values.get(key)
        if value is None:
            if required:
                self.note(key, "is missing")
            return None
        if type(value) is not wanted:
            self.note(key, f"expected {name}, not {show(value)}")
            return None
        return value
