"""Strings that code gives to another package: ``pkg.load("tests")``, ``class Mine(pkg.Base)``.

A function of another package may look for what it is told below its own folder, or import it by
name; so may an object, a module whose variable is set, and a class of which another one is made.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence

from slim.system.syntax import walk


def receivers_of_strings(nodes: Sequence[ast.AST]) -> dict[int, str]:
    """The top-level packages that constants are given to, by the ids of the constants.

    ``nodes`` are those of the syntax tree.
    """
    bound = dict(_bound(nodes))
    if not bound:
        return {}
    for node in nodes:  # reader = pkg.Reader()
        for target, value in _assigned(node):
            if isinstance(target, ast.Name) and (top := bound.get(_root(value))):
                bound.setdefault(target.id, top)
    texts = {
        target.id: value
        for node in nodes
        for target, value in _assigned(node)
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant)
    }
    receivers: dict[int, str] = {}
    for node in nodes:
        for receiver, given in _given(node):
            top = bound.get(_root(receiver))
            if top is not None:
                receivers.update((id(constant), top) for constant in _constants(given, texts))
    return receivers


def _assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Each target that a statement gives a value, and that value."""
    match node:
        case ast.Assign(targets=targets, value=value):
            yield from ((target, value) for target in targets)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield target, value
        case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
            yield target, value


def _given(node: ast.AST) -> Iterator[tuple[ast.expr, list[ast.expr]]]:
    """Yield what a node gives values to, and those values."""
    match node:
        case ast.Call(func=function, args=arguments, keywords=keywords):
            yield function, [*arguments, *(item.value for item in keywords)]
        case ast.ClassDef(bases=bases, body=body):
            values = list(_of_class(body)) if bases else []
            yield from ((base, values) for base in bases)
        case _:
            for target, value in _assigned(node):
                if isinstance(target, ast.Attribute):
                    yield target, [value]


def _of_class(body: list[ast.stmt]) -> Iterator[ast.expr]:
    """The values of a class, and those that its methods return."""
    for statement in body:
        yield from (value for _, value in _assigned(statement))
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in walk(statement):
                if isinstance(node, ast.Return) and node.value is not None:
                    yield node.value


def _bound(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str]]:
    """Each name that an import of another package binds, and that package."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield alias.asname or top, top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, node.module.partition(".")[0]


def _root(node: ast.expr) -> str:
    """The name that an expression of attributes and calls begins with: ``a`` of ``a.b(c).d``."""
    while True:
        match node:
            case ast.Attribute(value=inner) | ast.Call(func=inner) | ast.Subscript(value=inner):
                node = inner
            case ast.Name(id=name):
                return name
            case _:
                return ""


def _constants(
    given: Iterable[ast.expr | None], texts: Mapping[str, ast.Constant]
) -> Iterator[ast.Constant]:
    """The constants among values, in collections among them, and of variables (``texts``)."""
    for node in given:
        match node:
            case ast.Constant():
                yield node
            case ast.Name(id=name) if name in texts:
                yield texts[name]
            case ast.List(elts=inner) | ast.Tuple(elts=inner) | ast.Set(elts=inner):
                yield from (each for each in inner if isinstance(each, ast.Constant))
            case ast.Dict(values=inner):
                yield from (each for each in inner if isinstance(each, ast.Constant))
