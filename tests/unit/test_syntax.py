"""Sources are read alike by every Python from 3.11 on: what one of them refuses, all refuse."""

from __future__ import annotations

import ast
import contextlib
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import pytest

from slim.analysis.imports.ast_scan import scan
from slim.analysis.imports.text_scan import text_hints
from slim.analysis.unimportable.lines import read_lines
from slim.system import fstrings
from slim.system.fstrings import fstrings_read_alike, places_of_fstrings
from slim.system.literals import literals_of, without_idle
from slim.system.newer_syntax import in_older_syntax
from slim.system.syntax import UNREADABLE, below, declares_other_encoding, parsed, walk
from slim.verification.lost_imports.statements import Platform, imports_of

NEWER = {
    "3.12: a type alias": "type Name = str",
    "3.12: a generic function": "def f[T](x: T) -> T: ...",
    "3.12: a generic class": "class A[*Ts, **P]: ...",
    "3.12: its own quotation marks": 'f"{names["key"]}"',
    "3.12: its own quotation marks, alike": "f'{'a' + 'b'}'",
    "3.12: a backslash": "f\"{'\\n'.join(names)}\"",
    "3.12: a comment": "f'''{name  # which\n}'''",
    "3.12: a line end": "f'{name +\n1}'",
    "3.12: fields within fields within fields": "f'{a:{b:{c}}}'",
    "3.12: a blank behind a conversion": "f'{a!r }'",
    "3.12: a star": "f'{*a}'",
    "3.12: within another": "f'''{f\"{a[\"b\"]}\"}'''",
    "3.13: a default of a type parameter": "class A[T = int]: ...",
    "3.14: exceptions without brackets": "try:\n    a\nexcept A, B:\n    b",
    "3.14: a template": 't"{name}"',
    "3.14: a raw template": "rt'{name}'",
    "3.15: a lazy import": "lazy import a",
    "3.15: a star in a comprehension": "[*a for a in b]",
}
OLDER_WORDS = {
    "3.12: a type alias": "Name      = str",
    "3.12: a generic function": "def f   (x: T) -> T: ...",
    "3.12: a generic class": "class A          : ...",
    "3.12: its own quotation marks": "f\"{names['key']}\"",
    "3.12: its own quotation marks, alike": 'f\'{"a" + "b"}\'',
    "3.12: a backslash": "f\"{'??'.join(names)}\"",
    "3.12: a comment": "f'''{name         \n}'''",
    "3.12: within another": "f'''{f\"{a['b']}\"}'''",
    "3.13: a default of a type parameter": "class A         : ...",
    "3.14: exceptions without brackets": "try:\n    a\nexcept A| B:\n    b",
    "3.14: a template": 'f"{name}"',
    "3.14: a raw template": "rf'{name}'",
    "3.15: a lazy import": "import      a",
    "3.15: a star in a comprehension": "[ a for a in b]",
}
"""What Python 3.11 would write; the others aren't read."""
MORE_NEWER = [
    ("type A[T: (int, str)] = list[T]", "A                     = list[T]"),
    ("if x: type A = int; type(A)", "if x: A      = int; type(A)"),
    ("async def f[\n    T,  # any\n](x): pass", "async def f\\\n            \\\n (x): pass"),
    ("class A[T = '['](B): pass", "class A         (B): pass"),
    ("lazy   from .a import (b,\n  c)", "from        .a import (b,\n  c)"),
    ("x = 1; lazy import a.b as c", "x = 1; import      a.b as c"),
    ("try: a\nexcept* A, b.C: c", "try: a\nexcept* A| b.C: c"),
    ("try: a\nexcept f(A, B), C: c", "try: a\nexcept f(A, B)| C: c"),
    ("x = f(*a for a in b), {**c for c in d}", "x = f( a for a in b), {  c for c in d}"),
    ("f'{a['b']:{c['d']}}' 'e'", "f'{a[\"b\"]:{c[\"d\"]}}' 'e'"),
    ("f'{a['b\"c']}'", "f'{a[\"b?c\"]}'"),
    ("f\"{'a\\'b'}\"", "f\"{'a??b'}\""),
    ("f'{a!r:>{b['c']}}{{}}\\n{d['e']}'", 'f\'{a!r:>{b["c"]}}{{}}\\n{d["e"]}\''),
    ("f'{a['#'] != ':'}'", 'f\'{a["#"] != ":"}\''),
    ("Rt'{a}' t'\\N{DIGIT ONE}{b['c']}'", "Rf'{a}' f'\\N{DIGIT ONE}{b[\"c\"]}'"),
]
OLDER = {
    "3.11: a generator in an f-string": "f'{a for a in b}'",
    "3.11: behind a subscript": "f'{a[\"k\"]for a in b}'",
    "2.7: a statement": "print 'x'",
}
ODD = {
    "an f-string with an escaped brace": r"f'\{a}'",
    "a raw format with an escape": r"rf'{a:\n}'",
    "a name in a letter of Unicode 15": "\U0001e030 = 1",
    "such a name in an f-string": "f'{\U0001e030!r}'",
    "nested too deep": "x = " + "-" * 400 + "1",
    "too many sums": "x = " + "+".join("a" * 400),
    "too many branches": "if a:\n    b\n" + "elif a:\n    b\n" * 400,
    "too many brackets": "x = " + "(" * 100 + "1" + ")" * 100,
    "an f-string in another encoding": "# coding: latin-1\nf'{a}é'",
}
ALIKE = [
    "f'{a}'",
    "f'{a!r:>{width}}'",
    "f'{a[\"key\"]}' \"b\" f'{{{c}}}'",
    "f'{a=}' f'{a = !s}' f'{a:=^10}'",
    "f'{(a for a in b)}' f'{[a for a in b]}'",
    "f'{a != b}' f'{a >= b:>3}'",
    "f'''{a\n+ b}'''",
    "rf'\\d{a}\\{{b}}'",
    "f'{{}}' f'{a,}' f'{(lambda: 1)()}'",
    "f'{before}{x:{before}}'",
    "f'\\N{SNAKE}{a}' '\\N{SHAKING FACE}'",
    "# it's\nx = 'a\\'b' \"c#d\"  # \"",
    "été = '\U0001f40d'",
    "type = 1; type(x)[0] = type; match = case = 2",
    "try:\n    a\nexcept (A, B):\n    b",
    "try:\n    a\nexcept* A:\n    b",
    "x = " + "+".join("a" * 200),
]


