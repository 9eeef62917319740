"""Code that compiles C when it runs: it asks for an include folder, or it starts a compiler.

Every Python file is searched for a few words; only a file that has one of them is parsed, so that
neither a comment, nor a docstring, nor the definition of such a function counts. What can't be
parsed counts by its words.

Sources: docs.python.org "sysconfig" (installation paths, configuration variables),
"numpy.get_include", setuptools "Building Extension Modules".
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from slim.analysis import ReadFile
from slim.model.finding import Evidence, Strength
from slim.model.record import EntryType, FileKey, FileKind, FileRecord, Inventory, OwnerKind

MAX_SOURCE = 8 << 20
"""A Python file of more bytes than this isn't parsed: its words decide."""

_ASKING = frozenset({"get_include", "get_includes", "get_python_inc", "get_numpy_include"})
_BUILDING = frozenset({"new_compiler", "cythonize", "load_inline", "pyximport"})
_BUILDING_MODULES = ("pyximport", "torch.utils.cpp_extension")
_BUILD_EXT = re.compile(
    r"(setuptools|distutils|setuptools\._distutils|numpy\.distutils)\.command\Z"
)
_VARIABLES = frozenset({"INCLUDEPY", "CONFINCLUDEPY", "LIBPL", "platinclude", "INCLUDEDIR"})
_PATHS = frozenset({"include", "platinclude"})
_SETTINGS = frozenset({"CC", "CXX", "CFLAGS", "LDSHARED", "BLDSHARED", *_VARIABLES})
_COMPILERS = frozenset(
    {"gcc", "g++", "cc", "c++", "clang", "clang++", "cl", "cl.exe", "nvcc", "nvcc.exe", "hipcc"}
)
_WORDS = (
    b"get_include",
    b"get_python_inc",
    b"get_numpy_include",
    b"INCLUDEPY",
    b"LIBPL",
    b"INCLUDEDIR",
    b"platinclude",
    b"new_compiler",
    b"cythonize",
    b"load_inline",
    b"pyximport",
    b"cpp_extension",
    b"build_ext",
    b"get_config_var",
)
_DRIVERS = tuple(
    quote + name.encode() + quote for name in sorted(_COMPILERS) for quote in (b"'", b'"')
)


@dataclass(frozen=True, slots=True)
class _Sight:
    """A place in a file's code that asks for what a compiler reads."""

    line: int
    text: str
    strength: Strength = Strength.STRONG


def compiling_code(inventory: Inventory, read: ReadFile) -> Mapping[FileKey, Evidence]:
    """Return the Python files that compile C when they run, each with its first evidence.

    Evidence is weak where the code only defines a command of a build, which somebody has to import
    first. The standard library doesn't count (it only offers the means), nor do test suites.
    """
    found: dict[FileKey, Evidence] = {}
    for record in inventory:
        if not _may_count(record):
            continue
        source = bytes(read(record))
        sight = _first_sight(source) if _has_words(source) else None
        if sight is not None:
            found[record.key] = Evidence(
                kind="compiles",
                text=f"compiles at run time: {sight.text}",
                file=record.deployed_path,
                line=sight.line,
                strength=sight.strength,
            )
    return found


def _may_count(record: FileRecord) -> bool:
    return (
        record.type is EntryType.FILE
        and record.path.endswith((".py", ".pyw"))
        and record.owner.kind is not OwnerKind.RUNTIME
        and record.kind is not FileKind.TESTS
    )


def _has_words(source: bytes) -> bool:
    return (
        any(word in source for word in _WORDS)
        or (b"get_path" in source and b"include" in source)
        or (b"-I" in source and any(word in source for word in _DRIVERS))
    )


def _first_sight(source: bytes) -> _Sight | None:
    if len(source) > MAX_SOURCE:
        return _Sight(1, "it is too large to be read closely, and has words of builds")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _Sight(1, "it can't be parsed, and has words of builds")
    return min(
        _sights(tree),
        key=lambda sight: (sight.strength is Strength.WEAK, sight.line),
        default=None,
    )


def _sights(tree: ast.Module) -> Iterator[_Sight]:
    drivers: list[_Sight] = []
    includes = False
    documentation = _docstrings(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Call():
                yield from _calls(node)
            case ast.Subscript(value=value, slice=ast.Constant(value=str(key))):
                if key in _PATHS and _last_name(value) == "get_paths":
                    yield _Sight(node.lineno, f'get_paths()["{key}"]')
            case ast.Import() | ast.ImportFrom():
                yield from _imports(node)
            case ast.Constant(value=str(text)) if id(node) not in documentation:
                includes = includes or text.startswith("-I")
                if text in _VARIABLES:
                    yield _Sight(node.lineno, f'"{text}"')
                elif text in _COMPILERS:
                    drivers.append(_Sight(node.lineno, f'starts "{text}" with "-I"'))
            case _:
                pass
    if includes:
        yield from drivers


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[_Sight]:
    names = [alias.name for alias in node.names]
    if isinstance(node, ast.Import):
        for name in names:
            if name in _BUILDING_MODULES:
                yield _Sight(node.lineno, f"import {name}")
        return
    module = node.module or ""
    text = f"from {module} import {names[0]}"
    if node.level == 0 and module in _BUILDING_MODULES:
        yield _Sight(node.lineno, text)
    elif node.level == 0 and _builds_extensions(module, names):
        yield _Sight(node.lineno, text, Strength.WEAK)


def _builds_extensions(module: str, names: list[str]) -> bool:
    if module.endswith(".command.build_ext"):
        return _BUILD_EXT.match(module.removesuffix(".build_ext")) is not None
    return "build_ext" in names and _BUILD_EXT.match(module) is not None


def _calls(call: ast.Call) -> Iterator[_Sight]:
    name = _last_name(call.func)
    words = [
        argument.value
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
    if name in _ASKING or name in _BUILDING:
        yield _Sight(call.lineno, f"{name}()")
    elif name == "get_path" and words and words[0] in _PATHS:
        yield _Sight(call.lineno, f'get_path("{words[0]}")')
    elif name in ("get_config_var", "get_config_vars"):
        for word in words:
            if word in _SETTINGS:
                yield _Sight(call.lineno, f'{name}("{word}")')


def _last_name(node: ast.expr) -> str:
    """Return the last name of ``a.b.name`` or ``a.name()``; empty for any other expression."""
    match node:
        case ast.Call(func=func):
            return _last_name(func)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def _docstrings(tree: ast.Module) -> frozenset[int]:
    """Return the identities of the string constants that stand alone as a statement."""
    return frozenset(
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )
