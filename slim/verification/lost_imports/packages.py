"""Names that packages bind themselves, which an import finds before it looks for a module."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Package:
    """A package's names besides those of its modules."""

    bound: frozenset[str]
    """Names that its code binds."""
    exported: frozenset[str]
    """Names that its ``__all__`` lists."""
    certain: bool
    """True if its code binds no other names."""


def package_of(name: str, source: bytes) -> Package:
    """Return what the code of a package binds and exports. Never raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Package(frozenset(), frozenset(), False)
    bound: set[str] = set()
    exported: set[str] = set()
    certain = True
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=binds, ctx=ast.Store()):
                bound.add(binds)
            case (
                ast.FunctionDef(name=binds)
                | ast.AsyncFunctionDef(name=binds)
                | ast.ClassDef(name=binds)
            ):
                bound.add(binds)
                certain = certain and binds != "__getattr__"
            case ast.ImportFrom(module=module, names=names):
                certain = certain and all(each.name != "*" for each in names)
                own = module in (None, name)  # what it imports from itself are its modules
                bound |= {each.asname or each.name for each in names if each.asname or not own}
            case ast.Import(names=names):
                bound |= {each.asname for each in names if each.asname}
            case (
                ast.Assign(targets=[ast.Name(id="__all__")], value=value)
                | ast.AugAssign(target=ast.Name(id="__all__"), value=value)
            ):
                exported |= {
                    each.value
                    for each in ast.walk(value)
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                }
            case ast.Call(func=ast.Name(id="globals" | "setattr" | "vars")):
                certain = False
    return Package(frozenset(bound), frozenset(exported), certain)
