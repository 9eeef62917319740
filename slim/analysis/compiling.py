"""Code that compiles C when it runs: it asks for an include folder, or it starts a compiler.

Every Python file is searched for a few words; only a file that has one of them is parsed, so that
neither a comment, nor a docstring, nor the definition of such a function counts. What can't be
parsed counts by its words, as does code without a source (bytecode alone, extension modules).

Sources: docs.python.org "sysconfig" (installation paths, configuration variables),
"numpy.get_include", setuptools "Building Extension Modules".
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from slim.analysis import ReadFile
from slim.analysis.build_words import (
    BUILD_TOOLS,
    COMMAND,
    COMPILER_VARIABLES,
    COMPILERS,
    INCLUDE_FLAGS,
    has_build_words,
)
from slim.analysis.python_code import is_lone_bytecode
from slim.analysis.readings import Readings
from slim.analysis.remembering import Form, plain
from slim.analysis.summary import MAX_SOURCE
from slim.model.finding import Evidence, Strength
from slim.model.record import EntryType, FileKey, FileKind, FileRecord, Inventory, OwnerKind
from slim.system.mapped import words_in
from slim.system.syntax import parsed, walk

_SOURCES = (".py", ".pyw")
_ASKING = frozenset(
    {
        *("get_include", "get_includes", "get_python_inc", "get_numpy_include"),
        *("get_config_h_filename", "get_makefile_filename"),
    }
)
_BUILDING = frozenset({"new_compiler", "cythonize", "load_inline", "pyximport"})
_BUILDING_MODULES = ("pyximport", "torch.utils.cpp_extension", "numpy.f2py", "cppimport")
_LIBRARIES = ("pkg-config", "pkgconf")
_BUILD_EXT = re.compile(
    r"(setuptools|distutils|setuptools\._distutils|numpy\.distutils)\.command\Z"
)
_VARIABLES = frozenset({"INCLUDEPY", "CONFINCLUDEPY", "LIBPL", "platinclude", "INCLUDEDIR"})
_PATHS = frozenset({"include", "platinclude"})
_SETTINGS = frozenset({"CC", "CXX", "CFLAGS", "LDSHARED", "BLDSHARED", *_VARIABLES})
_PREFIXES = frozenset({"prefix", "base_prefix", "exec_prefix", "base_exec_prefix"})
_CONFIG_SCRIPT = re.compile(r"python[\w.]*-config\Z")
_EXTENSION_MODULES = re.compile(r"(setuptools|distutils)(\.(core|extension))?\Z")
_RUNS = frozenset(
    {
        *("run", "call", "check_call", "check_output", "Popen", "system"),
        *("create_subprocess_exec", "create_subprocess_shell", "spawn"),
    }
)
_WITHOUT_SOURCE = (
    *(b"get_python_inc", b"get_config_h_filename", b"get_makefile_filename"),
    *(b"INCLUDEPY", b"platinclude", b"get_numpy_include"),
)
"""Words that are enough in compiled code, where neither comments nor definitions can be told."""


@dataclass(frozen=True, slots=True)
class _Sight:
    """A place in a file's code that asks for what a compiler reads."""

    line: int
    text: str
    strength: Strength = Strength.STRONG


_SIGHT: Form[_Sight | None] = Form(
    "compiles",
    lambda sight: None if sight is None else [sight.line, sight.text, sight.strength.value],
    lambda stored: None if stored is None else _stored_sight(*stored),
)
_COMPILED = plain("compiled-code-compiles", str)


def _stored_sight(line: int, text: str, strength: str) -> _Sight:
    return _Sight(line, text, Strength(strength))


def compiling_code(
    inventory: Inventory, read: ReadFile, readings: Readings | None = None
) -> Mapping[FileKey, Evidence]:
    """Return the files of Python code that compile C when they run, each with its first evidence.

    Evidence is weak where the code only defines a command of a build, which somebody has to import
    first. The standard library doesn't count (it only offers the means), nor do test suites.
    """
    found: dict[FileKey, Evidence] = {}
    known = readings or Readings()
    may_count = [record for record in inventory if _may_count(record, read)]
    known.summaries_ahead((each for each in may_count if each.path.endswith(_SOURCES)), read)
    for record in may_count:
        if record.path.endswith(_SOURCES) or _in_bin(record):
            sight = _sight_in_source(record, read, known)
        else:
            sight = _sight_without_source(record, read, known)
        if sight is not None:
            found[record.key] = Evidence(
                kind="compiles",
                text=f"compiles at run time: {sight.text}",
                file=record.deployed_path,
                line=sight.line,
                strength=sight.strength,
            )
    return found


