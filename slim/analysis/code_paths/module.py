"""One Python module, read for the paths that it puts together.

What a name was assigned, which statements its own platform never runs, and what an expression comes
to as a path: constants joined by ``/``, with ``*`` for what only running tells. A path that starts
at the module's own file begins with :data:`OWN`, one that starts at a package's folder with the
package's dotted name between two :data:`PACKAGE`; with ``=`` between them where a variable holds
the module, with :data:`ELSEWHERE` behind the name of a variable or a function that tells the place.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from posixpath import commonprefix

from slim.analysis.code_paths.platforms import PlatformTests
from slim.analysis.imports.bare_names import called_name, dotted_name, found_module, module_name
from slim.analysis.imports.path_scan import BRACE_FIELD, PERCENT_FIELD, words
from slim.model.stack import Platform
from slim.system.syntax import walk

OWN = "\x01"
PACKAGE = "\x02"
ELSEWHERE = "\x04"
ANY_MODULE = f"{PACKAGE}={PACKAGE}"
_MODULE = re.compile(r"\A[^\W\d]\w*(?:\.\w+)*\Z")
_ELSEWHERE_WITHIN = re.compile(rf"(?<=.){PACKAGE}[^{PACKAGE}]*{ELSEWHERE}{PACKAGE}", re.DOTALL)
_UP = "/.."
_MAX_DEPTH = 40
_MAX_TEXT = 500
_SAME = words(
    "abspath realpath normpath normcase fspath str Path PurePath PosixPath WindowsPath "
    "PurePosixPath expanduser as_file open_resource resolve absolute as_posix enter_context "
    "Traversable casefold lower"
)
_RESOURCES = words(
    "resource_filename resource_string resource_stream resource_listdir resource_isdir get_data "
    "open_binary open_text read_binary read_text is_resource contents PackageLoader"
)
_FILES = words("getfile getsourcefile getabsfile")
_TAKEN = _FILES | words("next iter list tuple sorted")
_METADATA = "importlib.metadata"
_FINDS = words("find_spec find_loader get_loader")
_BODIES = frozenset({"body", "orelse", "finalbody"})
_IMPORTS = (ast.Import, ast.ImportFrom)
_BINDS = (
    *(ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.withitem, ast.AugAssign, ast.For, ast.AsyncFor),
    *(ast.comprehension, ast.arg, ast.MatchAs, ast.MatchStar),
    *(ast.FunctionDef, ast.AsyncFunctionDef),
)
_PARTS = re.compile(r"[/\x01-\x04]")
_PLAIN = (ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop)
_LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)


class CodeModule:
    """A parsed module, on the platform that its layer is for.

    With ``follows`` paths may begin at places that other modules tell.
    """

    def __init__(self, tree: ast.Module, platform: Platform, *, follows: bool = False) -> None:
        self.tree = tree
        self._follows = follows
        self._modules: set[str] = set()
        nodes = list(walk(tree))
        self._bound: dict[str, list[ast.expr]] = {}
        self._returned: dict[str, list[ast.expr]] = {}
        self._imported: dict[str, str] = {}
        for node in nodes:
            if isinstance(node, _IMPORTS):
                self._import(node)
            elif isinstance(node, _BINDS):
                self._bind(node)
        self._lists_files = any(getattr(node, "attr", "") == "files" for node in nodes)
        once = {name: values[0] for name, values in self._bound.items() if len(values) == 1}
        self.platform = PlatformTests(platform, once, self._imported)
        self.live = list(self._living(tree.body))
        lived = {id(node) for node in self.live}
        for table in (self._bound, self._returned):
            for name, values in table.items():
                table[name] = [one for one in values if one is _UNKNOWN or id(one) in lived]

    def _bind(self, node: ast.AST) -> None:
        """Note what a node gives to names; a name that gets what isn't known has no one value."""
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._give(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._give(target, value)
            case ast.NamedExpr(target=target, value=value):
                self._give(target, value)
            case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                self._give(target, value)
            case ast.AugAssign(target=target) | ast.For(target=target):
                self._give(target, None)
            case ast.AsyncFor(target=target) | ast.comprehension(target=target):
                self._give(target, None)
            case ast.arg(arg=name) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                self._bound.setdefault(name, []).extend([_UNKNOWN, _UNKNOWN])
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                for inner in walk(node):
                    if isinstance(inner, ast.Return) and inner.value is not None:
                        self._returned.setdefault(name, []).append(inner.value)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        start = ""
        if isinstance(node, ast.ImportFrom):
            start = "." * node.level + (f"{node.module}." if node.module else "")
        for alias in node.names:
            top = alias.name if start or alias.asname else alias.name.partition(".")[0]
            self._imported[alias.asname or top] = start + top
            if not start:
                self._modules.add(alias.asname or top)

    def _give(self, target: ast.expr, value: ast.expr | None) -> None:
        name = name_of(target)
        if name and value is not None:
            self._bound.setdefault(name, []).append(value)
            return
        for inner in walk(target):  # no value, so never the only one
            if inner_name := name_of(inner):
                self._bound.setdefault(inner_name, []).extend([_UNKNOWN, _UNKNOWN])

    def _living(self, body: list[ast.stmt]) -> Iterator[ast.AST]:
        """Every node of some statements that may run on the layer's platform; outer ones first."""
        waiting: list[ast.AST] = self._reached(body)
        while waiting:
            node = waiting.pop()
            yield node
            if isinstance(node, ast.If | ast.IfExp):
                answer = self.platform.holds(node.test)
                for branch, dead in ((node.orelse, answer is True), (node.body, answer is False)):
                    if not dead:
                        waiting += self._reached(branch) if isinstance(branch, list) else [branch]
                waiting.append(node.test)
                continue
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Dict):
                asked = self.platform.values(node.slice)
                if asked:
                    waiting.extend(self._chosen(node.value, asked))
                    continue
            for name in reversed(node._fields):
                value = getattr(node, name, None)
                if isinstance(value, list):
                    if name in _BODIES and value and isinstance(value[0], ast.stmt):
                        waiting += self._reached(value)
                    else:
                        waiting.extend(one for one in reversed(value) if isinstance(one, ast.AST))
                elif isinstance(value, ast.AST) and not isinstance(value, _PLAIN):
                    waiting.append(value)

    def _reached(self, body: list[ast.stmt]) -> list[ast.AST]:
        """The statements of a body that may run, the last one first."""
        reached: list[ast.AST] = []
        for statement in body:
            reached.append(statement)
            if isinstance(statement, ast.If):
                answer = self.platform.holds(statement.test)
                taken = statement.body if answer else statement.orelse
                if answer is not None and taken and isinstance(taken[-1], _LEAVES):
                    break
        return reached[::-1]

    @staticmethod
    def _chosen(table: ast.Dict, asked: frozenset[str]) -> Iterator[ast.AST]:
        """The values of a table that is asked for the own platform, without those of others."""
        for key, value in zip(table.keys, table.values, strict=True):
            if not isinstance(key, ast.Constant) or key.value in asked:
                yield value

    def text(self, node: ast.AST, used: set[int] | None = None, depth: int = 0) -> str:
        """The path that an expression comes to. Adds what it is made of to ``used``."""
        used = set() if used is None else used
        used.add(id(node))
        text = self._text(node, used, depth + 1) if depth < _MAX_DEPTH else "*"
        if ELSEWHERE in text:
            text = _ELSEWHERE_WITHIN.sub("*", text)
        return text if len(text) <= _MAX_TEXT else "*"

    def _text(self, node: ast.AST, used: set[int], depth: int) -> str:
        match node:
            case ast.Constant(value=str(text)):
                return text.replace("\\", "/")
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return self._named(node, used, depth)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return f"{self.text(left, used, depth)}/{self.text(right, used, depth)}"
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self.text(left, used, depth) + self.text(right, used, depth)
            case ast.BinOp(left=left, op=ast.Mod(), right=right):
                given = right.elts if isinstance(right, ast.Tuple) else [right]
                return self._filled(PERCENT_FIELD, self.text(left, used, depth), given, depth)
            case ast.JoinedStr(values=values):
                return "".join(self.text(value, used, depth) for value in values)
            case ast.FormattedValue(value=value):
                return self.text(value, used, depth)
            case ast.IfExp(test=test, body=body, orelse=other):
                answer = self.platform.holds(test)
                ways = [way for way, dead in ((body, False), (other, True)) if answer is not dead]
                return _either([self.text(way, used, depth) for way in ways])
            case ast.Call():
                return self._called(node, used, depth)
        return "*"

    def _named(
        self, node: ast.Name | ast.Attribute | ast.Subscript, used: set[int], depth: int
    ) -> str:
        """The path that a variable, an attribute or an element stands for."""
        known = self.platform.values(node)
        if len(known) == 1:
            return next(iter(known))
        match node:
            case ast.Name(id="__file__"):
                return OWN
            case ast.Name(id="__path__"):
                return OWN + _UP
            case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                if name not in self._bound:
                    return self._elsewhere(node)
                return self._value(self._bound[name], depth)
            case ast.Attribute(attr="sep"):
                return "/"
            case ast.Attribute(value=value, attr="parent"):
                return _up(self.text(value, used, depth))
            case ast.Attribute(value=ast.Name() as held, attr="__file__" | "__path__" as attr) if (
                self._is_held(held)
            ):
                return ANY_MODULE if attr == "__path__" else f"{ANY_MODULE}/__init__.py"
            case ast.Attribute(value=value, attr="__file__") if name := self._origin(
                found_module(value)
            ):
                return f"{PACKAGE}{name}{PACKAGE}/__init__.py"
            case ast.Attribute(value=value, attr="__path__") if name := self._origin(
                found_module(value)
            ):
                return f"{PACKAGE}{name}{PACKAGE}"
            case ast.Attribute(value=value, attr="origin" | "submodule_search_locations" as attr):
                folder = self._found(value)
                return f"{folder}/__init__.py" if folder and attr == "origin" else folder or "*"
            case ast.Subscript(value=ast.Attribute(value=value, attr="parents"), slice=index):
                count = index.value if isinstance(index, ast.Constant) else None
                start = self.text(value, used, depth)
                return _up(start, count + 1) if isinstance(count, int) else "*"
            case ast.Subscript(value=value, slice=ast.Constant(value=0)):
                return self.text(value, used, depth)
        return self._elsewhere(node)

    def _elsewhere(self, node: ast.expr) -> str:
        """The place that a variable or a function of another module tells, if it is to count."""
        name = dotted_name(node) if self._follows else ""
        start = name.partition(".")[0]
        if start in self._bound or start not in self._imported or name in self._modules:
            return "*"
        _, dot, rest = name.partition(".")
        return f"{PACKAGE}{self._imported[start]}{dot}{rest}{ELSEWHERE}{PACKAGE}"

    def place(self, name: str) -> str:
        """The path that a variable or function of this module tells; empty for none."""
        values = self._bound.get(name) or self._returned.get(name)
        if values is None and name in self._imported:
            return f"{PACKAGE}{self._imported[name]}{ELSEWHERE}{PACKAGE}"
        text = self._value(values, 0)
        return text if text.startswith((OWN, PACKAGE)) else ""

    def _value(self, values: list[ast.expr] | None, depth: int) -> str:
        """The path that a name stands for which has one value on this platform."""
        if not values or len(values) != 1:
            return "*"
        return self.text(values[0], None, depth + 5)

    def _called(self, node: ast.Call, used: set[int], depth: int) -> str:
        called = called_name(node.func)
        receiver = node.func.value if isinstance(node.func, ast.Attribute) else None

        def joined(parts: list[ast.expr]) -> str:
            return "/".join(self.text(part, used, depth) for part in parts)

        known = self.platform.values(node)
        if len(known) == 1:
            return next(iter(known))
        match called, node.args:
            case "dirname", [path]:
                return _up(self.text(path, used, depth))
            case "join", [ast.List(elts=parts) | ast.Tuple(elts=parts)]:
                return joined(parts)
            case "join", [_, *_]:
                return joined(node.args)
            case "joinpath" | "with_name", _ if receiver is not None:
                start = self.text(receiver, used, depth)
                return "/".join([_up(start) if called == "with_name" else start, joined(node.args)])
            case "with_suffix", [suffix] if receiver is not None:
                stem = re.sub(r"\.[^./]*\Z", "", self.text(receiver, used, depth))
                return stem + self.text(suffix, used, depth)
            case "files", packages:
                return self._package(packages[0]) if packages else OWN + _UP
            case _, [asked, *_] if called in _TAKEN:
                return self._taken(called, asked, used, depth)
            case _, [package, *rest] if called in _RESOURCES or (called == "path" and rest):
                return "/".join(part for part in (self._package(package), joined(rest)) if part)
            case "format", given if receiver is not None:
                return self._filled(BRACE_FIELD, self.text(receiver, used, depth), given, depth)
            case _, [path, *rest] if called in _SAME:
                return joined([path, *rest] if called.endswith("Path") else [path])
            case _, [] if called in _SAME and receiver is not None:
                return self.text(receiver, used, depth)
        return self._returned_by(node, depth)

    def _returned_by(self, node: ast.Call, depth: int) -> str:
        """The path that a function gives which is none of those known."""
        called = called_name(node.func)
        parts = [one.value for one in node.args if isinstance(one, ast.Constant)]
        if called not in self._returned and len(parts) == len(node.args):
            place = self._elsewhere(node.func)
            return place if place == "*" else "/".join([place, *map(str, parts)])
        return self._value(self._returned.get(called), depth)

    def _filled(self, fields: re.Pattern[str], text: str, given: list[ast.expr], depth: int) -> str:
        """A template with what it is given in the place of its fields, one after the other."""
        plain = len(fields.findall(text)) == len(given)
        values = iter([self.text(one, None, depth) for one in given] if plain else ())
        return fields.sub(
            lambda match: next(values, "*") if match[0] in ("%s", "{}") else "*", text
        )

    def _taken(self, called: str, asked: ast.expr, used: set[int], depth: int) -> str:
        """The path that a function finds a module at, or takes from the folders of a package."""
        if called in _FILES:
            folder = self._package(asked) if isinstance(asked, ast.Name) else "*"
            return f"{folder}/__init__.py" if folder.startswith(PACKAGE) else OWN
        text = self.text(asked, used, depth)
        return text if text.endswith((PACKAGE, _UP)) else "*"

    def distribution(self, node: ast.Call) -> str:
        """The distribution whose files a call tells, as a package is called; empty for others."""
        if called_name(node.func) == "distribution" and not self._lists_files:
            return ""
        start = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        origin = self._imported.get(name_of(start), "")
        match node.args:
            case [ast.Constant(value=str(text))] if origin.replace("_", ".").startswith(_METADATA):
                return re.sub(r"[-.]+", "_", text)
        return ""

    def _found(self, node: ast.expr, depth: int = 0) -> str:
        """The folder of a package whose spec or loader an expression is; empty for others."""
        match node:
            case ast.Call(args=[ast.Constant(value=str(text)), *_]):
                return f"{PACKAGE}{text}{PACKAGE}" if called_name(node.func) in _FINDS else ""
            case ast.Attribute(value=value, attr="__spec__") if name := self._origin(
                found_module(value)
            ):
                return f"{PACKAGE}{name}{PACKAGE}"
            case ast.Name(id=name) if depth < 5:
                values = self._bound.get(name, ())
                return self._found(values[0], depth + 1) if len(values) == 1 else ""
        return ""

    def _package(self, node: ast.expr) -> str:
        """The folder of a package that a function is given by name, or as a module."""
        match node:
            case ast.Constant(value=str(text)):
                return f"{PACKAGE}{text}{PACKAGE}"
            case ast.Name(id="__name__" | "__package__"):
                return OWN + _UP
            case ast.Name() if self._is_held(node):
                return ANY_MODULE
            case ast.Name(id=variable) if self._follows:
                match self._bound.get(variable):
                    case [ast.Constant(value=str(text))]:
                        return f"{PACKAGE}{text}{PACKAGE}"
        name = module_name(node)
        known = name.partition(".")[0] in self._imported and not name.endswith("__")
        return f"{PACKAGE}{self._origin(name)}{PACKAGE}" if known else "*"

    def _is_held(self, node: ast.Name) -> bool:
        """Return whether a variable may hold a module, or its name: a parameter, one of a loop."""
        values = self._bound.get(node.id, ()) if self._follows else ()
        return any(one is _UNKNOWN or isinstance(one, ast.Call) for one in values)

    @cached_property
    def held(self) -> tuple[str, ...]:
        """The modules that functions are given, or that stand in collections; by name, too."""
        found: set[str] = set()
        for node in self.live:
            match node:
                case ast.Call(args=given, keywords=keywords):
                    given = [*given, *(item.value for item in keywords)]
                case ast.List(elts=given) | ast.Tuple(elts=given) | ast.Dict(values=given):
                    pass
                case _:
                    continue
            for one in given:
                if isinstance(one, ast.Name) and one.id in self._modules:
                    found.add(self._imported[one.id])
                elif isinstance(one, ast.Constant) and isinstance(one.value, str):
                    found.update(_MODULE.findall(one.value))
        return tuple(sorted(found))

    def _origin(self, name: str) -> str:
        """The module that a name stands for: of ``import a as b`` or ``from a import b``."""
        start, dot, rest = name.partition(".")
        origin = self._imported.get(start, start)
        return name if origin.startswith(".") else f"{origin}{dot}{rest}"


_UNKNOWN = ast.Name(id="_")


def name_of(node: ast.AST) -> str:
    """The name that is bound: of a variable, or of an attribute of ``self``; empty for others."""
    match node:
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
            return name
    return ""


def _up(text: str, times: int = 1) -> str:
    """The folder around a path."""
    for _ in range(min(times, 20)):
        start, slash, last = text.rpartition("/")
        plain = slash and last not in ("..", "") and "*" not in last
        if text.startswith(PACKAGE) and not slash and ELSEWHERE not in text:
            start, _, last = text.strip(PACKAGE).rpartition(".")
            text = f"{PACKAGE}{start}{PACKAGE}" if start else "*"
        elif plain:
            text = start
        elif text == "*":
            return text
        else:
            text += _UP
    return text


def _either(texts: list[str]) -> str:
    """One path for several: what they begin and end with, and a star for the rest of a name."""
    if len(set(texts)) == 1:
        return texts[0]
    if any("[" in text for text in texts):
        return "*"
    start = commonprefix(texts)
    end = commonprefix([text[len(start) :][::-1] for text in texts])[::-1]
    middles = (text[len(start) : len(text) - len(end)] for text in texts)
    return "*" if any(_PARTS.search(middle) for middle in middles) else f"{start}*{end}"
