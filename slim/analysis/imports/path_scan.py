"""Paths that a Python file builds out of string constants, as far as they name tests.

A folder called ``tests`` may be data that code opens by its path: ``Path(__file__).parent /
"tests" / "data"``, ``os.path.join(here, "tests")``, ``"tests/data/*.csv"``, ``folder = "tests"``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from slim.analysis.imports.anchors import OWN, anchor, takes_own
from slim.analysis.imports.bare_names import BareNames, called_name
from slim.analysis.imports.discovery import RUNS_TESTS, runs_of_tests
from slim.analysis.imports.given import receivers_of_strings
from slim.analysis.imports.spelled import is_table, makes_text, spelled_in
from slim.analysis.vocabulary import AnyOf, vocabulary
from slim.system.syntax import walk


def may_name_tests(source: bytes) -> bool:
    """Return whether a file can build a path that names tests."""
    words = vocabulary(source)
    if b"test" not in words and b"discover" not in words:
        return _LOWERED.within(source) and _IN_CAPITALS.search(source) is not None
    return any(
        hint.search(source)
        for word, hints in _PATH_HINTS.items()
        if word in words
        for hint in hints
    )


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


TESTS_FOLDER = "tests"
_PATH_HINTS = {
    b"tests": (
        re.compile(rb"tests[\"'/\\:](?<=[\"'/\\\s=:.]tests.)"),
        re.compile(rb"tests(?:[%{]|(?<=\}tests)|(?<=%[rs]tests))"),
        re.compile(
            rb"[\"'][\w.,:;| ]{0,200}\btests\b[\w.,:;| ]{0,200}[\"']"
            rb"\s*\.\s*(?:r?split|r?partition|replace)\b"
        ),
    ),
    b"test_": (
        re.compile(rb"test_(?<!\wtest_)\w++\.py"),
        re.compile(rb"test_(?<=[\"'/\\]test_)(?:\w*[{%]|\w*[\"'])"),
    ),
    b"pytest": (RUNS_TESTS,),
    b"py.test": (RUNS_TESTS,),
    b"pyargs": (RUNS_TESTS,),
    b"discover": (RUNS_TESTS,),
    b"conftest": (re.compile(rb"conftest\.py"),),
}
"""Paths that name tests, by what each holds, which is found sooner."""
_IN_CAPITALS = re.compile(rb"(?i:tests)[\"'/\\][^\n]{0,200}\.(?:lower|casefold)\b")
_LOWERED = AnyOf(b".lower", b".casefold")
_TEST_FILE = re.compile(r"(?:test_[\w*]+|conftest)\.py\Z")
_OPEN_FILE = re.compile(r"test_[\w\0]+\.py\Z")
"""A test file of which only running tells the whole name."""
_TEST_STEM = re.compile(r"test_\w+\Z")
_JOINERS = words(
    "join joinpath Path PurePath PosixPath WindowsPath PurePosixPath abspath normpath realpath "
    "resolve absolute files path fspath str open resource_filename resource_string resource_stream "
    "resource_listdir get_data open_text open_binary read_text read_binary "
    "with_name glob iglob rglob listdir walk scandir PackageLoader FileSystemLoader reduce"
)
_LOADERS = words("PackageLoader FileSystemLoader")
_SPLITS = words("split rsplit replace partition rpartition")
_LOWERS = words("lower casefold")
"""Methods of a constant that give parts of a path, or its true name."""
_PATH_SEPARATORS = (".", "/", "\\", "::")
PERCENT_FIELD = re.compile(r"%(?:\(\w+\))?[-\d.]*[sdri]")
"""A field of a template for ``%``."""
BRACE_FIELD = re.compile(r"\{[^{}]*\}")
"""A field of a template for ``str.format``."""
_BUILDING = frozenset({ast.Constant, ast.JoinedStr, ast.BinOp, ast.Call})
"""Types of the nodes that may build a path."""
_GAP = "\0"
_SEVERAL = re.compile(r"[\s=\"']")
"""What a path alone doesn't hold."""
_TEXT_PATHS = (
    (0, re.compile(rb"tests[/\\]")),
    (1, re.compile(rb"tests(?<=[/:]tests)(?=[\"'`\s,;)\]}<])")),
    (0, re.compile(rb"\.tests:(?=\w)")),
    (0, re.compile(rb"test_(?<!\wtest_)\w++\.py\b")),
)
"""What names tests in a path, and how many bytes before it belong to it.

Each begins with a constant, since those are found several times as fast in compiled code.
"""
_TEST_WORDS = re.compile(
    rb"[\"'/\\}:](?i:tests)(?=[\"'/\\.%{ ,:;|])|[.,:;| ]tests(?=[\"'])|%[rs]tests|"
    rb"[\s=]tests(?=[/\\]\w)|"
    rb"\b(?:test_\w+|conftest)\.py\b"
)
_INTERPOLATED = re.compile(rb"%\(\w+\)s")
"""What ``configparser`` fills in, such as the folder of the file."""
_BEFORE = re.compile(rb"(?:[A-Za-z_][\w.]+:)?[\w./*{}$-]*\Z")
_AFTER = re.compile(rb"[\w./\\*{}$-]*+")
_IN_PACKAGE = re.compile(r"([^\W\d]\w+(?:\.\w+)*):(?=[\w.*-]+(?:[/\\]|\Z))")
"""The beginning of a path in a package, as Pyramid, Alembic and Flask have them: ``pkg:static``."""
_MAX_PATH = 200


