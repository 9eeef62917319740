"""Calls that import, list or read modules of which only running tells the name.

``import_module(name)``, ``walk_packages(found.__path__)``, ``files(package) / name``. What they
mean may lie anywhere, most likely in the caller's own package. A name that is imported was written
somewhere, where it is found as a string, or comes from a list of what is there: only with such a
list in the same file may it mean a folder of tests.

Sources: the Python documentation of ``importlib``, ``importlib.resources``, ``pkgutil``, ``runpy``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from slim.analysis.imports.arguments import PrivateCalls
from slim.analysis.imports.names import begun_module, computed_module, literal_module
from slim.analysis.imports.scans import NAME, Import, UnresolvedCall
from slim.model.finding import Strength
from slim.system.syntax import walk

_LISTS = frozenset({"iter_modules", "walk_packages"})
_READS = "files("
_RESOURCES = frozenset({"importlib.resources", "importlib_resources"})
_OWN = frozenset({"__name__", "__package__", "__path__", "__file__", "__spec__"})
_ARGUMENTS = frozenset({"name", "mod_name", "path", "package", "anchor"})
_FOLDER = re.compile(r"[\w-]+(?:/[\w-]+)*/?")
_LISTING = _LISTS | {
    *("listdir", "scandir", "iterdir", "glob", "iglob", "rglob", "walk", "contents", "files"),
    *("is_resource", "resource_listdir"),
}
"""Functions that tell what lies in a folder or package."""


class UnresolvedCalls:
    """The unresolved calls of one file: told of its imports first, then of its calls."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._files: set[str] = set()
        self._found: list[tuple[int, str, bool]] = []
        self._first: dict[tuple[int, str], set[str]] = {}
        self._calls: list[tuple[ast.Call, ast.expr]] = []
        self._below: list[Import] = []
        self._lists = False

    @property
    def found(self) -> tuple[UnresolvedCall, ...]:
        """Each call, in the order of lines."""
        return tuple(
            UnresolvedCall(text, line, lists or self._lists, text.startswith(_READS), first)
            for line, text, lists in sorted(set(self._found))
            for first in sorted(self._first.get((line, text), {""}))
        )

    def imported(self, node: ast.Import | ast.ImportFrom) -> None:
        """Note the names that an import binds."""
        module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            full = f"{module}.{alias.name}" if module else alias.name
            if full in _RESOURCES or (module in _RESOURCES and alias.name == "files"):
                self._files.add(name)
            self._names.add(name)

    def call(self, node: ast.Call, importers: Mapping[str, str]) -> None:
        """Note a call if it is one of these. ``importers`` maps aliases to functions."""
        match node.func:
            case ast.Name(id=called) | ast.Attribute(attr=called):
                pass
            case _:
                return
        self._lists = self._lists or (called in _LISTING and ast.unparse(node.func) != "ast.walk")
        given = [item.value for item in node.keywords if item.arg in _ARGUMENTS]
        argument = next(iter((*node.args[:1], *given)), None)
        if argument is None:  # iter_modules(): what is at the top; files(): the caller's own
            return
        function = importers.get(called, "")
        if function and function != "find_spec":
            known = literal_module(argument) is not None or computed_module(argument) is not None
            known = known or (isinstance(argument, ast.Name) and argument.id in _OWN)
            known = known or self._is_below(node, argument)
        elif called in _LISTS or self._reads(node.func):
            function = called if called in _LISTS else "files"
            known = self._is_known(argument)
        else:
            return
        if not known:
            lists = called in _LISTS or function == "files"
            self._found.append((node.lineno, f"{function}({_short(argument)})", lists))
            self._calls.append((node, argument))

    def _is_below(self, node: ast.Call, argument: ast.expr) -> bool:
        """Return whether the name begins with that of a package, of which anything may be meant."""
        if node.args[4:] or any(item.arg == "level" for item in node.keywords):
            return False  # of __import__: relative to the file's own package
        given = (*node.args[1:2], *(item.value for item in node.keywords if item.arg == "package"))
        begun = begun_module(argument, next(iter(given), None))
        if begun is None:
            return False
        module, level, anchor = begun
        self._below.append(
            Import(
                module=module,
                level=level,
                anchor=anchor,
                line=node.lineno,
                text=f'"{"." * level}{module}." put together',
                strength=Strength.WEAK,
                kind="string",
                whole=True,
            )
        )
        return True

    def settle(self, tree: ast.Module) -> Iterator[Import]:
        """Give the imports of calls that can be resolved after all, as far as their text tells.

        In private functions only full names are: what a relative one is relative to isn't looked
        for.
        """
        yield from self._below
        if not self._found:
            return  # as in most files: nothing of the tree is gone over
        kept = []
        private = PrivateCalls(tree)
        firsts = _firsts(tree) if any(entry[1].startswith(_READS) for entry in self._found) else {}
        for entry, (call, argument) in zip(self._found, self._calls, strict=True):
            self._first.setdefault(entry[:2], set()).add(firsts.get(id(call), ""))
            names = () if entry[2] else private.settled(call, argument)
            if names and all(NAME.match(name) for name in names):
                for name in names:
                    text = f'"{name}" put together'
                    yield Import(
                        module=name,
                        line=entry[0],
                        text=text,
                        runs=True,
                        strength=Strength.WEAK,
                        kind="string",
                    )
            else:
                kept.append(entry)
        self._found, self._calls = kept, []

    def _reads(self, function: ast.expr) -> bool:
        """Return whether a function is ``files`` of importlib.resources."""
        match function:
            case ast.Name(id=name):
                return name in self._files
            case ast.Attribute(value=ast.Name(id=name), attr="files"):
                return name in self._files or name in ("resources", "importlib_resources")
            case ast.Attribute(value=ast.Attribute(attr="resources"), attr="files"):
                return True
        return False

    def _is_known(self, node: ast.expr) -> bool:
        """Return whether a package is named by a string, imported by name, or the file's own."""
        if isinstance(node, ast.Constant):
            return True
        if any(isinstance(child, ast.Name) and child.id in _OWN for child in walk(node)):
            return True
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id in self._names


def _firsts(tree: ast.Module) -> dict[int, str]:
    """Return the folder below what a call gives, by the call's identity, where it is literal.

    ``files(package) / "etc"`` and ``files(package).joinpath("etc", name)`` read nothing but "etc".
    Of a file, as its suffix tells, the folder around it may be what is meant.
    """
    found: dict[int, str] = {}
    for node in walk(tree):
        match node:
            case (
                ast.BinOp(
                    left=ast.Call() as call, op=ast.Div(), right=ast.Constant(value=str(text))
                )
                | ast.Call(
                    func=ast.Attribute(value=ast.Call() as call, attr="joinpath"),
                    args=[ast.Constant(value=str(text)), *_],
                )
            ):
                if _FOLDER.fullmatch(text):
                    found[id(call)] = text.partition("/")[0]
    return found


def _short(node: ast.expr) -> str:
    text = ast.unparse(node).replace("\n", " ")
    return text if len(text) <= 40 else text[:37] + "..."
