"""Modules that an expression names: ``"a.b"``, ``__name__ + ".b"``, ``f"{package}.b"``."""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Iterator

from slim.analysis.imports.bare_names import dotted_name
from slim.analysis.imports.scans import ANY_PACKAGE, NAME, Import
from slim.model.finding import Strength

_TAIL = re.compile(r"((?:\.[^\W\d]\w*)+)(\.?)")
_BEGUN = re.compile(r"(\.*)([^\W\d]\w*(?:\.[^\W\d]\w*)*)\.\w*\Z")
COMPUTED = (ast.BinOp, ast.JoinedStr, ast.Call)
"""Expressions that :func:`computed_module` can make something of."""
_STARTED = re.compile(r"(?:^|(?<=\s))-m(?:\s+([^\W\d]\w*(?:\.\w+)*)|([^\W\d]\w*(?:\.\w+)+))")
"""A module that a command line starts."""
_MAX_DEPTH = 50
_MAX_BYTES = 4096
"""Bytes of the longest bytes literal that counts as text."""
_DECODERS = frozenset(
    {
        *("b64decode", "urlsafe_b64decode", "standard_b64decode", "fromhex", "unhexlify"),
        *("decompress", "loads", "unquote", "decode"),
    }
)
"""Functions whose arguments were replaced by what they come to, where they are literals."""
_FORMAT = re.compile(r"(?:%(?:\(\w+\))?[sr]|\{\w*(?:![rsa])?\})")


def literal_module(node: ast.expr) -> tuple[str, str | None] | None:
    """The module that an expression names, and its anchor.

    Such as ``"a.b"``, ``"a." + "b"``, ``__name__ + ".b"``, ``f"{__package__}.b"``.
    """
    constant = folded(node)
    if constant is not None and NAME.match(constant.lstrip(".")):
        return constant, None
    parts: list[ast.expr]
    match node:
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
        case [ast.Attribute(value=package, attr="__name__"), ast.Constant(value=str(text))]:
            if text.startswith(".") and NAME.match(text[1:]) and dotted_name(package):
                return text, dotted_name(package)
    return None


def folded(node: ast.AST, depth: int = 0) -> str | None:
    """The string that an expression of nothing but constants puts together."""
    if depth > _MAX_DEPTH:
        return None
    pieces: list[ast.expr]
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=bytes(data)), attr="decode")):
            return text_of(data) or None
        case ast.Call(func=ast.Name(id="str"), args=[ast.Constant(value=bytes(data)), *_]):
            return text_of(data) or None
        case ast.Call(func=ast.Attribute(value=ast.Call() as inner, attr="decode")):
            return folded(inner, depth + 1)
        case ast.Call(func=function, args=[inner, *_]) if last_name(function) in _DECODERS:
            return folded(inner, depth + 1)
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return folded(value, depth + 1)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            between, pieces = "", [left, right]
        case ast.JoinedStr(values=pieces):
            between = ""
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod(), right=right):
            arguments = right.elts if isinstance(right, ast.Tuple) else [right]
            return _filled(text, arguments, depth)
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format"), args=arguments
        ):
            return _filled(text, arguments, depth)
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str(between)), attr="join"),
            args=[ast.List(elts=pieces) | ast.Tuple(elts=pieces)],
        ):
            pass
        case _:
            return None
    texts = [folded(piece, depth + 1) for piece in pieces]
    known = [text for text in texts if text is not None]
    return between.join(known) if len(known) == len(texts) else None


def text_of(value: object) -> str:
    """The text of a constant, of bytes too if they may hold a name; empty for others."""
    if isinstance(value, bytes):
        return value.decode("ascii") if value.isascii() and len(value) <= _MAX_BYTES else ""
    return value if isinstance(value, str) else ""


def _filled(text: str, arguments: list[ast.expr], depth: int) -> str | None:
    """A template with plain placeholders, filled with constants."""
    texts = [folded(argument, depth + 1) for argument in arguments]
    known = iter([value for value in texts if value is not None])
    if None in texts or len(_FORMAT.findall(text)) != len(texts):
        return None
    return _FORMAT.sub(lambda _: next(known), text)


def literal_names(node: ast.expr | None) -> tuple[str, ...]:
    """The strings of a list or tuple."""
    if not isinstance(node, ast.List | ast.Tuple):
        return ()
    return tuple(
        element.value
        for element in node.elts
        if isinstance(element, ast.Constant) and isinstance(element.value, str)
    )


def packages_given(call: ast.Call, importers: Container[str]) -> list[ast.expr]:
    """Arguments called ``package`` or ``anchor``: Astropy's ``get_pkg_data_filename`` has one."""
    named = () if last_name(call.func) in importers else call.keywords
    return [item.value for item in named if item.arg in ("package", "anchor")]


