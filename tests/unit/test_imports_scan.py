"""Imports of one Python file: tables of sources and what is found in them."""

from __future__ import annotations

import pytest

from slim.analysis.imports.ast_scan import scan
from slim.analysis.imports.text_scan import text_hints
from slim.model.finding import Strength

GUARDED = "try:\n    import a.b\nexcept {}:\n    {}\n"

STRENGTHS = {
    "import a.b": "strong",
    "def f():\n    import a.b": "strong",
    "class C:\n    import a.b": "strong",
    "if x: import a.b": "strong",
    "for x in y:\n    pass\nelse:\n    import a.b": "strong",
    "match x:\n    case 1:\n        import a.b": "strong",
    "while x:\n    with y:\n        import a.b": "strong",
    GUARDED.format("ImportError", "pass"): "weak",
    GUARDED.format("ModuleNotFoundError", "a = None"): "weak",
    GUARDED.format("Exception as error", "print(error)"): "weak",
    GUARDED.format("(ValueError, ImportError)", "pass"): "weak",
    GUARDED.format("builtins.ImportError", "pass"): "weak",
    "try:\n    import a.b\nexcept:\n    pass": "weak",
    "try:\n    import a.b\nexcept* ImportError:\n    pass": "weak",
    GUARDED.format("ValueError", "pass"): "strong",
    GUARDED.format("ImportError", "raise RuntimeError('needs a')"): "strong",
    "try:\n    x\nexcept ImportError:\n    import a.b": "strong",
    "try:\n    x\nexcept ImportError:\n    pass\nelse:\n    import a.b": "strong",
    "try:\n    x\nfinally:\n    import a.b": "strong",
    "try:\n    def f():\n        import a.b\nexcept ImportError:\n    pass": "strong",
    "try:\n    class C:\n        import a.b\nexcept ImportError:\n    pass": "weak",
    "try:\n    if x:\n        import a.b\nexcept ImportError:\n    pass": "weak",
    "with contextlib.suppress(ImportError):\n    import a.b": "weak",
    "with suppress(ValueError, ModuleNotFoundError):\n    import a.b": "weak",
    "with suppress(ValueError):\n    import a.b": "strong",
    "if TYPE_CHECKING:\n    import a.b": None,
    "if typing.TYPE_CHECKING:\n    import a.b": None,
    "if TYPE_CHECKING and x:\n    import a.b": None,
    "if TYPE_CHECKING or x:\n    import a.b": "strong",
    "if not TYPE_CHECKING:\n    import a.b": "strong",
    "if not TYPE_CHECKING:\n    pass\nelse:\n    import a.b": None,
    "if TYPE_CHECKING:\n    pass\nelse:\n    import a.b": "strong",
    "if TYPE_CHECKING:\n    pass\nelif x:\n    import a.b": "strong",
    "if False:\n    import a.b": None,
    "if __name__ == '__main__':\n    import a.b": "weak",
    "if '__main__' == __name__:\n    import a.b": "weak",
    "if __name__ == '__main__':\n    pass\nelse:\n    import a.b": "strong",
    "if __name__ != '__main__':\n    import a.b": "strong",
    "importlib.import_module('a.b')": "strong",
    "from importlib import import_module as load\nload('a.b')": "strong",
    "load('a.b')\nfrom importlib import import_module as load": "strong",
    "__import__('a.b')": "strong",
    "x = [__import__('a.b') for _ in y]": "strong",
    "@decorate(import_module('a.b'))\ndef f(): pass": "strong",
    "def f(x=import_module('a.b')): pass": "strong",
    "with open(import_module('a.b')): pass": "strong",
    "try:\n    import_module('a.b')\nexcept ImportError:\n    pass": "weak",
    "try:\n    f = lambda: import_module('a.b')\nexcept ImportError:\n    pass": "strong",
    "if TYPE_CHECKING:\n    import_module('a.b')": None,
    "import_module(name='a.b')": "strong",
    "import_module('a.' 'b')": "strong",
    "import_module(name)": None,
    "import_module('a b')": None,
    "importlib.util.find_spec('a.b')": "weak",
    "runpy.run_module('a.b')": "strong",
    "subprocess.run([sys.executable, '-m', 'a.b'])": "weak",
    "call('-m', 'a.b', '--upgrade')": "weak",
    "call('-m', name, 'a.b x')": None,
}


