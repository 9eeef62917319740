"""Oracle of cut modules: all that ran before runs, as far as a failing import, and nothing more.

Source: the Python language reference ("Simple statements"), read with the parser of ``ast``.
"""

from __future__ import annotations

import ast
import warnings

_ALLOWED = (
    ast.ClassDef,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.Assign,
    ast.AnnAssign,
    ast.AugAssign,
    ast.Expr,
)
_PLACEHOLDER = "    ..."


def check(original: memoryview, edited: memoryview) -> list[str]:
    """Compare a cut module with its original; return what is wrong, a sentence each.

    Checked are that the edited file begins as the original does, as far as a statement that raises
    ImportError; that an import of the module's own stands directly before that; that what follows
    are lines of the original in their order; and that the file is smaller. Raises nothing.
    """
    before, after = bytes(original), bytes(edited)
    if len(after) >= len(before):
        return [f"the file isn't smaller: {len(after)} bytes, {len(before)} before"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(after)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return [f"the edited file can't be parsed: {error}"]
    raising = next((at for at, node in enumerate(tree.body) if _raises(node)), None)
    if raising is None or not raising:
        return ["no statement keeps the rest from running"]
    last = tree.body[raising - 1]
    if not isinstance(last, ast.Import | ast.ImportFrom):
        return ["what stands before the cut is no import"]
    lines = after.splitlines(keepends=True)
    line = tree.body[raising].lineno
    head = b"".join(lines[: line - 1])
    if not before.startswith(head):
        return ["the file doesn't begin as it did"]
    if not all(isinstance(node, _ALLOWED) for node in tree.body[raising + 1 :]):
        return ["what follows the cut is more than an outline"]
    return _lines_in_order(lines[line:], before[len(head) :].splitlines(keepends=True))


def _raises(node: ast.stmt) -> bool:
    match node:
        case ast.Raise(exc=ast.Call(func=ast.Name(id="ImportError"), args=[ast.Constant()])):
            return True
    return False


def _lines_in_order(kept: list[bytes], original: list[bytes]) -> list[str]:
    rest = iter(original)
    for line in kept:
        if line.rstrip() != _PLACEHOLDER.encode() and line not in rest:
            return ["what follows the cut holds lines that weren't there"]
    return []
