"""Python sources as syntax trees: the same trees, whichever Python runs slim.

What a result removes follows from what sources say, so a source must say the same on Python 3.11 as
on 3.14. :func:`parsed` reads the syntax of Python 3.11, and of that only what later versions read
alike. Every other source is refused by every Python, and read as text by whoever asked.

Checked are the syntax of later versions (``type X = int``, ``def f[T]()``, ``except A, B:``,
t-strings), f-strings that only 3.12 reads or that 3.12 no longer reads, nesting that a Python
may give up on, and letters that an older Unicode doesn't have in names.
"""

from __future__ import annotations

import ast
import re
import warnings
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, Final

from slim.system.fstrings import may_have_fstrings, places_of_fstrings
from slim.system.newer_syntax import in_older_syntax

GRAMMAR: Final = (3, 11)
"""The oldest Python that runs slim: its syntax is what every supported one reads."""
UNREADABLE: Final = "its syntax isn't one that all versions from Python 3.11 on read alike"
_DEEPEST: Final = 300
"""Nodes within nodes; from some 2,600 on, it depends on the Python whether they are read."""
_ENCLOSED = re.compile(rb"\((?:[\s\\]*+\(){60}")
_NAMED_CHARACTER = re.compile(rb"(?<!\\)((?:\\\\)*+)(\\N\{[A-Za-z0-9 ()-]+\})")
"""A character by its name, which an older Unicode may not have."""
_COOKIE = re.compile(rb"coding[:=][ \t]*(?!utf-?8)[-\w.]", re.IGNORECASE)
_LEAVES: Final = frozenset(
    (
        *(ast.Constant, ast.Name, str, int, bool, type(None)),
        *ast.expr_context.__subclasses__(),
        *ast.operator.__subclasses__(),
        *ast.cmpop.__subclasses__(),
    )
)
"""What isn't counted as a node, and has none below it."""
_NO_NODES: Final = frozenset(
    (
        *("id", "attr", "arg", "ctx", "op", "ops", "name", "kind", "type_comment", "level"),
        *("module", "asname", "is_async", "conversion", "simple", "tag", "rest", "kwd_attrs"),
    )
)
"""Fields that hold no nodes, or such as tell nothing by themselves."""
_NONE_BELOW: Final = (ast.Constant, ast.MatchSingleton, ast.Global, ast.Nonlocal)


class _Below(dict[type, tuple[str, ...]]):
    """Fields with nodes, by the type that has them."""

    def __missing__(self, kind: type[ast.AST]) -> tuple[str, ...]:
        none = issubclass(kind, _NONE_BELOW)
        fields = () if none else tuple(each for each in kind._fields if each not in _NO_NODES)
        self[kind] = fields
        return fields


