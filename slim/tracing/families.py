"""Families: modules that one place in the code imports under computed names.

``import_module(f"mlx_lm.models.{kind}")`` names nothing. What it may mean begins with a constant,
which the source tells; where it doesn't, with the package of the module that was imported.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from slim.analysis.imports.names import folded
from slim.system.syntax import parsed, walk

COMPUTING: Final = frozenset({"import_module", "exec_module", "load_module", "reload"})
"""Functions of importlib that import what their caller names."""
_BUILTIN: Final = "__import__"
_PLACEHOLDER: Final = re.compile(r"%(?:\(\w+\))?[sr]|\{[^{}]*\}")
_OWN: Final = ("__name__", "__package__")


class Importer:
    """Source of a module that imports others: the calls of it that import, by line."""

    def __init__(self, name: str, package: str, source: bytes) -> None:
        self._name, self._package = name, package
        self._calls: list[tuple[ast.Call, str]] = []
        self._assigned: dict[str, list[ast.expr]] = {}
        try:
            tree = parsed(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        for node in walk(tree):
            match node:
                case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called)):
                    self._calls.append((node, called))
                case ast.Assign(targets=[ast.Name(id=target)], value=value):
                    self._assigned.setdefault(target, []).append(value)

    def prefix(self, line: int, member: str, how: str) -> str | None:
        """Return the constant start of what is imported at a line; None where it isn't computed.

        ``member`` is what was imported there, ``how`` the function of importlib that was called,
        or empty for Python's own import system. A top-level module that nothing starts has ``.``.
        """
        calls = [
            call
            for call, called in self._calls
            if call.lineno <= line <= (call.end_lineno or call.lineno)
            and (how or called == _BUILTIN)
        ]
        if not how and not calls:
            return None
        starts: list[str] = []
        for call in calls:
            given = [item.value for item in call.keywords if item.arg in ("name", "package")]
            for argument in (*call.args[:1], *given):
                if self._is_literal(argument, member):
                    return None
                starts += self._starts(argument)
        fitting = [start for start in starts if start and member.startswith(start)]
        above = member.rpartition(".")[0]
        return max(fitting, key=len, default=f"{above}.")

    def computed(self) -> Iterator[tuple[int, int, str]]:
        """Yield first and last line and the constant start (or ``""``) of each computed import.

        Those are calls of ``import_module`` and ``__import__`` whose argument isn't a constant.
        """
        for call, called in self._calls:
            if called not in ("import_module", _BUILTIN) or not call.args:
                continue
            argument = call.args[0]
            if folded(argument) is None and not self._is_own(argument):
                starts = [start for start in self._starts(argument) if start]
                yield call.lineno, call.end_lineno or call.lineno, max(starts, key=len, default="")

    @staticmethod
    def _is_own(node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in _OWN

    def _is_literal(self, node: ast.expr, member: str) -> bool:
        text = folded(node)
        if text is None:
            return False
        name = text.lstrip(".")
        return bool(name) and (member == name or member.endswith(f".{name}"))

    def _starts(self, node: ast.expr) -> Iterator[str]:
        """Yield the constant starts of an expression, up to their last dot."""
        if isinstance(node, ast.Name):
            for value in self._assigned.get(node.id, ()):
                yield self._ended(self._constant(value))
        else:
            yield self._ended(self._constant(node))

    def _constant(self, node: ast.expr) -> str:
        """Return the text that the value of an expression certainly begins with."""
        text = folded(node)
        if text is not None:
            return text
        match node:
            case ast.Name(id="__name__"):
                return self._name
            case ast.Name(id="__package__"):
                return self._package
            case ast.JoinedStr(values=[first, *rest]):
                start = self._constant(first)
                whole = isinstance(first, ast.Constant) or bool(start)
                return start + (self._constant(rest[0]) if whole and rest else "")
            case ast.FormattedValue(value=ast.Name(id=name)) if name in _OWN:
                return self._name if name == "__name__" else self._package
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                start = self._constant(left)
                whole = folded(left) is not None or (isinstance(left, ast.Name) and bool(start))
                return start + (self._constant(right) if whole else "")
            case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod()):
                return _PLACEHOLDER.split(text, maxsplit=1)[0]
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format")):
                return _PLACEHOLDER.split(text, maxsplit=1)[0]
        return ""

    def _ended(self, text: str) -> str:
        """Return a start up to its last dot; one that begins with dots with its package before."""
        dots = len(text) - len(text.lstrip("."))
        if dots:
            parts = self._package.split(".")
            parts = parts[: len(parts) - dots + 1]
            text = ".".join((*parts, text[dots:])) if parts else ""
        start, dot, _ = text.rpartition(".")
        return f"{start}." if dot and start else ""
