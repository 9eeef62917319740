"""Expressions that only say where a library lies which the module itself loads.

Such a path leads into a loader (``ctypes.CDLL``, ``ffi.dlopen``) or into a variable that does, and
nowhere else but into questions such as whether the file is there. Whatever else is called with it
may read the file.

Sources: the Python documentation of ``ctypes`` and ``importlib.machinery``; cffi's ("dlopen").
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from slim.analysis.code_paths.module import CodeModule, name_of
from slim.analysis.imports.bare_names import called_name
from slim.analysis.imports.path_scan import words
from slim.system.syntax import below, walk

_LOADERS = words(
    "CDLL PyDLL WinDLL OleDLL LoadLibrary dlopen load_library load_dynamic ExtensionFileLoader "
    "add_dll_directory find_library AddReference load_op_library LibraryLoader AddDllDirectory"
)
_LOADER = re.compile(
    r"_*(?:try_?)?load_?(?:\w*_)?(?:dll|dylib|so|lib|libs|library|libraries)\Z", re.I
)
_NEUTRAL = words(
    "exists isfile isdir is_file is_dir lexists str repr Path PurePath join joinpath dirname "
    "basename abspath realpath normpath fspath resolve absolute print format debug info warning "
    "error critical exception log len insert append extend startswith endswith lower upper "
    "with_suffix with_name isinstance files as_file enter_context strip split splitext system "
    "machine getenv environ"
)
_ADDS = words("append insert extend")


class LoadedPaths:
    """The expressions of one module that lead into a loader and nowhere else, by their ids.

    ``is_shared`` tells whether another module may use a name that this one has at its own level.
    """

    def __init__(self, module: CodeModule, is_shared: Callable[[str], bool]) -> None:
        self._module = module
        self._is_shared = is_shared
        self._public = {
            target for statement in module.tree.body for target, _ in _bindings(statement)
        }
        self._loaders: frozenset[str] = frozenset()
        self._functions = {node.name for node in module.live if isinstance(node, ast.FunctionDef)}
        self.only: set[int] = set()
        """Ids of nodes that stand in such an expression."""
        for _ in range(3):  # a function that loads what it is given is a loader, too
            into, elsewhere, flows = self._ends()
            self._follow(into, elsewhere, flows)
            elsewhere.update(filter(self._is_shared, sorted(into & self._public - elsewhere)))
            for function, names in flows:  # a result that isn't loaded here is used elsewhere
                if function in self._functions and function not in into:
                    elsewhere |= names
            self._follow(into, elsewhere, flows)
            wrappers = frozenset(self._wrappers(into - elsewhere))
            if wrappers <= self._loaders:
                break
            self._loaders |= wrappers
        for node in module.live:
            for target, value in _bindings(node):
                if target in into and target not in elsewhere:
                    self.only.update(id(inner) for inner in walk(value))

    def _ends(self) -> tuple[set[str], set[str], list[tuple[str, set[str]]]]:
        """Names that go into a loader, names that go elsewhere, and names that make others."""
        into: set[str] = set()
        elsewhere: set[str] = set()
        flows: list[tuple[str, set[str]]] = []
        for node in self._module.live:
            match node:
                case ast.Call() if _is_loader(called_name(node.func), self._loaders):
                    for argument in (*node.args, *(item.value for item in node.keywords)):
                        into |= _names(argument)
                        self.only.update(id(inner) for inner in walk(argument))
                case ast.Subscript(value=ast.Name(id="cdll" | "windll" | "oledll"), slice=name):
                    into |= _names(name)
                    self.only.update(id(inner) for inner in walk(name))
                case ast.Call() if called_name(node.func) not in _NEUTRAL:
                    elsewhere |= set(self._given(node))
                case ast.Call(func=ast.Attribute(value=receiver, attr=called)) if called in _ADDS:
                    flows.append((name_of(receiver), set(self._given(node))))
                case ast.Yield(value=ast.expr() as value) | ast.YieldFrom(value=value):
                    elsewhere |= self._sources(value)
                case ast.Assign(targets=[ast.Subscript() | ast.Tuple() | ast.List()], value=value):
                    elsewhere |= self._sources(value)
            for target, value in _bindings(node):
                flows.append((target, self._sources(value)))
        return into, elsewhere, flows

    def _sources(self, value: ast.expr) -> set[str]:
        """The names that a value is made of; what is loaded is no path any more."""
        found: set[str] = set()
        waiting: list[ast.AST] = [value]
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.Call):
                called = called_name(node.func)
                if _is_loader(called, self._loaders):
                    continue
                found.add(called)
            found.add(name_of(node))
            waiting.extend(below(node))
        return found - {""}

    def _given(self, node: ast.Call) -> Iterator[str]:
        """The names that a call gets, but for those within a call in its arguments."""
        waiting: list[ast.AST] = [*node.args, *(item.value for item in node.keywords)]
        if isinstance(node.func, ast.Attribute):
            waiting.append(node.func.value)
        while waiting:
            inner = waiting.pop()
            if isinstance(inner, ast.Call) and called_name(inner.func) not in _NEUTRAL:
                yield called_name(inner.func)
                continue
            if name := name_of(inner):
                yield name
            waiting.extend(below(inner))

    @staticmethod
    def _follow(into: set[str], elsewhere: set[str], flows: list[tuple[str, set[str]]]) -> None:
        """Have what a name is made of go where that name goes."""
        for _ in range(6):
            before = len(into) + len(elsewhere)
            for target, names in flows:
                if target in into:
                    into |= names
                if target in elsewhere:
                    elsewhere |= names
            if len(into) + len(elsewhere) == before:
                return

    def _wrappers(self, names: set[str]) -> Iterator[str]:
        for node in self._module.live:
            if isinstance(node, ast.FunctionDef) and names & {one.arg for one in node.args.args}:
                yield node.name


def _is_loader(name: str, more: frozenset[str]) -> bool:
    return name in _LOADERS or name in more or _LOADER.match(name) is not None


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The names that a statement makes, each with what it makes it of; functions too."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if name := name_of(target):
                    yield name, value
        case ast.AnnAssign(target=target, value=ast.expr() as value) if name_of(target):
            yield name_of(target), value
        case ast.AugAssign(target=target, value=value) if name_of(target):
            yield name_of(target), value
        case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
            for inner in walk(target):
                if isinstance(inner, ast.Name):
                    yield inner.id, value
        case ast.withitem(context_expr=value, optional_vars=ast.Name(id=name)):
            yield name, value
        case ast.FunctionDef(name=name):
            for inner in walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    yield name, inner.value


def _names(node: ast.AST) -> set[str]:
    """The names in an expression, and of the functions that it calls."""
    found = {name_of(inner) for inner in walk(node)}
    found |= {called_name(inner.func) for inner in walk(node) if isinstance(inner, ast.Call)}
    return found - {""}
