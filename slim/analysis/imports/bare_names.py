"""Strings without a slash that may be parts of a path, by where they stand in the code.

``load("tests")``, ``FOLDERS = ["core", "tests"]`` and ``kind or "tests"`` may each name a folder.
What a string is compared with, what is looked for in text, what a list leaves out by its own words
(``exclude=["tests"]``) and labels of Django's applications are no parts of a path.

Source: Django's documentation (``AppConfig.label``, ``Options.app_label``,
``Migration.dependencies``).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from slim.system.syntax import walk

_LEAVES_OUT = re.compile(
    r"exclu|ignor|skip|omit|prun|black|deny|disallow|forbid|reserv|drop|hidden|stop|remov|delet|"
    r"clean|unwanted|__all__|keyword|token|vocab",
    re.IGNORECASE,
)
"""Names of lists of what isn't wanted, or of words that are no folders."""
_NO_PATHS = frozenset(
    {
        *("startswith", "endswith", "removeprefix", "removesuffix", "replace", "split", "rsplit"),
        *("partition", "rpartition", "strip", "lstrip", "rstrip", "count", "index", "find"),
        *("rfind", "get", "pop", "setdefault", "add", "remove", "discard", "getattr", "hasattr"),
        *("setattr", "delattr", "add_argument", "add_parser", "add_option", "print", "warn"),
        *("debug", "info", "warning", "error", "critical", "exception", "log", "isinstance"),
        "attrgetter",
    }
)
_FIRST_ONLY = {"replace": 1, "get": 1, "pop": 1, "setdefault": 1, "getattr": 2}
"""Calls of which only so many arguments are looked for; what follows may be a path."""
_APP_LABELS = frozenset({"label", "app_label"})
_MIGRATIONS = frozenset({"dependencies", "replaces", "run_before"})
_SILENT = frozenset({ast.Name, ast.Attribute, ast.Constant, ast.Load, ast.Store, ast.alias})
"""Most nodes are of these types, and hold no constant of which anything is told here."""

_LEAVING_OUT = frozenset(
    {
        *(ast.Assign, ast.AnnAssign, ast.AugAssign, ast.keyword, ast.FunctionDef),
        *(ast.AsyncFunctionDef, ast.Dict, ast.Call, ast.Subscript, ast.arg),
    }
)
_PLACING = frozenset(
    {
        *(
            ast.ClassDef,
            ast.Expr,
            ast.Call,
            ast.For,
            ast.AsyncFor,
            ast.comprehension,
            ast.List,
            ast.Tuple,
        ),
        *(ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.Return, ast.Yield, ast.arguments),
        *(ast.Dict, ast.BoolOp, ast.IfExp),
    }
)
"""Types of the nodes that say what isn't wanted, and of those in which bare names stand."""


