"""Computed imports of which a file lists every name, and what such names hold."""

from __future__ import annotations

import ast
from dataclasses import replace

import pytest

from slim.analysis.families import starts_in
from slim.analysis.listed_names import listed_names
from slim.model.rule import Safety
from tests.support.virtual_stacks import Contents, make_stack
from tests.unit.test_guided import FILES, LAYER, ONE, plan_of, taken, trace

TABLE = '_T = {"Lock": "._lock", "Lease": "._lease"}\n'
IN = "def __getattr__(name):\n"
BOTH = {"__name__._lease", "__name__._lock"}

LISTED: list[tuple[str, set[str]]] = [
    (f"{TABLE}{IN}    return import_module(_T[name], __name__)\n", BOTH),
    (f"{TABLE}{IN}    m = _T.get(name)\n    return importlib.import_module(m, __name__)\n", BOTH),
    (f"{TABLE}{IN}    if m := _T.get(name):\n        return import_module(m, __name__)\n", BOTH),
    (f"{TABLE}{IN}    return import_module(_T.get(name, None), package=__name__)\n", BOTH),
    (
        TABLE.replace("_T", "_T: dict[str, str]") + f"{IN}    import_module(_T[name], __name__)",
        BOTH,
    ),
    (
        f'_T = MappingProxyType({{"a": "x.y"}})\n{IN}    import_module(_T[name])\n'
        "def __dir__():\n    return sorted({*globals(), *_T})\n",
        {"x.y"},
    ),
    # Tuples of a package and a name, as pydantic has them.
    (
        f'_T = {{"A": (__spec__.parent, ".a"), "B": ("other", ".b")}}\n{IN}'
        "    package, m = _T[name]\n    import_module(m, package)\n",
        {"__package__.a", "__package__.b", "other.a", "other.b"},
    ),
    # The given name itself, once it is known to be a key or a member.
    (
        f"{TABLE}{IN}    m = _T.get(name)\n    if m is None:\n        raise AttributeError(name)\n"
        "    return import_module(f'x.{name}')\n",
        {"x.Lock", "x.Lease"},
    ),
    (
        f"{TABLE}{IN}    if name not in _T:\n        raise AttributeError(name)\n"
        "    return import_module('.' + name, __package__)\n",
        {"__package__.Lock", "__package__.Lease"},
    ),
    (
        f"_T = ['a', 'b']\n{IN}    if name in _T:\n        import_module('x.' + name)\n",
        {"x.a", "x.b"},
    ),
    (
        f"_T = {{'a', 'b'}}\n{IN}    if ok and name in _T:\n"
        "        m = 'c' if name == 'a' else name\n        import_module('x.' + m)\n",
        {"x.a", "x.b", "x.c"},
    ),
    # A private function, called with constants.
    ("def _load(m):\n    return import_module(m)\n_load('a.b')\n_load(m='a.c')\n", {"a.b", "a.c"}),
    (
        "def _load(m, n='x.y'):\n    return import_module(n)\n_load(1)\n_load(1, 'z')\n",
        {"x.y", "z"},
    ),
    # A lazy loader that is attached, as huggingface_hub has it.
    (
        "def _attach(package, subs=None, attrs=None):\n"
        "    if subs is None:\n        subs = set()\n    else:\n        subs = set(subs)\n"
        "    found = {attr: mod for mod, names in attrs.items() for attr in names}\n"
        f"    {IN}"
        "        if name in subs:\n            return import_module(f'{package}.{name}')\n"
        "        elif name in found:\n            path = f'{package}.{found[name]}'\n"
        "            return import_module(path)\n"
        "    return __getattr__\n"
        "_M = {'one': ['A', 'B'], 'deep.two': ['C']}\n"
        "__getattr__ = _attach(__name__, subs=['three'], attrs=_M)\n",
        {"__name__.one", "__name__.deep.two", "__name__.three"},
    ),
]


@pytest.mark.parametrize(("source", "names"), LISTED)
def test_a_file_may_list_all_names(source: str, names: set[str]) -> None:
    found = listed_names(ast.parse(source)).values()
    assert {f"{anchor}{text}" for each in found for anchor, text in each.names} == names
    starts = {start for start in starts_in(source.encode()) if start.whole}
    assert {f"{start.anchor}{start.text}" for start in starts} == names


