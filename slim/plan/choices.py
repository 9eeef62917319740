"""Values that the user chose to keep of many alike, and those that code of the stack asks for."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping

from slim.analysis import ReadFile
from slim.config.settings import Config
from slim.errors import ConfigError, Problem
from slim.model.finding import Evidence
from slim.model.record import EntryType, FileKey, FileRecord, Inventory
from slim.model.rule import Choice, Rule
from slim.model.stack import Stack
from slim.rules.choices import VALUE, ValueReader, is_known, keeps
from slim.rules.match import owner_matches
from slim.system.syntax import parsed, walk
from slim.system.toml_table import did_you_mean

_CALL = re.compile(rb"\b([A-Za-z_]\w*)\s*\(")
_BRACKET = re.compile(rb"[()]")
_LONGEST = 1 << 12
"""Bytes of the longest call in code that can't be parsed."""
_STRING = re.compile(rb"([\"'])([^\"'\n]*)\1")
_SHOWN = 8
"""Values that a hint names where none is like what was written, and there are very many."""
_FEW = 200
"""Values up to which a hint names all of them."""


class Choices:
    """The choices of a configuration, applied to the files of a stack."""

    def __init__(self, stack: Stack, inventory: Inventory, config: Config) -> None:
        self._config = config
        self._known = config.choices
        rules = [rule for rule in config.rules if rule.choose in config.choose]
        self._readers = {
            (rule.id, layer.name): ValueReader(rule, layer) for rule in rules for layer in stack
        }
        self._check(rules, inventory)

    def leaves(self, rule: Rule, record: FileRecord) -> bool:
        """Return whether a choosing rule leaves a file alone, since the user chose its value.

        A rule without values in its globs leaves that to its pass.
        """
        if not any(VALUE in glob for glob in rule.choice_globs):
            return False
        value = self.value(rule, record)
        chosen = self._config.choose.get(rule.choose, ())
        return value is None or keeps(self._known[rule.choose], chosen, value)

    def value(self, rule: Rule, record: FileRecord) -> str | None:
        """Return the value that a choosing rule sees in a file's path."""
        reader = self._readers.get((rule.id, record.layer))
        return None if reader is None else reader.value(record.path)

    def asked_for(
        self,
        wanted: Mapping[str, Collection[str]],
        inventory: Inventory,
        read: ReadFile,
        gone: Collection[FileKey],
    ) -> dict[tuple[str, str], Evidence]:
        """Return which of the values code that stays asks for, by choice and value.

        ``wanted`` holds values by choice. Code asks where it calls a function of the choice's with
        the value as a string, as in ``client("s3")``.
        """
        found: dict[tuple[str, str], Evidence] = {}
        asking = [self._known[name] for name in wanted if self._known[name].asked_by]
        names = sorted({name for choice in asking for name in choice.asked_by})
        if not names:
            return found
        words = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\s*\(".encode())
        for record in inventory:
            if record.type is not EntryType.FILE or not record.path.endswith((".py", ".pyw")):
                continue
            source = bytes(read(record)) if record.key not in gone else b""
            for name, value, line in _calls(source) if words.search(source) else ():
                for choice in asking:
                    near = _named(choice, value, wanted[choice.name])
                    if name in choice.asked_by:
                        for one in near:
                            found.setdefault(
                                (choice.name, one), _evidence(name, value, record, line)
                            )
        return found

    def _check(self, rules: list[Rule], inventory: Inventory) -> None:
        """Raise ConfigError with each chosen value that nothing in the stack has."""
        there: dict[str, set[str]] = {rule.choose: set() for rule in rules}
        for record in inventory:
            for rule in rules:
                if owner_matches(rule.package, record.owner):
                    value = self.value(rule, record)
                    if value is not None:
                        there[rule.choose].add(value)
        problems = [
            Problem(
                file=self._config.origin or "configuration",
                place=f"choose.{name}",
                message=f"nothing in the stack is called {text[:80]!r}",
                hint=did_you_mean(text, values) or f"there is {_some(values)}",
            )
            for name, values in there.items()
            for text in self._config.choose[name]
            if values and not is_known(self._known[name], text, values)
        ]
        if problems:
            raise ConfigError.from_problems(problems)


def _some(values: Collection[str]) -> str:
    shown = sorted(values)[: _FEW if len(values) <= _FEW else _SHOWN]
    more = len(values) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _named(choice: Choice, asked: str, values: Collection[str]) -> list[str]:
    return [value for value in values if keeps(choice, (asked,), value)]


def _evidence(name: str, value: str, record: FileRecord, line: int) -> Evidence:
    return Evidence(
        kind="choice",
        text=f'code that stays asks for it: {name}("{value}")',
        file=record.deployed_path,
        line=line,
    )


def _calls(source: bytes) -> Iterator[tuple[str, str, int]]:
    """Yield the calls with a string as their first argument: function, string, line."""
    try:
        tree = parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield from _calls_in_text(source)
        return
    for node in walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = getattr(function, "attr", None) or getattr(function, "id", None)
        keywords = [item.value for item in node.keywords]
        for value in (*node.args[:1], *keywords):
            if name and isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield name, value.value, node.lineno


def _calls_in_text(source: bytes) -> Iterator[tuple[str, str, int]]:
    """Yield what may be such a call in code that can't be parsed: each string of its arguments."""
    for call in _CALL.finditer(source):
        line = source.count(b"\n", 0, call.start()) + 1
        for _, value in _STRING.findall(source, call.end(), _end_of_call(source, call.end())):
            yield call[1].decode(), value.decode("utf-8", "replace"), line


def _end_of_call(source: bytes, at: int) -> int:
    """Return the offset of the bracket that closes a call, whatever else brackets stand for."""
    depth = 1
    for bracket in _BRACKET.finditer(source, at, at + _LONGEST):
        depth += 1 if bracket[0] == b"(" else -1
        if not depth:
            return bracket.start()
    return at + _LONGEST