_BELOW: Final = _Below()
_UNPLACED: Final = frozenset(
    (
        *(ast.Module, ast.arguments, ast.comprehension, ast.withitem, ast.match_case),
        *ast.boolop.__subclasses__(),
        *ast.unaryop.__subclasses__(),
    )
)
"""Nodes that don't say where they stand."""
_DECORATED: Final = frozenset((ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
"""Nodes that begin behind some of what is below them."""
_SPARE: Final = 8
"""A text has fewer nodes within nodes than it has bytes and these."""
_BOM = b"\xef\xbb\xbf"


def parsed(source: str | bytes, *, newer: bool = True) -> ast.Module:
    """Parse somebody else's source, whose warnings (invalid escapes) are nobody's here.

    One in a later version's syntax is read as 3.11 would write it, with everything in its place;
    not so without ``newer``. Raises SyntaxError for a source that not every supported Python reads,
    and reads alike. What stands in an f-string has the place of the whole string.
    """
    code = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    code = code.removeprefix(_BOM)
    tree = _read(code)
    if tree is None and newer and not declares_other_encoding(code):
        older = in_older_syntax(code)
        tree = None if older is None else _read(older)
    if tree is None:
        raise SyntaxError(UNREADABLE)
    return tree


def _read(code: bytes) -> ast.Module | None:
    """Parse a source that every Python reads alike; None for any other."""
    if b"\\N{" in code:
        code = _NAMED_CHARACTER.sub(lambda match: match[1] + b"?" * len(match[2]), code)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code, feature_version=GRAMMAR)
        fstrings = _fstrings(code)
        readable = fstrings is not None and _ENCLOSED.search(code) is None
        if readable and _settle(tree, code, fstrings or []):
            return tree
    except (SyntaxError, ValueError, LookupError, RecursionError, MemoryError, OverflowError):
        pass
    return None


def below(node: ast.AST) -> list[ast.AST]:
    """Nodes directly below a node, in their order, without contexts and operators."""
    nodes: list[Any] = []
    for field in _BELOW[type(node)]:
        value = getattr(node, field, None)
        if type(value) is list:
            nodes += [each for each in value if each is not None]  # the key of **mapping is none
        elif value is not None:
            nodes.append(value)
    return nodes


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes of a tree in the order of :func:`ast.walk`, without contexts and operators.

    It takes half the time. What is put below a node before that is given is given, too.
    """
    nodes = [node]
    for one in nodes:  # it grows
        yield one
        nodes += below(one)


def declares_other_encoding(code: bytes) -> bool:
    """Return whether a source says that it isn't in UTF-8 (PEP 263)."""
    # Two lines are found first: a pattern of both takes time with the square of a long one.
    first = code.find(b"\n")
    second = code.find(b"\n", first + 1) if first >= 0 else -1
    return _COOKIE.search(code, 0, len(code) if second < 0 else second) is not None


def _fstrings(code: bytes) -> list[int] | None:
    """Return where f-strings may begin; None where not every Python reads the source alike."""
    if not code.isascii() and declares_other_encoding(code):
        # A tree's places are in UTF-8, so that each node is looked at.
        return None if may_have_fstrings(code) else list(range(len(code)))
    return places_of_fstrings(code)


def _settle(tree: ast.Module, code: bytes, fstrings: list[int]) -> bool:
    """Give what stands in f-strings the place of the string, since versions tell other places.

    Return whether nodes are nested no deeper than every Python reads for certain. Each of them
    takes a byte, so only long ones are looked at closely, and those that may hold an f-string.
    """
    starts = [0, *accumulate(map(len, code.splitlines(keepends=True)))]
    fstrings = [*fstrings, len(code)]
    waiting: list[tuple[list[Any], int]] = [(tree.body, _DEEPEST)]
    while waiting:
        level, room = waiting.pop()
        room -= 1
        for node in level:
            kind = type(node)
            if kind in _LEAVES:
                continue
            if room < 0:
                return False
            if kind not in _UNPLACED:
                start = starts[node.lineno - 1] + node.col_offset
                end = starts[node.end_lineno - 1] + node.end_col_offset
                fstring = fstrings[bisect_left(fstrings, start)]
                if fstring < end and kind is ast.JoinedStr:
                    _place(node)
                    fstring = end
                if fstring >= end and end - start + _SPARE <= room:
                    if kind in _DECORATED and node.decorator_list:
                        waiting.append((node.decorator_list, room))
                    continue
                if kind in _DECORATED:
                    first = node.body[0]
                    body = starts[first.lineno - 1] + first.col_offset
                    if fstring >= body and body - start + _SPARE <= room:
                        waiting.append((node.body, room))
                        waiting.append((node.decorator_list, room))
                        continue
            below: list[Any] = []
            for value in vars(node).values():
                if type(value) is list:
                    below += value
                elif type(value) not in _LEAVES:
                    below.append(value)
            waiting.append((below, room))
    return True


def _place(string: ast.JoinedStr) -> None:
    place = (string.lineno, string.col_offset, string.end_lineno, string.end_col_offset)
    waiting: list[ast.AST] = [string]
    while waiting:
        node: Any = waiting.pop()
        if hasattr(node, "lineno"):
            node.lineno, node.col_offset, node.end_lineno, node.end_col_offset = place
        if isinstance(node, ast.JoinedStr):
            # Python 3.12.1 adds empty constants.
            node.values = [value for value in node.values if getattr(value, "value", 0) != ""]
        waiting.extend(below(node))
