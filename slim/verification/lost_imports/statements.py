"""Import statements of Python sources, and what is around them.

They are found by words first, which is cheap and reads every version's syntax; what such a search
turns up is then read with ``ast``, where this Python can.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from slim.system.literals import without_idle

_BEFORE = 500
_AFTER = 1 << 16
_AGAIN = 8
"""How often, on average, a byte of a source may be looked at as part of an import."""
_IMPORT = re.compile(rb"import(?!\w)")
_WORD = rb"[\w\x80-\xff]"
_FROM = re.compile(rb"(?<![\w.])from((?:\\\r?\n|[ \t\f.]|%b)*)\Z" % _WORD)
_STATEMENT = re.compile(rb"(?:\\\r?\n|[ \t\f.]|%b)*\Z" % _WORD)
_COMMENT = re.compile(rb"#[^\r\n]*")
_ENCLOSED = re.compile(rb"\s*\(((?:[^)#]|#[^\r\n]*)*)")
_LINE = re.compile(rb"((?:[ \t\f.,*]|%b|\\\r?\n)*)" % _WORD)
_NAME = re.compile(rb"\s*([.\w\x80-\xff]+|\*)")
_STARTS = re.compile(rb"(?:\A|[\n\r;:])[ \t\f]*(?:lazy[ \t\f]+)?\Z")
_CAUGHT = frozenset(("ImportError", "ModuleNotFoundError", "Exception", "BaseException"))


@dataclass(frozen=True, slots=True)
class Imported:
    """An import: ``import module``, or ``from module import names`` where there are names.

    ``level`` is the number of dots before it, ``offset`` where it stands (bytes), ``line`` likewise
    from 1. ``weak`` says why its failure may not matter, and is empty where it does.
    """

    module: str
    """The module that it names, without dots before it."""
    level: int = 0
    names: tuple[str, ...] = ()
    offset: int = 0
    line: int = 0
    weak: str = ""


def imports_by_words(source: bytes) -> Iterator[Imported]:
    """Yield what may be an import, in comments and strings too, without weights and lines.

    A source that is made to be costly isn't read to its end.
    """
    left = _AGAIN * len(source)
    for word in _IMPORT.finditer(source):
        at = word.start()
        match = _from(source, at)
        enclosed = _ENCLOSED.match(source, at + 6, at + _AFTER) if match else None
        rest = enclosed or _LINE.match(source, at + 6, at + _AFTER)
        text = b"" if rest is None else rest[1]
        left -= len(text)
        if left < 0:
            return
        yield from _statement(match, at, _COMMENT.sub(b"", text))


def _statement(match: re.Match[bytes] | None, at: int, text: bytes) -> Iterator[Imported]:
    found = [each for part in text.replace(b"\\", b" ").split(b",") if (each := _NAME.match(part))]
    names = tuple(each[1].decode("utf-8", "replace") for each in found)
    if match is None:
        yield from (Imported(name, offset=at) for name in names)
        return
    module = re.sub(rb"[\s\\]", b"", match[1]).decode("utf-8", "replace")
    level = len(module) - len(module.lstrip("."))
    yield Imported(module[level:], level, names, match.start())


def _from(source: bytes, at: int) -> re.Match[bytes] | None:
    """Find the ``from`` that an ``import`` belongs to; names may begin with that word, too."""
    first, start = max(0, at - _BEFORE), at
    while (start := source.rfind(b"from", first, start)) >= 0:
        match = _FROM.match(source, start, at)
        if match is not None:
            return match
        if _STATEMENT.match(source, start + 4, at) is None:
            return None  # something else stands between the two
    return None


@dataclass(frozen=True, slots=True)
class Platform:
    """Answers that a source gets: ``sys.platform``, ``os.name``, the first parts of the version."""

    system: str | None = None
    name: str | None = None
    version: tuple[int, ...] | None = None


def imports_of(source: bytes, platform: Platform) -> Iterator[Imported]:
    """Yield every import statement with its weight, at any depth, as far as it can be read.

    A source in a syntax that this Python doesn't have is read by words.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield from _unparsed(source)
        return
    yield from _Reader(platform).read(tree)


def _unparsed(source: bytes) -> Iterator[Imported]:
    text = without_idle(source) or source
    for found in imports_by_words(text):
        if _STARTS.search(text, 0, found.offset) is not None:
            yield replace(found, line=text.count(b"\n", 0, found.offset) + 1)


