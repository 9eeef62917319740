"""Imports of one Python file, read from its syntax tree."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Sequence
from dataclasses import replace

from slim.analysis.imports.context import Context, expressions_of, statements_in
from slim.analysis.imports.decoded import with_decoded
from slim.analysis.imports.halves import may_compute_names, may_put_together, put_together
from slim.analysis.imports.named_tests import NamedTests
from slim.analysis.imports.names import (
    COMPUTED,
    anchors_of,
    computed_module,
    is_command,
    last_name,
    literal_module,
    literal_names,
    packages_given,
    started_in,
    text_of,
)
from slim.analysis.imports.path_scan import paths_of, words
from slim.analysis.imports.scans import ANY_PACKAGE, BOM, NAME, Import, Scan, StringName
from slim.analysis.imports.text_scan import DOTTED, scan_lines
from slim.analysis.imports.unparsed import scan_unparsed
from slim.analysis.imports.unresolved import UnresolvedCalls
from slim.model.finding import Strength
from slim.system.syntax import UNREADABLE, below, parsed, walk

_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError, LookupError)
_CALLS = {
    "import_module": Strength.STRONG,
    "__import__": Strength.STRONG,
    "run_module": Strength.STRONG,
    "find_spec": Strength.WEAK,
}
_OPENERS = words(
    "iter_modules walk_packages files contents path open_text open_binary read_text read_binary "
    "is_resource get_data resource_filename resource_string resource_stream resource_listdir "
    "resource_exists resource_isdir PackageLoader find_spec find_loader get_loader "
    "discover"
)
"""Functions that list or read what lies in the package that they are given."""
_NO_NAMES = words(
    "startswith endswith removeprefix removesuffix replace split rsplit partition rpartition strip "
    "lstrip rstrip find rfind count index"
)
"""Methods of strings that look for what their arguments say, and import nothing."""
_RELATIVE = re.compile(r"(\.+[^\W\d]\w*(?:\.[^\W\d]\w*)*)(?::[\w.]+)?\Z")


def scan(source: bytes, *, expressions: bool = True, paths: bool = True) -> Scan:
    """Read a file; of one that can't be parsed, the text counts for all that it may mean.

    Never raises for what is in it. Without ``expressions`` only statements are looked at: no calls
    of ``import_module`` and no strings; without ``paths`` no paths.
    """
    source = with_decoded(source)
    try:
        tree = parsed(source)
        if expressions and (may_compute_names(source) or may_put_together(source)):
            put_together(tree)
        reader = _TreeReader(source, expressions)
        reader.read(tree)
        found = paths_of(tree) if paths else ()
    except _UNREADABLE as error:
        problem = error.msg if isinstance(error, SyntaxError) else UNREADABLE
        return scan_unparsed(source, f"read without a parser: {problem}")
    return replace(reader.result(), paths=found)


class _TreeReader:
    """Collects imports out of one syntax tree, with a stack of its own: depth exhausts nothing."""

    def __init__(self, source: bytes, expressions: bool) -> None:
        self._expressions = expressions
        self._lines = re.split(rb"\r\n|[\r\n]", source.removeprefix(BOM))
        self._imports: list[Import] = []
        self._strings: list[tuple[str, int]] = []
        self._listed: list[tuple[str, int]] = []
        self._exported: set[str] = set()
        self._bound: set[str] = set()
        self._call_names = {name: name for name in _CALLS}
        self._used: set[int] = set()
        self._documents: set[int] = set()
        self._named: set[StringName] = set()
        self._opened: set[str] = set()
        self._packages: dict[str, str] = {}
        self._tests = NamedTests(source)
        self._by_name = any(call.encode() in source for call in _CALLS)
        self._unresolved = UnresolvedCalls()

    def result(self) -> Scan:
        return Scan(
            imports=tuple(
                sorted(self._imports, key=lambda item: (item.line, item.text, item.names))
            ),
            strings=tuple(sorted(set(self._strings), key=lambda item: (item[1], item[0]))),
            listed=tuple(sorted(set(self._listed), key=lambda item: (item[1], item[0]))),
            named=tuple(sorted(self._named)),
            opened=frozenset(self._opened),
            exported=frozenset(self._exported),
            bound=frozenset(self._bound),
            unresolved=self._unresolved.found,
        )

    def read(self, tree: ast.Module) -> None:
        calls: list[tuple[ast.expr, Context]] = []
        stack: list[tuple[ast.AST, Context]] = [(child, Context()) for child in reversed(tree.body)]
        while stack:
            node, context = stack.pop()
            if isinstance(node, ast.Import):
                self._import(node, context)
            elif isinstance(node, ast.ImportFrom):
                self._import_from(node, context)
            else:
                self._alias(node)
                if isinstance(node, ast.Expr):
                    self._documents.add(id(node.value))
                if not context.nested:
                    self._binding(node)
                stack.extend(statements_in(node, context))
                if self._expressions:
                    calls.extend((child, context) for child in expressions_of(node))
        # Afterwards: by now every alias of import_module is known.
        for expression, context in calls:
            self._expression(expression, context)
        self._imports.extend(self._unresolved.settle(tree))
        self._named.update(self._tests.together(self._unresolved.found))

    # Statements

    def _import(self, node: ast.Import, context: Context) -> None:
        self._unresolved.imported(node)
        self._tests.imported(node)
        for alias in node.names:
            self._add(
                module=alias.name, line=node.lineno, text=f"import {alias.name}", context=context
            )
            if alias.asname:
                self._packages[alias.asname] = alias.name.rpartition(".")[2]
            if not context.nested:
                self._bound.add(alias.asname or alias.name.partition(".")[0])

    def _import_from(self, node: ast.ImportFrom, context: Context) -> None:
        self._unresolved.imported(node)
        self._tests.imported(node)
        names = tuple(alias.name for alias in node.names)
        module = node.module or ""
        origin = "." * node.level + module
        self._add(
            module=module,
            level=node.level,
            names=names,
            line=node.lineno,
            text=f"from {origin} import",
            context=context,
        )
        for alias in node.names:
            if alias.asname:
                self._packages[alias.asname] = alias.name
            if alias.asname and alias.name in _CALLS:
                self._call_names[alias.asname] = alias.name
            if not context.nested and module:
                self._bound.add(alias.asname or alias.name)

    def _add(
        self, *, context: Context, strength: Strength = Strength.STRONG, **fields: object
    ) -> None:
        weak = Strength.WEAK in (strength, context.strength)
        strength = Strength.WEAK if weak else Strength.STRONG
        self._imports.append(
            Import(strength=strength, note=context.note, **fields)  # type: ignore[arg-type]
        )

    def _alias(self, node: ast.AST) -> None:
        """Note another name for a function that imports: ``load = importlib.import_module``.

        Likewise for a package: ``found = import_module("pkg.tests")``.
        """
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            package = self._package(node.value)
            if package:
                self._packages[node.targets[0].id] = package
            self._tests.assigned(node)
        match node:
            case ast.Assign(targets=targets, value=value) if last_name(value) in self._call_names:
                for target in targets:
                    if name := last_name(target):
                        self._call_names[name] = self._call_names[last_name(value)]

    def _binding(self, node: ast.AST) -> None:
        """Note the names that a statement binds, and what it adds to ``__all__``.

        Only for statements at module level.
        """
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._bound.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {
                child.id
                for target in targets
                for child in walk(target)
                if isinstance(child, ast.Name)
            }
            self._bound |= names
            if "__all__" in names and node.value is not None:
                written = (
                    self._plain(child)
                    for child in walk(node.value)
                    if isinstance(child, ast.Constant)
                )
                self._exported.update(value for value in written if value is not None)

    # Expressions

    def _expression(self, root: ast.expr, context: Context) -> None:
        stack: list[tuple[ast.AST, Context]] = [(root, context)]
        while stack:
            node, context = stack.pop()
            if type(node) is ast.Name:
                continue
            match node:
                case ast.Attribute():
                    self._attribute(node)
                case ast.keyword(arg="tests", value=value):
                    self._tests.word("tests", value.lineno)
                case ast.Call():
                    self._call(node, context)
                    self._unresolved.call(node, self._call_names)
                    if last_name(node.func) in _OPENERS and node.args:
                        self._opened.add(self._package(node.args[0]))
                    self._opened.update(map(self._package, packages_given(node, _CALLS)))
                    if last_name(node.func) in _NO_NAMES and not is_command(node.func):
                        self._used.update(id(argument) for argument in node.args)
                    self._module_option(node.args, context)
                case ast.List() | ast.Tuple() | ast.Set():
                    self._module_option(node.elts, context)
                    self._list(node.elts, context)
                case ast.Dict():
                    self._list(
                        [*(key for key in node.keys if key is not None), *node.values], context
                    )
                case ast.Compare(left=left, comparators=operands):
                    self._compared((left, *operands))
                case ast.Lambda():
                    context = context.deferred()
                case ast.Constant() if id(node) not in self._used:
                    self._constant(node)
            if id(node) not in self._used and isinstance(node, COMPUTED):
                self._computed(node, context)
            stack += [(child, context) for child in below(node)]

    def _attribute(self, node: ast.Attribute) -> None:
        if node.attr in ("__path__", "submodule_search_locations"):
            self._opened.add(self._package(node.value))
        else:
            self._named.update(self._tests.attribute(node))

    def _constant(self, node: ast.Constant) -> None:
        text = text_of(node.value)
        if "." in text and NAME.match(text) and self._plain(node):
            self._strings.append((text, node.lineno))
        elif id(node) not in self._documents:
            self._tests.word(text, node.lineno)
            self._text(text, node.lineno)

    def _package(self, node: ast.expr) -> str:
        """The last component of the package that an expression stands for; empty for others."""
        while True:
            match node:
                case ast.Constant(value=str(text)):
                    return text.rpartition(".")[2]
                case ast.Name(id=name):
                    return self._packages.get(name, name)
                case ast.Attribute(value=value, attr="__path__" | "submodule_search_locations"):
                    node = value
                case ast.Attribute(attr=name):
                    return name
                case ast.Call(args=[first, *_]):
                    node = first
                case _:
                    found = computed_module(node)
                    return found[0].rpartition(".")[2] if found else ""

    def _text(self, text: str, line: int) -> None:
        """A string that is more than one name: ``pkg.mod:f``, a relative name, or code."""
        relative = _RELATIVE.match(text)
        if relative is not None:
            text = relative[1]
            for anchor in (None, "__name__"):
                self._imports.append(
                    Import(
                        module=text.lstrip("."),
                        level=len(text) - len(text.lstrip(".")),
                        anchor=anchor,
                        line=line,
                        text=f'"{text}" in a string',
                        strength=Strength.WEAK,
                        kind="string",
                    )
                )
            return
        if "." in text:
            for match in DOTTED.finditer(text.encode("utf-8", "surrogatepass")):
                follows = match.string[match.end() : match.end() + 1] == b"."
                if match.string[match.end() : match.end() + 1] in (b"%", b"{"):
                    self._begun(match[0].decode("utf-8", "replace"), line)
                self._named.add(StringName(match[0].decode("utf-8", "replace"), line, follows))
        self._imports.extend(started_in(text, line))
        if "import" in text:
            code = scan_lines(text.encode("utf-8", "surrogatepass"), "code in a string")
            self._imports.extend(
                replace(item, line=line, strength=Strength.WEAK, kind="string")
                for item in code.imports
            )

    def _begun(self, text: str, line: int) -> None:
        """A name of which the last component goes on: any module of that package may be meant."""
        package, dot, last = text.rpartition(".")
        if dot and "." in package and NAME.match(package):
            self._named.add(StringName(package, line, True))
        elif dot and last.startswith("test") and NAME.match(text) and self._by_name:
            self._named.add(StringName(text + ANY_PACKAGE, line, False))

    def _computed(self, node: ast.AST, context: Context) -> None:
        match node:
            case (
                ast.JoinedStr(values=[ast.Constant(value=str(text)), ast.FormattedValue(), *_])
                | ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Add())
            ):
                self._begun(text, getattr(node, "lineno", 0))
        found = computed_module(node)
        if found is not None:
            name, anchor, more = found
            self._used.update(id(child) for child in walk(node))
            self._add(
                module=name[1:],
                level=1,
                anchor=anchor,
                line=getattr(node, "lineno", 0),
                text=f'"{name}" put together',
                context=context,
                strength=Strength.WEAK,
                kind="string",
                whole=more,
            )

    def _compared(self, operands: Sequence[ast.expr]) -> None:
        """``"a.b" in sys.modules`` looks whether somebody else imported it."""
        for operand in operands:
            elements = (
                operand.elts if isinstance(operand, ast.List | ast.Tuple | ast.Set) else (operand,)
            )
            self._used.update(id(element) for element in elements)

    def _plain(self, node: ast.expr) -> str | None:
        """The value of a string literal that is written in one piece and without escapes.

        So the text scan finds it, too.
        """
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            return None
        if node.end_lineno != node.lineno or node.lineno > len(self._lines):
            return None
        written = self._lines[node.lineno - 1][node.col_offset : node.end_col_offset].lstrip(
            b"uUrR"
        )
        quote = written[:1]
        plain = quote in (b"'", b'"') and written.strip(quote) == node.value.encode(
            "utf-8", "surrogatepass"
        )
        return node.value if plain else None

    def _list(self, elements: Sequence[ast.expr], context: Context) -> None:
        if context.inner:
            return
        for element in elements:
            value = (self._plain(element) or "").partition(":")[0]
            if NAME.match(value):
                self._listed.append((value, element.lineno))

    def _module_option(self, elements: Sequence[ast.expr], context: Context) -> None:
        """``[sys.executable, "-m", "module"]``, also as the arguments of a call."""
        for option, element in itertools.pairwise(elements):
            if self._plain(option) not in ("-m", "--pyargs") or not isinstance(
                element, ast.Constant
            ):
                continue
            if not isinstance(element.value, str) or not NAME.match(element.value):
                continue
            self._used.add(id(element))
            self._add(
                module=element.value,
                line=element.lineno,
                text=f'"-m", "{element.value}"',
                context=context,
                strength=Strength.WEAK,
                kind="string",
                runs=True,
            )

    def _call(self, node: ast.Call, context: Context) -> None:
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        function = self._call_names.get(called)
        if function is None:
            return
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        name = node.args[0] if node.args else keywords.get("name", keywords.get("mod_name"))
        if name is None:
            return
        found = literal_module(name)
        if found is None:
            return
        text, anchor = found
        level = len(text) - len(text.lstrip("."))
        names: tuple[str, ...] = ()
        if function == "__import__":
            names = literal_names(node.args[3] if len(node.args) > 3 else keywords.get("fromlist"))
            given = node.args[4] if len(node.args) > 4 else keywords.get("level")
            if (
                isinstance(given, ast.Constant)
                and isinstance(given.value, int)
                and 0 <= given.value < 100
            ):
                level = given.value
        self._used.update(id(child) for child in walk(name))
        anchors: tuple[str | None, ...] = (None if anchor == "__package__" else anchor,)
        if level and anchor is None and function in ("import_module", "find_spec"):
            package = node.args[1] if len(node.args) > 1 else keywords.get("package")
            anchors = (*anchors_of(package), *self._tests.texts_of(package))
        for base in anchors:
            self._add(
                module=text.lstrip("."),
                level=level,
                names=names,
                anchor=base,
                line=node.lineno,
                text=f'{function}("{text}")',
                context=context,
                strength=_CALLS[function],
                runs=function == "run_module",
            )