def _may_count(record: FileRecord, read: ReadFile) -> bool:
    return (
        record.type is EntryType.FILE
        and (
            record.path.endswith(_SOURCES)
            or is_lone_bytecode(record)
            or record.kind is FileKind.EXTENSION
            or is_command(record, read)
        )
        and record.owner.kind is not OwnerKind.RUNTIME
        and record.kind is not FileKind.TESTS
    )


def is_command(record: FileRecord, read: ReadFile) -> bool:
    """Return whether a file is a script that is started by its name."""
    return _in_bin(record) and bytes(read(record)[:2]) == b"#!"


def _in_bin(record: FileRecord) -> bool:
    return record.path.startswith(("bin/", "Scripts/")) and record.native is None


def _top_level_name(record: FileRecord) -> str:
    """Return the name of the package that a file in site-packages belongs to."""
    below = record.path.rpartition("-packages/")[2]
    return below.partition("/")[0].removesuffix(".py")


def _sight_without_source(record: FileRecord, read: ReadFile, readings: Readings) -> _Sight | None:
    def make() -> str:
        found = words_in(read(record), _WITHOUT_SOURCE)
        return next((word.decode() for word in _WITHOUT_SOURCE if word in found), "")

    word = readings.of_record(_COMPILED, record, make)
    return _Sight(1, f"compiled code has the word {word}") if word else None


def _sight_in_source(record: FileRecord, read: ReadFile, readings: Readings) -> _Sight | None:
    def source() -> bytes:
        return bytes(read(record))

    if record.size > MAX_SOURCE:
        text = "it is too large to be read closely, and has words of builds"
        return _Sight(1, text) if has_build_words(source()) else None
    if not readings.builds(record, source):
        return None
    package = _top_level_name(record)
    return readings.of_record(_SIGHT, record, lambda: _first_sight(source(), package), package)


def _first_sight(source: bytes, package: str) -> _Sight | None:
    try:
        tree = parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _Sight(1, "it can't be parsed, and has words of builds")
    search = _Search(package, _docstrings(tree))
    return min(
        search.sights(tree),
        key=lambda sight: (sight.strength is Strength.WEAK, sight.line),
        default=None,
    )


class _Search:
    """A search of one file. Some words only count together, so the file is walked to its end.

    ``package`` is the file's own package: what it imports from itself it only offers.
    """

    def __init__(self, package: str, documentation: frozenset[int]) -> None:
        self._package = package
        self._documentation = documentation
        self._offers_builds = False
        self._drivers: list[_Sight] = []
        self._computed: list[_Sight] = []
        self._folders: list[_Sight] = []
        self._has_flag = self._names_include = self._uses_prefix = False

    def sights(self, tree: ast.Module) -> Iterator[_Sight]:
        nodes = list(walk(tree))
        self._offers_builds = any(map(_imports_builder, nodes))
        for node in nodes:
            yield from self._sights_of(node)
        if self._has_flag:
            yield from self._drivers
        if self._names_include:
            yield from self._computed
        if self._uses_prefix:
            yield from self._folders

    def _sights_of(self, node: ast.AST) -> Iterator[_Sight]:
        match node:
            case ast.Call():
                yield from _calls(node)
                yield from self._tools(node)
                self._note_computed(node)
            case ast.Subscript(value=value, slice=ast.Constant(value=str(key))):
                if key in _PATHS and _last_name(value) == "get_paths":
                    yield _Sight(node.lineno, f'get_paths()["{key}"]')
            case ast.Import() | ast.ImportFrom():
                yield from _imports(node, self._package)
            case ast.Attribute(value=ast.Name(id="sys"), attr=name):
                self._uses_prefix = self._uses_prefix or name in _PREFIXES
            case ast.Constant(value=str(text)) if id(node) not in self._documentation:
                yield from self._words(node.lineno, text)
            case _:
                pass

    def _tools(self, call: ast.Call) -> Iterator[_Sight]:
        """A build tool that is started; what defines a command of a build only offers that."""
        first = call.args[0] if call.args and _last_name(call.func) in _RUNS else None
        while isinstance(first, ast.BinOp):
            first = first.left
        if isinstance(first, ast.JoinedStr):
            first = first.values[0] if first.values else None
        words = first.elts if isinstance(first, ast.List | ast.Tuple) else [first]
        texts = [word.value for word in words if isinstance(word, ast.Constant)]
        command = " ".join(text for text in texts if isinstance(text, str)).split()
        if not command or "--version" in command or not isinstance(words[0], ast.Constant):
            return  # asks whether the tool is there
        tool = command[0].removesuffix(".exe")
        of_python = tool in _LIBRARIES and any(word.startswith("python") for word in command)
        if tool in BUILD_TOOLS or of_python:
            strength = Strength.WEAK if self._offers_builds else Strength.STRONG
            yield _Sight(call.lineno, f'starts "{tool}"', strength)

    def _note_computed(self, call: ast.Call) -> None:
        """Note a request for folders of which the code says elsewhere which ones."""
        name = _last_name(call.func)
        if name == "get_path_names":
            self._names_include = True
        constant = bool(call.args) and isinstance(call.args[0], ast.Constant)
        if name == "get_paths" or (name == "get_path" and call.args and not constant):
            self._computed.append(_Sight(call.lineno, f'{name}(), and names "include"'))

    def _words(self, line: int, text: str) -> Iterator[_Sight]:
        self._has_flag = self._has_flag or text.startswith(INCLUDE_FLAGS)
        self._names_include = self._names_include or text in _PATHS
        if text in _VARIABLES:
            yield _Sight(line, f'"{text}"')
        elif text in COMPILERS or text in COMPILER_VARIABLES:
            self._drivers.append(_Sight(line, f'starts "{text}" with "-I"'))
        elif COMMAND.match(text):
            yield _Sight(line, f'starts "{text.split()[0]}"')
        elif _CONFIG_SCRIPT.search(text):
            yield _Sight(line, f'"{text}"')
        elif "include" in text.lower().replace("\\", "/").split("/"):
            self._folders.append(_Sight(line, f'"{text}" below the prefix'))