UNKNOWN = [
    # Anybody may ask for anything.
    f"{TABLE}{IN}    return import_module(name, __name__)\n",
    f"{TABLE}{IN}    return import_module(_T.get(name, name), __name__)\n",
    "def load(m):\n    return import_module(m)\nload('a.b')\n",
    # The table isn't constant, or the file changes it.
    f"_T = make()\n{IN}    import_module(_T[name])\n",
    f"_T = {{'a': 'x', **more}}\n{IN}    import_module(_T[name])\n",
    f"_T = {{'a': 'x', 'b': y}}\n{IN}    import_module(_T[name])\n",
    f"{TABLE}_T['c'] = d\n{IN}    import_module(_T[name], __name__)\n",
    f"{TABLE}_T.update(d)\n{IN}    import_module(_T[name], __name__)\n",
    f"{TABLE}_T |= d\n{IN}    import_module(_T[name], __name__)\n",
    f"{TABLE}del _T['Lock']\n{IN}    import_module(_T[name], __name__)\n",
    f"{TABLE}fill(_T)\n{IN}    import_module(_T[name], __name__)\n",
    f"{TABLE}register = _T\n{IN}    import_module(_T[name], __name__)\n",
    f"{TABLE}def f():\n    global _T\n    _T = g()\n{IN}    import_module(_T[name], __name__)\n",
    f"{TABLE}{IN}    for _T in x:\n        import_module(_T[name], __name__)\n",
    # A variable that may be something else.
    f"{TABLE}{IN}    m = _T[name]\n    m = other(m)\n    import_module(m, __name__)\n",
    f"{TABLE}{IN}    m = _T[name]\n    m += '.x'\n    import_module(m, __name__)\n",
    f"{TABLE}{IN}    m = 'a'\n    while x:\n        m = m + '.b'\n    import_module(m)\n",
    f"{TABLE}{IN}    import_module(f'x.{{_T[name]!r}}')\n",
    f"{TABLE}{IN}    import_module(_T[name], other)\n",
    f"{TABLE}{IN}    import_module('.' + _T[name], __name__)\n",
    # The test is about something else, doesn't end what follows, or the name changes after it.
    f"{TABLE}{IN}    if name in _T:\n        pass\n    import_module('x.' + name)\n",
    f"{TABLE}{IN}    if name not in _T:\n        import_module('x.' + name)\n",
    f"{TABLE}{IN}    if name in _T or x:\n        import_module('x.' + name)\n",
    f"{TABLE}{IN}    if name in _T:\n        name = f(name)\n        import_module('x.' + name)\n",
    f"{TABLE}{IN}    if _T.get(other):\n        import_module('x.' + name)\n",
    f"{TABLE}{IN}    if name not in _T:\n        log()\n    import_module('x.' + name)\n",
    # A function that others may call, or that is called with what isn't known.
    "def _load(m):\n    return import_module(m)\n_load('a.b')\n_load(c)\n",
    "def _load(m):\n    return import_module(m)\n_load('a.b')\n_load(*c)\n",
    "def _load(m, n='x'):\n    return import_module(n)\n_load('a', **c)\n",
    "def _load(m):\n    return import_module(m)\n_load('a.b')\ncallback(_load)\n",
    "@wrapped\ndef _load(m):\n    return import_module(m)\n_load('a.b')\n",
    "class A:\n    def _load(m):\n        return import_module(m)\n_load('a.b')\n",
    "def _load(m):\n    return import_module(m)\n_load = other\n_load('a.b')\n",
    "def _load(m):\n    _load(m + '.x')\n    return import_module(m)\n_load('a.b')\n",
    # On one line with another of which nothing is known: traces have no more than the line.
    f"{TABLE}{IN}    import_module(_T[name], __name__); import_module(other)\n",
]


@pytest.mark.parametrize("source", UNKNOWN)
def test_what_can_not_be_followed_is_not_listed(source: str) -> None:
    found = listed_names(ast.parse(source)).values()
    assert not [each for each in found if each.names]


LAZY = (
    "_T = {'U': '.used', 'S': '.spare', 'N': '.nowhere'}\n"
    "def __getattr__(name):\n    return getattr(import_module(_T[name], __name__), name)\n"
)
ATTACHED = (
    "def _load(name):\n    return import_module(__name__ + name)\n"
    "def f():\n    return _load('.used'), _load('.spare')\n"
)
USED = {"maths.used": ONE}
DEEP = {"deep/er.py", "deep/__init__.py"}
HELD: list[tuple[dict[str, Contents], str, dict[str, frozenset[str]], set[str]]] = [
    # What it lists stays, with what that imports and its packages; the rest of the package doesn't.
    ({"__init__.py": LAZY}, "maths:3", USED, {"spare.py"}),
    ({"__init__.py": LAZY}, "maths:3", {}, {"spare.py"}),
    (
        {"__init__.py": LAZY.replace(".spare", ".deep.er"), "deep/er.py": "import maths.spare\n"},
        "maths:3",
        USED,
        {*DEEP, "spare.py"},
    ),
    # Runs imported something else there, or elsewhere: more is meant than was understood.
    ({"__init__.py": LAZY}, "maths:3", {"maths.kinds": ONE}, {*DEEP, "spare.py"}),
    ({"__init__.py": LAZY}, "maths:9", USED, {*DEEP, "spare.py"}),
    # Nobody gets to the code.
    ({"opener.py": LAZY.replace("__name__", "'maths'")}, "", {}, set()),
    # A private function, which another module of the package doesn't mention, or does.
    ({"__init__.py": ATTACHED}, "maths:2", USED, {"spare.py"}),
    (
        {"__init__.py": ATTACHED, "used.py": "from maths import _load\n"},
        "maths:2",
        USED,
        {*DEEP, "spare.py"},
    ),
    (
        {
            "kinds/__init__.py": ATTACHED.replace("__name__ + name", "'maths' + name"),
            "used.py": "from maths.kinds import _load\n",
        },
        "maths.kinds:2",
        USED,
        {*DEEP, "spare.py"},
    ),
]


@pytest.mark.parametrize(("more", "place", "members", "held"), HELD)
def test_listed_names_hold_and_no_others(
    more: dict[str, Contents], place: str, members: dict[str, frozenset[str]], held: set[str]
) -> None:
    files = FILES | {f"$site/maths/{path}": "" for path in DEEP}
    files |= {f"$site/maths/{path}": content for path, content in more.items()}
    modules = dict.fromkeys(("maths", "maths.used", "maths.kinds", "maths.kinds.one"), ONE)
    families = {"maths.": {place: members}} if members else {}
    told = replace(trace(modules=modules), families=families)
    stack = make_stack({"cpython3.13": {}, LAYER: files})
    gone = taken(plan_of(stack, told, profile=Safety.GUIDED))
    assert {"spare.py", *DEEP} - {path.removeprefix("maths/") for path in gone} == held