@pytest.mark.parametrize("source", [*NEWER.values(), *OLDER.values(), *ODD.values()])
def test_what_not_every_python_reads_alike_is_refused_by_all(source: str) -> None:
    with pytest.raises(SyntaxError, match=UNREADABLE):
        parsed(source, newer=False)


@pytest.mark.parametrize(
    "source",
    [
        *(NEWER[name] for name in NEWER if name not in OLDER_WORDS),
        *OLDER.values(),
        *ODD.values(),
        *(
            "type = f'{a['b']}",
            "f'{a[f'{b['c']}']}'",
            "f'{a}\n'",
            "def f[T: pass",
            "lazy lambda: 1",
        ),
        *(
            "f'{a['b'\n]}'",
            "f'''{a['''b''']}'''",
            "f'{f'{\"\\n\"}'}'",
            "x = )",
            "class A[T",
            "lazy 1",
        ),
    ],
)
def test_what_can_be_said_in_no_older_words_is_refused(source: str) -> None:
    with pytest.raises(SyntaxError, match=UNREADABLE):
        parsed(source)


@pytest.mark.parametrize(
    ("newer", "older"), [*((NEWER[name], old) for name, old in OLDER_WORDS.items()), *MORE_NEWER]
)
def test_newer_syntax_is_read_in_older_words_with_everything_in_its_place(
    newer: str, older: str
) -> None:
    assert in_older_syntax(newer.encode()) == older.encode()
    read, plain = parsed(newer), parsed(older, newer=False)
    assert ast.dump(read, include_attributes=True) == ast.dump(plain, include_attributes=True)
    framed = "def f(a):\n    if a:\n        {}\n    return 'é'\n"
    if "\n" not in newer:
        assert in_older_syntax(framed.format(newer).encode()) == framed.format(older).encode()


@pytest.mark.parametrize("source", ALIKE)
def test_what_every_python_reads_is_left_as_it_is(source: str) -> None:
    assert in_older_syntax(source.encode()) is None


@pytest.mark.parametrize("source", ALIKE)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_every_python_reads_alike_is_parsed(source: str, line_end: str) -> None:
    assert parsed(source.replace("\n", line_end).encode()).body


