"""Choices: what a user keeps of many alike, such as locales; a rule takes the others.

A ``[[choice]]`` table of a pack names the choice. A rule with ``choose`` has :data:`VALUE` in each
of its globs, where a path says which one a file belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from slim.model.rule import Choice, Rule
from slim.model.stack import Layer
from slim.rules.glob import compile_glob
from slim.system.toml_table import Table

VALUE: Final = "<value>"
"""Stands in a glob for the part of a file's path that a choice is about."""
CHOICE_KEYS: Final = ("name", "meaning", "parts", "asked_by", "source")
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")
_STAND_IN: Final = "SLIMCHOSENVALUE"
_SEPARATORS: Final = re.compile(r"[-_@.]")


def read_choices(tables: Iterable[Table], *, builtin: bool) -> tuple[Choice, ...]:
    """Read ``[[choice]]`` tables; those with a problem are left out, and the problem is noted."""
    found: list[Choice] = []
    for table in tables:
        before = len(table.problems.found)
        table.allow(CHOICE_KEYS)
        name = table.text("name", required=True)
        meaning = table.text("meaning", required=True)
        asked_by = table.texts("asked_by")
        source = table.text("source", required=builtin)
        parts = table.flag("parts")
        if name is not None and not _NAME.match(name):
            table.note("name", f"{name[:80]!r} isn't lower-case words joined by '_'")
        if name is None or meaning is None or len(table.problems.found) > before:
            continue
        found.append(
            Choice(
                name=name,
                meaning=meaning.strip(),
                parts=parts is True,
                asked_by=asked_by,
                source=(source or "").strip(),
            )
        )
    return tuple(found)


def selecting_globs(
    table: Table, key: str, choose: str | None, *, computed: bool = False
) -> tuple[str, ...]:
    """Return the globs of a choosing rule as they select, with a star for the value.

    ``computed``: its pass finds the values by itself, so that no glob has to have one.
    """
    written = table.texts(key) if choose is not None else ()
    counts = {glob.count(VALUE) for glob in written}
    if choose is not None and counts - {1} and not (computed and counts == {0}):
        table.note(key, f"a rule with choose has {VALUE} once in each of its globs")
    return tuple(glob.replace(VALUE, "*") for glob in written)


class ValueReader:
    """The value that a choosing rule sees in a path, in one layer."""

    def __init__(self, rule: Rule, layer: Layer) -> None:
        texts = (
            text
            for glob in rule.choice_globs
            if VALUE in glob
            for text in compile_glob(glob.replace(VALUE, _STAND_IN)).regexes(layer)
        )
        self._regexes = [
            re.compile(text.replace(_STAND_IN, "(?P<value>[^/]+?)"), re.DOTALL) for text in texts
        ]

    def value(self, path: str) -> str | None:
        """Return the value in a path, or None where no glob of the rule matches it."""
        for regex in self._regexes:
            found = regex.match(path)
            if found is not None:
                return found["value"]
        return None


def keeps(choice: Choice, chosen: Iterable[str], value: str) -> bool:
    """Return whether a value stays under what was chosen.

    Where values have parts, ``de`` also keeps ``de_AT``, and ``de_AT`` also ``de``.
    """
    wanted = _parts(choice, value)
    for text in chosen:
        parts = _parts(choice, text)
        shorter = min(len(parts), len(wanted)) if choice.parts else max(len(parts), len(wanted))
        if parts[:shorter] == wanted[:shorter]:
            return True
    return False


def is_known(choice: Choice, chosen: str, values: Iterable[str]) -> bool:
    """Return whether something that was chosen is there, or is a part of something there."""
    wanted = _parts(choice, chosen)
    return any(
        _parts(choice, value)[: len(wanted) if choice.parts else None] == wanted for value in values
    )


def _parts(choice: Choice, text: str) -> list[str]:
    return _SEPARATORS.split(text.lower()) if choice.parts else [text]
