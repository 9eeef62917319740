"""Ways in which an application makes more importable later than its layers have.

A product may offer to fetch large parts when they are first wanted: it adds folders to
``sys.path``, sets ``PYTHONPATH`` for what it starts, installs packages, or unpacks them into its
own site-packages. Code that is cut for want of such a part would then fail. A folder that is added
counts as known where it lies in the stack; whatever only running tells doesn't.

Sources: the Python documentation of ``sys.path``, ``site`` and ``PYTHONPATH``; the documentation of
pip, uv, pipx, Poetry, conda and Pyodide (``micropip``).
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Collection, Iterator
from typing import TypeGuard

from slim.analysis.code_paths.module import OWN, PACKAGE, CodeModule
from slim.analysis.code_paths.scripts import assigned_in
from slim.analysis.unimportable.tables import Tables
from slim.model.stack import Platform
from slim.system.syntax import parsed, walk

_ADDS = frozenset({"insert", "append", "extend", "addsitedir", "__iadd__", "__setitem__"})
_SITE = frozenset({"main", "addusersitepackages", "addsitepackages"})
"""Functions of ``site`` that add the folders of whoever runs the program."""
_VARIABLE = "PYTHONPATH"
_SEPARATORS = re.compile(r"[:;]")
_INSTALLER = re.compile(
    rb"[\"'](?:[^\"'\n]*[/\\])?(?:pip3?|uv|pipx|poetry|conda|mamba|micromamba|pixi)(?:\.exe)?[\"']"
    rb"|\bmicropip\b|\bensurepip\b"
)
_INSTALLS = re.compile(rb"[\"'](?:install|add|inject|sync)[\"']|\.install\s*\(|bootstrap\s*\(")
_OWN_SITE = re.compile(
    rb"get(?:user)?sitepackages|[\"'](?:purelib|platlib)[\"']|[\"'/\\]site-packages\b"
)
_WRITES = re.compile(
    rb"\bextractall\s*\(|\bunpack_archive\s*\(|\.pth\b|\bcopytree\s*\(|\burlretrieve\s*\("
)
_SCRIPT_INSTALLS = re.compile(
    rb"^[^#\n]*\b(?:pip3?|uv|pipx|conda|mamba|micromamba|poetry|pixi)(?:\.exe)?[ \t]"
    rb"[^\n]*\b(?:install|add|inject|sync|activate)\b|^[^#\n]*\bsource[ \t]+\S*activate\b",
    re.M,
)


def brings_more(
    source: bytes, place: str, layers: Collection[str], platform: Platform
) -> tuple[str, int]:
    """Return what an application's code does so that more can be imported, and the line.

    Empty, and 0, where it does nothing of that kind. ``place`` is its deployed path, ``layers`` are
    the names of those that are here, ``platform`` is its layer's. Never raises for what is in it.
    """
    if _INSTALLER.search(source) and _INSTALLS.search(source):
        return "installs packages when it runs", 0
    if _OWN_SITE.search(source) and _WRITES.search(source):
        return "unpacks what it fetches into its site-packages", 0
    try:
        module = CodeModule(parsed(source), platform)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "", 0
    search_path = Tables(module.tree, "path")
    for node in walk(module.tree):
        if _hands_on(node, search_path):
            return "changes the search path in a way that only running tells", node.lineno
        for folder in _added(node, search_path):
            for part in _parts(folder, search_path):
                if not _is_known(module.text(part), part, place, layers):
                    text = "adds a folder that may lie outside of the stack to the search path"
                    return text, part.lineno
    return "", 0


def script_brings_more(
    path: str, source: bytes, place: str, layers: Collection[str]
) -> tuple[str, int]:
    """Return what an application's script does so that more can be imported, and the line.

    As :func:`brings_more`.
    """
    if _SCRIPT_INSTALLS.search(source):
        return "installs packages, or starts another Python", 0
    for value, line in assigned_in(path, source, _VARIABLE):
        for part in filter(None, _SEPARATORS.split(value)):
            if not _lies_within(part, place, layers):
                return "adds a folder that may lie outside of the stack to PYTHONPATH", line
    return "", 0


def _hands_on(node: ast.AST, search_path: Tables) -> TypeGuard[ast.expr]:
    """Return whether a call has others change the search path, or reads the user's own one."""
    match node:
        case ast.Attribute(attr="ENABLE_USER_SITE", ctx=ast.Store()):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id="site"), attr=name)):
            return name in _SITE
        case ast.Call(func=ast.Name(id="addusersitepackages")):
            return True
        case ast.Call():
            return id(node) in search_path.given
    return False


def _added(node: ast.AST, search_path: Tables) -> Iterator[ast.expr]:
    """The folders that a node adds, for its own process or for one that it starts."""
    match node:
        case ast.Call(func=ast.Attribute(value=place, attr=name), args=arguments) if name in _ADDS:
            if name == "addsitedir" or _is_path(place, search_path):
                yield from arguments[-1:] if name != "addsitedir" else arguments[:1]
        case ast.Call(func=ast.Name(id="addsitedir"), args=arguments):
            yield from arguments[:1]
        case ast.AugAssign(target=target, value=value) if _is_path(target, search_path):
            yield value
        case ast.Assign(targets=[ast.Subscript(value=place)], value=value) if _is_path(
            place, search_path
        ):
            yield value
        case ast.Assign(targets=[ast.Attribute() as place], value=value) if _is_path(
            place, search_path
        ):
            yield value
        case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=name))], value=value):
            if name == _VARIABLE:
                yield value
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and key.value == _VARIABLE:
                    yield value
        case ast.keyword(arg="PYTHONPATH", value=value):
            yield value


def _parts(folder: ast.expr, search_path: Tables) -> Iterator[ast.expr]:
    """The folders of an expression that is one, or a list of some; the path as it was is none."""
    match folder:
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            for part in parts:
                yield from _parts(part, search_path)
        case ast.BinOp(left=left, op=ast.Add(), right=right) if isinstance(
            left, ast.List
        ) or isinstance(right, ast.List):
            yield from _parts(left, search_path)
            yield from _parts(right, search_path)
        case ast.Starred(value=value):
            yield from _parts(value, search_path)
        case _ if not _is_path(folder, search_path):
            yield folder


def _is_path(node: ast.expr, search_path: Tables) -> bool:
    while isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        node = node.value
    return node in search_path


def _is_known(text: str, node: ast.expr, place: str, layers: Collection[str]) -> bool:
    if text.startswith(PACKAGE) or _lies_within(text, place, layers):
        return True
    constant = isinstance(node, ast.Constant)  # as the post-install step writes them
    return constant and any(part in layers for part in text.split("/"))


def _lies_within(text: str, place: str, layers: Collection[str]) -> bool:
    """Return whether a path that begins at a file leads into a layer."""
    if not text.startswith(OWN):
        return False
    path = posixpath.normpath(f"{place}{text[len(OWN) :]}".replace("\\", "/"))
    return path.partition("/")[0] in layers
