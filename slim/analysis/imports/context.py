"""Conditions under which the statements of a module run: in a handler, a function, a program.

Sources: the Python language reference ("Compound statements"), PEP 484 (``TYPE_CHECKING``).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from slim.model.finding import Strength
from slim.system.syntax import below

_CATCHES_IMPORT_ERROR = frozenset(
    {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
)
_BODIES = frozenset({"body", "orelse", "finalbody", "handlers", "cases"})


@dataclass(frozen=True, slots=True)
class Context:
    """Conditions under which a piece of code runs.

    It is ``guarded`` by a handler for failed imports; runs only as a ``script``; is ``nested`` in a
    class or function; is in the ``inner`` code of a function.
    """

    guarded: bool = False
    script: bool = False
    nested: bool = False
    inner: bool = False

    def deferred(self) -> Context:
        """The context of a function's body.

        A handler around the function's definition doesn't help when it is called.
        """
        return replace(self, guarded=False, nested=True, inner=True)

    @property
    def strength(self) -> Strength:
        """Strength of an import in that place as evidence."""
        return Strength.WEAK if self.guarded or self.script else Strength.STRONG

    @property
    def note(self) -> str:
        """Reason of a weak strength; empty for a strong one."""
        if self.guarded:
            return "failure is caught"
        return "only when run as a program" if self.script else ""


def statements_in(node: ast.AST, context: Context) -> Iterator[tuple[ast.AST, Context]]:
    """The statements directly inside a statement, each with the context it runs in."""
    inside = context
    skipped: frozenset[str] = frozenset()
    match node:
        case ast.If():
            condition = _condition(node.test)
            if condition == "script":
                inside = replace(context, script=True)
                yield from ((child, context) for child in node.orelse)
                skipped = frozenset({"orelse"})
            elif condition:
                skipped = frozenset({condition})
        case ast.Try() | ast.TryStar():
            if any(_catches(handler) for handler in node.handlers):
                guarded = replace(context, guarded=True)
                yield from ((child, guarded) for child in node.body)
                skipped = frozenset({"body"})
        case ast.With() | ast.AsyncWith():
            if any(_suppresses(item.context_expr) for item in node.items):
                inside = replace(context, guarded=True)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            inside = context.deferred()
        case ast.ClassDef():
            inside = replace(context, nested=True)
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        if field not in skipped:
            yield from ((child, inside) for child in getattr(node, field, ()))


def expressions_of(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions of a statement, without those of the statements inside it."""
    for field, value in ast.iter_fields(node):
        if field in _BODIES and not isinstance(value, ast.expr):
            continue
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, ast.expr):
                yield item
            elif isinstance(item, ast.AST) and not isinstance(item, ast.stmt):
                yield from (child for child in below(item) if isinstance(child, ast.expr))


def _condition(test: ast.expr) -> str:
    """The branch of an ``if`` that never runs (``body`` or ``orelse``), or ``script``.

    The latter means ``__name__ == "__main__"``. Empty for any other condition.
    """
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return "orelse" if _condition(operand) == "body" else ""
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return "body"
        case ast.Constant(value=value) if not value:
            return "body"
        case ast.BoolOp(op=ast.And(), values=values):
            found = [_condition(value) for value in values]
            return next((never for never in ("body", "script") if never in found), "")
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            sides = (left, right)
            named = any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides)
            main = any(
                isinstance(side, ast.Constant) and side.value == "__main__" for side in sides
            )
            return "script" if named and main else ""
    return ""


def _catches(handler: ast.ExceptHandler) -> bool:
    """True if a handler swallows a failed import. One that ends in ``raise`` does not."""
    if handler.body and isinstance(handler.body[-1], ast.Raise):
        return False
    return handler.type is None or _names_import_error(handler.type)


def _names_import_error(node: ast.expr) -> bool:
    match node:
        case ast.Tuple(elts=elements):
            return any(_names_import_error(element) for element in elements)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):  # without brackets (PEP 758)
            return _names_import_error(left) or _names_import_error(right)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in _CATCHES_IMPORT_ERROR
    return False


def _suppresses(node: ast.expr) -> bool:
    match node:
        case ast.Call(
            func=ast.Name(id="suppress") | ast.Attribute(attr="suppress"), args=arguments
        ):
            return any(_names_import_error(argument) for argument in arguments)
    return False