@dataclass
class _Reader:
    platform: Platform
    found: list[Imported] = field(default_factory=list)

    def read(self, tree: ast.AST) -> list[Imported]:
        """Return the imports below a node."""
        todo: list[tuple[ast.AST, str]] = [(tree, "")]
        while todo:
            node, weak = todo.pop()
            if isinstance(node, ast.expr):
                continue
            self._note(node, weak)
            for child, why in _below(node, self.platform):
                todo.append((child, weak or why))
        return sorted(self.found, key=lambda one: one.line)

    def _note(self, node: ast.AST, weak: str) -> None:
        if isinstance(node, ast.Import):
            self.found += (Imported(each.name, line=node.lineno, weak=weak) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(each.name for each in node.names)
            self.found.append(
                Imported(node.module or "", node.level, names, line=node.lineno, weak=weak)
            )


def _below(node: ast.AST, platform: Platform) -> Iterator[tuple[ast.AST, str]]:
    """Yield the nodes below a node, with what takes weight from imports in each."""
    weights: dict[int, str] = {}
    if isinstance(node, ast.Try | getattr(ast, "TryStar", ast.Try)):
        if any(_catches(handler.type) for handler in node.handlers):
            weights = {id(child): "its failure is caught" for child in node.body}
    elif isinstance(node, ast.With):
        if any(_suppresses(item.context_expr) for item in node.items):
            weights = {id(child): "its failure is caught" for child in node.body}
    elif isinstance(node, ast.If):
        runs = _truth(node.test, platform)
        never = {True: node.orelse, False: node.body, None: []}[runs]
        weights = {id(child): "it never runs here" for child in never}
    for child in ast.iter_child_nodes(node):
        yield child, weights.get(id(child), "")


def _catches(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(_last(each) in _CAUGHT for each in kinds)


def _suppresses(call: ast.expr) -> bool:
    return (
        isinstance(call, ast.Call)
        and _last(call.func) == "suppress"
        and any(map(_catches, call.args))
    )


def _last(node: ast.expr) -> str:
    return getattr(node, "attr", "") or getattr(node, "id", "")


def _truth(test: ast.expr, platform: Platform) -> bool | None:
    """Return what a condition comes to here; None where that isn't known."""
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return False
        case ast.Constant(value=bool(value) | int(value)):
            return bool(value)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            known = _truth(inner, platform)
            return None if known is None else not known
        case ast.BoolOp(op=op, values=values):
            known_values = {_truth(value, platform) for value in values}
            decides = isinstance(op, ast.Or)
            if decides in known_values:
                return decides
            return None if None in known_values else not decides
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _comparison(_value(left, platform), op, _value(right, platform))
        case ast.Call(
            func=ast.Attribute(value=asked, attr="startswith"),
            args=[ast.Constant(value=str(start))],
        ):
            name = _value(asked, platform)
            return name.startswith(start) if isinstance(name, str) else None
    return None


def _comparison(one: object, op: ast.cmpop, other: object) -> bool | None:
    if one is None or other is None:
        return None
    if isinstance(op, ast.Eq | ast.NotEq):
        return (one == other) is isinstance(op, ast.Eq)
    if isinstance(op, ast.In | ast.NotIn) and isinstance(other, tuple):
        return (one in other) is isinstance(op, ast.In)
    if isinstance(one, tuple) and isinstance(other, tuple) and isinstance(op, ast.Lt | ast.GtE):
        numbers = all(isinstance(each, int) for each in (*one, *other))
        return (one < other) is isinstance(op, ast.Lt) if numbers else None
    return None


def _value(node: ast.expr, platform: Platform) -> object:
    match node:
        case ast.Attribute(value=ast.Name(id="sys"), attr="platform"):
            return platform.system
        case ast.Attribute(value=ast.Name(id="os"), attr="name"):
            return platform.name
        case ast.Attribute(value=ast.Name(id="sys"), attr="version_info"):
            return platform.version
        case ast.Constant(value=str(text)):
            return text
        case ast.Tuple(elts=elements):
            found = tuple(each.value for each in elements if isinstance(each, ast.Constant))
            return found if len(found) == len(elements) else None
    return None
