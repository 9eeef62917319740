"""Heads of modules: the statements up to an import that always runs, and whatever it finds there.

Only the head is parsed. If it is a whole module by itself, and the import is its last statement,
the tail begins with another statement of the module: Python's tokens are read from left to right.

Sources: the Python language reference ("Lexical analysis", "The import statement").
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any, Final

from slim.analysis.remembering import Form
from slim.analysis.unimportable.lines import ImportLine, Request
from slim.analysis.unimportable.names import prepares
from slim.system.syntax import parsed, walk

_LINE_END = re.compile(rb"\r\n|\r|\n")
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError, LookupError)
_MAX_EXTENDED = 8
"""How many more lines with a closing bracket are tried as the end of a statement."""
_ENDING = frozenset({"exit", "quit", "_exit", "abort", "skip", "importorskip"})
"""Functions that end a program or a module's import."""
_INERT = (ast.Import, ast.ImportFrom)


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a module, up to an import statement."""

    end: int
    """Offset behind the line on which the statement ends."""
    line: int
    """Line of the statement, from 1."""
    text: str
    """The statement, shortened."""
    requests: tuple[Request, ...]
    """What the statement imports."""
    before: tuple[Request, ...]
    """What is imported in statements before it, at any depth."""
    prepares: bool
    """True if it may bring about what it then imports."""
    inert: bool
    """True if nothing before it but imports, plain assignments and strings is there."""


def _pack(head: Head | None) -> object:
    if head is None:
        return None
    flags = (head.prepares, head.inert)
    return [head.end, head.line, head.text, head.requests, head.before, *flags]


def _unpack(stored: Any) -> Head | None:
    if stored is None:
        return None
    end, line, text, requests, before, prepares, inert = stored
    taken, earlier = (
        tuple(Request(level, module, tuple(names)) for level, module, names in each)
        for each in (requests, before)
    )
    return Head(end, line, text, taken, earlier, prepares, inert)


HEAD: Final = Form("head", _pack, _unpack)


def head_at(source: bytes, line: ImportLine) -> Head | None:
    """Return the head that ends with what looks like an import at ``line``.

    None where it isn't a statement of the module's own, or where it isn't always reached.
    """
    number = len(_LINE_END.findall(source[: line.start])) + 1
    end = line.end
    for _ in range(_MAX_EXTENDED):
        end = _line_end(source, end)
        tree = _parsed(source[:end])
        if tree is not None:
            return _head(tree, source[:end], number)
        closing = source.find(b")", end)
        if closing < 0 or source[line.start : line.end].count(b"(") == 0:
            return None
        end = closing + 1
    return None


def _line_end(source: bytes, offset: int) -> int:
    match = _LINE_END.search(source, offset)
    return match.end() if match else len(source)


def _parsed(source: bytes) -> ast.Module | None:
    try:
        return parsed(source, newer=False)  # what is cut has to be read by every Python
    except _UNREADABLE:
        return None


def _head(tree: ast.Module, source: bytes, number: int) -> Head | None:
    last = [node for node in tree.body if node.lineno == number and isinstance(node, _INERT)]
    if not last or tree.body[-1].lineno != number:
        return None
    before = tree.body[: tree.body.index(last[0])]
    if any(_may_end(node) for node in before):
        return None
    return Head(
        end=len(source),
        line=number,
        text=_short(last[0]),
        requests=tuple(request for node in last for request in _requests(node)),
        before=tuple(
            request
            for statement in before
            for node in walk(statement)
            for request in _requests(node)
        ),
        prepares=prepares(source),
        inert=all(map(_is_inert, before)),
    )


def _requests(node: ast.AST) -> list[Request]:
    match node:
        case ast.Import(names=names):
            return [Request(0, alias.name) for alias in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            return [Request(level, module or "", tuple(alias.name for alias in names))]
    return []


def _short(node: ast.Import | ast.ImportFrom) -> str:
    first = node.names[0].name
    if isinstance(node, ast.Import):
        return f"import {first}"
    more = ", ..." if len(node.names) > 1 else ""
    return f"from {'.' * node.level}{node.module or ''} import {first}{more}"


def _may_end(node: ast.stmt) -> bool:
    """Return whether a statement of the module may end its import in another way."""
    match node:
        case ast.Raise():
            return True
        case ast.Expr(value=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name))):
            return name in _ENDING
    return False


def _is_inert(node: ast.stmt) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(value=value):
            return not any(isinstance(child, ast.Call) for child in walk(value))
    return False
