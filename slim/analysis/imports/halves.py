"""Text in which ``tests`` is a word, put together from pieces: ``"te" + "sts"``, ``f"{kind}s"``.

So are names of modules: ``"pkg." + name`` for every name in ``("core", "tests.mod")``.

Expressions that come to text with that word in it are replaced in the syntax tree by what they come
to, so that whoever reads the tree afterwards sees it as if it had been written in one piece.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator

from slim.analysis.imports.bare_names import dotted_name
from slim.analysis.imports.path_scan import BRACE_FIELD, PERCENT_FIELD, TESTS_FOLDER
from slim.analysis.imports.spelled import NAMING, SPELLING, may_spell_tests, spelled_in
from slim.analysis.vocabulary import AnyOf, vocabulary
from slim.system.syntax import walk

_GAP = "\0"
_WORD = re.compile(r"(?:\A|[\0/\\.\s])tests(?:\Z|[\0/\\.\s:])")
_PLURAL = re.compile(r"(\A|[/\\.])\0s(?=\Z|[/\\.])")
"""Something of which only running tells, with an ``s`` behind it."""
_OPEN = rb"(?:[+,(\[{]\s*[bfruBFRU]{0,2}[\"']|[\"']\s*[bfruBFRU]{0,2}[\"']|\}|%[rs]|=\s*[\"'])"
"""What stands before a later piece."""
_CLOSE = rb"[\"'/\\.{%]"
_STARTS = (b'"', b"'", b"}", b"%s", b"%r")
_PIECES = tuple(
    (
        tuple(before + b"tests"[:at] + b"\n" for before in (b"\n", b".")),
        AnyOf(*(mark + b"tests"[at:] for mark in _STARTS)),
        re.compile(rb"(?<![A-Za-z0-9_])" + b"tests"[:at] + rb"[\"'{%]"),
        re.compile(_OPEN + b"tests"[at:] + _CLOSE),
    )
    for at in range(1, 5)
)
"""For each way to part the word: how words of a file have to end, bytes that it has to have, and
patterns, which are slow."""
_ESCAPED = AnyOf(b"\\x74", b"\\x73", b"\\x65", b"\\u0074", b"\\u0073", b"\\u0065", b"stset")
_IMPORTING = (b"import_module", b"__import__", b"run_module", b"find_spec", b"exec(", b"eval(")
_RELATIVE_NAME = re.compile(rb"[\"']tests\.\w")
"""A name of a module that something else stands before."""
_NAMED_FIELD = re.compile(r"%\((\w+)\)[-\d.]*[sdri]")
_FORMATS = ("format", "format_map")
_MOST = 12
_LONGEST = 200
_DEPTH = 40
_COLLECTIONS = (ast.List, ast.Tuple, ast.Set)
_COMPOSED = (ast.BinOp, ast.JoinedStr, ast.Call, ast.Subscript)
_NOTED = frozenset(
    {
        *(ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.For, ast.comprehension, ast.Constant),
        *(ast.Compare, ast.Match, ast.ClassDef, ast.FunctionDef),
    }
)
"""Nodes that tell what a variable may be; most are of other types."""


def may_put_together(source: bytes) -> bool:
    """Return whether a file may put the word together, or a name with it, by its text."""
    if may_spell_tests(source):
        return True
    if b"tests." in vocabulary(source) and _RELATIVE_NAME.search(source):
        return True
    words = b"\n%b\n" % vocabulary(source)
    for ends, starts, head, tail in _PIECES:
        if (
            any(map(words.__contains__, ends))
            and starts.within(source)
            and head.search(source)
            and tail.search(source)
        ):
            return True
    return _ESCAPED.within(source)


def may_compute_names(source: bytes) -> bool:
    """Return whether a file imports by names, and may put one with the word together."""
    return b"tests" in source and any(map(source.__contains__, _IMPORTING))


def put_together(tree: ast.Module) -> None:
    """Replace the expressions of a tree that come to text in which ``tests`` is a word."""
    folder = _Folder(tree)
    if folder.has_work():  # most files have none, and replacing costs as much as all else
        folder.visit(tree)


class _Folder(ast.NodeTransformer):
    """Replaces expressions by what they come to."""

    def __init__(self, tree: ast.Module) -> None:
        self._bound: dict[str, list[ast.expr]] = {}
        self._says_test = False
        self._looped: set[str] = set()
        self._known: dict[int, list[str]] = {}
        self._composed: list[ast.expr] = []
        spelling: list[ast.AST] = []
        for node in walk(tree):
            if isinstance(node, _COMPOSED):
                self._composed.append(node)
            elif type(node) in _NOTED:
                self._note(node)
            if type(node) in SPELLING:
                spelling.append(node)
        self._spelled = bool(spelled_in(spelling))

    def has_work(self) -> bool:
        """Return whether any expression is to be replaced."""
        return any(self._texts_with_word(node) for node in self._composed)

    def _note(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._bind(target, value)
            case ast.NamedExpr(target=target, value=value):
                self._bind(target, value)
            case ast.For(target=target, iter=ast.List() | ast.Tuple() as source):
                for value in source.elts:
                    self._bind(target, value)
            case ast.comprehension(target=target, iter=ast.List() | ast.Tuple() as source):
                for value in source.elts:
                    self._bind(target, value)
            case (
                ast.For(target=target, iter=ast.Name() as source)
                | ast.comprehension(target=target, iter=ast.Name() as source)
            ):
                self._bind(target, ast.Subscript(source, ast.Constant(0), ast.Load()))
            case (
                ast.For(target=ast.Tuple(elts=targets), iter=ast.Call() as source)
                | ast.comprehension(target=ast.Tuple(elts=targets), iter=ast.Call() as source)
            ):
                self._looped.add(getattr(targets[0], "id", "") if targets else "")
                self._note_pairs(targets, source)
            case ast.For(target=target) | ast.comprehension(target=target):
                first = target.elts[0] if isinstance(target, ast.Tuple) else target
                self._looped.add(getattr(first, "id", ""))
            case ast.Constant(value="test" | b"test"):
                self._says_test = True
            case _:
                self._note_compared(node)

    def _note_pairs(self, targets: list[ast.expr], source: ast.Call) -> None:
        """Note what the variables of a loop over ``table.items()`` or ``zip`` may be."""
        match source:
            case ast.Call(func=ast.Attribute(value=ast.Name() as table, attr="items"), args=[]):
                keys = ast.Call(ast.Attribute(table, "keys", ast.Load()), [], [])
                given: list[ast.expr] = [keys, ast.Subscript(table, ast.Constant(0), ast.Load())]
                for target, value in zip(targets, given, strict=False):
                    self._bind(target, value)
            case ast.Call(func=ast.Name(id="zip"), args=lists):
                for target, several in zip(targets, lists, strict=False):
                    for value in getattr(several, "elts", ()):
                        self._bind(target, value)

    def _note_compared(self, node: ast.AST) -> None:
        """Note what a variable is compared with: it may be that where it is used."""
        match node:
            case ast.Compare(left=ast.Name() as left, comparators=[other]):
                for value in other.elts if isinstance(other, _COLLECTIONS) else (other,):
                    self._bind(left, value)
            case ast.Match(subject=ast.Name() as subject, cases=cases):
                for inner in (inner for case in cases for inner in walk(case.pattern)):
                    if isinstance(inner, ast.MatchValue):
                        self._bind(subject, inner.value)

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
            for inner, given in zip(target.elts, value.elts, strict=False):
                self._bind(inner, given)
        name = target.id if isinstance(target, ast.Name) else getattr(target, "attr", "")
        known = self._bound.setdefault(name, []) if name else []
        if isinstance(value, ast.Constant) and "test" in str(value.value):
            known.insert(0, value)  # it is among the first that are tried
        elif len(known) < _MOST:
            known.append(value)

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, _COMPOSED):
            found = self._texts_with_word(node)
            if found:
                values = [_written(text) for text in dict.fromkeys(found)]
                made = values[0] if len(values) == 1 else ast.BoolOp(ast.Or(), values)
                return ast.fix_missing_locations(ast.copy_location(made, node))
        return self.generic_visit(node)

    def _texts_with_word(self, node: ast.expr) -> list[str]:
        """Texts with the word in them that an expression comes to and doesn't say in one piece."""
        found = [text for text in map(self._settled, self._texts(node, 0)) if text]
        return found if found and (not _says_it(node) or _is_name(node)) else []

    def _settled(self, text: str) -> str:
        """A text in which the word stands; empty for others."""
        if self._says_test:
            text = _PLURAL.sub(r"\1tests", text)
        if "import" in text:
            text = text.replace(f"from {_GAP}.", "from .")  # code: from {__package__}.a
        return text if _WORD.search(text) else ""

    def _texts(self, node: ast.expr, depth: int) -> list[str]:
        """Texts that an expression may come to, with gaps for what only running tells."""
        if id(node) not in self._known:
            self._known[id(node)] = [_GAP]  # for what is made of itself
            found = itertools.islice(self._possible(node, depth), _MOST) if depth < _DEPTH else ()
            short = [text for text in found if len(text) <= _LONGEST]
            self._known[id(node)] = short or [_GAP]
        return self._known[id(node)]

    def _possible(self, node: ast.expr, depth: int) -> Iterator[str]:
        deeper = depth + 1
        match node:
            case ast.Constant(value=str(text)):
                yield text
            case ast.Constant(value=bytes(data)):
                yield data[:_LONGEST].decode("latin-1")
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                yield from self._joined([left, right], "", deeper)
            case ast.JoinedStr(values=values):
                yield from self._joined(values, "", deeper)
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                yield from self._texts(value, deeper)
            case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod(), right=right):
                given = _in_percent(text, right)
                yield from self._filled(PERCENT_FIELD.split(text), given, deeper)
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr=method)):
                given = _in_order(text, node) if method in _FORMATS else node.args
                yield from self._called(text, method, given, deeper)
            case ast.BinOp(left=left, op=ast.Div(), right=right) if self._spelled:
                yield from self._joined([left, right], "/", deeper)
            case ast.Call(func=ast.Attribute(value=value, attr="lower" | "casefold")):
                yield from map(str.lower, self._texts(value, deeper))
            case ast.Subscript(value=value, slice=ast.Slice(None, None, ast.UnaryOp())):
                yield from (text[::-1] for text in self._texts(value, deeper))
            case _:
                yield from self._known_by_name(node, deeper)

    def _known_by_name(self, node: ast.expr, depth: int) -> Iterator[str]:
        """Texts that a variable, or something in a table, may be."""
        match node:
            case ast.Subscript(value=ast.Name(id=name)):
                for table in self._bound.get(name, ()):
                    yield from self._values(table, depth)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="__name__" | "__package__"), attr="replace"),
                args=[_, ast.Constant(value=str(text))],
            ):
                yield f"{_GAP}.{text}"
            case ast.Call(
                func=ast.Attribute(value=ast.Attribute(value=module, attr="__name__")),
                args=[ast.Constant(value=str(old)), ast.Constant(value=str(new))],
            ) if dotted_name(module):
                yield dotted_name(module).replace(old, new)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="keys"), args=[]):
                for table in self._bound.get(name, ()):
                    for key in getattr(table, "keys", ())[:_MOST]:
                        yield from self._texts(key, depth + 4) if key is not None else ()
            case ast.Name(id="sep") | ast.Attribute(attr="sep"):
                yield "/"
            case ast.Attribute(attr=name) if self._spelled and name in NAMING:
                yield TESTS_FOLDER
            case ast.Name(id=name) if self._spelled and name in self._looped:
                yield TESTS_FOLDER
            case ast.Name(id=name) | ast.Attribute(attr=name):
                for value in self._bound.get(name, ()):
                    yield from self._texts(value, depth + 7)
            case _:
                yield _GAP

    def _called(
        self, text: str, method: str, arguments: list[ast.expr], depth: int
    ) -> Iterator[str]:
        match method, arguments:
            case "join", [pieces]:
                named = self._bound.get(pieces.id) if isinstance(pieces, ast.Name) else None
                for value in named or (pieces,):
                    yield from self._joined(_elements(value), text, depth)
            case "replace", [ast.Constant(value=str(old)), ast.Constant(value=str(new))] if old:
                yield text.replace(old, new)
            case (("format" | "format_map"), _):
                yield from self._filled(BRACE_FIELD.split(text), arguments, depth)

    def _values(self, table: ast.expr, depth: int) -> Iterator[str]:
        """The values of a table, or the elements of a collection."""
        given = table.values if isinstance(table, ast.Dict) else getattr(table, "elts", ())
        for value in given[:_MOST]:
            yield from self._texts(value, depth + 4)

    def _joined(self, pieces: list[ast.expr], between: str, depth: int) -> Iterator[str]:
        each = [self._texts(piece, depth) for piece in pieces[:_MOST]]
        for texts in itertools.product(*each):
            yield between.join(texts)

    def _filled(self, plain: list[str], values: list[ast.expr], depth: int) -> Iterator[str]:
        each = [
            self._texts(values[at], depth) if at < len(values) else [_GAP]
            for at in range(len(plain) - 1)
        ]
        for texts in itertools.product(*each):
            yield plain[0] + "".join(map(str.__add__, texts, plain[1:]))


