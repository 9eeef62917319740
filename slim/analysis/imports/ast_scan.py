"""What one Python file imports, read from its syntax tree.

Sources: the Python language reference ("The import system"), PEP 328 (relative imports), PEP 484
(``TYPE_CHECKING``).
"""

from __future__ import annotations

import ast
import itertools
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from slim.analysis.imports.scans import BOM, NAME, Import, Scan
from slim.analysis.imports.text_scan import scan_lines
from slim.model.finding import Strength

_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError, LookupError)
_CATCHES_IMPORT_ERROR = frozenset(
    {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
)
_BODIES = frozenset({"body", "orelse", "finalbody", "handlers", "cases"})
_CALLS = {
    "import_module": Strength.STRONG,
    "__import__": Strength.STRONG,
    "run_module": Strength.STRONG,
    "find_spec": Strength.WEAK,
}


@dataclass(frozen=True, slots=True)
class _Context:
    """Under what conditions a piece of code runs: ``guarded`` by a handler for failed imports; only as a ``script``;
    ``nested`` in a class or function; in the ``inner`` code of a function."""

    guarded: bool = False
    script: bool = False
    nested: bool = False
    inner: bool = False

    def deferred(self) -> _Context:
        """The context of a function's body: a handler around its definition doesn't help when it is called."""
        return replace(self, guarded=False, nested=True, inner=True)

    @property
    def strength(self) -> Strength:
        return Strength.WEAK if self.guarded or self.script else Strength.STRONG

    @property
    def note(self) -> str:
        if self.guarded:
            return "failure is caught"
        return "only when run as a program" if self.script else ""


def scan(source: bytes, *, expressions: bool = True) -> Scan:
    """Read a file. Never raises for what is in it: a file that can't be parsed is read line by line instead.

    Without ``expressions`` only statements are looked at: no calls of ``import_module`` and no
    strings.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
        reader = _TreeReader(source, expressions)
        reader.read(tree)
    except _UNREADABLE as error:
        problem = error.msg if isinstance(error, SyntaxError) else type(error).__name__
        return scan_lines(source, f"read without a parser: {problem}")
    return reader.result()


class _TreeReader:
    """Collects imports out of one syntax tree. Walks with its own stack, so depth can't exhaust Python's."""

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

    def result(self) -> Scan:
        return Scan(
            imports=tuple(
                sorted(self._imports, key=lambda item: (item.line, item.text, item.names))
            ),
            strings=tuple(sorted(set(self._strings), key=lambda item: (item[1], item[0]))),
            listed=tuple(sorted(set(self._listed), key=lambda item: (item[1], item[0]))),
            exported=frozenset(self._exported),
            bound=frozenset(self._bound),
        )

    def read(self, tree: ast.Module) -> None:
        calls: list[tuple[ast.expr, _Context]] = []
        stack: list[tuple[ast.AST, _Context]] = [
            (child, _Context()) for child in reversed(tree.body)
        ]
        while stack:
            node, context = stack.pop()
            if isinstance(node, ast.Import):
                self._import(node, context)
            elif isinstance(node, ast.ImportFrom):
                self._import_from(node, context)
            else:
                if not context.nested:
                    self._binding(node)
                stack.extend(_children(node, context))
                if self._expressions:
                    calls.extend((child, context) for child in _expressions_of(node))
        for (
            expression,
            context,
        ) in calls:  # afterwards: by now every alias of import_module is known
            self._expression(expression, context)

    # Statements

    def _import(self, node: ast.Import, context: _Context) -> None:
        for alias in node.names:
            self._add(
                module=alias.name, line=node.lineno, text=f"import {alias.name}", context=context
            )
            if not context.nested:
                self._bound.add(alias.asname or alias.name.partition(".")[0])

    def _import_from(self, node: ast.ImportFrom, context: _Context) -> None:
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
            if alias.asname and alias.name in _CALLS:
                self._call_names[alias.asname] = alias.name
            if not context.nested and module:
                self._bound.add(alias.asname or alias.name)

    def _add(
        self, *, context: _Context, strength: Strength = Strength.STRONG, **fields: object
    ) -> None:
        weak = Strength.WEAK in (strength, context.strength)
        self._imports.append(
            Import(strength=Strength.WEAK if weak else Strength.STRONG, note=context.note, **fields)  # type: ignore[arg-type]
        )

    def _binding(self, node: ast.AST) -> None:
        """Note the names that a statement at module level binds, and what it puts into ``__all__``."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._bound.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {
                child.id
                for target in targets
                for child in ast.walk(target)
                if isinstance(child, ast.Name)
            }
            self._bound |= names
            if "__all__" in names and node.value is not None:
                written = (
                    self._plain(child)
                    for child in ast.walk(node.value)
                    if isinstance(child, ast.Constant)
                )
                self._exported.update(value for value in written if value is not None)

    # Expressions

    def _expression(self, root: ast.expr, context: _Context) -> None:
        stack: list[tuple[ast.AST, _Context]] = [(root, context)]
        while stack:
            node, context = stack.pop()
            match node:
                case ast.Call():
                    self._call(node, context)
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
                case ast.Constant(value=str(text)):
                    if (
                        id(node) not in self._used
                        and "." in text
                        and NAME.match(text)
                        and self._plain(node)
                    ):
                        self._strings.append((text, node.lineno))
            stack.extend((child, context) for child in ast.iter_child_nodes(node))

    def _compared(self, operands: Sequence[ast.expr]) -> None:
        """``"a.b" in sys.modules`` looks whether somebody else imported it."""
        for operand in operands:
            elements = (
                operand.elts if isinstance(operand, ast.List | ast.Tuple | ast.Set) else (operand,)
            )
            self._used.update(id(element) for element in elements)

    def _plain(self, node: ast.expr) -> str | None:
        """The value of a string literal that is written in one piece and without escapes, as the text scan finds it."""
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

    def _list(self, elements: Sequence[ast.expr], context: _Context) -> None:
        if context.inner:
            return
        for element in elements:
            value = self._plain(element)
            if value is not None and NAME.match(value):
                self._listed.append((value, element.lineno))

    def _module_option(self, elements: Sequence[ast.expr], context: _Context) -> None:
        """``[sys.executable, "-m", "module"]``, also as the arguments of a call."""
        for option, element in itertools.pairwise(elements):
            if self._plain(option) != "-m" or not isinstance(element, ast.Constant):
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

    def _call(self, node: ast.Call, context: _Context) -> None:
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        function = self._call_names.get(called)
        if function is None:
            return
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        name = node.args[0] if node.args else keywords.get("name", keywords.get("mod_name"))
        if name is None:
            return
        found = _literal_module(name)
        if found is None:
            return
        text, anchor = found
        level = len(text) - len(text.lstrip("."))
        names: tuple[str, ...] = ()
        if function == "__import__":
            names = _literal_names(node.args[3] if len(node.args) > 3 else keywords.get("fromlist"))
            given = node.args[4] if len(node.args) > 4 else keywords.get("level")
            if (
                isinstance(given, ast.Constant)
                and isinstance(given.value, int)
                and 0 <= given.value < 100
            ):
                level = given.value
        self._used.add(id(name))
        anchors: tuple[str | None, ...] = (None if anchor == "__package__" else anchor,)
        if level and anchor is None and function in ("import_module", "find_spec"):
            anchors = _anchors(node.args[1] if len(node.args) > 1 else keywords.get("package"))
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


