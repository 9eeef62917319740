"""Places in code at which paths start: the file's own, or a module's."""

from __future__ import annotations

import ast

from slim.analysis.imports.bare_names import called_name, found_module, module_name

OWN = frozenset({"__file__", "__path__", "__spec__", "__loader__"})
"""Names that tell a file's own place."""
_TAKES_PACKAGE = frozenset(
    {
        *("files", "path", "find_spec", "import_module", "get_data", "open_text", "open_binary"),
        *("read_text", "read_binary", "PackageLoader"),
    }
)


def anchor(node: ast.AST) -> str | None:
    """The module at whose place a path starts: of ``pkg.__file__``, ``files("pkg")``."""
    match node:
        case ast.Attribute(value=value, attr="__file__" | "__path__" | "__spec__"):
            return found_module(value) or None
        case ast.Call(func=function, args=[ast.Constant(value=str(text)), *_]):
            called = called_name(function)
            if called in _TAKES_PACKAGE or "resource" in called:
                return text
        case ast.keyword(arg="package" | "package_name", value=ast.Constant(value=str(text))):
            return text
        case ast.Call(func=function, args=[ast.Name() | ast.Attribute() as name, *_]):
            if called_name(function) == "files":
                return module_name(name) or None
    return None


def takes_own(node: ast.AST) -> bool:
    """True for a call that is given the file's own package: ``files(__package__)``."""
    match node:
        case ast.Call(func=function, args=[ast.Name(id="__package__" | "__name__"), *_]):
            called = called_name(function)
            return called in _TAKES_PACKAGE or "resource" in called
    return False
