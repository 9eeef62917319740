"""Top-level names that an import can find though no search path of the stack's layers shows them.

The interpreter brings its own; code adds folders to ``sys.path``, puts modules into ``sys.modules``
or finders on ``sys.meta_path``. Which names those are is read from the code that does it, and
whatever can't be told counts as there.

Sources: the Python documentation of ``sys`` (``path``, ``modules``, ``meta_path``,
``stdlib_module_names``), ``site`` and "What's New" 3.10 to 3.14 (removed modules).
"""

from __future__ import annotations

import ast
import posixpath
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from slim.analysis.imports.bare_names import called_name
from slim.analysis.unimportable.finders import (
    may_have_finder,
    names_of_finders,
    quoted_names,
)
from slim.analysis.unimportable.import_hooks import leave_failures
from slim.analysis.unimportable.tables import Tables
from slim.analysis.vocabulary import AnyOf
from slim.model.record import FileKey, FileRecord
from slim.system.syntax import below, parsed

_FORMER = """
asynchat asyncore distutils imp smtpd aifc audioop cgi cgitb chunk crypt imghdr mailcap msilib nis
nntplib ossaudiodev pipes sndhdr spwd sunau telnetlib uu xdrlib lib2to3 binhex formatter macpath
parser symbol dummy_threading macurl2path tkinter annotationlib compression test __main__
"""
STANDARD = frozenset(sys.stdlib_module_names).union(_FORMER.split())
"""Names of the standard library of any version and system: a module may be built in, or left out
of a runtime and brought along by a distribution's finder."""

_CHANGES_PATH = re.compile(
    rb"\bpath\b\s*(?:\.\s*(?:insert|append|extend|__\w+)\b|\[|\+?=(?!=))|\baddsitedir\b"
    rb"|(?<!\bin )\bsys\.path\s*(?:[,);\n#]|\Z)|\bimport[^\n]{0,1000}\bpath as\b"
    rb"|\bgetattr\(\s*\w*sys\s*,|\bvars\(\s*\w*sys\s*\)|\bsys\.__dict__"
)
_CHANGES_MODULES = re.compile(
    rb"\bmodules\s*\[\s*(?!__name__\s*\])[^\]\n]*\]\s*(?::\s*\w+\s*)?=(?!=)"
    rb"|\bmodules\.(?:setdefault|update)\b|\bmeta_path\b|\bpath_hooks\b|\bModuleType\s*\("
    rb"|\bsys\.modules\s*\|?=(?!=)|\b(?:dict|setitem)\s*\(\s*[\"']?sys\.modules\b"
    rb"|\bmodules\.__\w+__\b|(?<!\bin )\bsys\.modules\s*(?:[,);\n#]|\Z)"
    rb"|\bimport[^\n]{0,1000}\bmodules as\b|\bgetattr\(\s*\w*sys\s*,|\bvars\(\s*\w*sys\s*\)"
    rb"|\bsys\.__dict__|\.load_module\s*\(|\bload_source\s*\(|\b_load(?:_unlocked)?\s*\("
)
_OF_SYS = (b"from sys import", b"import sys as", b"getattr(sys", b"vars(sys", b"sys.__dict__")
_PATH_WORDS = AnyOf(b"sys.path", b"addsitedir", *_OF_SYS)
_MODULE_WORDS = AnyOf(
    b"sys.modules",
    b".load_module(",
    b"load_source(",
    b"_bootstrap",
    b"meta_path",
    b"path_hooks",
    b"ModuleType(",
    *_OF_SYS,
)
_LOADS = frozenset({"load_module", "load_source", "_load", "_load_unlocked"})
"""Functions that put what they load into ``sys.modules``."""
_BRIDGES = """
clr pythonnet clr_loader jpype jnius javabridge capnp thriftpy thriftpy2 cppimport rustimport
pyximport importnb ipynb import_ipynb hy httpimport
"""
BRIDGES = frozenset(_BRIDGES.split())
"""Packages whose finders bring names of another language, file or machine, which no code states.

Sources: pythonnet's documentation (namespaces of .NET), JPype's (``jpype.imports``), pycapnp's and
thriftpy2's (schemas by import), Cython's (``pyximport``), Hy's, and those of the others.
"""
_LAZY = re.compile(
    rb"\b(?:builtins|__builtin__|__builtins__)\.__import__\s*=(?!=)|set_lazy_imports"
)
_LAZY_WORDS = AnyOf(b".__import__", b"set_lazy_imports")
_TESTING = AnyOf(b"import unittest", b"from unittest", b"import pytest")
_INSTALLS = re.compile(
    rb"""['"]pip['"]\s*,\s*['"]install['"]|\bpip\.main\b|\bpip\._internal\b|__lazy_modules__"""
)
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\Z")
_CALL = re.compile(rb"(?<![\w\x80-\xff])([\w\x80-\xff]++)\s*+\(")
"""A call, found from where its name begins: data in one long word take no time with the square."""
_ARGUMENTS = re.compile(rb"[^()]*")
_FEW: Final = 60
"""Names that are looked for in a file one by one sooner than all its calls are gone over."""
_DEFINED = re.compile(rb"\b(?:def|class)\s+([A-Za-z_]\w*)")
"""Functions and classes of a file that can't be parsed: any may put modules into a place."""
_ADDING = frozenset({"insert", "append", "extend"})
_VENDOR = re.compile(r"_?(?:vendor(?:ed)?|third_?party|thirdparty|extern(?:al)?s?|libs?|deps)\Z")


