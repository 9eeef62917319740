"""Replacements of the import statement that only watch: what failed before fails with them.

A debugger or profiler puts a function in the place of ``builtins.__import__`` that asks the one
that was there for the same name, and does something besides. Where the name has no module, the one
that was there raises, and so does the replacement. One that catches this, or gives another module
under some condition, may make any name importable.

Source: the Python documentation of ``__import__``.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from slim.system.syntax import parsed, walk

_IMPORT = "__import__"
_BUILTINS = ("builtins", "__builtin__", "__builtins__")
_MOST_STEPS = 8
"""Bindings that are followed from the replacement to the function that was there."""
_ENDS = ast.Return | ast.Yield | ast.YieldFrom
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def leave_failures(source: bytes) -> bool:
    """Return whether each replacement of the import statement in a file asks what was there first.

    Never raises: what can't be parsed, or followed, is taken for one that doesn't.
    """
    try:
        tree = parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    hooks = _Hooks(tree)
    return bool(hooks.replacements) and all(map(hooks.watches, hooks.replacements))


class _Hooks:
    """Replacements of ``__import__`` in a file, with the values that its names are bound to."""

    def __init__(self, tree: ast.Module) -> None:
        self.replacements: list[ast.expr | None] = []
        self._values: dict[str, list[ast.expr | None]] = defaultdict(list)
        """Values by name or attribute, in any scope; None for what isn't a plain assignment."""
        self._functions: dict[str, list[_Function]] = defaultdict(list)
        self._methods: set[ast.AST] = set()
        nodes = list(walk(tree))
        self._calls: dict[str, list[ast.Call]] = defaultdict(list)
        for node in nodes:
            if isinstance(node, ast.Call):
                self._calls[_last(node.func)].append(node)
            elif isinstance(node, ast.ClassDef):
                self._methods.update(node.body)
        for name, value in self._bindings(nodes):
            (self.replacements if name == _IMPORT else self._values[name]).append(value)

    def _bindings(self, nodes: list[ast.AST]) -> Iterator[tuple[str, ast.expr | None]]:
        plain: set[ast.AST] = set()
        for node in nodes:
            match node:
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        if name := _last(target):
                            plain.add(target)
                            yield name, value
                case ast.Name() | ast.Attribute():
                    if node not in plain and not isinstance(node.ctx, ast.Load):
                        yield _last(node), None
                case ast.alias(name=name, asname=asname):
                    yield asname or name.partition(".")[0], None
                case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                    yield name, None
                case _:
                    yield from self._defined_by(node)

    def _defined_by(self, node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._functions[node.name].append(node)
                yield node.name, None
                if node.name != "__init__":
                    calls = None if node in self._methods else self._calls[node.name]
                    yield from _given(node.args, calls)
            case ast.Lambda(args=args):
                yield from _given(args, None)
            case ast.ClassDef():
                yield node.name, None
                for child in node.body:
                    if isinstance(child, ast.FunctionDef) and child.name == "__init__":
                        yield from _given(child.args, self._calls[node.name], bound=1)

    def watches(self, replacement: ast.expr | None) -> bool:
        """Return whether a replacement is the original, or a function that asks it first."""
        if self._is_original(replacement):
            return True
        match self._functions.get(_last(replacement), []):
            case [ast.FunctionDef(decorator_list=[]) as function]:
                return self._values[function.name] == [None] and self._asks_first(function)
            case _:
                return False

    def _asks_first(self, function: ast.FunctionDef) -> bool:
        """Return whether nothing is returned before the original was asked for the same name."""
        named = [*function.args.posonlyargs, *function.args.args]
        for wanted in named[1:2] if function in self._methods else named[:1]:
            if _is_bound(wanted.arg, function):
                return False
            for statement in function.body:
                match statement:
                    case (
                        ast.Return(value=ast.Call() as call)
                        | ast.Expr(value=ast.Call() as call)
                        | ast.Assign(value=ast.Call() as call)
                    ) if _is_first(wanted.arg, call):
                        if self._is_original(call.func):
                            return True
                if any(isinstance(node, _ENDS) for node in walk(statement)):
                    return False
        return False

    def _is_original(self, node: ast.expr | None, steps: int = 0) -> bool:
        """Return whether an expression is the function that was in the place before."""
        match node:
            case ast.Name(id="__import__"):
                return _IMPORT not in self._functions
            case ast.Attribute(attr="__import__", value=ast.Name(id=owner)):
                return owner in _BUILTINS
            case ast.Name(id=name) | ast.Attribute(attr=name):
                values = self._values.get(name, [])
                return bool(values and steps < _MOST_STEPS) and all(
                    self._is_original(value, steps + 1) for value in values
                )
            case _:
                return False


def _given(
    taken: ast.arguments, calls: list[ast.Call] | None, bound: int = 0
) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield what parameters are given by calls; None where they aren't known.

    As many as ``bound`` of the first aren't given by a call, but by where the function was found.
    """
    for other in (*taken.kwonlyargs, taken.vararg, taken.kwarg):
        if other is not None:
            yield other.arg, None
    for number, parameter in enumerate([*taken.posonlyargs, *taken.args]):
        if calls is None or number < bound:
            yield parameter.arg, None
            continue
        for call in calls:
            yield parameter.arg, _argument(call, number - bound, parameter.arg)


def _argument(call: ast.Call, number: int, name: str) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    before = call.args[: number + 1]
    if len(before) <= number or any(isinstance(each, ast.Starred) for each in before):
        return None
    return before[number]


def _is_first(name: str, call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Name) and call.args[0].id == name


def _is_bound(name: str, function: ast.FunctionDef) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load)
        for node in walk(function)
    )


def _last(node: ast.AST | None) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