def _imports(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[_Sight]:
    names = [alias.name for alias in node.names]
    if isinstance(node, ast.Import):
        for name in names:
            if name in _BUILDING_MODULES and name.partition(".")[0] != package:
                yield _Sight(node.lineno, f"import {name}")
        return
    module = node.module or ""
    text = f"from {module} import {names[0]}"
    whole = {module, *(f"{module}.{name}" for name in names)}
    own = module.partition(".")[0] == package
    if node.level == 0 and not own and not whole.isdisjoint(_BUILDING_MODULES):
        yield _Sight(node.lineno, text)
    elif node.level == 0 and module.partition(".")[0] != package and _ASKING & set(names):
        yield _Sight(node.lineno, f"from {module} import {min(_ASKING & set(names))}")
    elif node.level == 0 and _builds_extensions(module, names):
        yield _Sight(node.lineno, text, Strength.WEAK)


def _imports_builder(node: ast.AST) -> bool:
    """Return whether a statement imports a build back end."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    if isinstance(node, ast.ImportFrom):
        names = [node.module or ""]
    return any(name.partition(".")[0] in ("setuptools", "distutils") for name in names)


def _builds_extensions(module: str, names: list[str]) -> bool:
    if module.endswith(".command.build_ext"):
        return _BUILD_EXT.match(module.removesuffix(".build_ext")) is not None
    if "Extension" in names:
        return _EXTENSION_MODULES.match(module) is not None
    return "build_ext" in names and _BUILD_EXT.match(module) is not None


def _calls(call: ast.Call) -> Iterator[_Sight]:
    name = _last_name(call.func)
    given = [*call.args, *(item.value for item in call.keywords if item.arg == "name")]
    words = [
        argument.value
        for argument in given
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
    if name in _ASKING or name in _BUILDING:
        yield _Sight(call.lineno, f"{name}()")
    elif name == "Extension" and _is_builder(call.func):
        yield _Sight(call.lineno, "setuptools.Extension()", Strength.WEAK)
    elif name == "get_path" and words and words[0] in _PATHS:
        yield _Sight(call.lineno, f'get_path("{words[0]}")')
    elif name in ("get_config_var", "get_config_vars"):
        for word in words:
            if word in _SETTINGS:
                yield _Sight(call.lineno, f'{name}("{word}")')


def _is_builder(function: ast.expr) -> bool:
    """Return whether a function is reached through the name of a build back end."""
    return isinstance(function, ast.Attribute) and _last_name(function.value) in (
        "setuptools",
        "distutils",
        "core",
        "extension",
    )


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
        for node in walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )
