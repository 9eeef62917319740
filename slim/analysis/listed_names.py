"""Computed imports of which the file itself lists every name.

::

    _EXPORTS = {"Lock": "._lock", "Lease": "._lease"}

    def __getattr__(name):
        if (module := _EXPORTS.get(name)) is None:
            raise AttributeError(name)
        return getattr(import_module(module, __name__), name)

Values are followed through variables, through tables and lists of constants that nothing in the
file changes, and into private functions, by what the file itself calls them with. What can't be
followed is unknown. Nobody else is expected to change a file's private tables.

Source: the Python language reference ("Naming and binding", "Membership test operations").
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, product
from typing import NamedTuple, TypeVar

from slim.analysis.computed_names import own_name
from slim.analysis.imports.names import last_name
from slim.analysis.scopes import Binding, Scopes
from slim.system.syntax import walk

T = TypeVar("T")

Values = frozenset[tuple[str, str]]
"""Names as far as a file tells them: ``""``, ``__name__`` or ``__package__``, and what follows."""

_IMPORTS = frozenset({"import_module", "__import__"})
_COPIES = frozenset({"dict", "frozenset", "list", "MappingProxyType", "set", "sorted", "tuple"})
_NAME = re.compile(r"\.?[^\W\d]\w*(?:\.[^\W\d]\w*)*\Z")
_NONE: Values = frozenset()
_MANY = 5000
"""Names of one import; a file that has more isn't looked at further."""
_DEEP = 40


class _UnknownError(Exception):
    """A value can't be followed."""


class _Cell(NamedTuple):
    """Value of a table: a text, or the parts of a tuple or list; None for what isn't known."""

    text: Values | None
    parts: tuple[Values | None, ...] | None = None


class _Table(NamedTuple):
    keys: Values
    cells: tuple[_Cell, ...]


class Listed(NamedTuple):
    """All names that a computed import can have."""

    names: Values
    through: tuple[str, ...]
    """Private functions whose parameters were followed: nobody else may call those."""


def listed_names(tree: ast.Module) -> Mapping[ast.Call, Listed]:
    """Return the imports by computed names of which a file lists them all, with the names.

    Left out are those on a line with another one of which it doesn't.
    """
    calls = [
        node
        for node in walk(tree)
        if isinstance(node, ast.Call)
        and last_name(node.func) in _IMPORTS
        and node.args
        and not isinstance(node.args[0], ast.Constant)
    ]
    if not calls:
        return {}
    scopes = Scopes(tree)
    found: dict[ast.Call, Listed] = {}
    for call in calls:
        scopes.followed.clear()
        try:
            names = _Follow(scopes).imported(call)
        except (_UnknownError, RecursionError):
            continue
        found[call] = Listed(names, tuple(sorted(scopes.followed)))
    unknown = {call.lineno for call in calls if call not in found}
    return {call: listed for call, listed in found.items() if call.lineno not in unknown}


