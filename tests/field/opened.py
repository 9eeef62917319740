"""Data files that a package's own code opens by a literal name, found without any code of slim's.

A path that ends in literals (``Path(__file__).parent / "data" / "x.json"``,
``join(here, "x.json")``, ``files("pkg").joinpath("x.json")``, ``get_data("pkg", "x.json")``) means
the file of that name below the module's folder or a folder around it, up to the top of its package,
if the original has one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.field.trees import site_of

_JOINS = frozenset({"join", "joinpath", "path", "safe_join"})
_READS = frozenset(
    {
        *("get_data", "open_text", "open_binary", "read_text", "read_binary", "open_resource"),
        *("resource_filename", "resource_string", "resource_stream", "get_resource"),
    }
)
_LITERAL = re.compile(rb"""["']([^"'\n]{1,150})["']""")
_CODE = (".py", ".pyc", ".so", ".pyd", ".pyi", ".dll", ".dylib")


def opened(tree: Path) -> dict[str, list[str]]:
    """Return files in a tree by path, and the places that open each: ``module:line``."""
    site = site_of(tree)
    found: dict[str, list[str]] = {}
    names = _data_names(site)
    for module in sorted(site.rglob("*.py")):
        if module.parent == site or module.is_symlink():
            continue
        source = module.read_bytes()
        literals = {literal.rpartition(b"/")[2] for literal in _LITERAL.findall(source)}
        if literals.isdisjoint(names[module.relative_to(site).parts[0]]):
            continue
        try:
            parsed = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        top = site / module.relative_to(site).parts[0]
        for package, segments, line in _paths(parsed):
            place = f"{module.relative_to(tree).as_posix()}:{line}"
            bases = [folder for folder in module.parents if folder.is_relative_to(top)]
            if package:
                bases.insert(0, site.joinpath(*package.split(".")))
            for base in bases:
                path = base.joinpath(*segments)
                if path.is_file() and path.is_relative_to(tree):
                    found.setdefault(path.relative_to(tree).as_posix(), []).append(place)
                    break
    return found


def _data_names(site: Path) -> dict[str, set[bytes]]:
    """Return the names of data files below each folder of site-packages."""
    found: dict[str, set[bytes]] = {}
    for top in site.iterdir():
        files = (path for path in top.rglob("*") if not path.name.endswith(_CODE))
        found[top.name] = {path.name.encode() for path in files if path.is_file()}
    return found


def missing(files: Mapping[str, Sequence[str]], slimmed: Path) -> dict[str, str]:
    """Return those files that a slimmed tree lacks although it has code that opens them.

    Each with the first such place.
    """
    found: dict[str, str] = {}
    for path, places in files.items():
        left = [place for place in places if (slimmed / place.rpartition(":")[0]).exists()]
        if left and not (slimmed / path).exists():
            found[path] = left[0]
    return found


def _paths(parsed: ast.Module) -> Iterator[tuple[str, list[str], int]]:
    for node in ast.walk(parsed):
        package = ""
        segments: list[str] = []
        match node:
            case ast.BinOp(op=ast.Div()):
                segments = _tail(node)
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
                if name in _JOINS:
                    segments = _tail(node)
                elif name in _READS and len(node.args) > 1:
                    first, second = node.args[:2]
                    if isinstance(second, ast.Constant) and isinstance(second.value, str):
                        segments = _split(second.value)
                        if isinstance(first, ast.Constant) and isinstance(first.value, str):
                            package = first.value
        if segments and not segments[-1].endswith(_CODE):
            yield package, segments, node.lineno  # type: ignore[attr-defined]


def _tail(node: ast.expr) -> list[str]:
    """Return the literal names at the end of a path; empty if it doesn't end in one."""
    match node:
        case ast.BinOp(left=left, op=ast.Div(), right=ast.Constant(value=str(text))):
            return [*_tail(left), *_split(text)]
        case ast.Call(func=ast.Attribute(value=value, attr=name), args=arguments) if name in _JOINS:
            names: list[str] = []
            for argument in reversed(arguments):
                if not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
                    return [*_tail(argument), *names] if names else []
                names = [*_split(argument.value), *names]
            return [*_tail(value), *names] if names else []
    return []


def _split(text: str) -> list[str]:
    names = [name for name in text.split("/") if name not in ("", ".")]
    return [] if text.startswith("/") or ".." in names or "\0" in text else names
