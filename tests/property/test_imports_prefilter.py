"""Looking before parsing must never miss what parsing finds.

Statements are generated token by token, with whatever Python allows between two tokens, among text
that looks like statements, in any encoding and with any line ends.
"""

from __future__ import annotations

import ast
import sysconfig
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slim.analysis.imports.ast_scan import scan
from slim.analysis.imports.proof import ImportProof, Proof
from slim.analysis.imports.text_scan import Hints, scan_lines, text_hints
from tests.support.examples import FULL, examples
from tests.support.virtual_stacks import VirtualStack, make_stack

SHARE = 6
"""Of so many files of the standard library, one is read, but in the weekly run all are."""

NAMES = st.sampled_from(["tests", "helper", "pkg", "a", "b", "conftest", "from_", "reimport"])
# Python compares identifiers after NFKC, so these are "tests" and "a", too.
ODD_NAMES = NAMES | st.sampled_from(["ｔests", "te𝐬ts", "ª", "é", "naïve"])
BLANK = st.sampled_from(["", " ", "\t", "\f", " \\\n", "\\\n\\\n \f", " " * 70, "\\\n" + " " * 90])
INSIDE = BLANK | st.sampled_from(
    ["\n", " # ) import x\n", "# from a import (b\n", "#\\\n", "\n\n\t", " # é\n"]
)
LONG = st.sampled_from([" ", " " * 5000, " \\\n" + " " * 3000 + "\\\n" + " " * 3000])


@st.composite
def spelled(draw: st.DrawFn, tokens: list[str]) -> str:
    """The tokens with blanks and continuations between them.

    In parentheses there are newlines and comments, too.
    """
    text = tokens[0]
    depth = 0
    for token in tokens[1:]:
        depth += {"(": 1, ")": -1}.get(text[-1], 0)
        between = draw(INSIDE if depth else BLANK)
        if not between and _is_word(text[-1]) and _is_word(token[0]):
            between = " "
        text += between + token
    return text


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


@st.composite
def dotted(draw: st.DrawFn, names: st.SearchStrategy[str]) -> list[str]:
    parts = draw(st.lists(names, min_size=1, max_size=3))
    return [token for part in parts for token in (".", part)][1:]


@st.composite
def imports(draw: st.DrawFn, names: st.SearchStrategy[str] = NAMES) -> str:
    """One import statement, oddly laid out."""
    if draw(st.booleans()):
        tokens = ["import"]
        for number in range(draw(st.integers(1, 3))):
            tokens += [*([","] if number else []), *draw(dotted(names)), *draw(renamed(names))]
        return draw(spelled(tokens))
    dots = draw(st.lists(st.sampled_from([".", "..", "..."]), max_size=2))
    tokens = ["from", *dots]
    if not dots or draw(st.booleans()):
        tokens += draw(dotted(names))
    tokens.append("import")
    if draw(st.integers(0, 5)) == 0:
        return draw(spelled([*tokens, "*"]))
    listed: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        listed += [*([","] if number else []), draw(names), *draw(renamed(names))]
    if draw(st.booleans()):
        listed = ["(", *listed, *draw(st.sampled_from([[], [","]])), ")"]
    return draw(spelled([*tokens, *listed]))


@st.composite
def renamed(draw: st.DrawFn, names: st.SearchStrategy[str]) -> list[str]:
    return ["as", draw(names)] if draw(st.integers(0, 3)) == 0 else []


OTHERS = st.sampled_from(
    [
        "x = 'pkg.tests'",
        "x = ['pkg.tests.helper', \"a.b\"]",
        "x = 'a''b'if'pkg.helper'else'a.tests'",
        "x = r'a.b', u'pkg.tests', '''a.helper'''",
        "__all__ = ['tests', 'helper', 'a']",
        "_lazy = {'tests': ['b'], 'a.helper': []}",
        "importlib.import_module('pkg.' 'tests')",
        "importlib.import_module('.tests', __package__)",
        "importlib . \\\n import_module ( 'a.tests' )",
        "__import__('pkg', fromlist=['tests'])",
        "run([x, '-m', 'pkg'])",
        "# odd \\",
        "# taken from x \\",
        "# import x, \\",
        "# from a import (b, # and so on \\",
        '"""import tests\nfrom pkg import tests\n"""',
        '"""How to import (the thing"""',
        "'''\nfrom x import (a,\n b'''",
        "'''\nimport x, \\\n'''",
        "x = '; from a import \\\n'",
        "import_ = from_ = (1)",
        "def tests(): pass",
        "\f",
        "",
    ]
)
ODD_OTHERS = OTHERS | st.sampled_from(
    [
        "importlib.ｉmport_module('tests')",
        "ﬁnd_spec('pkg.tests')",
        "x = 'é', '…', 'pkg.é', 'naïve'",
        "# ½ – ﬁn; import é",
        "__imp\u00bart__('tests')",
    ]
)
WRAPPED = st.sampled_from(
    [
        "{}",
        "\f{}",
        "if x: {}",
        "if x:{}",
        "if x:\\\n{}",
        "try: {}\nexcept ImportError: pass",
        "def f():\n    {}",
        "def f():\n\t\f\\\n{}",
        "pass; {}",
        "x=1;{}",
        "x=(1);\\\n{};",
        "x = 'y';{} # import (x, \\",
        "if TYPE_CHECKING:\n  {}",
        "match x:\n case y:{}",
        "class A:{};import b",
    ]
)