class _Follow:
    """Follows the values of expressions in one file. Methods raise _UnknownError."""

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes
        self._busy: list[tuple[str, ast.AST, str]] = []

    def imported(self, call: ast.Call) -> Values:
        """Return the names that a call imports, relative ones below their package."""
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        package = call.args[1] if len(call.args) > 1 else keywords.pop("package", None)
        plain = last_name(call.func) == "import_module" and len(call.args) < 3
        if keywords or (not plain and len(call.args) > 1):
            raise _UnknownError
        found: set[tuple[str, str]] = set()
        for anchor, text in self.texts(call.args[0]):
            if not anchor and text.startswith("."):
                if text.startswith("..") or package is None:
                    raise _UnknownError
                found.update((start, before + text) for start, before in self.texts(package))
            else:
                found.add((anchor, text))
        return frozenset(name for name in found if _NAME.match(name[1]))

    def texts(self, node: ast.expr) -> Values:
        """Return what a text may be."""
        own = own_name(node)
        if own:
            return frozenset({(own, "")})
        match node:
            case ast.Constant(value=str(text)):
                return frozenset({("", text)})
            case ast.JoinedStr(values=parts):
                return _joined(self.texts(part) for part in parts)
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                return self.texts(value)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return _joined((self.texts(left), self.texts(right)))
            case ast.IfExp(body=one, orelse=other):
                return self.texts(one) | self.texts(other)
            case ast.NamedExpr(value=value):
                return self.texts(value)
            case ast.Name():
                asked = self._asked(node)
                return self._each(node, "text", self._bound_text) if asked is None else asked
        return _union(cell.text for cell in self._cells(node))

    def _bound_text(self, binding: Binding) -> Values:
        if binding.index is None:
            return self.texts(binding.value)
        parts: list[Values | None] = []
        for cell in self._cells(binding.value):
            if cell.parts is None:
                raise _UnknownError
            parts += cell.parts[binding.index : binding.index + 1]
        return _union(parts)

    def _cells(self, node: ast.expr) -> tuple[_Cell, ...]:
        """Return what may be found in a table: ``T[k]``, ``T.get(k)``, or a variable with it."""
        match node:
            case ast.Subscript(value=table) if not isinstance(node.slice, ast.Slice):
                return self._table(table).cells
            case ast.Call(
                func=ast.Attribute(value=table, attr="get"),
                args=[_] | [_, ast.Constant(value=None)],
                keywords=[],
            ):
                return self._table(table).cells
            case ast.NamedExpr(value=value):
                return self._cells(value)
            case ast.Name():
                bindings = self._bindings(node)
                if all(binding.index is None for binding in bindings):
                    found = (self._cells(binding.value) for binding in bindings)
                    return tuple(chain.from_iterable(found))
        raise _UnknownError

    def _table(self, node: ast.expr) -> _Table:
        match node:
            case ast.Dict(keys=keys, values=values) if None not in keys:
                names = _union(self.texts(key) for key in keys if key is not None)
                return _Table(names, tuple(map(self._cell, values)))
            case ast.Call(args=[inner], keywords=[]) if last_name(node.func) in _COPIES:
                return self._table(inner)
            case ast.BoolOp(op=ast.Or(), values=values):
                return _merged(map(self._table, values))
            case ast.DictComp():
                return self._turned(node)
            case ast.Name() if self._scopes.is_only_read(node.id):
                key = ("table", self._scopes.scope_of(node), node.id)
                if key in self._busy:
                    return _Table(_NONE, ())
                return self._guarded(key, lambda: _merged(self._tables_of(node)))
        raise _UnknownError

    def _tables_of(self, node: ast.Name) -> Iterator[_Table]:
        for binding in self._bindings(node):
            if binding.index is not None:
                raise _UnknownError
            if not _is_none(binding.value):
                yield self._table(binding.value)

    def _turned(self, node: ast.DictComp) -> _Table:
        """Return ``{one: key for key, many in T.items() for one in many}``."""
        match node:
            case ast.DictComp(
                key=ast.Name(id=one),
                value=ast.Name(id=kept),
                generators=[
                    ast.comprehension(
                        target=ast.Tuple(elts=[ast.Name(id=first), ast.Name(id=many)]),
                        iter=ast.Call(func=ast.Attribute(value=inner, attr="items"), args=[]),
                        ifs=[],
                    ),
                    ast.comprehension(target=ast.Name(id=each), iter=ast.Name(id=of), ifs=[]),
                ],
            ) if kept == first and of == many and one == each:
                table = self._table(inner)
                parts = [cell.parts for cell in table.cells]
                if None in parts:
                    raise _UnknownError
                keys = _union(chain.from_iterable(part for part in parts if part is not None))
                return _Table(keys, (_Cell(table.keys),))
        raise _UnknownError

    def _cell(self, node: ast.expr) -> _Cell:
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return _Cell(None, tuple(map(self._known, node.elts)))
        return _Cell(self._known(node))

    def _known(self, node: ast.expr) -> Values | None:
        try:
            return self.texts(node)
        except _UnknownError:
            return None

    def _elements(self, node: ast.expr) -> Values:
        """Return the texts that a collection has; of a table, its keys."""
        match node:
            case ast.List(elts=elts) | ast.Set(elts=elts) | ast.Tuple(elts=elts):
                return _union(
                    self._elements(each.value)
                    if isinstance(each, ast.Starred)
                    else self.texts(each)
                    for each in elts
                )
            case ast.Call(func=ast.Name(id=made), args=[], keywords=[]) if made in _COPIES:
                return _NONE
            case ast.Call(args=[inner], keywords=[]) if last_name(node.func) in _COPIES:
                return self._elements(inner)
            case ast.Name() if self._scopes.is_only_read(node.id):
                return self._each(node, "elements", self._bound_elements)
        return self._table(node).keys

    def _bound_elements(self, binding: Binding) -> Values:
        if binding.index is not None:
            raise _UnknownError
        return _NONE if _is_none(binding.value) else self._elements(binding.value)

    def _asked(self, node: ast.Name) -> Values | None:
        """Return what a variable can be, where the code around it asked; None where it didn't."""
        found: Values | None = None
        for test, holds in self._scopes.tests_before(node):
            try:
                asked = self._asked_by(test, node.id, holds=holds)
            except _UnknownError:
                continue
            if asked is not None:
                found = asked if found is None else found & asked
        return found

    def _asked_by(self, test: ast.expr, name: str, *, holds: bool) -> Values | None:
        """Return what a variable is in once a test is known to hold, or not to."""
        match test:
            case ast.BoolOp(op=ast.And(), values=values) if holds:
                for value in values:
                    asked = self._asked_by(value, name, holds=True)
                    if asked is not None:
                        return asked
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return self._asked_by(inner, name, holds=not holds)
            case ast.Compare(left=ast.Name(id=asked), ops=[operator], comparators=[inner]) if (
                asked == name and isinstance(operator, ast.In if holds else ast.NotIn)
            ):
                return self._elements(inner)
            case ast.Compare(left=left, ops=[operator], comparators=[ast.Constant(value=None)]) if (
                isinstance(operator, ast.IsNot if holds else ast.Is)
            ):
                return self._keys_by(left, name)
            case ast.Name() | ast.NamedExpr() if holds:
                return self._keys_by(test, name)
        return None

    def _keys_by(self, found: ast.expr, name: str) -> Values | None:
        """Return the keys of the table that a value was found in by ``name``."""
        match found:
            case ast.NamedExpr(value=value):
                return self._keys_by(value, name)
            case ast.Name():
                try:
                    bindings = self._bindings(found)
                except _UnknownError:
                    return None
                if len(bindings) == 1 and bindings[0].index is None:
                    value = bindings[0].value
                    return None if isinstance(value, ast.Name) else self._keys_by(value, name)
            case ast.Call(
                func=ast.Attribute(value=table, attr="get"), args=[ast.Name(id=key)], keywords=[]
            ) if key == name:
                return self._table(table).keys
        return None

    def _bindings(self, node: ast.Name) -> tuple[Binding, ...]:
        bindings = self._scopes.bindings(node)
        if bindings is None:
            raise _UnknownError
        return bindings

    def _each(self, node: ast.Name, kind: str, of: Callable[[Binding], Values]) -> Values:
        """Return the union over all values of a variable; one that leads to itself adds nothing."""
        key = (kind, self._scopes.scope_of(node), node.id)
        if key in self._busy:
            if kind == "text":  # it may grow with each turn
                raise _UnknownError
            return _NONE
        return self._guarded(key, lambda: _union(map(of, self._bindings(node))))

    def _guarded(self, key: tuple[str, ast.AST, str], made: Callable[[], T]) -> T:
        if len(self._busy) > _DEEP:
            raise _UnknownError
        self._busy.append(key)
        try:
            return made()
        finally:
            self._busy.pop()


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _union(values: Iterable[Values | None]) -> Values:
    found: set[tuple[str, str]] = set()
    for each in values:
        if each is None:
            raise _UnknownError
        found |= each
    return frozenset(found)


def _joined(parts: Iterable[Values]) -> Values:
    found: Values = frozenset({("", "")})
    for number, part in enumerate(parts):
        if number and any(anchor for anchor, _ in part):
            raise _UnknownError
        if len(found) * len(part) > _MANY:
            raise _UnknownError
        found = frozenset((one[0] or two[0], one[1] + two[1]) for one, two in product(found, part))
    return found


def _merged(tables: Iterable[_Table]) -> _Table:
    found = tuple(tables)
    return _Table(
        _union(table.keys for table in found),
        tuple(chain.from_iterable(table.cells for table in found)),
    )
