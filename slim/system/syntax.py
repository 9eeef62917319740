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
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final

from slim.system.fstrings import fstrings_read_alike, may_have_fstrings

GRAMMAR: Final = (3, 11)
"""The oldest Python that runs slim: its syntax is what every supported one reads."""
UNREADABLE: Final = "its syntax isn't one that all versions from Python 3.11 on read alike"
_DEEPEST: Final = 300
"""Nodes within nodes; from some 2,600 on, it depends on the Python whether they are read."""
_ENCLOSED = re.compile(rb"\((?:[\s\\]*+\(){60}")
_NAMED_CHARACTER = re.compile(rb"(?<!\\)((?:\\\\)*+)(\\N\{[A-Za-z0-9 ()-]+\})")
"""A character by its name, which an older Unicode may not have."""
_COOKIE = re.compile(rb"\A[^\n]*\n?[^\n]*coding[:=][ \t]*(?!utf-?8)[-\w.]", re.IGNORECASE)
_LINE_END = re.compile(rb"\r\n|\r|\n")
_LEAVES = (ast.Constant, ast.Name, ast.expr_context, ast.operator, ast.cmpop, str, int, type(None))
_BOM = b"\xef\xbb\xbf"


def parsed(source: str | bytes) -> ast.Module:
    """Parse somebody else's source, whose warnings (invalid escapes) are nobody's here.

    Raises SyntaxError for a source that not every supported Python reads, and reads alike. What
    stands in an f-string has the place of the whole string.
    """
    code = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    code = code.removeprefix(_BOM)
    if b"\\N{" in code:
        code = _NAMED_CHARACTER.sub(lambda match: match[1] + b"?" * len(match[2]), code)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code, feature_version=GRAMMAR)
        fstrings: list[int] | None = []
        if may_have_fstrings(code) or not code.isascii():
            fstrings = _fstrings(code)
        readable = fstrings is not None and _ENCLOSED.search(code) is None
        if readable and _settle(tree, code, fstrings or []):
            return tree
    except (SyntaxError, ValueError, LookupError, RecursionError, MemoryError, OverflowError):
        pass
    raise SyntaxError(UNREADABLE)


def declares_other_encoding(code: bytes) -> bool:
    """Return whether a source says that it isn't in UTF-8 (PEP 263)."""
    return _COOKIE.match(code) is not None


def _fstrings(code: bytes) -> list[int] | None:
    if not code.isascii() and declares_other_encoding(code):
        return None if may_have_fstrings(code) else []
    return fstrings_read_alike(code)


def _settle(tree: ast.Module, code: bytes, fstrings: list[int]) -> bool:
    """Give what stands in f-strings the place of the string, since versions tell other places.

    Return whether nodes are nested no deeper than every Python reads for certain. Each node but the
    names in it takes a character at least, so only long statements are looked at closely.
    """
    starts = [0, *(match.end() for match in _LINE_END.finditer(code)), len(code)]
    prefixed = sorted({bisect_right(starts, place) for place in fstrings})
    waiting: list[tuple[ast.AST, int]] = [(node, 1) for node in tree.body]
    while waiting:
        node, depth = waiting.pop()
        if depth > _DEEPEST:
            return False
        first, last = _lines(node)
        at = bisect_left(prefixed, first)
        has_fstring = at < len(prefixed) and prefixed[at] <= last
        room = _DEEPEST - depth
        if not has_fstring and starts[last] - starts[first - 1] <= room:
            continue
        below = _blocks(node)
        for part in _parts(node, below):
            if has_fstring:
                _place(part)
            low, high = _lines(part)
            long = not hasattr(part, "lineno") or starts[high] - starts[low - 1] > room
            if long and _is_deeper(part, room):
                return False
        waiting.extend((child, depth + 1) for child in below)
    return True


def _lines(node: ast.AST) -> tuple[int, int]:
    """The first and last line of a statement or of what stands for one."""
    if isinstance(node, ast.match_case):
        return node.pattern.lineno, node.body[-1].end_lineno or node.body[-1].lineno
    first: int = getattr(node, "lineno", 1)
    for decorator in getattr(node, "decorator_list", ()):
        first = min(first, decorator.lineno)
    return first, getattr(node, "end_lineno", None) or first


def _blocks(node: ast.AST) -> list[ast.AST]:
    """The statements directly in a statement."""
    found: list[ast.AST] = []
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        children = getattr(node, name, None)
        if isinstance(children, list):
            found.extend(children)
    return found


def _parts(node: ast.AST, below: list[ast.AST]) -> Iterator[ast.AST]:
    """The nodes directly in a statement that are no statements."""
    blocks = set(map(id, below))
    for child in ast.iter_child_nodes(node):
        if id(child) not in blocks:
            yield child


def _place(root: ast.AST) -> None:
    for node in ast.walk(root):
        if isinstance(node, ast.JoinedStr):
            # Python 3.12.1 adds empty constants.
            node.values = [value for value in node.values if getattr(value, "value", 0) != ""]
            for child in ast.walk(node):
                if hasattr(child, "lineno"):
                    ast.copy_location(child, node)


def _is_deeper(root: ast.AST, most: int) -> bool:
    level: list[ast.AST] = [] if isinstance(root, _LEAVES) else [root]
    for _ in range(most):
        below: list[ast.AST] = []
        for node in level:
            for name in node._fields:
                value = getattr(node, name, None)
                if isinstance(value, list):
                    below.extend(child for child in value if not isinstance(child, _LEAVES))
                elif not isinstance(value, _LEAVES):
                    below.append(value)
        if not below:
            return False
        level = below
    return True