@pytest.mark.parametrize(
    "frame",
    [
        "x = {}",
        "def f(a={}): return a",
        "def f(\n  a={},\n):\n    'text'\n    return a",
        "@{}\ndef f():\n    pass",
        "if a:\n    @b\n    @c({})\n    class A: pass",
        "try:\n    pass\nexcept {}:\n    pass",
        "match {}:\n    case a: pass",
        "with a, {}: pass",
        "f'{{ {} }}'",
        "# coding: latin-1\nx = 'é', {}",
    ],
)
@pytest.mark.parametrize(
    ("depth", "readable"),
    [("-" * 280, True), ("-" * 310, False), ("not\\\n" * 310, False), ("f(" * 40, True)],
)
def test_nesting_is_told_wherever_it_stands(frame: str, depth: str, readable: bool) -> None:
    source = frame.format(f"{depth}1{')' * depth.count('(')}")
    if "\\" in source and source.startswith("f'"):
        return
    code = source.encode("latin-1" if "latin-1" in source else "utf-8")
    if readable:
        assert parsed(code).body
        return
    with pytest.raises(SyntaxError, match=UNREADABLE):
        parsed(code)


SIGHTS = [
    "x = {'f': 1, 'F': 2, \"rf\": 3}\ny = f'{a}'",
    "x = 'f'  # f'{\ny = \"don't\" 't'",
    '"""f\'{"""\nz = rF"{a}{{"',
    "x = 'a'f'{b[\"c\"]}'",
    "ñ = '\U0001f40d'",
    "\U00010000 = f''",
    "x = '\U00010000'",
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
@pytest.mark.parametrize("source", [*SIGHTS, *ALIKE, *NEWER.values(), *ODD.values()])
def test_a_quick_look_tells_what_the_whole_source_tells(source: str) -> None:
    code = source.encode()
    with contextlib.suppress(SyntaxError, RecursionError, MemoryError):
        ast.parse(code)
        whole, places = fstrings_read_alike(code), places_of_fstrings(code)
        assert (places is None) == (whole is None)
        assert set(whole or ()) <= set(places or ())


def test_templates_are_looked_for_where_python_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert places_of_fstrings(b"t'{a}'") == []
    monkeypatch.setattr(fstrings, "_HAS_TEMPLATES", True)
    assert places_of_fstrings(b"t'{a}'") is None
    assert places_of_fstrings(b"x = 't', f'{a}'") == [10]


@pytest.mark.parametrize("newer", NEWER)
def test_a_source_in_newer_syntax_is_read_for_all_that_it_imports(newer: str) -> None:
    plain = (
        "import a.b, c\n"
        "from .d import e, f as g\n"
        "from h import (i,  # one\n    j)\n"
        "def later():\n    import k.l\n"
        "importlib.import_module('m.n')\n"
        "names = ['o.p', 'q']\n"
        "__all__ = ['r']\n"
        "loaded = __import__(f'{package}.s.t')\n"
    )
    wanted = scan(plain.encode())
    assert not wanted.problem
    read = scan(f"{plain}{NEWER[newer]}\n".encode())
    assert bool(read.problem) is (newer not in OLDER_WORDS)
    if not read.problem:
        assert set(wanted.imports) <= set(read.imports)
        assert set(wanted.strings) <= set(read.strings)
        assert (wanted.exported, wanted.unresolved) == (read.exported, read.unresolved)
        return

    modules = {(one.module, one.level) for one in read.imports}
    named = {name for name, _ in (*read.strings, *read.listed)} | {one.name for one in read.named}
    for one in wanted.imports:
        assert (one.module, one.level) in modules or one.module in named
        assert set(one.names) <= {name for other in read.imports for name in other.names} | named
    assert {name for name, _ in (*wanted.strings, *wanted.listed)} <= named
    assert wanted.exported <= read.exported
    assert {one.text for one in wanted.unresolved} <= {one.text for one in read.unresolved} or (
        read.unresolved
    )


def test_what_stands_in_an_fstring_has_the_place_of_the_string() -> None:
    tree = parsed("x = 1\ny = (f'''a\n{b}''' f'{c}')\n")
    strings = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    assert len(strings) == 1
    below = [node for node in ast.walk(strings[0]) if isinstance(node, ast.expr)]
    places = {(node.lineno, node.col_offset) for node in below}
    assert places == {(2, 5)}


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("x = '# no' # two\n", ["'# no'", "# two"]),
        ('x = """\n# no\n""" # y', ['"""\n# no\n"""', "# y"]),
        ("print 'x' # y", ["'x'", "# y"]),
        ("x = rb'a\\'b' 'c'", ["rb'a\\'b'", "'c'"]),
        ('f"{x["a"]}" # y', ['"a"', "# y"]),
        ('f\'{a["b"]!r:^{"c"}}\' # y', ['"b"', '"c"', "# y"]),
        ("f'{x:\"<5}' # y", ["# y"]),
        ('f"{{{x:>{y}}}}" "a"', ['"a"']),
        ('f"""{f"""a"""}\n# no\n"""', []),
        ('f"""{\n x # y }"\n}""" # z', ['# y }"', "# z"]),
        (r'f"\N{DASH}\{x}" t"{y}" # z', ["# z"]),
        (r'rf"\{x["a"]}\"" # z', ['"a"', "# z"]),
        ("x = 'abc\n# y", None),
        ('x = f"{a" # y', None),
        ('x = f"a}" # y', None),
        ("x = (1]", None),
        ("x = (1", None),
    ],
)
def test_strings_and_comments_are_told_as_the_latest_python_has_them(
    source: str, told: list[str] | None
) -> None:
    found = literals_of(source.encode())
    assert (found and [source[each.start : each.end] for each in found]) == told