def _children(node: ast.AST, context: _Context) -> Iterator[tuple[ast.AST, _Context]]:
    """The statements directly inside a statement, each with the context it runs in."""
    inside = context
    skipped: frozenset[str] = frozenset()
    match node:
        case ast.If():
            condition = _condition(node.test)
            if condition == "script":
                inside = replace(context, script=True)
                yield from ((child, context) for child in node.orelse)
                skipped = frozenset({"orelse"})
            elif condition:
                skipped = frozenset({condition})
        case ast.Try() | ast.TryStar():
            if any(_catches(handler) for handler in node.handlers):
                guarded = replace(context, guarded=True)
                yield from ((child, guarded) for child in node.body)
                skipped = frozenset({"body"})
        case ast.With() | ast.AsyncWith():
            if any(_suppresses(item.context_expr) for item in node.items):
                inside = replace(context, guarded=True)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            inside = context.deferred()
        case ast.ClassDef():
            inside = replace(context, nested=True)
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        if field not in skipped:
            yield from ((child, inside) for child in getattr(node, field, ()))


def _expressions_of(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions of a statement, without those of the statements inside it."""
    for field, value in ast.iter_fields(node):
        if field in _BODIES and not isinstance(value, ast.expr):
            continue
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, ast.expr):
                yield item
            elif isinstance(item, ast.AST) and not isinstance(item, ast.stmt):
                yield from (
                    child for child in ast.iter_child_nodes(item) if isinstance(child, ast.expr)
                )


def _condition(test: ast.expr) -> str:
    """Which branch never runs (``body`` or ``orelse``), or ``script`` for ``__name__ == "__main__"``."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return "orelse" if _condition(operand) == "body" else ""
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return "body"
        case ast.Constant(value=value) if not value:
            return "body"
        case ast.BoolOp(op=ast.And(), values=values):
            found = [_condition(value) for value in values]
            return "body" if "body" in found else "script" if "script" in found else ""
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            sides = (left, right)
            named = any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides)
            main = any(
                isinstance(side, ast.Constant) and side.value == "__main__" for side in sides
            )
            return "script" if named and main else ""
    return ""


