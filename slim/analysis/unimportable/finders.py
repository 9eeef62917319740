"""Names that finders of a file may answer to: classes that go into ``sys.meta_path``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from slim.analysis.vocabulary import AnyOf
from slim.system.syntax import parsed, walk

_FINDS = re.compile(
    rb"^[ \t]+(?:async[ \t]+)?def[ \t]+find_(?:spec|module|loader)\b|\bMetaPathFinder\b", re.M
)
"""A class that finds modules; another file may put it beside those of the interpreter."""
_METHODS = frozenset({"find_spec", "find_module", "find_loader"})
_BASE = "MetaPathFinder"
_WORDS = AnyOf(*map(str.encode, (*sorted(_METHODS), _BASE)))
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_QUOTED = re.compile(rb"""['"]([A-Za-z_]\w*)""")


def may_have_finder(source: bytes) -> bool:
    """Return whether a file may have a class that finds modules."""
    return _WORDS.within(source) and _FINDS.search(source) is not None


def names_of_finders(source: bytes) -> frozenset[str]:
    """The names that the finders of a file may answer to, as far as they are stated.

    Those are words in strings of the class, of the statements that speak of it, and of what these
    refer to: tables and functions at the top of the file. All strings of the file count where there
    is no such class to be seen.
    """
    try:
        tree = parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset(quoted_names(source))
    used = [frozenset(_names_in(statement)) for statement in tree.body]
    made = [frozenset(_finders_in(statement)) for statement in tree.body]
    finders = frozenset().union(*made)
    if not finders:
        return frozenset(quoted_names(source))
    pending = [number for number, names in enumerate(used) if made[number] or names & finders]
    places: dict[str, list[int]] = {}
    for number, statement in enumerate(tree.body):
        for name in _defined_by(statement):
            places.setdefault(name, []).append(number)
    reached = set(pending)
    while pending:
        for name in used[pending.pop()]:
            new = set(places.get(name, ())) - reached
            reached |= new
            pending += new
    return frozenset(word for number in reached for word in _words_in(tree.body[number]))


def quoted_names(source: bytes) -> Iterator[str]:
    """Yield the first component of every string that begins like a name."""
    for match in _QUOTED.finditer(source):
        yield match[1].decode()


def _finders_in(statement: ast.stmt) -> Iterator[str]:
    for node in walk(statement):
        if isinstance(node, ast.ClassDef) and (
            any(_last(base) == _BASE for base in node.bases)
            or any(getattr(part, "name", None) in _METHODS for part in node.body)
        ):
            yield node.name


def _last(node: ast.expr) -> str:
    """Return the last component of a dotted name; nothing for other expressions."""
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def _names_in(statement: ast.stmt) -> Iterator[str]:
    for node in walk(statement):
        if isinstance(node, ast.Name):
            yield node.id


def _defined_by(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement at the top of a file gives something, or changes."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in walk(statement):
        if isinstance(node, ast.Name) and (
            isinstance(node.ctx, ast.Store) or isinstance(statement, ast.Expr)
        ):
            yield node.id
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            yield node.value.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def _words_in(statement: ast.stmt) -> Iterator[str]:
    """Yield the words of a statement's strings; what only documents doesn't count."""
    about = {
        node.value
        for node in walk(statement)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in walk(statement):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in about:
            yield from _WORD.findall(node.value)