@dataclass(frozen=True, slots=True)
class Signals:
    """Changes that a file makes to the import system, as far as its text tells."""

    path: bool = False
    """It adds folders to ``sys.path``."""
    modules: frozenset[str] = frozenset()
    """Top-level names that it puts into ``sys.modules``, or may put there."""
    helpers: frozenset[str] = frozenset()
    """Functions of it that put a module there under a name that they are called with."""
    lazy: bool = False
    """It replaces the import statement."""
    finder: bool = False
    """It puts a finder or a hook beside those of the interpreter."""
    computed: bool = False
    """It puts modules into ``sys.modules`` of which only running tells the name."""

    def __bool__(self) -> bool:
        return self != Signals()


def signals_of(source: bytes) -> Signals:
    """Read what a file does to the import system. Never raises for what is in it."""
    modules: frozenset[str] = frozenset()
    helpers: frozenset[str] = frozenset()
    finder = computed = False
    if changes_modules(source):
        modules, helpers, finder, computed = _aliases(source)
    elif may_have_finder(source):
        modules = names_of_finders(source)
    return Signals(
        path=changes_path(source),
        modules=modules,
        helpers=helpers,
        lazy=changes_import(source),
        finder=finder,
        computed=computed,
    )


def changes_path(source: bytes) -> bool:
    """Return whether code may add folders to ``sys.path``."""
    return _has(source, _PATH_WORDS, _CHANGES_PATH)


def changes_modules(source: bytes) -> bool:
    """Return whether code may put modules into ``sys.modules``, or finders beside it."""
    return _has(source, _MODULE_WORDS, _CHANGES_MODULES)


def changes_import(source: bytes) -> bool:
    """Return whether code replaces the import statement, so that what fails may not any more.

    What serves tests doesn't count, nor does what only watches.
    """
    if not _has(source, _LAZY_WORDS, _LAZY) or _TESTING.within(source):
        return False
    return b"set_lazy_imports" in source or not leave_failures(source)


def prepares(head: bytes) -> bool:
    """Return whether a module's own head may bring about what it then imports."""
    return (
        changes_path(head)
        or changes_modules(head)
        or changes_import(head)
        or _INSTALLS.search(head) is not None
    )


def _has(source: bytes, words: AnyOf, pattern: re.Pattern[bytes]) -> bool:
    return words.within(source) and pattern.search(source) is not None


def called_with(helpers: Collection[str], source: bytes) -> Mapping[str, frozenset[str]]:
    """The names that calls of such functions are given in a file, by function.

    Takes time in proportion to the file, however many functions there are: a stack of 755
    distributions has hundreds.
    """
    if len(helpers) <= _FEW and not any(name.encode() in source for name in helpers):
        return {}
    found: dict[str, set[str]] = {}
    for match in _CALL.finditer(source):
        name = match[1].decode("utf-8", "replace")
        if name in helpers:
            given = _ARGUMENTS.match(source, match.end())
            found.setdefault(name, set()).update(quoted_names(given[0]) if given else ())
    return {name: frozenset(names) for name, names in found.items()}


def _aliases(source: bytes) -> tuple[frozenset[str], frozenset[str], bool, bool]:
    """The names, the functions, whether there is a finder, and whether a name is computed."""
    try:
        tree = parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        functions = {name.decode() for name in _DEFINED.findall(source)}
        return frozenset(quoted_names(source)), frozenset(functions), True, False
    reader = _Aliases(Tables(tree, "modules"))
    reader.read(tree, tree, "")
    if reader.finder:
        reader.names.update(quoted_names(source))
    elif may_have_finder(source):
        reader.names.update(names_of_finders(source))
    return (
        *(frozenset(reader.names), frozenset(reader.helpers)),
        *(reader.finder, reader.computed),
    )