@pytest.mark.parametrize(
    ("source", "strength"), STRENGTHS.items(), ids=lambda value: str(value)[:40]
)
def test_strength_of_an_import(source: str, strength: str | None) -> None:
    found = [item for item in scan(source.encode()).imports if item.module == "a.b"]
    assert [item.strength for item in found] == ([Strength(strength)] if strength else [])


STATEMENTS = {
    "import a, b.c as d": [(0, "a", ()), (0, "b.c", ())],
    "from a import b, c as d": [(0, "a", ("b", "c"))],
    "from . import b": [(1, "", ("b",))],
    "from ...a.b import *": [(3, "a.b", ("*",))],
    "from .import b": [(1, "", ("b",))],
    "__import__('a', fromlist=['b', 'c'])": [(0, "a", ("b", "c"))],
    "__import__('a', g, l, ('b',), 1)": [(1, "a", ("b",))],
    "__import__('a', level=2)": [(2, "a", ())],
}


@pytest.mark.parametrize(("source", "expected"), STATEMENTS.items())
def test_what_a_statement_names(
    source: str, expected: list[tuple[int, str, tuple[str, ...]]]
) -> None:
    assert [
        (item.level, item.module, item.names) for item in scan(source.encode()).imports
    ] == expected


ANCHORS = {
    "import_module('.x', 'p.q')": [(1, "x", "p.q")],
    "import_module('.x', package='p')": [(1, "x", "p")],
    "import_module('..x', __name__)": [(2, "x", "__name__")],
    "import_module('.x', __package__)": [(1, "x", None)],
    "import_module('.x', somewhere())": [(1, "x", None), (1, "x", "__name__")],
    "import_module(__name__ + '.x.y')": [(1, "x.y", "__name__")],
    "import_module(f'{__package__}.x')": [(1, "x", None)],
    "import_module(f'{__name__}{x}')": [],
}


@pytest.mark.parametrize(("source", "expected"), ANCHORS.items())
def test_relative_names_in_calls(source: str, expected: list[tuple[int, str, str | None]]) -> None:
    found = {(item.level, item.module, item.anchor) for item in scan(source.encode()).imports}
    assert found == set(expected)


STRINGS = {
    "x = 'a.b'": [("a.b", 1)],
    "\n\nx = {'k': u\"a.b.c\"}": [("a.b.c", 3)],
    "x = '''a.b'''": [("a.b", 1)],
    "x = 'a.b c'": [],
    "x = 'a'": [],
    "x = f'a.b'": [],
    "x = b'a.b'": [],
    "x = 'a.' 'b'": [],
    "x = 'a\\x2eb'": [],
    "x = 'a.b' in sys.modules": [],
    "x = name in ('a.b', 'c.d')": [],
    "import_module('a.b')": [],
}


@pytest.mark.parametrize(("source", "expected"), STRINGS.items())
def test_dotted_names_in_strings(source: str, expected: list[tuple[str, int]]) -> None:
    assert list(scan(source.encode()).strings) == expected


def test_lists_exports_and_bindings_of_a_package() -> None:
    found = scan(
        b"from .m import f\n"
        b"from . import sub\n"
        b"import x.y\n"
        b"__all__ = ['f', 'tests'] + other\n"
        b"__all__ += ('late',)\n"
        b"if x:\n    class C: pass\n"
        b"lazy.attach(__name__, submodules={'one'}, attrs={'two': ['three']})\n"
        b"def g():\n    h = ['inner']\n"
    )
    assert found.exported == {"f", "tests", "late"}
    assert found.bound == {"f", "x", "__all__", "C", "g"}
    assert {name for name, _ in found.listed} == {"f", "tests", "late", "one", "two", "three"}