def _valid(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError:
        return False
    return True


def _joined(parts: list[tuple[str, str]]) -> str:
    """Each statement in its frame where that gives valid code, else bare, else not at all."""
    framed = (next(filter(_valid, (frame.format(text), text)), "") for frame, text in parts)
    return "\n".join(framed)


SOURCE = st.lists(st.tuples(WRAPPED, imports() | OTHERS), max_size=6).map(_joined)
ODD_SOURCE = st.lists(st.tuples(WRAPPED, imports(ODD_NAMES) | ODD_OTHERS), max_size=6).map(_joined)
NEWLINES = st.sampled_from(["\n", "\r\n", "\r"])
COOKIES = st.sampled_from(
    [
        ("", "utf-8"),
        ("", "utf-8-sig"),
        ("# coding: utf-8\n", "utf-8"),
        ("# coding: utf-8\n", "utf-8-sig"),
        ("#!/usr/bin/python\n\f# -*- coding:\tlatin-1 -*-\n", "latin-1"),
        ("\n# vim: set fileencoding=cp1252 :\n", "cp1252"),
        ("# coding=koi8-r\n", "koi8-r"),
        ("# coding: shift_jis\n", "shift_jis"),
        ("# coding: utf-7\n# coding: utf-8\n", "utf-7"),
        ("# coding: mac_roman\n", "mac_roman"),
        ("# coding: ascii\n", "utf-8"),
        ("x = 1\n# coding: latin-1\n", "utf-8"),
    ]
)


def _encoded(source: str, newline: str, encoding: str = "utf-8") -> bytes:
    return source.replace("\n", newline).encode(encoding, "replace")


def _check_covered(data: bytes) -> Hints:
    """Check that all that either scan finds is in the hints, or that the hints say to parse."""
    for undotted in (False, True):
        hints = text_hints(data, undotted=undotted)
        for found in (scan(data), scan_lines(data, "")):
            if hints.opaque or hints.dynamic:
                continue
            for item in found.imports:
                last = {part.rpartition(".")[2] for part in (item.module, *item.names)} - {"", "*"}
                tail = {word.encode() for word in item.module.split(".")}
                if item.kind == "string" and item.level and tail <= hints.tails:
                    continue  # parsed for its relative name
                assert {word.encode() for word in last} <= hints.words
                assert hints.relative or not item.level
                assert hints.star or "*" not in item.names
            assert {text.encode() for text, _ in found.strings} <= hints.quoted
            if undotted:
                listed = {text for text, _ in found.listed} | found.exported
                assert {text.encode() for text in listed} <= hints.quoted
    return hints


@settings(max_examples=examples(400), deadline=None)
@given(SOURCE, NEWLINES)
def test_words_hold_everything_that_statements_name(source: str, newline: str) -> None:
    data = _encoded(source, newline)
    hints = _check_covered(data)
    assert not scan(data).problem
    assert not (hints.opaque and data.isascii())


@settings(max_examples=examples(400), deadline=None)
@given(ODD_SOURCE, NEWLINES, COOKIES)
def test_words_hold_it_in_any_encoding(source: str, newline: str, cookie: tuple[str, str]) -> None:
    line, encoding = cookie
    _check_covered(_encoded(line + source, newline, encoding))


@settings(max_examples=examples(100), deadline=None)
@given(imports(), LONG, NEWLINES)
def test_words_hold_it_over_long_lines(statement: str, blank: str, newline: str) -> None:
    _check_covered(_encoded(statement.replace(" ", blank, 1), newline))
    _check_covered(_encoded(f"x = '{'y' * 5000}';{statement}", newline))


@settings(max_examples=examples(200), deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "import",
                "from",
                "(",
                ")",
                ".",
                " ",
                "\\\n",
                "\n",
                "\r",
                "#",
                ";",
                ":",
                "a",
                "b.c",
                ",",
                "*",
                "'",
                '"""',
                "\f",
                "\v",
                "as",
            ]
        ),
        max_size=40,
    ).map("".join)
)
def test_words_hold_what_any_line_seems_to_name(source: str) -> None:
    _check_covered(source.encode())


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


@settings(max_examples=examples(150), deadline=None)
@given(
    st.fixed_dictionaries({path: SOURCE | ODD_SOURCE for path in PATHS}),
    st.sets(st.sampled_from(PATHS)),
    NEWLINES,
)
def test_the_proof_is_the_same_with_and_without_looking_first(
    files: dict[str, str], going: set[str], newline: str
) -> None:
    virtual = make_stack({"app-x": {path: _encoded(text, newline) for path, text in files.items()}})
    assert _prove(virtual, going, thorough=False) == _prove(virtual, going, thorough=True)


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=200) | SOURCE.map(str.encode))
def test_reading_never_fails(source: bytes) -> None:
    scan(source)
    scan(b"exec 'x'\n" + source)
    text_hints(source, undotted=True)


@pytest.mark.slow
def test_the_standard_library_says_the_same_both_ways() -> None:
    folder = Path(sysconfig.get_path("stdlib"))
    sources = [path for path in sorted(folder.rglob("*.py")) if "site-packages" not in path.parts]
    files = {
        f"$stdlib/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in (sources if FULL else sources[::SHARE])
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
