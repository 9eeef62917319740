"""Other names for the interpreter's tables in one file: ``sys.modules`` and ``sys.path``.

``known = sys.modules``, ``from sys import path as places``, ``self.table = vars(sys)["modules"]``,
and the parameter of a function of the file that is given a table: what is done to those is done to
the table itself.

Source: the Python documentation of ``sys``.
"""

from __future__ import annotations

import ast

from slim.analysis.imports.bare_names import called_name
from slim.analysis.imports.path_scan import words
from slim.system.syntax import walk

_ONLY_READ = words(
    "list sorted set frozenset tuple dict len iter next enumerate reversed zip map filter any all "
    "min max sum print repr str id isinstance hasattr getattr copy deepcopy pformat pprint join "
    "search find_spec iter_modules walk_packages get_importer Path PathFinder dumps debug info"
)
"""Functions that change no table which they are given."""


class Tables:
    """One table of ``sys``, under all names that a file has for it."""

    def __init__(self, tree: ast.AST, table: str) -> None:
        self._table = table
        self._names: set[str] = set()
        self._attributes: set[str] = set()
        self.given: set[int] = set()
        """Ids of calls that give the table to a function which isn't in the file."""
        nodes = list(walk(tree))
        functions: dict[str, list[str]] = {}
        for node in nodes:
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    functions[name] = _parameters(node)
                case ast.ImportFrom(module="sys", names=names):
                    self._names.update(
                        one.asname or table for one in names if one.name in (table, "*")
                    )
        for node in nodes:
            self._assigned(node)
        for node in nodes:
            if isinstance(node, ast.Call):
                self._call(node, functions)

    def __contains__(self, node: object) -> bool:
        """Return whether an expression is the table."""
        match node:
            case ast.Name(id=name):
                return name in self._names
            case ast.Attribute(value=ast.Name(id=owner), attr=attribute):
                return (attribute == self._table and "sys" in owner) or (
                    attribute in self._attributes
                )
            case ast.Attribute(attr=attribute):
                return attribute in self._attributes
            case ast.Call(func=ast.Name(id="getattr"), args=[ast.Name(id=owner), key, *_]):
                return "sys" in owner and self._is_key(key)
            case ast.Subscript(
                value=ast.Call(func=ast.Name(id="vars"), args=[ast.Name(id=owner)])
                | ast.Attribute(value=ast.Name(id=owner), attr="__dict__"),
                slice=key,
            ):
                return "sys" in owner and self._is_key(key)
        return False

    def _is_key(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Constant) and node.value == self._table

    def _assigned(self, node: ast.AST) -> None:
        targets: list[ast.expr] = []
        value: ast.expr | None = None
        match node:
            case ast.Assign():
                targets, value = node.targets, node.value
            case ast.AnnAssign() | ast.NamedExpr():
                targets, value = [node.target], node.value
        for target in targets if value in self else ():
            if isinstance(target, ast.Name):
                self._names.add(target.id)
            elif isinstance(target, ast.Attribute) and target.attr != self._table:
                self._attributes.add(target.attr)

    def _call(self, node: ast.Call, functions: dict[str, list[str]]) -> None:
        name = called_name(node.func)
        places = [at for at, given in enumerate(node.args) if given in self]
        named = [item.arg for item in node.keywords if item.value in self]
        if not (places or named) or name in _ONLY_READ:
            return
        if name in functions:
            parameters = functions[name]
            self._names.update(parameters[at] for at in places if at < len(parameters))
            self._names.update(filter(None, named))
        else:
            self.given.add(id(node))


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The parameters of a function that are given by their place, without ``self``."""
    given = function.args
    found = [one.arg for one in (*given.posonlyargs, *given.args)]
    return found[1:] if found[:1] in (["self"], ["cls"]) else found