def _in_order(text: str, call: ast.Call) -> list[ast.expr]:
    """The values for a template's fields, one after the other: ``"{b}{a}".format(a=1, b=2)``."""
    named = {item.arg: item.value for item in call.keywords}
    named.update((f"{number}", value) for number, value in enumerate(call.args))
    fields = [re.split(r"[!:]", field[1:-1])[0] for field in BRACE_FIELD.findall(text)]
    plain, unknown = iter(call.args), ast.Name("_", ast.Load())
    if None in named or call.func.attr == "format_map":  # type: ignore[attr-defined]
        named.update((field, named.get(field, _variable(field))) for field in fields if field)
    return [named.get(field, unknown) if field else next(plain, unknown) for field in fields]


def _in_percent(text: str, right: ast.expr) -> list[ast.expr]:
    """The values for a template's fields: ``"%(a)s" % {"a": 1}``, ``"%(a)s" % locals()``."""
    fields = _NAMED_FIELD.findall(text)
    if not fields:
        return right.elts if isinstance(right, ast.Tuple) else [right]
    given = {}
    if isinstance(right, ast.Dict):
        keys = [getattr(key, "value", None) for key in right.keys]
        given = dict(zip(keys, right.values, strict=True))
    return [given.get(field, _variable(field)) for field in fields]