def _catches(handler: ast.ExceptHandler) -> bool:
    """Whether a handler swallows a failed import. One that ends in ``raise`` does not."""
    if handler.body and isinstance(handler.body[-1], ast.Raise):
        return False
    return handler.type is None or _names_import_error(handler.type)


def _names_import_error(node: ast.expr) -> bool:
    match node:
        case ast.Tuple(elts=elements):
            return any(_names_import_error(element) for element in elements)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in _CATCHES_IMPORT_ERROR
    return False


def _suppresses(node: ast.expr) -> bool:
    match node:
        case ast.Call(
            func=ast.Name(id="suppress") | ast.Attribute(attr="suppress"), args=arguments
        ):
            return any(_names_import_error(argument) for argument in arguments)
    return False


def _literal_module(node: ast.expr) -> tuple[str, str | None] | None:
    """The module that an expression names, and its anchor: ``"a.b"``, ``__name__ + ".b"``, ``f"{__package__}.b"``."""
    parts: list[ast.expr]
    match node:
        case ast.Constant(value=str(text)) if NAME.match(text.lstrip(".")):
            return text, None
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            parts = [left, right]
        case ast.JoinedStr(
            values=[ast.FormattedValue(value=left, conversion=-1, format_spec=None), right]
        ):
            parts = [left, right]
        case _:
            return None
    match parts:
        case [ast.Name(id="__name__" | "__package__" as anchor), ast.Constant(value=str(text))]:
            if text.startswith(".") and NAME.match(text[1:]):
                return text, str(anchor)
    return None


def _literal_names(node: ast.expr | None) -> tuple[str, ...]:
    if not isinstance(node, ast.List | ast.Tuple):
        return ()
    return tuple(
        element.value
        for element in node.elts
        if isinstance(element, ast.Constant) and isinstance(element.value, str)
    )


def _anchors(package: ast.expr | None) -> tuple[str | None, ...]:
    """What the ``package`` argument can mean; where that can't be told, both usual meanings count."""
    match package:
        case ast.Constant(value=str(text)):
            return (text,)
        case ast.Name(id="__name__"):
            return ("__name__",)
        case ast.Name(id="__package__"):
            return (None,)
    return (None, "__name__")
