"""Literal arguments of a module's private functions, where it calls them with nothing else.

``def _is_there(name): import_module(f"pkg.{name}")`` means what the calls of ``_is_there`` say, and
nothing else: a name with a leading underscore is for its own module (PEP 8).
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

from slim.analysis.imports.names import folded
from slim.system.syntax import walk


def settled(tree: ast.Module, call: ast.Call, argument: ast.expr) -> tuple[str, ...]:
    """The strings that an argument of a call can be; empty where that can't be told.

    It can where the call stands in a private function at top level, the argument is made of one of
    its parameters and literals, and all that the module does with the function is to call it with
    literals.
    """
    names = {node.id for node in walk(argument) if isinstance(node, ast.Name)}
    if len(names) != 1:
        return ()
    (name,) = names
    line = call.lineno
    for function in tree.body:
        if (
            isinstance(function, ast.FunctionDef)
            and function.lineno <= line <= (function.end_lineno or line)
            and _is_private(function)
        ):
            defined = [node for node in walk(tree) if isinstance(node, ast.FunctionDef)]
            once = sum(other.name == function.name for other in defined) == 1
            nodes = list(walk(function))
            inside = once and any(node is call for node in nodes)
            return _values(tree, function, nodes, name, argument) if inside else ()
    return ()


def _is_private(function: ast.FunctionDef) -> bool:
    return function.name[:1] == "_" and function.name[:2] != "__" and not function.decorator_list


def _values(
    tree: ast.Module,
    function: ast.FunctionDef,
    nodes: list[ast.AST],
    name: str,
    argument: ast.expr,
) -> tuple[str, ...]:
    given = function.args
    named = [parameter.arg for parameter in (*given.posonlyargs, *given.args)]
    if name not in named and name not in (parameter.arg for parameter in given.kwonlyargs):
        return ()
    if any(_binds(node, name) for node in nodes if node is not function):
        return ()
    calls = list(_calls(tree, function.name))
    if None in calls:
        return ()
    place = named.index(name) if name in named else len(named)
    found = []
    for call in calls:
        values = _given(tree, call, name, place) if call is not None else None
        texts = [_filled(argument, name, value) for value in values or ()]
        if values is None or None in texts:
            return ()
        found += [text for text in texts if text is not None]
    return tuple(dict.fromkeys(found))


def _binds(node: ast.AST, name: str) -> bool:
    """Return whether a node gives a name another value, or may."""
    match node:
        case ast.Name(id=bound, ctx=ast.Store() | ast.Del()):
            return bound == name
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return name in names
        case ast.ExceptHandler(name=bound) | ast.MatchAs(name=bound) | ast.MatchStar(name=bound):
            return bound == name
        case ast.alias(name=bound, asname=other):
            return name in (bound.partition(".")[0], other)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            # A parameter of the same name in a function within would be another one.
            return any(isinstance(x, ast.arg) and x.arg == name for x in walk(node.args))
    return False


def _calls(tree: ast.Module, name: str) -> Iterator[ast.Call | None]:
    """Each call of a function in its module; None for anything else that is done with its name."""
    called: set[int] = set()
    for node in walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=found) as function) if found == name:
                called.add(id(function))
                yield node
            case ast.Name(id=found) if found == name and id(node) not in called:
                yield None
            case ast.Attribute(attr=found) | ast.Constant(value=found) if found == name:
                yield None


def _given(tree: ast.Module, call: ast.Call, name: str, place: int) -> list[str] | None:
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
            scope = list(walk(_scope(tree, call)))
            for node in scope:
                match node:
                    case (
                        ast.For(target=ast.Name(id=target), iter=items)
                        | ast.comprehension(target=ast.Name(id=target), iter=items)
                    ) if target == variable and _bindings(scope, variable) == 1:
                        return _elements(scope, items)
    return None


def _scope(tree: ast.Module, call: ast.Call) -> ast.AST:
    """Return the innermost function that a call stands in, or the module."""
    found: ast.AST = tree
    for node in walk(tree):  # outer ones come first
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and call in walk(node):
            found = node
    return found


def _bindings(scope: list[ast.AST], name: str) -> int:
    return sum(_binds(node, name) for node in scope)


def _elements(scope: list[ast.AST], items: ast.expr) -> list[str] | None:
    """Return the strings of a literal list, or of a variable that holds one and nothing else."""
    if isinstance(items, ast.Name):
        name = items.id
        uses = sum(isinstance(node, ast.Name) and node.id == name for node in scope)
        for node in scope:
            match node:
                case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                    # One use binds it, the other one is the loop.
                    known = uses == 2 and _bindings(scope, name) == 1
                    return _elements(scope, value) if known else None
        return None
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