class BareNames:
    """Sorts the constants of a syntax tree, given as its nodes."""

    def __init__(self, nodes: list[ast.AST]) -> None:
        self.ignored: set[int] = set()
        """Ids of the constants that are no paths."""
        self.bare: set[int] = set()
        """Ids of those that may be a path though they have no slash."""
        self._left_out: set[int] = set()
        self._looked_in: set[str] = set()
        holders = [node for node in nodes if type(node) not in _SILENT]
        for node in holders:
            if isinstance(node, ast.Compare):
                self._compare(node)
        for node in holders:
            if type(node) in _LEAVING_OUT:
                self._leave_out(node)
        for node in holders:
            if type(node) in _PLACING:
                self._sort(node)
        self.bare -= self._left_out

    def _compare(self, node: ast.Compare) -> None:
        for operand in (node.left, *node.comparators):
            self.ignored.update(id(child) for child in walk(operand))
        for operator, operand in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, ast.In | ast.NotIn):
                self._looked_in.add(name_of(operand))

    def _leave_out(self, node: ast.AST) -> None:
        """Note the collections that say what isn't wanted."""
        given: Iterable[ast.AST | None] = ()
        match node:
            case ast.Assign(targets=targets, value=value):
                if any(self._is_no_path(name_of(target)) for target in targets):
                    given = (value,)
            case (
                ast.AnnAssign(target=target, value=value)
                | ast.AugAssign(target=target, value=value)
            ):
                given = (value,) if self._is_no_path(name_of(target)) else ()
            case ast.keyword(arg=str(name), value=value):
                given = (value,) if _LEAVES_OUT.search(name) else ()
            case (
                ast.FunctionDef(name=name, body=body, returns=inner)
                | ast.AsyncFunctionDef(name=name, body=body, returns=inner)
            ):
                given = (inner, *body) if _LEAVES_OUT.search(name) else (inner,)
            case ast.Dict(keys=keys, values=values):
                given = [
                    value
                    for key, value in zip(keys, values, strict=True)
                    if isinstance(key, ast.Constant) and _LEAVES_OUT.search(str(key.value))
                ]
            case ast.Call(func=function, args=arguments):
                owner = name_of(function.value) if isinstance(function, ast.Attribute) else ""
                if self._is_no_path(owner) or _LEAVES_OUT.search(called_name(function)):
                    given = arguments
                    self._left_out.update(map(id, arguments))
                elif called_name(function) in _NO_PATHS:
                    given = arguments[: _FIRST_ONLY.get(called_name(function))]
            case ast.Subscript(slice=inner):
                given = (inner,)
            case ast.arg(annotation=inner):
                given = (inner,)
        for each in given:
            if each is not None:
                self._left_out.update(
                    id(child)
                    for child in walk(each)
                    if isinstance(child, ast.List | ast.Tuple | ast.Set)
                    for child in child.elts
                )

    def _is_no_path(self, name: str) -> bool:
        return bool(name) and (name in self._looked_in or _LEAVES_OUT.search(name) is not None)

    def _sort(self, node: ast.AST) -> None:
        match node:
            case ast.ClassDef():
                self.ignored.update(map(id, _app_labels(node)))
            case ast.Expr(value=ast.Constant() as value):
                self.ignored.add(id(value))
            case ast.Call(func=function, args=arguments, keywords=keywords):
                named = [keyword.value for keyword in keywords if keyword.arg != "help"]
                if called_name(function) in _NO_PATHS:
                    looked_for = arguments[: _FIRST_ONLY.get(called_name(function))]
                    self.ignored.update(map(id, looked_for))
                self.bare.update(id(child) for child in (*arguments, *named))
            case ast.For(iter=source) | ast.AsyncFor(iter=source) | ast.comprehension(iter=source):
                self.bare.update(map(id, _elements(source)))
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                self.bare.update(map(id, elements))
            case ast.Assign(value=value) | ast.AnnAssign(value=value) | ast.NamedExpr(value=value):
                self.bare.add(id(value))
            case ast.Return(value=value) | ast.Yield(value=value):
                self.bare.add(id(value))
            case ast.arguments(defaults=defaults, kw_defaults=more):
                self.bare.update(map(id, (*defaults, *more)))
            case ast.Dict(values=values) | ast.BoolOp(values=values):
                self.bare.update(map(id, values))
            case ast.IfExp(body=body, orelse=orelse):
                self.bare.update((id(body), id(orelse)))


def called_name(function: ast.expr) -> str:
    """The name of a function that is called, without what it belongs to."""
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def name_of(node: ast.AST) -> str:
    """The last part of a name; empty for other expressions."""
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def dotted_name(node: ast.expr) -> str:
    """A module as it is written: ``pkg.sub``; empty for any other expression."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            above = dotted_name(value)
            return f"{above}.{name}" if above else ""
    return ""


def module_name(node: ast.expr) -> str:
    """A module as :func:`dotted_name` has it; empty for what starts at ``__spec__``, say."""
    name = dotted_name(node)
    return "" if name.startswith("__") else name


def found_module(node: ast.expr) -> str:
    """A module as :func:`module_name` has it, or as text: ``sys.modules["a"]``, ``__import__``."""
    match node:
        case ast.Subscript(
            value=ast.Attribute(attr="modules") | ast.Name(id="modules"),
            slice=ast.Constant(value=str(text)),
        ):
            return text
        case ast.Call(func=function, args=[ast.Constant(value=str(text)), *_]):
            imports = called_name(function) in ("import_module", "__import__")
            return text if imports and not text.startswith(".") else ""
    return module_name(node)


def _app_labels(node: ast.ClassDef) -> Iterator[ast.AST]:
    """Values that label an application of Django, or say which one a model or migration is of."""
    bases = [name_of(base) for base in node.bases]
    if node.name == "Meta" or any(base.endswith("AppConfig") for base in bases):
        labels = _APP_LABELS
    elif "Migration" in bases:
        labels = _MIGRATIONS
    else:
        return
    for each in node.body:
        match each:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in labels:
                yield from walk(value)


def _elements(source: ast.expr) -> Iterator[ast.AST]:
    """Elements of the collections in the source of a loop."""
    for node in walk(source):
        match node:
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                yield from elements