@dataclass(frozen=True, slots=True)
class PathUse:
    """Consecutive parts of a path: ``("tests", "data")``.

    ``own`` says that it starts at the file's own place (``__file__``). ``anchors`` are the dotted
    names of modules at whose place it starts (``pkg.__file__``, ``files("pkg")``), as they are
    written in the file. ``doubtful`` says that nothing but words of it is known.
    """

    segments: tuple[str, ...]
    line: int
    own: bool = False
    anchors: tuple[str, ...] = ()
    doubtful: bool = False


def is_test_part(segment: str) -> bool:
    """True for a part of a path that generic rules select by its name."""
    return segment == TESTS_FOLDER or _TEST_FILE.match(segment) is not None


def paths_of(tree: ast.AST) -> tuple[PathUse, ...]:
    """Every path of a syntax tree that names tests, or starts at the file's own place."""
    reader = _PathReader(tree)
    return tuple(
        sorted(set(reader.uses()), key=lambda use: (use.line, use.segments, use.anchors, use.own))
    )


def parts_of(text: str) -> Iterator[tuple[str, ...]]:
    """The runs of plain parts of a path, which may hold wildcards and gaps, that name tests."""
    for run in _runs(_split(text)):
        if any(map(is_test_part, run)):
            yield run


def _split(text: str) -> list[str]:
    """The parts of a path; of one in a package too: ``pkg.tests:data/x.json``."""
    match = _IN_PACKAGE.match(text)
    start = match[1].split(".") if match else []
    return [*start, *re.split(r"[/\\]", text[match.end() if match else 0 :])]


def paths_in_text(source: bytes) -> Iterator[PathUse]:
    """Every path in a text that names tests."""
    yield from uses_of(test_paths(source))


def uses_of(paths: Iterable[bytes]) -> Iterator[PathUse]:
    """Paths in a text, or in compiled code, that name tests.

    "tests/" alone is said by texts about tests, so it leads nowhere.
    """
    for text in sorted(set(paths)):
        for run in parts_of(text.decode("utf-8", "replace")):
            if len(run) > 1:
                yield PathUse(run, 0)


def test_paths(source: bytes) -> Iterator[bytes]:
    """Text like a path that has a folder called tests in it, or ends with a test file.

    Takes time in proportion to the text, however often one path has such folders.
    """
    if b"%(" in source:
        source = _INTERPOLATED.sub(b"*", source)
    for lead, pattern in _TEXT_PATHS:
        first = covered = 0
        for match in pattern.finditer(source):
            begin = match.start() - lead
            if match.end() <= covered and b"\\" not in source[first:begin]:
                continue  # it is in the path before
            found = _BEFORE.search(source[max(0, begin - _MAX_PATH) : begin])
            before = found[0] if found else b""
            start = begin - len(before)
            if source[max(0, start - 1) : start] == b"%":
                before = b"*" + before[1:]  # "%s/tests/data"
            after = _AFTER.match(source[match.end() : match.end() + _MAX_PATH])
            first, covered = match.end(), match.end() + len(after[0] if after else b"")
            yield before + source[begin : match.end()] + (after[0] if after else b"")


def doubtful_paths(
    source: bytes, anchors: tuple[str, ...], *, put_together: bool = False
) -> Iterator[PathUse]:
    """Paths that code which can't be parsed may build, as far as words of it name tests.

    ``put_together`` says that it may hold the word in pieces.
    """
    found = {match[0] for match in _TEST_WORDS.finditer(source)}
    tests = TESTS_FOLDER.encode()
    if put_together or RUNS_TESTS.search(source):
        found.add(tests)
    names = {name if name.endswith(b".py") else tests for name in found}
    for name in sorted(names):
        yield PathUse((name.decode(),), 0, anchors=anchors, doubtful=True)
        yield PathUse((name.decode(),), 0, doubtful=True)


