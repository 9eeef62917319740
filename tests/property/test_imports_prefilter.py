"""Looking before parsing must never miss what parsing finds."""

from __future__ import annotations

import ast
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slim.analysis.imports.ast_scan import scan
from slim.analysis.imports.proof import ImportProof, Proof
from slim.analysis.imports.text_scan import look
from tests.support.virtual_stacks import VirtualStack, make_stack

NAMES = st.sampled_from(["tests", "helper", "pkg", "a", "b", "conftest"])
DOTTED = st.lists(NAMES, min_size=1, max_size=3).map(".".join)
SPACE = st.sampled_from([" ", "  ", "\t", " \\\n ", " \\\r\n\t", "\x0c "])
COMMENT = st.sampled_from(["", "", " # ) import x", "# from a import (b"])


@st.composite
def imports(draw: st.DrawFn) -> str:
    """One import statement, oddly laid out."""
    space = [draw(SPACE) for _ in range(4)]
    if draw(st.booleans()):
        modules = draw(st.lists(DOTTED, min_size=1, max_size=3))
        return f"import{space[0]}{f',{space[1]}'.join(modules)}"
    dots = "." * draw(st.integers(0, 3))
    origin = dots + (draw(DOTTED) if not dots or draw(st.booleans()) else "")
    head = f"from{space[0]}{origin}{space[1]}import"
    names = draw(st.lists(NAMES, min_size=1, max_size=3))
    match draw(st.sampled_from(["parentheses", "star", "plain"])):
        case "parentheses":
            lines = [
                f"{draw(st.sampled_from(['', chr(10)]))}{name},{draw(COMMENT)}" for name in names
            ]
            return f"{head}{draw(st.sampled_from(['', ' ']))}({chr(10).join(lines)}\n)"
        case "star":
            return f"{head}{draw(st.sampled_from(['', ' ']))}*"
    return f"{head}{space[2]}{f'{space[3]},'.join(names)}"


OTHERS = st.sampled_from(
    [
        "x = 'pkg.tests'",
        "x = ['pkg.tests.helper', \"a.b\"]",
        "x = 'a''b'if'pkg.helper'else'a.tests'",
        "__all__ = ['tests', 'helper', 'a']",
        "_lazy = {'tests': ['b'], 'a.helper': []}",
        "importlib.import_module('pkg.' 'tests')",
        "importlib.import_module('.tests', __package__)",
        "__import__('pkg', fromlist=['tests'])",
        "run([x, '-m', 'pkg'])",
        "# odd \\",
        '"""import tests\nfrom pkg import tests\n"""',
        "def tests(): pass",
    ]
)
WRAPPED = st.sampled_from(
    [
        "{}",
        "if x: {}",
        "try: {}\nexcept ImportError: pass",
        "def f():\n    {}",
        "pass; {}",
        "if TYPE_CHECKING:\n  {}",
    ]
)


def _valid(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def _joined(parts: list[tuple[str, str]]) -> str:
    """Each statement in its frame where that gives valid code, else bare, else not at all."""
    framed = (next(filter(_valid, (frame.format(text), text)), "") for frame, text in parts)
    return "\n".join(framed)


SOURCE = st.lists(st.tuples(WRAPPED, imports() | OTHERS), max_size=6).map(_joined)


@settings(max_examples=400, deadline=None)
@given(SOURCE, st.sampled_from(["\n", "\r\n", "\r"]))
def test_words_hold_everything_that_statements_name(source: str, newline: str) -> None:
    data = source.replace("\r\n", "\n").replace("\n", newline).encode()
    found, hints = scan(data), look(data)
    assert not found.problem
    for item in found.imports:
        last = {part.rpartition(".")[2] for part in (item.module, *item.names)} - {"", "*"}
        assert hints.dynamic or {word.encode() for word in last} <= hints.words
        assert hints.dynamic or hints.relative or not item.level
        assert hints.dynamic or hints.star or "*" not in item.names
    assert {text.encode() for text, _ in found.strings} <= hints.quoted


PATHS = (
    "$site/pkg/__init__.py",
    "$site/pkg/tests/__init__.py",
    "$site/pkg/tests/helper.py",
    "$site/pkg/helper.py",
    "$site/pkg/a/__init__.py",
    "$site/pkg/a/b.py",
    "$site/a/b/__init__.py",
    "$site/a/b/tests/conftest.py",
    "$site/a/helper.py",
    "$site/conftest.py",
    "$bin/tool.py",
)


def _prove(virtual: VirtualStack, going: set[str], *, thorough: bool) -> Proof:
    proof = ImportProof(virtual.stack, virtual.inventory, virtual.read, thorough=thorough)
    removals = {virtual.key(f"app-x/{path}") for path in going}
    proof.prove(
        removals, weak_counts=lambda _key: True
    )  # what is remembered must not change the answer
    return proof.prove(removals, weak_counts=lambda key: "helper" in key[1])


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries({path: SOURCE for path in PATHS}), st.sets(st.sampled_from(PATHS)))
def test_the_proof_is_the_same_with_and_without_looking_first(
    files: dict[str, str], going: set[str]
) -> None:
    virtual = make_stack({"app-x": files})
    assert _prove(virtual, going, thorough=False) == _prove(virtual, going, thorough=True)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | SOURCE.map(str.encode))
def test_reading_never_fails(source: bytes) -> None:
    scan(source)
    scan(b"exec 'x'\n" + source)
    look(source, undotted=True)


@pytest.mark.slow
def test_the_standard_library_says_the_same_both_ways() -> None:
    folder = Path(sysconfig.get_path("stdlib"))
    files = {
        f"$stdlib/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*.py"))
        if "site-packages" not in path.parts
    }
    virtual = make_stack({"cpython3.13": files})
    names = ("test", "tests", "idlelib", "tkinter", "xml", "concurrent", "json")
    removals = {
        record.key for record in virtual.inventory if set(record.path.split("/")[2:3]) & set(names)
    }
    answers = [
        ImportProof(virtual.stack, virtual.inventory, virtual.read, thorough=thorough).prove(
            removals, weak_counts=lambda _key: False
        )
        for thorough in (False, True)
    ]
    assert answers[0].refused
    assert answers[0] == answers[1]