def anchors_of(package: ast.expr | None) -> tuple[str | None, ...]:
    """Possible meanings of the ``package`` argument.

    Where it can't be told, both usual ones count.
    """
    text = None if package is None else folded(package)
    if text:
        return (text,)
    match package:
        case ast.Name(id="__name__"):
            return ("__name__",)
        case ast.Name(id="__package__"):
            return (None,)
    return (None, "__name__")


def computed_module(node: ast.AST) -> tuple[str, str | None, bool] | None:
    """The module that a string is put together to name, below a package that only running tells.

    Its name with a dot before it, what it is relative to, and whether more follows:
    ``f"{__name__}.tests.{name}"`` names something in ``tests``. None where no expression of that
    kind is found.
    """
    parts: list[ast.expr] = []
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            parts = [left, right]
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod(), right=right):
            parts = _formatted(text, right.elts if isinstance(right, ast.Tuple) else [right])
        case ast.JoinedStr(values=[ast.FormattedValue(value=left), *rest]):
            parts = [left, *rest]
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format"), args=arguments
        ):
            parts = _formatted(text, arguments)
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value="."), attr="join"),
            args=[ast.List(elts=[left, *rest]) | ast.Tuple(elts=[left, *rest])],
        ):
            parts = [left, *(piece for each in rest for piece in (ast.Constant("."), each))]
            parts = [left, *_merged(parts[1:])]
    match parts:
        case [package, ast.Constant(value=str(text)), *_] if match := _TAIL.match(text):
            known = isinstance(package, ast.Name) and package.id in ("__name__", "__package__")
            anchor = ANY_PACKAGE if not known else package.id  # type: ignore[attr-defined]
            return match[1], None if anchor == "__package__" else anchor, bool(match[2])
    return None


def begun_module(node: ast.expr, package: ast.expr | None) -> tuple[str, int, str | None] | None:
    """The package that a name put together lies below, with its level and anchor.

    It is written out, and a dot follows: ``f"a.b.{name}"``; or ``f".b.{name}"`` where the package
    that it is relative to is known. None for others, and for one component: all of a distribution.
    """
    match node:
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            pass
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Add()):
            pass
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod()):
            text = text.partition("%")[0]
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format")):
            text = text.partition("{")[0]
        case _:
            return None
    match = _BEGUN.match(text)
    if match is None:
        return None
    level = len(match[1])
    match package:
        case _ if not level:
            return (match[2], 0, None) if "." in match[2] else None
        case ast.Constant(value=str(known)) if level == 1 and NAME.match(known):
            return f"{known}.{match[2]}", 0, None
        case ast.Name(id="__package__"):
            return match[2], level, None
        case ast.Name(id="__name__"):
            return match[2], level, "__name__"
    return None


def _merged(parts: list[ast.expr]) -> Iterator[ast.expr]:
    """The parts of a name, those that are constants in one where they follow each other."""
    text = ""
    for part in parts:
        known = folded(part)
        if known is not None:
            text += known
            continue
        if text:
            yield ast.Constant(value=text)
        text = ""
        yield part
    if text:
        yield ast.Constant(value=text)


def _formatted(text: str, arguments: list[ast.expr]) -> list[ast.expr]:
    """The first argument and what follows it, for a template that begins with a placeholder.

    Constants fill the placeholders that follow.
    """
    match = _FORMAT.match(text)
    if match is None:
        return []
    package = arguments[0] if arguments else ast.Name(id="")
    known = iter([folded(argument) or "" for argument in arguments[1:]])
    rest = _FORMAT.sub(lambda _: next(known, ""), text[match.end() :])
    return [package, ast.Constant(value=rest)]


def started_in(text: str, line: int) -> Iterator[Import]:
    """The modules that command lines in a text start: ``python3 -m pkg.tests``."""
    for match in _STARTED.finditer(text) if "-m" in text else ():
        name = match[1] or match[2]
        yield Import(
            module=name,
            line=line,
            text=f'"-m {name}" in a string',
            strength=Strength.WEAK,
            kind="string",
            runs=True,
        )


def is_command(function: ast.expr) -> bool:
    """True for ``shlex.split``: what it is given starts a program."""
    return isinstance(function, ast.Attribute) and last_name(function.value) == "shlex"


def last_name(node: ast.expr) -> str:
    """``import_module`` of ``importlib.import_module``; of ``getattr(x, "import_module")`` too."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_]):
            return name
        case ast.Call(
            func=ast.Name(id="partial") | ast.Attribute(attr="partial"), args=[first, *_]
        ):
            return last_name(first)
    return ""
