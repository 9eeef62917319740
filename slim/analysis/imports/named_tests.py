"""Tests that code names in parts: ``pkg.tests``, and ``import_module(app + "." + part)``.

A package may import what it is asked for as an attribute (PEP 562). And where the parts of a name
that is imported come from anywhere in a file, it may be any of its words that are packages, with
any other behind it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from slim.analysis.imports.bare_names import dotted_name
from slim.analysis.imports.names import folded
from slim.analysis.imports.path_scan import TESTS_FOLDER
from slim.analysis.imports.scans import NAME, StringName, UnresolvedCall

_TESTS = re.compile(r"tests?\Z|test_|conftest\Z")
"""Attributes that packages don't have, unless they have tests of that name."""


class NamedTests:
    """The packages and words of one file, which may be parts of a name of tests."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._asks = b".test" in source or b".conftest" in source
        self._modules: dict[str, str] = {}
        self._texts: dict[str, set[str]] = {}
        self._words: dict[str, int] = {}

    def imported(self, node: ast.Import | ast.ImportFrom) -> None:
        """Note the names that an import binds, with the modules that they may be."""
        for alias in node.names:
            if isinstance(node, ast.Import):
                top = alias.name.partition(".")[0]
                self._modules[alias.asname or top] = alias.name if alias.asname else top
            elif node.module and not node.level:
                self._modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def assigned(self, node: ast.Assign) -> None:
        """Note a name that a variable is given."""
        text = folded(node.value)
        if text and NAME.match(text) and isinstance(node.targets[0], ast.Name):
            self._texts.setdefault(node.targets[0].id, set()).add(text)

    def texts_of(self, node: ast.expr | None) -> list[str]:
        """The names that a variable is given anywhere in the file."""
        return sorted(self._texts.get(node.id, ())) if isinstance(node, ast.Name) else []

    def word(self, text: str, line: int) -> None:
        """Note a string."""
        name = text.rstrip(".")
        if NAME.match(name):
            self._words.setdefault(name, line)

    def attribute(self, node: ast.Attribute) -> Iterator[StringName]:
        """Yield the tests that an attribute of a package is which is imported by its own name.

        As it is written in one piece: so a look at the words of the file finds it as well.
        """
        name = dotted_name(node) if self._asks else ""
        start, _, rest = name.partition(".")
        known = self._modules.get(start) == start and name.encode() in self._source
        if known and any(map(_TESTS.match, rest.split("."))):
            yield StringName(name, node.lineno, False)

    def together(self, calls: Iterable[UnresolvedCall]) -> Iterator[StringName]:
        """Yield the tests that calls which put a name together may import."""
        line = self._words.get(TESTS_FOLDER)
        if line is not None and any(map(_puts_together, calls)):
            for package in {*self._words, *self._modules.values()}:
                yield StringName(f"{package}.{TESTS_FOLDER}", line, False)


def _puts_together(call: UnresolvedCall) -> bool:
    """Return whether a call imports a name of several parts, and not one that it is given."""
    return not call.whole and not call.text.partition("(")[2][:-1].isidentifier()
