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
_REPORTED: dict[tuple[System, str], frozenset[str]] = {
    (System.LINUX, "x86_64"): words("x86_64"),
    (System.LINUX, "aarch64"): words("aarch64"),
    (System.MACOS, "x86_64"): words("x86_64"),
    (System.MACOS, "aarch64"): words("arm64"),
    (System.WINDOWS, "x86_64"): words("AMD64"),
    (System.WINDOWS, "aarch64"): words("ARM64"),
}
"""What ``platform.machine()`` says: each system has its own word for a machine."""
_SPOKEN: tuple[tuple[System, re.Pattern[str]], ...] = (
    (System.WINDOWS, re.compile(r"_*(?:(?:IS|ON)_)?(?:WINDOWS|WIN|WIN32|NT|MSWINDOWS)_*\Z")),
    (System.MACOS, re.compile(r"_*(?:(?:IS|ON)_)?(?:MACOS|MAC|OSX|DARWIN|MACOSX)_*\Z")),
    (System.LINUX, re.compile(r"_*(?:(?:IS|ON)_)?LINUX_*\Z")),
)
"""Names of constants that one module of a package makes and others import."""


class PlatformTests:
    """Answers of one module's own questions. ``values`` are what its names were assigned, if once.

    ``imported`` are the names that it imports, and what each stands for: ``platform.system``.
    """

    def __init__(
        self, platform: Platform, values: Mapping[str, ast.expr], imported: Mapping[str, str]
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
                known, given = self.values(value, own_word=True), list(_constants(wanted))
                if not known or not given:
                    return None
                answers = {one.startswith(tuple(given)) for one in known}
                return answers.pop() if len(answers) == 1 else None
            case ast.Name(id=name) if name in self._values:
                return self.holds(self._values[name], depth + 1)
            case ast.Name(id=name) if name in self._imported:
                return self._spoken(name)
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module in self._imported:
                return self._spoken(name)
        return None

    def values(self, node: ast.expr, depth: int = 0, *, own_word: bool = False) -> frozenset[str]:
        """The strings that an expression about the own platform may be; empty for any other.

        A machine has several names, as files are called after it; ``own_word`` asks for the one
        that its own system tells.
        """
        if depth > 20 or self._platform.system is System.UNKNOWN:
            return frozenset()
        system = self._platform.system
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr="lower" | "casefold"), args=[]):
                return frozenset(
                    one.lower() for one in self.values(value, depth + 1, own_word=own_word)
                )
            case ast.Call(func=function, args=[]):
                module, _, asked = self._meant(function).rpartition(".")
                return self._asked(asked, own_word) if module == "platform" else frozenset()
            case ast.Attribute(value=ast.Call(func=function), attr=asked):
                if self._meant(function) in ("os.uname", "platform.uname"):
                    return self._asked("system" if asked == "sysname" else asked, own_word)
            case ast.Name(id=name) if name in self._values and name not in self._imported:
                return self.values(self._values[name], depth + 1, own_word=own_word)
            case ast.Name() | ast.Attribute():
                known = {"sys.platform": _SYS[system], "os.name": _OS[system]}
                return frozenset(filter(None, [known.get(self._meant(node))]))
        return frozenset()

    def _meant(self, node: ast.expr) -> str:
        """The origin of an imported name, or of an attribute of one: ``sys.platform``."""
        match node:
            case ast.Name(id=name):
                return self._imported.get(name, "")
            case ast.Attribute(value=ast.Name(id=name), attr=attribute):
                return f"{self._imported.get(name, '')}.{attribute}"
        return ""

    def _asked(self, function: str, own_word: bool) -> frozenset[str]:
        if function == "system":
            return frozenset({_NAMES[self._platform.system]})
        if function == "machine":
            if own_word:
                return _REPORTED.get((self._platform.system, self._platform.machine), frozenset())
            own = next((names for names in _MACHINES if self._platform.machine in names), ())
            return frozenset({*own, *(name.upper() for name in own)})
        return frozenset()

    def _compared(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> bool | None:
        known, wanted = self.values(left, own_word=True), frozenset(_constants(right))
        turned = not known
        if turned:
            known, wanted = self.values(right, own_word=True), frozenset(_constants(left))
        if not known or not wanted:
            return None
        within = isinstance(operator, ast.In | ast.NotIn)
        if within and turned:  # "win" in sys.platform
            equal = any(text in one for one in known for text in wanted)
        elif within and isinstance(right, ast.Constant):
            equal = any(one in text for one in known for text in wanted)
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
