"""Finds where the variables of a file get their values, as far as its text tells.

Source: the Python language reference ("Naming and binding").
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from slim.analysis.imports.names import last_name
from slim.system.syntax import below, walk

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SCOPES = (*_FUNCTIONS, ast.ClassDef)
_READERS = frozenset({"get", "items", "keys", "values"})
"""Methods of tables that change nothing."""
_TAKERS = frozenset(
    {"dict", "frozenset", "iter", "len", "list", "MappingProxyType", "set", "sorted", "tuple"}
)
"""Functions that change nothing of what they are given."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Value that a variable gets; ``index`` is its place in that, where it is taken apart."""

    value: ast.expr
    index: int | None = None


class Scopes:
    """The scopes of one file."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._parents = {child: node for node in walk(tree) for child in below(node)}
        self._binders: dict[ast.AST, dict[str, list[ast.AST]]] = {}
        self._declared: set[str] = set()
        self.followed: set[str] = set()
        """Private functions of the file of which parameters were followed."""
        for node in walk(tree):
            for name, binder in _bound_by(node):
                scope = self._around(node)
                self._binders.setdefault(scope, {}).setdefault(name, []).append(binder)
            if isinstance(node, ast.Global | ast.Nonlocal):
                self._declared.update(node.names)

    def scope_of(self, name: ast.Name) -> ast.AST:
        """Return the function or module whose variable a name is."""
        scope = self._around(name)
        while scope is not self._tree:
            if name.id in self._binders.get(scope, {}) and not isinstance(scope, ast.ClassDef):
                return scope
            scope = self._around(scope)
        return scope

    def bindings(self, name: ast.Name) -> tuple[Binding, ...] | None:
        """Return every value that a variable may get; None where that isn't known."""
        if name.id in self._declared:
            return None
        scope = self.scope_of(name)
        found: list[Binding] = []
        for binder in self._binders.get(scope, {}).get(name.id, ()):
            values = self._values(binder, scope)
            if values is None:
                return None
            found += values
        return tuple(found) or None

    def _values(self, binder: ast.AST, scope: ast.AST) -> list[Binding] | None:
        if isinstance(binder, ast.arg):
            return self._given(binder, scope)
        parent = self._parents.get(binder)
        match parent:
            case ast.Assign(targets=[target], value=value) if target is binder:
                return [Binding(value)]
            case ast.AnnAssign(target=target, value=ast.expr() as value) if target is binder:
                return [Binding(value)]
            case ast.NamedExpr(target=target, value=value) if target is binder:
                return [Binding(value)]
            case ast.Tuple(elts=elts) if all(isinstance(each, ast.Name) for each in elts):
                outer = self._parents.get(parent)
                if isinstance(outer, ast.Assign) and outer.targets == [parent]:
                    return [Binding(outer.value, elts.index(binder))]  # type: ignore[arg-type]
        return None

    def _given(self, parameter: ast.arg, function: ast.AST) -> list[Binding] | None:
        """Return what the file gives to a parameter of a private function of its own."""
        if not isinstance(function, ast.FunctionDef) or not self._is_private(function):
            return None
        arguments = function.args
        places = [*arguments.posonlyargs, *arguments.args]
        if parameter not in (*places, *arguments.kwonlyargs):
            return None
        found: list[Binding] = []
        for use in self._uses(function.name):
            call = self._parents.get(use)
            if not isinstance(call, ast.Call) or call.func is not use:
                return None
            given = _argument(call, parameter, arguments)
            if given is None:
                return None
            found.append(Binding(given))
        self.followed.add(function.name)
        return found or None

    def _is_private(self, function: ast.FunctionDef) -> bool:
        name = function.name
        return (
            name.startswith("_")
            and not name.startswith("__")
            and not function.decorator_list
            and self._parents.get(function) is self._tree
            and name not in self._declared
            and self._binders.get(self._tree, {}).get(name) == [function]
            and not any(
                name in bound for scope, bound in self._binders.items() if scope is not self._tree
            )
        )

    def is_only_read(self, name: str) -> bool:
        """Return whether nothing in the file changes what variables of a name hold."""
        return all(map(self._reads, self._uses(name)))

    def _reads(self, use: ast.Name) -> bool:
        parent = self._parents.get(use)
        match parent:
            case ast.Subscript(value=value, ctx=ast.Load()) if value is use:
                return True
            case ast.Attribute(attr=attr, ctx=ast.Load()) if attr in _READERS:
                outer = self._parents.get(parent)
                return isinstance(outer, ast.Call) and outer.func is parent
            case ast.Compare() | ast.Starred() | ast.comprehension() | ast.For():
                return True
            case ast.Call() if parent.func is not use:
                return last_name(parent.func) in _TAKERS or self._is_read_by(parent, use)
            case ast.keyword():
                call = self._parents.get(parent)
                return isinstance(call, ast.Call) and self._is_read_by(call, use)
        return False

    def _is_read_by(self, call: ast.Call, given: ast.Name) -> bool:
        """Return whether a private function of the file is given a value and only reads it."""
        if not isinstance(call.func, ast.Name):
            return False
        match self._binders.get(self._tree, {}).get(call.func.id):
            case [ast.FunctionDef() as function] if self._is_private(function):
                arguments = function.args
                known = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
                takers = [each.arg for each in known if _argument(call, each, arguments) is given]
                return len(takers) == 1 and self.is_only_read(takers[0])
        return False

    def _uses(self, name: str) -> list[ast.Name]:
        return self._loads.get(name, [])

    @cached_property
    def _loads(self) -> dict[str, list[ast.Name]]:
        found: dict[str, list[ast.Name]] = {}
        for node in walk(self._tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                found.setdefault(node.id, []).append(node)
        return found

    def tests_before(self, name: ast.Name) -> Iterator[tuple[ast.expr, bool]]:
        """Yield tests that were made before a parameter is used, and whether they held.

        Only in the function that it belongs to, and for a variable that never changes.
        """
        scope = self.scope_of(name)
        binders = self._binders.get(scope, {}).get(name.id, [])
        if (
            name.id in self._declared
            or len(binders) != 1
            or not isinstance(binders[0], ast.arg)
            or self._around(name) != scope
        ):
            return
        child: ast.AST = name
        while child is not scope:
            parent = self._parents[child]
            if isinstance(parent, ast.If) and child is not parent.test:
                yield parent.test, child in parent.body
            for statement in _before(parent, child):
                if isinstance(statement, ast.If) and not statement.orelse and _ends(statement.body):
                    yield statement.test, False
            child = parent

    def _around(self, node: ast.AST) -> ast.AST:
        """Return the scope that a node's names belong to."""
        child, parent = node, self._parents.get(node)
        while parent is not None:
            if isinstance(parent, _SCOPES) and not _is_outside(child, parent):
                return parent
            child, parent = parent, self._parents.get(parent)
        return self._tree


def _is_outside(child: ast.AST, scope: ast.AST) -> bool:
    """Return whether a part of a definition is evaluated outside of it, such as a decorator."""
    if isinstance(scope, ast.Lambda):
        return False
    return isinstance(scope, _SCOPES) and (
        child in getattr(scope, "decorator_list", ())
        or child is getattr(scope, "returns", None)
        or child in getattr(scope, "bases", ())
        or child in getattr(scope, "keywords", ())
    )


def _bound_by(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield the names that a node itself binds."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name, node
        case ast.arg(arg=name):
            yield name, node
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, node
        case ast.alias(name=name, asname=other):
            yield other or name.partition(".")[0], node
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            yield name, node
        case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield name, node


def _argument(call: ast.Call, parameter: ast.arg, arguments: ast.arguments) -> ast.expr | None:
    """Return what a call gives to a parameter, or its constant default; None if unknown."""
    for keyword in call.keywords:
        if keyword.arg in (parameter.arg, None):
            return keyword.value if keyword.arg else None
    places = [*arguments.posonlyargs, *arguments.args]
    if parameter in places:
        before = call.args[: places.index(parameter) + 1]
        if any(isinstance(each, ast.Starred) for each in before):
            return None
        if len(before) > places.index(parameter):
            return before[-1]
    defaults = [
        *zip(places[len(places) - len(arguments.defaults) :], arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    default = next((value for known, value in defaults if known is parameter), None)
    return default if isinstance(default, ast.Constant) else None


def _before(parent: ast.AST, child: ast.AST) -> list[ast.stmt]:
    """Return the statements before one, in its block."""
    for block in ("body", "orelse", "finalbody"):
        statements = getattr(parent, block, None)
        if isinstance(statements, list) and child in statements:
            return statements[: statements.index(child)]
    return []


def _ends(body: list[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Return | ast.Raise | ast.Continue)