def test_what_does_nothing_is_left_out_and_lines_keep_their_numbers() -> None:
    source = b'"""No\n"""\nx = 1 # no\ny = (\n  "a"\n)\n  \'no\'  # no\nz = \\\n"b"\n'
    assert without_idle(source) == b'\n\nx = 1 \ny = (\n  "a"\n)\n    \nz = \\\n"b"\n'
    assert without_idle(b"x = '") is None


_TELLS_NOTHING = (ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop)


def _without(nodes: Iterable[ast.AST]) -> list[ast.AST]:
    return [node for node in nodes if not isinstance(node, _TELLS_NOTHING)]


@pytest.mark.parametrize("name", ["ast.py", "typing.py", "dataclasses.py", "asyncio/tasks.py"])
def test_a_tree_is_walked_in_the_order_of_the_standard_library(name: str) -> None:
    tree = ast.parse((Path(sysconfig.get_path("stdlib")) / name).read_bytes())
    assert list(walk(tree)) == _without(ast.walk(tree))
    for node in walk(tree):
        assert below(node) == _without(ast.iter_child_nodes(node))


def test_all_that_has_nodes_below_it_is_walked() -> None:
    source = """
global_name: int = {**a, "b": (c := d), **{e for e in f if e}}
def function(a, /, b=1, *c, d=2, e, **f) -> g: global h; nonlocal i
async def g():
    async with a as b, c as (d, e): await f
    async for i in j: yield
    return [k async for k in l], lambda *m, n=o: (yield from p)
class C(metaclass=D): x: f"{a!r:>{b}}" = *c, d[e:f:g]
match a:
    case {"k": v, **rest} if w: pass
    case Point(x=0, y=None) | [1, *others] | (True as t): pass
try: raise a from b
except* (c, d) as e: del f[g]
else: assert h, i
finally: j @= k if not l else -m ** n
"""
    tree = ast.parse(source)
    assert list(walk(tree)) == _without(ast.walk(tree))


@pytest.mark.parametrize(
    "source",
    [
        "lazy import pkg.tests.a as b\n",
        "import os\nif os: lazy   import pkg.tests.a\n",
        "x = 1; lazy from pkg.tests import a\n",
        "def f[T](): pass\nlazy from pkg.tests import (\n    a,\n)\n",
    ],
)
@pytest.mark.parametrize("parsable", [True, False])
def test_lazy_imports_are_seen_by_all_who_look_for_imports(source: str, parsable: bool) -> None:
    code = (source if parsable else f"{source}f'{{a!r }}'\n").encode()
    assert bool(scan(code).problem) is not parsable
    assert {"pkg.tests", "pkg.tests.a"} & {one.module for one in scan(code).imports}
    assert {b"tests", b"a"} <= text_hints(code).words
    assert read_lines(code).tops == read_lines(code.replace(b"lazy", b"    ")).tops
    assert not [one for one in read_lines(code).always if one.request.module.startswith("pkg")]
    found = {one.module for one in imports_of(code, Platform())}
    assert {"pkg.tests", "pkg.tests.a"} & found


@pytest.mark.parametrize(
    ("code", "other"),
    [
        (b"# -*- coding: latin-1 -*-\nx", True),
        (b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nx", True),
        (b"# Coding: iso-8859-15", True),
        (b"# coding: utf-8\nx", False),
        (b"# coding=UTF8\n", False),
        (b"\n\n# coding: latin-1\n", False),
        (b"x = 1\n", False),
        (b"", False),
        (b"#" * (1 << 22), False),  # ends, where a pattern of both lines would take days
    ],
)
def test_an_encoding_is_declared_in_the_first_two_lines(code: bytes, other: bool) -> None:
    assert declares_other_encoding(code) is other
