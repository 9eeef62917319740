"""Literal arguments of a module's private functions, where it calls them with nothing else.

``def _is_there(name): import_module(f"pkg.{name}")`` means what the calls of ``_is_there`` say, and
nothing else: a name with a leading underscore is for its own module (PEP 8).
"""

from __future__ import annotations

import ast
import copy
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from functools import cached_property

from slim.analysis.imports.names import folded
from slim.system.syntax import walk


class PrivateCalls:
    """The calls of private functions in one module, found once for all that is asked of them."""

    def __init__(self, tree: ast.Module) -> None:
        self._nodes = list(walk(tree))
        self._tree = tree
        self._inside: dict[int, dict[int, ast.AST]] = {}
        self._scopes: dict[int, _Scope] = {}

    def settled(self, call: ast.Call, argument: ast.expr) -> tuple[str, ...]:
        """The strings that an argument of a call can be; empty where that can't be told.

        It can where the call stands in a private function at top level, the argument is made of one
        of its parameters and literals, and all that the module does with the function is to call it
        with literals.
        """
        names = {node.id for node in walk(argument) if isinstance(node, ast.Name)}
        if len(names) != 1:
            return ()
        (name,) = names
        at = bisect_right(self._starts, call.lineno) - 1
        function = self._private[at] if at >= 0 else None
        if function is None or self._defined[function.name] != 1:
            return ()
        if id(function) not in self._inside:
            self._inside[id(function)] = {id(node): node for node in walk(function)}
        inside = id(call) in self._inside[id(function)]
        return self._values(function, name, argument) if inside else ()

    @cached_property
    def _private(self) -> list[ast.FunctionDef]:
        return [
            node for node in self._tree.body if isinstance(node, ast.FunctionDef) and _private(node)
        ]

    @cached_property
    def _starts(self) -> list[int]:
        return [function.lineno for function in self._private]

    @cached_property
    def _defined(self) -> Counter[str]:
        return Counter(node.name for node in self._nodes if isinstance(node, ast.FunctionDef))

    def _values(self, function: ast.FunctionDef, name: str, argument: ast.expr) -> tuple[str, ...]:
        given = function.args
        named = [parameter.arg for parameter in (*given.posonlyargs, *given.args)]
        if name not in named and name not in (parameter.arg for parameter in given.kwonlyargs):
            return ()
        if self._of(function).bound[name] > (name in set(_bound(function))):
            return ()
        calls = self._calls.get(function.name, [])
        if None in calls:
            return ()
        place = named.index(name) if name in named else len(named)
        values = self._given_to(function, name, place, calls)
        texts = [_filled(argument, name, value) for value in values or ()]
        if values is None or None in texts:
            return ()
        return tuple(dict.fromkeys(text for text in texts if text is not None))

    def _given_to(
        self, function: ast.FunctionDef, name: str, place: int, calls: list[ast.Call | None]
    ) -> tuple[str, ...] | None:
        """Return what all calls give for a parameter, each once; None if not all is known."""
        question = (id(function), name)
        if question not in self._answers:
            given = [self._given(call, name, place) for call in calls if call is not None]
            texts = (text for values in given for text in values or ())
            self._answers[question] = None if None in given else tuple(dict.fromkeys(texts))
        return self._answers[question]

    @cached_property
    def _answers(self) -> dict[tuple[int, str], tuple[str, ...] | None]:
        return {}

    @cached_property
    def _calls(self) -> dict[str, list[ast.Call | None]]:
        """Each call by the name of the function; None for all else that is done with that name."""
        found: dict[str, list[ast.Call | None]] = {}
        called: set[int] = set()
        for node in self._nodes:
            match node:
                case ast.Call(func=ast.Name(id=name) as function):
                    called.add(id(function))
                    found.setdefault(name, []).append(node)
                case ast.Name(id=name) if id(node) not in called:
                    found.setdefault(name, []).append(None)
                case ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                    found.setdefault(name, []).append(None)
        return found

    def _given(self, call: ast.Call, name: str, place: int) -> list[str] | None:
        """Return what a call gives for a parameter: literals, also those that a loop goes over."""
        if any(isinstance(item, ast.Starred) for item in call.args):
            return None
        values = [item.value for item in call.keywords if item.arg in (name, None)]
        if len(call.args) > place:
            values.append(call.args[place])
        match values:
            case [ast.Constant(value=str(text))]:
                return [text]
            case [ast.Name(id=variable)]:
                scope = self._of(self._around.get(id(call), self._tree))
                if variable in scope.loops and scope.bound[variable] == 1:
                    return _elements(scope, scope.loops[variable])
        return None

    @cached_property
    def _around(self) -> dict[int, ast.AST]:
        """The innermost function that each call stands in, by the call; none for the module."""
        found: dict[int, ast.AST] = {}
        for function in self._nodes:  # outer ones come first
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = walk(function)
                found.update((id(node), function) for node in inner if isinstance(node, ast.Call))
        return found

    def _of(self, node: ast.AST) -> _Scope:
        if id(node) not in self._scopes:
            self._scopes[id(node)] = _Scope(node)
        return self._scopes[id(node)]


class _Scope:
    """Names of a function, or of a module: what they are bound to, and how often."""

    def __init__(self, scope: ast.AST) -> None:
        nodes = list(walk(scope))
        self.bound = Counter(name for node in nodes for name in set(_bound(node)))
        self.used = Counter(node.id for node in nodes if isinstance(node, ast.Name))
        self.loops: dict[str, ast.expr] = {}
        self.assigned: dict[str, ast.expr] = {}
        for node in nodes:
            match node:
                case (
                    ast.For(target=ast.Name(id=target), iter=items)
                    | ast.comprehension(target=ast.Name(id=target), iter=items)
                ):
                    self.loops.setdefault(target, items)
                case ast.Assign(targets=[ast.Name(id=target)], value=value):
                    self.assigned.setdefault(target, value)


def _private(function: ast.FunctionDef) -> bool:
    return function.name[:1] == "_" and function.name[:2] != "__" and not function.decorator_list


def _bound(node: ast.AST) -> Iterator[str]:
    """The names to which a node gives another value, or may."""
    match node:
        case ast.Name(id=bound, ctx=ast.Store() | ast.Del()):
            yield bound
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            yield from names
        case ast.ExceptHandler(name=bound) | ast.MatchAs(name=bound) | ast.MatchStar(name=bound):
            yield from filter(None, (bound,))
        case ast.alias(name=bound, asname=other):
            yield from filter(None, (bound.partition(".")[0], other))
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            # A parameter of the same name in a function within would be another one.
            yield from (one.arg for one in walk(node.args) if isinstance(one, ast.arg))


def _elements(scope: _Scope, items: ast.expr) -> list[str] | None:
    """Return the strings of a literal list, or of a variable that holds one and nothing else."""
    if isinstance(items, ast.Name):
        # One use binds it, the other one is the loop.
        known = scope.used[items.id] == 2 and scope.bound[items.id] == 1
        value = scope.assigned.get(items.id) if known else None
        return None if value is None else _elements(scope, value)
    if not isinstance(items, ast.List | ast.Tuple | ast.Set):
        return None
    texts = [item.value for item in items.elts if isinstance(item, ast.Constant)]
    strings = [text for text in texts if isinstance(text, str)]
    return strings if len(strings) == len(items.elts) else None


def _filled(argument: ast.expr, name: str, value: str) -> str | None:
    class Filling(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return ast.Constant(value=value) if node.id == name else node

    return folded(Filling().visit(copy.deepcopy(argument)))