def _runs(parts: Iterable[str]) -> Iterator[tuple[str, ...]]:
    run: list[str] = []
    for part in (*parts, _GAP):
        part = part.lstrip(_GAP) if part.lstrip(_GAP) == TESTS_FOLDER else part
        if part in ("", "."):
            continue
        if _OPEN_FILE.match(part):
            part = re.sub("\0+", "*", part)
            run.append(part)
            continue
        if part == ".." or part.endswith(":") or re.search(r"[\0*?\[\]{}%<>$|]", part):
            if run:
                yield tuple(run)
            run = []
        else:
            run.append(part)


class _PathReader:
    """Reads every outermost expression of a syntax tree that is a path."""

    def __init__(self, tree: ast.AST) -> None:
        self._nodes = list(walk(tree))
        names = BareNames(self._nodes)
        self._ignored, self._bare = names.ignored, names.bare
        self._places = frozenset(_names_of_places(self._nodes))
        self._receivers = receivers_of_strings(self._nodes)

    def uses(self) -> Iterator[PathUse]:
        done: set[int] = set()
        yield from self._spelled()
        yield from self._discovered()
        for node in self._nodes:  # breadth first: what is around comes before what is in it
            if type(node) not in _BUILDING or id(node) in done or id(node) in self._ignored:
                continue
            if not _builds(node) or (type(node) is ast.Constant and not _may_lead(node.value)):
                continue
            text = "".join(_text(node, 0, done))
            if isinstance(node, ast.Constant) and _says_several(text):
                yield from _paths_among(text, node.lineno)
            yield from self._path(node, text, list(walk(node)))

    def _spelled(self) -> Iterator[PathUse]:
        spelled = spelled_in(self._nodes)
        if spelled and (
            any(map(is_table, spelled))
            or (any(map(_finds_itself, self._nodes)) and any(map(makes_text, self._nodes)))
        ):
            yield PathUse((TESTS_FOLDER,), getattr(spelled[0], "lineno", 0))

    def _discovered(self) -> Iterator[PathUse]:
        """Yield what a runner finds which is told to look for tests."""
        for line, near, anchors in runs_of_tests(self._nodes, self._places):
            for segment in (TESTS_FOLDER, "test_*.py"):
                if near:
                    yield PathUse((segment,), line)
                if anchors:
                    yield PathUse((segment,), line, anchors=anchors)

    def _path(self, node: ast.AST, text: str, inner: list[ast.AST]) -> Iterator[PathUse]:
        plain = isinstance(node, ast.Constant) and "/" not in text and "\\" not in text
        plain = plain and _IN_PACKAGE.match(text) is None
        if plain and id(node) in self._bare and _TEST_STEM.match(text):
            text += ".py"  # the name of a script, without its suffix
        if plain and id(node) not in self._bare and not _TEST_FILE.match(text):
            return
        names = {child.id for child in inner if isinstance(child, ast.Name)}
        own = bool(names & OWN) or any(map(takes_own, inner))
        anchors = tuple(sorted({name for child in inner if (name := anchor(child))}))
        line: int = getattr(node, "lineno", 0)
        near = not names.isdisjoint(self._places)
        for run in _runs(part for part in _split(text) if part not in anchors):
            tests = any(map(is_test_part, run))
            if own or tests:
                yield PathUse(run, line, own and not anchors, anchors)
            if plain and tests and id(node) in self._receivers:
                yield PathUse(run, line, anchors=(self._receivers[id(node)],))
            if near and not tests:
                yield PathUse(run, line, True)


def _names_of_places(nodes: list[ast.AST]) -> Iterator[str]:
    """The variables that hold the file's own place: ``HERE = Path(__file__).parent``."""
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if any(isinstance(one, ast.Name) and one.id in OWN for one in walk(value)):
                    yield name


def _says_several(text: str) -> bool:
    """Return whether a text says more than a path alone, and leads to tests.

    Takes time in proportion to the text, whatever is in it.
    """
    leads = "tests/" in text or "tests\\" in text
    return leads and _SEVERAL.search(text) is not None


def _paths_among(text: str, line: int) -> Iterator[PathUse]:
    """The paths to files in a text of several words: a command, a list of lines, markup."""
    for use in uses_of(test_paths(text.encode("utf-8", "replace"))):
        if "." in use.segments[-1] and not _TEST_FILE.match(use.segments[-1]):
            yield replace(use, line=line)


def _finds_itself(node: ast.AST) -> bool:
    """Return whether code asks where it lies."""
    return (type(node) is ast.Name and node.id in OWN) or takes_own(node)


def _may_lead(value: object) -> bool:
    """Return whether a constant by itself may be a path to tests."""
    return b"test" in value if isinstance(value, bytes) else "test" in str(value)