UNREADABLE = {
    "python 2": (b"print 'x'\nimport a.b\n", "a.b", 2),
    "several lines": (b"exec 'x'\r\n\r\nfrom a.b import (c, # one\r\n  d)\r\n", "a.b", 3),
    "continued": (b"exec 'x'\nfrom a.b \\\n  import c\n", "a.b", 2),
    "after a semicolon": (b"print 'x'; import a.b; print 'y'\n", "a.b", 1),
    "a null byte": (b"import a.b\n\0", "a.b", 1),
    "an unknown encoding": (b"# coding: no-such-thing\nimport a.b\n", "a.b", 2),
    "not UTF-8": (b"import a.b\nx = '\xff'\n", "a.b", 1),
    "too deep": (b"import a.b\nx = " + b"(" * 5000 + b")" * 5000, "a.b", 1),
    "too deep without brackets": (b"import a.b\nx = " + b"-" * 200_000 + b"1", "a.b", 1),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_parsed_is_read_line_by_line(name: str) -> None:
    source, module, line = UNREADABLE[name]
    found = scan(source)
    assert (module, line, Strength.STRONG) in [
        (item.module, item.line, item.strength) for item in found.imports
    ]
    assert found.problem.startswith("read without a parser: ")
    assert found.imports[0].note == found.problem


@pytest.mark.parametrize(
    "source",
    [
        b"\xef\xbb\xbfimport a.b",
        b"# -*- coding: latin-1 -*-\nx = '\xe9'\nimport a.b",
        b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nimport a.b\nx = '\x80'",
        b"x = 1\rimport a.b\r",
        b"import a.b # type: ignore",
    ],
)
def test_encodings_and_line_ends(source: bytes) -> None:
    found = scan(source)
    assert not found.problem
    assert [item.module for item in found.imports] == ["a.b"]
    assert b"b" in text_hints(source).words


WORDS = {
    "import a": {"a"},
    "if x:import a;import b": {"a", "b"},
    "from a.b\\\n.c import d": {"a", "b", "c", "d"},
    "from a import(b,# )\n c,\\\n d)": {"a", "b", "c", "d"},
    "from \\\n a \\\n import \\\n b": {"a", "b"},
    "# odd \\\nimport a": {"a"},
    "try: import a\nexcept: from . import b": {"a", "b"},
    "from a.b import*": {"a", "b"},
    "# import x \\\nfrom . import a": {"a"},
    "# from a import (b, \\\nfrom c import d": {"a", "b", "c", "d"},
    '"""How to import (it"""\nfrom . import a\nx = (1)': {"a"},
    "from reimport import a": {"reimport", "a"},
    "from . \\\n  a \\\n import(b,\n# )\n)": {"a", "b"},
    "\timport\ta": {"a"},
    "\x0cimport a": {"a"},
    "important = 1; reimport a": set(),
    "x = 'the import of a'": set(),
    "# import_a and import b": set(),
}


@pytest.mark.parametrize(("source", "expected"), WORDS.items())
def test_words_of_import_statements(source: str, expected: set[str]) -> None:
    words = {word.decode() for word in text_hints(source.encode()).words}
    assert expected <= words
    if not expected:
        assert not words


@pytest.mark.parametrize(
    "source",
    [
        b"from . \\\nimport (tests,\n)",
        b"from.import x",
        b"from ..import(y)",
        b"x=1;from . import tests",
        b"\x0cfrom\x0c.\x0cimport\ttests",
        b"from . \\\r\\\rimport tests\r",
        b"# taken from x \\\nfrom \\\n. \\\nimport tests",
        b"exec 'x'\nfrom \x0b.x import y",
    ],
)
def test_relative_imports_are_seen(source: bytes) -> None:
    hints = text_hints(source)
    assert hints.relative
    assert not hints.opaque


def test_what_only_parsing_can_tell_is_opaque() -> None:
    assert text_hints("import ｆoo".encode()).opaque
    assert text_hints(b"# coding: shift_jis\nimport a").opaque
    assert text_hints(b"x = '" + b"y" * 5000 + b"'; import a").opaque
    assert text_hints(b"from \\\n" + b" " * 3000 + b"\\\n" + b" " * 3000 + b"a import b").opaque
    assert text_hints("importlib.ｉmport_module(x)".encode()).opaque
    assert text_hints("# coding: latin-1\n__impºrt__(x)".encode("latin-1")).opaque
    assert text_hints(b"# coding: utf-7\n# coding: utf-8\n+AGk-mport a").opaque
    assert text_hints(b"#from a import (#\n" * 3000).opaque, "each would hold all that follow"
    assert not text_hints(b"# coding: latin-1\nimport a").opaque
    assert not text_hints("# … – é\nimport a".encode()).opaque
    assert [item.module for item in scan("import ｆoo".encode()).imports] == ["foo"]