@dataclass(slots=True)
class _Aliases:
    """Names that a module puts into ``sys.modules``, and functions that do so for others."""

    modules: Tables
    """``sys.modules``, under all of its names in the file."""
    names: set[str] = field(default_factory=set)
    helpers: set[str] = field(default_factory=set)
    finder: bool = False
    """True if there is one that is put beside those of the interpreter."""
    computed: bool = False
    """True if only running tells the name of a module."""

    def read(self, node: ast.AST, scope: ast.AST, function: str) -> None:
        """Look at everything below a node, which stands in a function or class of that name."""
        for child in below(node):
            for key in self._keys(child):
                self._key(key, scope, function)
            match child:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    self.read(child, child, function if name.startswith("__") else name)
                case ast.ClassDef(name=name):
                    self.read(child, child, name)
                case ast.Constant(value=str(text)):
                    if _CHANGES_MODULES.search(code := text.encode("utf-8", "replace")):
                        self.names.update(quoted_names(code))  # for another Python, or ``exec``
                case _:
                    self.read(child, scope, function)

    def _key(self, key: ast.expr | None, scope: ast.AST, function: str) -> None:
        begin: ast.expr | None
        match key:
            case ast.Constant(value=str(text)):
                self.names.add(text.partition(".")[0])
                return
            case ast.BinOp(left=left, op=ast.Add()):
                begin = left
            case ast.JoinedStr(values=[ast.FormattedValue(value=left), *_]):
                begin = left
            case ast.JoinedStr():
                return  # it begins with a literal of its own
            case _:
                begin = key
        if isinstance(begin, ast.Name) and begin.id in ("__name__", "__package__"):
            return
        self.names.update(_strings(scope))
        self.computed = self.computed or key is not None
        if function:
            self.helpers.add(function)

    def _keys(self, node: ast.AST) -> Iterator[ast.expr | None]:
        """Yield the keys under which a node puts modules; None for one that isn't in sight."""
        match node:
            case ast.Assign(targets=targets):
                yield from (key for target in targets for key in self._subscripts(target))
            case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
                yield from self._subscripts(target)
            case ast.Call(func=function, args=[key, *_]) if _is(function, "ModuleType"):
                yield key
            case ast.Call(
                func=ast.Attribute(value=value, attr="setdefault" | "__setitem__"), args=[key, *_]
            ):
                if self._is_modules(value):
                    yield key
            case ast.Call(func=function, args=given) if called_name(function) in _LOADS:
                yield given[0] if given else None
            case ast.Call() if id(node) in self.modules.given:
                yield None
            case ast.Call(func=function, args=[ast.expr() as patched, *more]) if (
                _is(function, "dict") or _is(function, "setitem")
            ) and self._is_modules(patched):
                yield more[0] if more and _is(function, "setitem") else None
            case ast.Call(func=ast.Attribute(value=value, attr=change)):
                finders = _is(value, "meta_path") or _is(value, "path_hooks")
                if change in ("update", "__ior__") and self._is_modules(value):
                    yield None
                    yield from (ast.Constant(item.arg) for item in node.keywords if item.arg)
                if change in _ADDING and finders:
                    self.finder = True
                    yield None

    def _subscripts(self, target: ast.expr) -> Iterator[ast.expr | None]:
        match target:
            case ast.Subscript(value=value, slice=key) if self._is_modules(value):
                yield key
            case ast.Attribute(
                value=ast.Name(id=name), attr="meta_path" | "path_hooks" | "modules"
            ):
                if "sys" in name:
                    self.finder = self.finder or target.attr != "modules"
                    yield None
            case ast.Subscript(value=value) if _is(value, "meta_path") or _is(value, "path_hooks"):
                self.finder = True
                yield None
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                for element in elements:
                    yield from self._subscripts(element)

    def _is_modules(self, node: ast.expr) -> bool:
        match node:
            case ast.Attribute(value=ast.Name(), attr="modules"):
                return True
            case ast.Constant(value="sys.modules"):
                return True  # as mock.patch.dict has it
        return node in self.modules


def _is(node: ast.expr, name: str) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr == name) or (
        isinstance(node, ast.Name) and node.id == name
    )


def _strings(scope: ast.AST) -> Iterator[str]:
    """Yield the first components of what could be names among the strings of a scope.

    That is a function or class; in a module, what stands outside of both.
    """
    waiting = below(scope)
    while waiting:
        node = waiting.pop()
        if isinstance(scope, ast.Module) and isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        ):
            continue
        match node:
            case ast.Constant(value=str(text)) if _NAME.match(text):
                yield text.partition(".")[0]
        waiting.extend(below(node))


class OwnedNames:
    """Names in the folders of an owner in one layer, which its files may add to ``sys.path``.

    ``owned`` are the owner's files, ``packages`` the folders that hold an ``__init__``.
    """

    def __init__(self, owned: Iterable[FileRecord], packages: frozenset[FileKey]) -> None:
        self._inside: dict[str, set[str]] = {}
        layers: dict[str, str] = {}
        for record in owned:
            folder = ""
            for part in record.path.split("/"):
                self._inside.setdefault(folder, set()).add(part.partition(".")[0])
                layers[folder] = record.layer
                folder = f"{folder}/{part}" if folder else part
        self._of_any = frozenset(
            name
            for folder, names in self._inside.items()
            if (layers[folder], folder) not in packages
            or _VENDOR.match(posixpath.basename(folder)) is not None
            for name in names
        )

    def added_by(self, path: str) -> frozenset[str]:
        """The names in the folders that a file of that path may add to ``sys.path``.

        They are its own and those around it, and of the owner's other folders those that aren't
        packages, and those that are called like one for other projects' code.
        """
        around = (self._inside.get(folder, ()) for folder in _folders(path))
        return self._of_any.union(*around)


def _folders(path: str) -> Iterator[str]:
    """Yield the folder of a file, and the two around it."""
    for _ in range(3):
        path = path.rpartition("/")[0]
        yield path
