"""Folders of the user's machine that an application adds to ``sys.path``, for what is added later.

A product may offer to fetch large parts when they are first wanted, and look for them in the user's
home or where a variable says. Code that is cut for want of such a part would then fail.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from slim.system.syntax import parsed

_ADDS = frozenset({"insert", "append", "extend", "addsitedir"})
_MACHINE = re.compile(
    r"(?:expanduser|expandvars|environ|getenv|home|argv|(?:user|site)_\w+_(?:dir|path))\Z"
)
"""Names by which code asks for a folder of the user's machine."""


def outside_folder(source: bytes) -> int:
    """Return the line that adds a folder of the user's machine to ``sys.path``, 0 where none does.

    Never raises for what is in the source.
    """
    try:
        tree = parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0
    nodes = list(ast.walk(tree))
    values: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    values.setdefault(target.id, []).append(node.value)
    for node in nodes:
        for folder in _added(node):
            if _is_of_machine(folder, values, set()):
                return folder.lineno
    return 0


def _added(node: ast.AST) -> Iterator[ast.expr]:
    """The folders that a node adds."""
    match node:
        case ast.Call(func=ast.Attribute(value=place, attr=name), args=arguments) if name in _ADDS:
            if name == "addsitedir" or _is_path(place):
                yield from arguments
        case ast.Call(func=ast.Name(id="addsitedir"), args=arguments):
            yield from arguments
        case ast.AugAssign(target=target, value=value) if _is_path(target):
            yield value
        case ast.Assign(targets=[ast.Subscript(value=place)], value=value) if _is_path(place):
            yield value


def _is_path(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "path"


def _is_of_machine(node: ast.expr, values: dict[str, list[ast.expr]], known: set[str]) -> bool:
    """Return whether an expression, or what it is made of, asks for such a folder."""
    waiting = [node]
    while waiting:
        for inner in ast.walk(waiting.pop()):
            name = ""
            if isinstance(inner, ast.Attribute):
                name = inner.attr
            elif isinstance(inner, ast.Name):
                name = inner.id
            if _MACHINE.match(name):
                return True
            if isinstance(inner, ast.Name) and name not in known:
                known.add(name)
                waiting += values.get(name, ())
    return False
