"""Expressions that say where a folder lies from which the module itself only goes on.

``root = join(HERE, "root")`` leads to all of that folder, where it is copied or listed. Where it is
only joined with more, or asked for, the longer paths say what is read.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from slim.analysis.code_paths.module import CodeModule
from slim.analysis.imports.bare_names import called_name
from slim.analysis.imports.path_scan import words

_QUESTIONS = words("exists isdir isfile lexists is_dir is_file len")


def only_steps(module: CodeModule, is_shared: Callable[[str], bool]) -> Iterator[ast.expr]:
    """Yield what is bound to names that the module only joins with more, or asks for.

    ``is_shared`` tells whether another module may use a name that this one has at its own level.
    """
    bound: dict[str, list[ast.expr]] = {}
    steps: list[ast.expr] = []
    for node in module.live:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                bound.setdefault(name, []).append(value)
        steps.extend(_joined_or_asked_for(node))
    as_step = set(map(id, steps))
    used: set[str] = set()
    for node in module.live:
        match node:
            case ast.Name(id=name, ctx=ast.Load() | ast.Del()) if id(node) not in as_step:
                used.add(name)
            case ast.Attribute(attr=name):
                used.add(name)
            case ast.Global(names=names):
                used.update(names)
    public = {
        target.id
        for statement in module.tree.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    stepped = {start.id for start in steps if isinstance(start, ast.Name)}
    for name, values in bound.items():
        if name in stepped - used and not (name in public and is_shared(name)):
            yield from values


def _joined_or_asked_for(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the start of a longer path, and what a question is about."""
    match node:
        case ast.BinOp(op=ast.Div(), left=start):
            yield start
        case ast.Call(func=function, args=[start, *more]):
            name = called_name(function)
            if name in _QUESTIONS or (name == "join" and more):
                yield start
            elif name == "joinpath" and isinstance(function, ast.Attribute):
                yield function.value
        case ast.Call(func=ast.Attribute(value=start, attr=name)) if name in _QUESTIONS:
            yield start
        case ast.JoinedStr(values=[ast.FormattedValue(value=start), ast.Constant(value=str(text))]):
            if text.startswith("/"):
                yield start