def _variable(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _is_name(node: ast.AST) -> bool:
    """True for what makes a name with dots: pieces that are joined by them, a path with others."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Constant(value="."), attr="join")):
            return True
        case ast.Call(func=ast.Attribute(attr="format"), keywords=[_, *_]):
            return True
        case ast.BinOp(left=ast.Constant(), op=ast.Mod(), right=ast.Dict()):
            return True
        case ast.Call(func=ast.Attribute(attr="replace"), args=[_, ast.Constant(value=str(new))]):
            name = node.func.value  # type: ignore[attr-defined]
            return (
                new == "."
                or TESTS_FOLDER in str(new)
                or (isinstance(name, ast.Name) and name.id.startswith("__"))
            )
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            return "from " in text
    return False


def _elements(node: ast.expr) -> list[ast.expr]:
    """The pieces of a list, or of several that are added; one that isn't known is a gap."""
    if isinstance(node, ast.BinOp):
        return [*_elements(node.left), *_elements(node.right)]
    if isinstance(node, ast.Call) and node.args:  # filter(None, [...])
        node = node.args[-1]
    return node.elts if isinstance(node, ast.List | ast.Tuple) else [node]


def _says_it(node: ast.AST) -> bool:
    """True where the word is written in one piece already."""
    return any(
        isinstance(inner, ast.Constant) and TESTS_FOLDER in str(inner.value) for inner in walk(node)
    )


def _written(text: str) -> ast.expr:
    """The expression that says a text; a gap in it stands for something unknown."""
    if _GAP not in text:
        return ast.Constant(text)
    values: list[ast.expr] = []
    for number, piece in enumerate(text.split(_GAP)):
        if number:
            values.append(ast.FormattedValue(ast.Name("_", ast.Load()), -1, None))
        if piece:
            values.append(ast.Constant(piece))
    return ast.JoinedStr(values)