def _builds(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=str() | bytes()) | ast.JoinedStr():
            return True
        case ast.BinOp(op=ast.Div() | ast.Add() | ast.Mod()):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Constant(), attr=called)):
            return called in _JOINERS or called in _SPLITS or called in _LOWERS | {"format"}
        case ast.Call(func=function):
            return called_name(function) in _JOINERS
    return False


def _text(node: ast.AST, depth: int, seen: set[int]) -> Iterator[str]:
    """The path that an expression builds, with gaps for what isn't constant.

    Adds what it is made of to ``seen``.
    """
    seen.add(id(node))
    made = iter((_GAP,)) if depth > 100 else _of_constant(node, depth, seen)
    yield from made or _of_parts(node, depth, seen)


def _of_parts(node: ast.AST, depth: int, seen: set[int]) -> Iterator[str]:
    """The path that an expression builds of several."""
    match node:
        case ast.Constant(value=str() | bytes() as written):
            text = written if isinstance(written, str) else written[:_MAX_PATH].decode("latin-1")
            yield re.sub(r"%[-\d.]*[sdri]", _GAP, text)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            yield from _text(left, depth + 1, seen)
            yield "/"
            yield from _text(right, depth + 1, seen)
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod() as operator, right=right):
            yield from _text(left, depth + 1, seen)
            if isinstance(operator, ast.Add):
                yield from _text(right, depth + 1, seen)
        case ast.JoinedStr(values=values):
            for value in values:
                yield from _text(value, depth + 1, seen)
        case ast.FormattedValue(value=value) | ast.Starred(value=value):
            yield from _text(value, depth + 1, seen)
        case ast.Attribute(attr="sep") | ast.Name(id="sep"):
            yield "/"
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            for element in elements:
                yield from (*_text(element, depth + 1, seen), "/")
        case ast.Call(func=ast.Attribute(value=value, attr="with_name"), args=[name]):
            yield "".join(_text(value, depth + 1, seen)).rstrip("/").rpartition("/")[0] + "/"
            yield from _text(name, depth + 1, seen)
        case ast.Call(func=function, args=arguments) if called_name(function) in _JOINERS:
            first = [function.value] if isinstance(function, ast.Attribute) else []
            named = node.keywords if called_name(function) in _LOADERS else ()
            for argument in (*first, *arguments, *(item.value for item in named)):
                yield from (*_text(argument, depth + 1, seen), "/")
        case _:
            yield _GAP


def _of_constant(node: ast.AST, depth: int, seen: set[int]) -> Iterator[str] | None:
    """The path that is made of one constant; None for another expression."""
    match node:
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod(), right=right):
            seen.update(map(id, (node.left, right)))
            values = right.elts if isinstance(right, ast.Tuple) else [right]
            return _filled(PERCENT_FIELD.split(text), values, depth, seen)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr=method) as of):
            seen.update((id(of), id(of.value)))
            return _changed(text, method, node.args, depth, seen)
    return None


def _changed(
    text: str, method: str, arguments: list[ast.expr], depth: int, seen: set[int]
) -> Iterator[str]:
    """The path that a method of a constant gives: ``"tests.data".split(".")``."""
    given = [each.value if isinstance(each, ast.Constant) else None for each in arguments[:2]]
    separator = given[0] if given else None
    if method in _LOWERS:
        yield text.lower()
    elif method == "format":
        yield from _filled(BRACE_FIELD.split(text), arguments, depth, seen)
    elif method == "replace" and isinstance(separator, str) and separator:
        put = "".join(_text(arguments[1], depth + 1, seen)) if len(arguments) > 1 else _GAP
        yield text.replace(separator, put)
    elif method in _SPLITS:
        parts = text.split(separator if isinstance(separator, str) and separator else None)
        yield ("/" if separator in _PATH_SEPARATORS else f"/{_GAP}/").join(parts)
    elif method in _JOINERS:
        between = "/" if text in _PATH_SEPARATORS else text or _GAP
        for argument in arguments:
            pieces = argument.elts if isinstance(argument, ast.List | ast.Tuple) else [argument]
            yield between.join("".join(_text(piece, depth + 1, seen)) for piece in pieces)
    else:
        yield _GAP


def _filled(pieces: list[str], values: list[ast.expr], depth: int, seen: set[int]) -> Iterator[str]:
    """A template's pieces with what is put between them."""
    yield pieces[0]
    for number, piece in enumerate(pieces[1:]):
        known = number < len(values) and not isinstance(values[number], ast.Starred)
        yield "".join(_text(values[number], depth + 1, seen)) if known else _GAP
        yield piece
