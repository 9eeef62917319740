"""Computed names of modules of which the code around them tells more than their constant start.

A module's ``__getattr__(name)`` is given the name of one attribute, so ``f"scipy.{name}"`` has one
component after ``scipy.``, whoever asks. A function that only asks whether a module can be imported
(``is_available(name)``) has no use for the module: once it is gone, "no" is the true answer, and
whoever goes on to use it imports it elsewhere.

Sources: PEP 562 (``__getattr__`` of modules), the Python language reference ("Attribute
references": an identifier), the Python documentation of ``importlib.import_module``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from slim.analysis.imports.names import last_name
from slim.system.syntax import walk

_GETATTR = "__getattr__"
_IMPORTS = frozenset({"import_module", "__import__"})
_QUESTION = re.compile(
    r"_*(?!ensure|make|load|import|register|enable|require|set|use|init|try|add)"
    r"(?:[a-z]+_)*?(?:is|are|has|have|can)_"
)
"""Start of the name of a function that asks, such as ``_module_is_available``."""
_NO_MODULE = frozenset({"ImportError", "ModuleNotFoundError", "AttributeError", "Exception"})


def own_name(node: ast.expr) -> str:
    """Return ``__name__`` or ``__package__`` for what a module calls itself or its package by.

    ``__spec__`` has both, too. Empty for anything else.
    """
    match node:
        case ast.Name(id="__name__" | "__package__" as own):
            return str(own)
        case ast.Attribute(value=ast.Name(id="__spec__"), attr="name"):
            return "__name__"
        case ast.Attribute(value=ast.Name(id="__spec__"), attr="parent"):
            return "__package__"
    return ""


def single_names(tree: ast.Module) -> frozenset[ast.expr]:
    """Return the computed names that have exactly one component after their constant start.

    Each is the argument of an import in a module's ``__getattr__``, and ends with the name that it
    was given and never changes. Where the file mentions ``__getattr__`` otherwise, it may be called
    with anything, and there are none.
    """
    functions = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == _GETATTR
    ]
    if not functions or any(
        isinstance(node, ast.Name | ast.Attribute) and last_name(node) == _GETATTR
        for node in walk(tree)
    ):
        return frozenset()
    return frozenset(name for function in functions for name in _single_names_of(function))


def _single_names_of(function: ast.FunctionDef) -> Iterator[ast.expr]:
    arguments = function.args
    given = [*arguments.posonlyargs, *arguments.args]
    if not given or _rebinds(function, given[0]):
        return
    for node in walk(function):
        if isinstance(node, ast.Call) and last_name(node.func) in _IMPORTS and node.args:
            # A list of names to import from the module may name modules of its own.
            plain = last_name(node.func) != "__import__" or not (node.args[1:] or node.keywords)
            if plain and _ends_with(node.args[0], given[0].arg):
                yield node.args[0]


def _rebinds(function: ast.FunctionDef, given: ast.arg) -> bool:
    """Return whether anything in a function may give its argument another value."""
    name = given.arg
    for node in walk(function):
        match node:
            case ast.Name(id=bound, ctx=ast.Store() | ast.Del()) if bound == name:
                return True
            case ast.arg(arg=bound) if bound == name and node is not given:
                return True
            case ast.ExceptHandler(name=bound) | ast.MatchAs(name=bound) if bound == name:
                return True
            case ast.MatchStar(name=bound) | ast.MatchMapping(rest=bound) if bound == name:
                return True
            case ast.alias(name=source, asname=bound) if (bound or source) == name:
                return True
            case ast.FunctionDef(name=bound) | ast.ClassDef(name=bound) if bound == name:
                return True
            case ast.Global(names=names) | ast.Nonlocal(names=names) if name in names:
                return True
    return False


def _ends_with(node: ast.expr, name: str) -> bool:
    """Return whether a computed string is a constant start and the value of a variable."""
    match node:
        case ast.JoinedStr(values=[*starts, ast.FormattedValue(format_spec=None) as last]):
            return last.conversion == -1 and _is(last.value, name) and _is_start(starts)
        case ast.BinOp(left=ast.BinOp(left=first, op=ast.Add(), right=second), op=ast.Add()):
            return _is(node.right, name) and _is_start([first, second])
        case ast.BinOp(left=first, op=ast.Add()):
            return _is(node.right, name) and _is_start([first])
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod(), right=right):
            only = right.elts[0] if isinstance(right, ast.Tuple) and len(right.elts) == 1 else right
            return _is(only, name) and text.endswith("%s") and text.count("%") == 1
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format"), args=[only]
        ):
            return _is(only, name) and text.endswith("{}") and text.count("{") == 1
    return False


def _is_start(parts: Sequence[ast.expr]) -> bool:
    """Return whether the parts of a string are a constant, or the module's own name and one."""
    match parts:
        case [ast.Constant(value=str())]:
            return True
        case [
            ast.FormattedValue(value=own) | (ast.Name() | ast.Attribute() as own),
            ast.Constant(),
        ]:
            return bool(own_name(own))
    return False


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def asked_names(tree: ast.Module) -> frozenset[ast.AST]:
    """Return the computed names that are only asked about, with all parts of them.

    Such a function is called like a question and does nothing but try the import: it returns true,
    or false where the import failed.
    """
    found: set[ast.AST] = set()
    for node in walk(tree):
        if isinstance(node, ast.FunctionDef) and _QUESTION.match(node.name):
            asked = _asked(node)
            if asked is not None:
                found.update(walk(asked))
    return frozenset(found)


def _asked(function: ast.FunctionDef) -> ast.expr | None:
    """Return the name that a function tries to import, where it does nothing else."""
    body = [
        node
        for node in function.body
        if not isinstance(node, ast.Import | ast.ImportFrom)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]
    match body:
        case [
            ast.Try(
                body=[ast.Expr(value=ast.Call(func=called, args=[name], keywords=[])), *more],
                handlers=handlers,
                orelse=otherwise,
                finalbody=[],
            ),
            *rest,
        ] if last_name(called) in _IMPORTS and all(map(_is_failure, handlers)):
            return name if _returns([*more, *otherwise, *rest], value=True) else None
    return None


def _is_failure(handler: ast.ExceptHandler) -> bool:
    """Return whether a handler answers that there is no such module."""
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    known = all(node is not None and last_name(node) in _NO_MODULE for node in caught)
    return known and _returns(handler.body, value=False)


def _returns(body: Sequence[ast.stmt], *, value: bool) -> bool:
    match body:
        case [ast.Return(value=ast.Constant(value=answer))]:
            return answer is value
    return False
