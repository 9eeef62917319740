"""Outcome of the questions that code asks about its platform, on the one that a layer is for.

Sources: the Python documentation of ``sys.platform``, ``os.name`` and ``platform``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from slim.analysis.imports.path_scan import words
from slim.model.stack import Platform, System

_SYS = {System.LINUX: "linux", System.MACOS: "darwin", System.WINDOWS: "win32"}
_OS = {System.LINUX: "posix", System.MACOS: "posix", System.WINDOWS: "nt"}
_NAMES = {System.LINUX: "Linux", System.MACOS: "Darwin", System.WINDOWS: "Windows"}
_MACHINES = (
    words("x86_64 amd64 x64 x86-64"),
    words("aarch64 arm64 armv8 arm64e"),
    words("x86 i386 i486 i586 i686"),
    words("arm armv6l armv7l armv7"),
)
_SPOKEN: tuple[tuple[System, re.Pattern[str]], ...] = (
    (System.WINDOWS, re.compile(r"_*(?:is_?|on_?)?(?:windows|win|win32|nt|mswindows)_*\Z", re.I)),
    (System.MACOS, re.compile(r"_*(?:is_?|on_?)?(?:macos|mac|osx|darwin|macosx)_*\Z", re.I)),
    (System.LINUX, re.compile(r"_*(?:is_?|on_?)?linux_*\Z", re.I)),
)
"""Names of flags that one module of a package makes and others import."""


class PlatformTests:
    """Answers of one module's own questions. ``values`` are what its names were assigned, if once.

    ``imported`` are the names that it imports from elsewhere.
    """

    def __init__(
        self, platform: Platform, values: Mapping[str, ast.expr], imported: frozenset[str]
    ) -> None:
        self._platform = platform
        self._values = values
        self._imported = imported

    def holds(self, node: ast.expr, depth: int = 0) -> bool | None:
        """Return whether a condition holds on the layer's platform; None where only running tells.

        Nor is it told where it asks for another computer's platform.
        """
        if depth > 20:
            return None
        match node:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.holds(operand, depth + 1)
                return None if inner is None else not inner
            case ast.BoolOp(op=operator, values=parts):
                found = [self.holds(part, depth + 1) for part in parts]
                decides = isinstance(operator, ast.Or)
                if decides in found:
                    return decides
                return None if None in found else not decides
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return self._compared(left, operator, right)
            case ast.Call(func=ast.Attribute(value=value, attr="startswith"), args=[wanted]):
                known, given = self.values(value), list(_constants(wanted))
                if not known or not given:
                    return None
                return any(one.startswith(tuple(given)) for one in known)
            case ast.Name(id=name) if name in self._values:
                return self.holds(self._values[name], depth + 1)
            case ast.Name(id=name) if name in self._imported:
                return self._spoken(name)
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module in self._imported:
                return self._spoken(name)
        return None

    def values(self, node: ast.expr, depth: int = 0) -> frozenset[str]:
        """The strings that an expression about the own platform may be; empty for any other."""
        if depth > 20 or self._platform.system is System.UNKNOWN:
            return frozenset()
        system = self._platform.system
        match node:
            case ast.Attribute(value=ast.Name(id="sys" | "_sys"), attr="platform"):
                return frozenset({_SYS[system]})
            case ast.Attribute(value=ast.Name(id="os" | "_os"), attr="name"):
                return frozenset({_OS[system]})
            case ast.Call(func=ast.Attribute(value=value, attr="lower" | "casefold"), args=[]):
                return frozenset(one.lower() for one in self.values(value, depth + 1))
            case ast.Call(func=ast.Attribute(value=ast.Name(id="platform"), attr=asked), args=[]):
                return self._asked(asked)
            case ast.Call(func=ast.Name(id=asked), args=[]) if asked in self._imported:
                return self._asked(asked)
            case ast.Attribute(value=ast.Call(func=ast.Attribute(attr="uname")), attr=asked):
                return self._asked("system" if asked in ("system", "sysname") else asked)
            case ast.Name(id="platform") if "platform" in self._imported:
                return frozenset({_SYS[system]})  # from sys import platform
            case ast.Name(id=name) if name in self._values:
                return self.values(self._values[name], depth + 1)
        return frozenset()

    def _asked(self, function: str) -> frozenset[str]:
        if function == "system":
            return frozenset({_NAMES[self._platform.system]})
        if function == "machine":
            own = next((names for names in _MACHINES if self._platform.machine in names), ())
            return frozenset({*own, *(name.upper() for name in own)})
        return frozenset()

    def _compared(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> bool | None:
        known, wanted = self.values(left), frozenset(_constants(right))
        if not known:
            known, wanted = self.values(right), frozenset(_constants(left))
        if not known or not wanted:
            return None
        within = isinstance(operator, ast.In | ast.NotIn) and isinstance(right, ast.Constant)
        if within:
            equal: bool | None = any(one in text for one in known for text in wanted)
        else:
            equal = not known.isdisjoint(wanted)
        if isinstance(operator, ast.Eq | ast.In):
            return equal
        return not equal if isinstance(operator, ast.NotEq | ast.NotIn) else None

    def _spoken(self, name: str) -> bool | None:
        for system, pattern in _SPOKEN:
            if pattern.match(name):
                return self._platform.system is system
        return None


def _constants(node: ast.expr) -> Iterator[str]:
    """The strings of a constant, or of a literal collection of nothing else."""
    elements = node.elts if isinstance(node, ast.List | ast.Tuple | ast.Set) else [node]
    texts = [one.value for one in elements if isinstance(one, ast.Constant)]
    if len(texts) == len(elements):
        yield from (text for text in texts if isinstance(text, str))
