"""Imports of one Python file, read from its syntax tree.

Sources: the Python language reference ("The import system"), PEP 328 (relative imports).
"""

from __future__ import annotations

import ast
import itertools
import re
import warnings
from collections.abc import Sequence

from slim.analysis.imports.context import Context, expressions_of, statements_in
from slim.analysis.imports.scans import BOM, NAME, Import, Scan
from slim.analysis.imports.text_scan import scan_lines
from slim.model.finding import Strength

_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError, LookupError)
_CALLS = {
    "import_module": Strength.STRONG,
    "__import__": Strength.STRONG,
    "run_module": Strength.STRONG,
    "find_spec": Strength.WEAK,
}


def scan(source: bytes, *, expressions: bool = True) -> Scan:
    """Read a file; one that can't be parsed is read line by line instead.

    Never raises for what is in it. Without ``expressions`` only statements are looked at: no calls
    of ``import_module`` and no strings.
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
    """Collects imports out of one syntax tree.

    Walks with its own stack, so depth can't exhaust Python's.
    """

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
        calls: list[tuple[ast.expr, Context]] = []
        stack: list[tuple[ast.AST, Context]] = [(child, Context()) for child in reversed(tree.body)]
        while stack:
            node, context = stack.pop()
            if isinstance(node, ast.Import):
                self._import(node, context)
            elif isinstance(node, ast.ImportFrom):
                self._import_from(node, context)
            else:
                if not context.nested:
                    self._binding(node)
                stack.extend(statements_in(node, context))
                if self._expressions:
                    calls.extend((child, context) for child in expressions_of(node))
        for (
            expression,
            context,
        ) in calls:  # afterwards: by now every alias of import_module is known
            self._expression(expression, context)

    # Statements

    def _import(self, node: ast.Import, context: Context) -> None:
        for alias in node.names:
            self._add(
                module=alias.name, line=node.lineno, text=f"import {alias.name}", context=context
            )
            if not context.nested:
                self._bound.add(alias.asname or alias.name.partition(".")[0])

    def _import_from(self, node: ast.ImportFrom, context: Context) -> None:
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
        self, *, context: Context, strength: Strength = Strength.STRONG, **fields: object
    ) -> None:
        weak = Strength.WEAK in (strength, context.strength)
        strength = Strength.WEAK if weak else Strength.STRONG
        self._imports.append(
            Import(strength=strength, note=context.note, **fields)  # type: ignore[arg-type]
        )

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

    def _expression(self, root: ast.expr, context: Context) -> None:
        stack: list[tuple[ast.AST, Context]] = [(root, context)]
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
            value = self._plain(element)
            if value is not None and NAME.match(value):
                self._listed.append((value, element.lineno))

    def _module_option(self, elements: Sequence[ast.expr], context: Context) -> None:
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

    def _call(self, node: ast.Call, context: Context) -> None:
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


def _literal_module(node: ast.expr) -> tuple[str, str | None] | None:
    """The module that an expression names, and its anchor.

    Such as ``"a.b"``, ``__name__ + ".b"``, ``f"{__package__}.b"``.
    """
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
    """Possible meanings of the ``package`` argument.

    Where it can't be told, both usual ones count.
    """
    match package:
        case ast.Constant(value=str(text)):
            return (text,)
        case ast.Name(id="__name__"):
            return ("__name__",)
        case ast.Name(id="__package__"):
            return (None,)
    return (None, "__name__")
