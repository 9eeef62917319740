"""Evidence that text gives for tests: each line of what stays, and what it holds, whole."""

from __future__ import annotations

import io
import marshal
import zipfile
import zlib
from collections.abc import Mapping

import pytest

from slim.analysis.imports import archives
from slim.analysis.imports.proof import ImportProof, Proof
from slim.analysis.imports.scans import Scan
from slim.analysis.python_code import MOST_BYTECODE
from tests.support.virtual_stacks import SITE, Contents, VirtualStack, make_stack

INIT, MOD, DATA, DEEP = "__init__.py", "mod.py", "data/a.csv", "deep/b.py"
ALL = {INIT, MOD, DATA, DEEP}
NAMED = {INIT, MOD}


def held(files: dict[str, Contents], *, keep: str = "pkg/tests/") -> set[str]:
    """What has to stay of ``pkg/tests``, relative to it, beside these files of site-packages."""
    layer: dict[str, Contents] = {f"$site/{keep}{name}": "" for name in ALL}
    layer |= {"$site/pkg/__init__.py": "", "$site/other/tests/x.py": "", **files}
    virtual = make_stack({"app-x": {_placed(path): text for path, text in layer.items()}})
    return {path.partition("/tests/")[2] for path in refused(virtual, "/tests/")}


def _placed(path: str) -> str:
    return path if path.startswith(("$", "bin/", "share/")) else f"$site/{path}"


def refused(virtual: VirtualStack, going: str) -> set[str]:
    """The paths that stay of everything that has ``going`` in its path."""
    keys = {record.key for record in virtual.inventory if going in record.path}
    return {key[1] for key in prove(virtual, keys).refused}


def prove(virtual: VirtualStack, keys: set[tuple[str, str]]) -> Proof:
    proof = ImportProof(virtual.stack, virtual.inventory, virtual.read)
    return proof.prove(keys, weak_counts=lambda _key: True, by_name=keys)


SITE_OF = "$L/lib/python3.13/site-packages"
PATHS: dict[str, tuple[str, str, set[str]]] = {
    "a command": ("pkg/core.py", "run('cat tests/data/a.csv > x', cwd=HERE)", {DATA}),
    "lines": ("pkg/core.py", "F = '''\ntests/data/a.csv\ncore.py\n'''.split()", {DATA}),
    "markup": ("pkg/core.py", "x = parse('<f path=\"tests/data/a.csv\"/>')", {DATA}),
    "words about a folder": ("pkg/core.py", "raise ValueError('see tests/ for more')", set()),
    "words in documentation": ("pkg/core.py", "'''See tests/data/a.csv.'''", set()),
    "a package by keyword": ("pkg/core.py", "f = find('data/a.csv', package='pkg.tests')", ALL),
    "nothing": ("pkg/core.py", "x = 1", set()),
    "pathlib": ("pkg/core.py", "x = Path(__file__).parent / 'tests' / 'data'", {DATA}),
    "the folder": ("pkg/core.py", "x = Path(__file__).parent / 'tests'", ALL),
    "join": ("pkg/core.py", "x = os.path.join(root, 'tests', 'data', name)", {DATA}),
    "joinpath": ("pkg/core.py", "x = files('pkg').joinpath('tests').joinpath('data')", {DATA}),
    "from a module's place": (
        "user.py",
        "import pkg\nx = Path(pkg.__file__).parent / 'tests/data'",
        {DATA},
    ),
    "of a package by name": (
        "user.py",
        "def f(m): return join(dirname(import_module(m).__file__), 'tests', 'data')\nf('pkg')",
        {DATA},
    ),
    "of resources by name": (
        "user.py",
        "def f(m): return files(m) / 'tests' / 'data' / 'a.csv'\nf('pkg')",
        {DATA},
    ),
    "of another by name": (
        "user.py",
        "def f(m): return files(m) / 'tests' / 'data' / 'a.csv'\nf('other')",
        set(),
    ),
    "from another's place": (
        "user.py",
        "import other\nx = Path(other.__file__).parent / 'tests/data'",
        set(),
    ),
    "a constant": ("pkg/core.py", "FOLDER = 'tests'", ALL),
    "an argument": ("pkg/core.py", "example('tests')", ALL),
    "a default": ("pkg/core.py", "def f(folder='tests'): pass", ALL),
    "a loop": ("pkg/core.py", "for d in ('core', 'tests'): look(d)", ALL),
    "a listed loop": ("pkg/core.py", "D = ['tests']\nx = [look(d) for d in D]", ALL),
    "a file": ("pkg/core.py", "x = 'tests/data/a.csv'", {DATA}),
    "a pattern": ("pkg/core.py", "setup(package_data={'pkg': ['tests/data/*.csv']})", {DATA}),
    "an f-string": ("pkg/core.py", "x = f'{root}/tests/data/{name}.csv'", {DATA}),
    "added": ("pkg/core.py", "x = root + '/tests' + os.sep + 'data'", {DATA}),
    "formatted": ("pkg/core.py", "x = '%s/tests/data' % root", {DATA}),
    "backslashes": ("pkg/core.py", r"x = 'tests\\data'", {DATA}),
    "the whole path elsewhere": (
        "user.py",
        "x = os.path.join(site, 'pkg', 'tests', 'data')",
        {DATA},
    ),
    "a user of the package": ("user.py", "import pkg\nx = root(pkg) / 'tests' / 'data'", {DATA}),
    "no user of it": ("user.py", "x = root / 'tests' / 'data'", set()),
    "a resource": ("user.py", "resource_filename('pkg', 'tests/data/a.csv')", {DATA}),
    "configuration": ("pkg/conf.toml", "paths = ['tests/data']", {DATA}),
    "what runs the tests": ("pkg/testing/runtests.py", "find(os.path.join(d, 'tests'))", set()),
    "data that it opens": ("pkg/testing/a.py", "open(os.path.join(d, 'tests', 'data'))", {DATA}),
    "HTML": ("pkg/page.html", '<img src="../tests/data/a.csv">', {DATA}),
    "HTML, a link": ("pkg/page.html", "<a href=tests/data/a.csv>x</a>", {DATA}),
    "HTML that only says it": ("pkg/page.html", "<p>see tests/data/a.csv</p>", set()),
    "CSS": ("pkg/static/a.css", "x { background: url('../tests/data/a.csv') }", {DATA}),
    "CSS, imported": ("pkg/static/a.css", '@import "../tests/data/a.csv";', {DATA}),
    "SVG": ("pkg/a.svg", "<image href='tests/data/a.csv'/>", {DATA}),
    "HTML, a script": ("pkg/a.html", "<script>fetch('tests/data/a.csv')</script>", {DATA}),
    "QML": ("pkg/a.qml", 'Image { source: "tests/data/a.csv" }', {DATA}),
    "JavaScript": ("pkg/a.js", "fetch('./tests/data/a.csv')", {DATA}),
    "XML": ("pkg/a.xml", "<file>tests/data/a.csv</file>", {DATA}),
    "a template in JSON": ("pkg/a.json", '{"x": "%s/tests/data/%s"}', {DATA}),
    "INI": ("pkg/a.ini", "[x]\nsamples = tests/data\n", {DATA}),
    "compiled": ("pkg/a.so", "\x7fELF\0tests/data/a.csv\0", {DATA}),
    "compiled, a template": ("pkg/a.so", "\x7fELF\0%s/tests/data/%s\0", {DATA}),
    "compiled from a test": ("pkg/a.so", "\x7fELF\0/src/tests/a.c\0", set()),
    "a key of a table": ("pkg/core.py", "x = {'tests': 1}['tests']", set()),
    "in a list": ("pkg/core.py", "names = {'core', 'tests'}", set()),
    "compared": ("pkg/core.py", "x = 'tests' in parts or name.startswith('tests/')", set()),
    "a table of parts": ("pkg/core.py", "F = {'x': ('tests', 'data')}\njoin(r, *F[k])", ALL),
    "a default of the environment": ("pkg/core.py", "x = environ.get('D', 'tests/data')", {DATA}),
    "parts of a class": ("pkg/core.py", "class C:\n  P = ('tests', 'data')\njoin(r, *C.P)", ALL),
    "behind a slice": ("pkg/core.py", "x = open(__file__[:-7] + 'tests/data/a.csv')", {DATA}),
    "a dotted folder of data": (
        "pkg/core.py",
        "x = 'pkg.tests.data'.replace('.', '/')",
        {INIT, DATA},
    ),
    "a separator filled in": ("pkg/core.py", "x = open('tests%sdata' % os.sep)", {DATA}),
    "separators filled in": ("pkg/core.py", "x = 'tests%sdata%s%s' % (sep, sep, name)", {DATA}),
    "names filled in": ("pkg/core.py", "x = '%s/%s' % ('tests', 'data')", {DATA}),
    "a separator in braces": ("pkg/core.py", "x = 'tests{0}data'.format(os.sep)", {DATA}),
    "a separator in an f-string": ("pkg/core.py", "x = f'tests{os.sep}data'", {DATA}),
    "a separator that joins": ("pkg/core.py", "x = os.sep.join(['tests', 'data'])", {DATA}),
    "a slash that joins": ("pkg/core.py", "x = '/'.join(('tests', 'data', name))", {DATA}),
    "reduced": ("pkg/core.py", "x = reduce(os.path.join, [root, 'tests', 'data'])", {DATA}),
    "split by dots": ("pkg/core.py", "x = join(root, *'tests.data'.split('.'))", {DATA}),
    "split by spaces": ("pkg/core.py", "for d in 'core tests'.split(): look(d)", ALL),
    "dots replaced": ("pkg/core.py", "x = 'tests.data'.replace('.', os.sep)", {DATA}),
    "in small letters": ("pkg/core.py", "x = join(root, 'Tests'.lower(), 'data')", {DATA}),
    "Markdown, a picture": ("pkg/guide.md", "![x](../tests/data/a.csv)", {DATA}),
    "Markdown, a reference": ("pkg/guide.md", "[1]: tests/data/a.csv", {DATA}),
    "Markdown that only says it": ("pkg/guide.md", "See tests/data/a.csv.", set()),
    "reStructuredText": ("pkg/guide.rst", ".. include:: ../tests/data/a.csv", {DATA}),
    "bytes": ("pkg/core.py", "x = os.path.join(root, b'tests', b'data')", {DATA}),
    "bytes that are a path": ("pkg/core.py", "x = open(b'tests/data/a.csv')", {DATA}),
    "a docstring": ("pkg/core.py", "'''See tests/data.'''", set()),
    "a path in a package": ("user.py", "x = static('pkg:tests/data/a.csv')", {DATA}),
    "a path in a package within": ("user.py", "x = static('pkg.tests:data/a.csv')", {INIT, DATA}),
    "a folder in a package": ("user.py", "x = migrations('pkg:tests')", ALL),
    "a path in another package": ("user.py", "x = static('other:tests/data/a.csv')", set()),
    "a path in a package, in settings": ("a.json", '{"x": "pkg:tests/data/a.csv"}', {DATA}),
    "a path in a package, in INI": ("a.ini", "[a]\nscripts = pkg:tests\n", ALL),
    "a path in a package within, in YAML": ("a.yaml", "x: pkg.tests:data/a.csv\n", ALL),
    "a variable of a script": ("$bin/go", f"#!/bin/sh\nD={SITE_OF}/pkg/tests/data\nx $D\n", {DATA}),
    "variables of a script": ("$bin/go.sh", f"P={SITE_OF}/pkg\nD=$P/tests\nx $D/data\n", ALL),
    "a folder that a script goes to": (
        "$bin/go.sh",
        f"cd {SITE_OF}/pkg\ncd tests; x data/a.csv\n",
        {DATA},
    ),
    "a path from where a script is": (
        "$bin/go.sh",
        f"cd {SITE_OF}/pkg\nx tests/data/a.csv",
        {DATA},
    ),
    "a makefile": ("Makefile", f"D := $(L){SITE_OF[2:]}/pkg/tests/data\nx:\n\ty $(D)\n", {DATA}),
    "a loader's arguments": (
        "user.py",
        "x = PackageLoader(package_name='pkg', package_path='tests/data')",
        {DATA},
    ),
}


@pytest.mark.parametrize("case", PATHS)
def test_paths_hold_what_they_lead_to(case: str) -> None:
    path, text, expected = PATHS[case]
    assert held({path: text}) == expected


def test_pieces_that_are_decoded_hold_what_they_name() -> None:
    assert held({"user.py": "import_module('pkg' + b'.tests.mod'.decode('ascii'))"}) == NAMED


NAMES: dict[str, tuple[str, str, set[str]]] = {
    "an entry point in a string": ("user.py", "x = 'pkg.tests.mod:main'", NAMED),
    "bytes": ("user.py", "load(b'pkg.tests.mod')", NAMED),
    "decoded": ("user.py", "import_module(b'pkg.tests.mod'.decode())", NAMED),
    "decoded by str": ("user.py", "import_module(str(b'pkg.tests.mod', 'ascii'))", NAMED),
    "decoded, relative": ("pkg/core.py", "import_module(b'.tests.mod'.decode(), 'pkg')", NAMED),
    "bytes in a sentence": ("user.py", "run(b'from pkg.tests import mod')", NAMED),
    "behind a line end": ("user.py", "x = 'see:\\npkg.tests.mod'", NAMED),
    "within a sentence": ("user.py", "x = 'run pkg.tests.mod please'", NAMED),
    "JSON": ("pkg/conf.json", '{"class": "pkg.tests.mod.Class"}', NAMED),
    "INI": ("conf.ini", "[x]\nfactory = pkg.tests.mod:main\n", NAMED),
    "YAML": ("conf.yaml", "handler: pkg.tests.mod\n", NAMED),
    "exec": ("user.py", "exec('from pkg.tests import mod')", NAMED),
    "exec of pieces": ("user.py", "exec('from pkg'\n  '.tests import mod')", NAMED),
    "code in a string": ("user.py", "run([exe, '-c', 'import pkg.tests.mod'])", NAMED),
    "several lines of code": ("user.py", 'C = """\nimport os\nimport pkg.tests.mod\n"""', NAMED),
    ".pth": ("a.pth", "import sys; exec('from pkg.tests import mod')\n", NAMED),
    "an alias": (
        "pkg/core.py",
        "load = importlib.import_module\nload('.tests.mod', __package__)",
        NAMED,
    ),
    "a partial": ("pkg/core.py", "load = partial(import_module)\nload('.tests.mod', 'pkg')", NAMED),
    "a loader of one's own": ("pkg/__init__.py", "lazy('.tests.mod')", NAMED),
    "%": ("pkg/__init__.py", "x = '%s.tests.mod' % __name__", NAMED),
    "% filled": ("pkg/__init__.py", "x = '%s.%s.mod' % (__name__, 'tests')", NAMED),
    "format": ("pkg/__init__.py", "x = '{}.tests.mod'.format(__name__)", NAMED),
    "f-string": ("pkg/__init__.py", "x = f'{__name__}.tests.mod'", NAMED),
    "+": ("pkg/core.py", "x = __package__ + '.tests.mod'", NAMED),
    "below a package that isn't known": ("pkg/core.py", "x = f'{find()}.tests.mod'", NAMED),
    "an open end": ("pkg/__init__.py", "x = f'{__name__}.tests.{name}'", ALL),
    "another open end": ("user.py", "x = 'pkg.tests.' + name", ALL),
    "an open end of what isn't there": (
        "pkg/tests_of.py",
        "from pkg import tests\nx = f'{__package__}.tests.Class.{name}'",
        {INIT},
    ),
    "only a suffix": ("pkg/core.py", "x = name.endswith('.tests')", set()),
    "iter_modules": ("user.py", "from pkg import tests\niter_modules(tests.__path__)", ALL),
    "walk_packages": ("user.py", "import pkg.tests as t\nwalk_packages(t.__path__)", ALL),
    "files": ("user.py", "files('pkg.tests').joinpath('data/a.csv')", ALL),
    "open_text": ("user.py", "resources.open_text('pkg.tests', 'x')", ALL),
    "get_data": ("user.py", "pkgutil.get_data('pkg.tests', 'data/a.csv')", ALL),
    "setup.cfg": (
        "pkg/setup.cfg",
        "[options.entry_points]\nconsole_scripts =\n    run = pkg.tests.mod:main\n",
        NAMED,
    ),
    "setup.cfg, on one line": ("setup.cfg", "[entry_points]\na = b = pkg.tests.mod:f [x]", NAMED),
    "setup.cfg of pytest": ("setup.cfg", "[tool:pytest]\ntestpaths = pkg.tests.mod\n", set()),
    "pyproject.toml": ("pyproject.toml", "[project.scripts]\nx = 'pkg.tests.mod:f'\n", NAMED),
    "pyproject.toml, plug-ins": (
        "pyproject.toml",
        '[project.entry-points."a.b"]\nx = "pkg.tests.mod"\n',
        NAMED,
    ),
    "pyproject.toml of pytest": (
        "pyproject.toml",
        "[tool.pytest.ini_options]\nx = 'pkg.tests.mod'\n",
        set(),
    ),
    "stray dist-info": ("x-1.dist-info/entry_points.txt", "[a]\nx = pkg.tests.mod:f\n", NAMED),
    "egg-info": ("x.egg-info/entry_points.txt", "[a]\nx = pkg.tests.mod\n", NAMED),
    "egg": ("x-1.egg/EGG-INFO/entry_points.txt", "[a]\nx = pkg.tests.mod\n", NAMED),
    "a notebook": ("nb.ipynb", '{"source": ["from pkg.tests import mod\\n", "x"]}', NAMED),
    "a shell script": ("share/run.sh", "#!/bin/sh\nexec python -m pkg.tests.mod\n", NAMED),
    "a shell script that says a version of Python": (
        "$bin/run",
        "#!/bin/sh\nP=$L/lib/python3.13/x\nexec python -m pkg.tests.mod\n",
        NAMED,
    ),
    "a batch file": ("$bin/run.bat", "python -m pkg.tests.mod\r\n", NAMED),
    "an option and its value": ("$bin/run.cmd", "@python -mpkg.tests.mod %*\r\n", NAMED),
    "a notebook in Markdown": (
        "nb.md",
        "---\njupytext:\n  x: 1\n---\n```{code-cell}\nfrom pkg.tests import mod\n```\n",
        NAMED,
    ),
    "a document": ("nb.md", "```python\nfrom pkg.tests import mod\n```\n", set()),
    "a script that isn't executable": (
        "share/tool",
        "#!/usr/bin/env python\nimport pkg.tests.mod",
        NAMED,
    ),
    "a script with a dot": ("$bin/tool-1.2", "#!/x/python3\nfrom pkg.tests import mod", NAMED),
    "a comment": ("user.py", "# see pkg.tests.mod", set()),
}


@pytest.mark.parametrize("case", NAMES)
def test_names_hold_what_they_name(case: str) -> None:
    path, text, expected = NAMES[case]
    assert held({path: text}) == expected


PACKAGES: dict[str, tuple[str, str]] = {
    "an application of Django": ("user.py", "INSTALLED_APPS = ['django.x', 'pkg.tests']"),
    "tasks of Celery": ("user.py", "app.autodiscover_tasks(['pkg.tests'])"),
    "what Pyramid scans": ("user.py", "config.scan('pkg.tests')"),
    "what is wired": ("user.py", "container.wire(packages=['pkg.tests'])"),
    "JSON": ("conf.json", '{"packages": ["pkg.tests"]}'),
    "YAML": ("conf.yaml", "packages:\n  - pkg.tests\n"),
    "ZCML": ("conf.zcml", '<include package="pkg.tests"/>'),
}


@pytest.mark.parametrize("case", PACKAGES)
def test_the_name_of_a_package_holds_what_is_no_test_in_it(case: str) -> None:
    """A framework imports the modules that it knows, such as ``models``; no tests."""
    path, text = PACKAGES[case]
    tests: dict[str, Contents] = {"pkg/tests/test_a.py": "", "pkg/tests/deep/test_b.py": ""}
    assert held({path: text, **tests}) == ALL


def test_the_name_of_a_module_in_a_package_holds_nothing_beside_it() -> None:
    assert held({"conf.yaml": "a: pkg.tests.mod\nb: x\n"}) == NAMED


def test_data_of_a_package_without_init_is_held_too() -> None:
    virtual = make_stack(
        {"app-x": {"$site/user.py": "files('pkg.tests') / 'y'", "$site/pkg/tests/y.json": "{}"}}
    )
    assert refused(virtual, "/tests/") == {f"{SITE}/pkg/tests/y.json"}


def test_a_package_that_lists_itself_keeps_its_plug_ins_but_not_its_tests() -> None:
    virtual = make_stack(
        {
            "app-x": {
                "$site/pkg/__init__.py": "for m in iter_modules(__path__): load(m)",
                "$site/pkg/test_plugin.py": "",
                "$site/pkg/tests/__init__.py": "",
            }
        }
    )
    assert refused(virtual, "/test") == {f"{SITE}/pkg/test_plugin.py"}


LIST = "import os\nnames = os.listdir(here)\n"
FILES = "from importlib.resources import files\n"
PRIVATE = "def _load(name):\n    return import_module(f'pkg.{name}')\n"
UNRESOLVED: dict[str, tuple[str, str, bool]] = {
    "import_module": ("pkg/core.py", f"{LIST}import_module(name)", True),
    "an alias of it": ("pkg/core.py", f"{LIST}f = importlib.import_module\nf(name)", True),
    "a relative name": ("pkg/core.py", f"{LIST}import_module('.' + name, __package__)", True),
    "an f-string": ("pkg/core.py", f"{LIST}import_module(f'.{{name}}', 'pkg')", True),
    "__import__": ("pkg/core.py", f"{LIST}__import__(name, globals(), level=1)", True),
    "run_module": ("pkg/core.py", f"{LIST}runpy.run_module(mod_name=name)", True),
    "a name that nothing lists": ("pkg/core.py", "import_module(name)", False),
    "iter_modules": ("pkg/core.py", "pkgutil.iter_modules(found.__path__)", True),
    "walk_packages": ("pkg/core.py", "walk_packages(path=where, prefix='x.')", True),
    "files": ("pkg/core.py", "from importlib.resources import files\nfiles(name) / x", True),
    "files of an alias": ("pkg/core.py", "import importlib.resources as r\nr.files(name)", True),
    "one folder of what it gives": ("pkg/core.py", f"{FILES}x = files(name) / 'etc'", False),
    "one folder, joined": ("pkg/core.py", f"{FILES}files(name).joinpath('etc', x)", False),
    "one folder, elsewhere all": (
        "pkg/core.py",
        f"{FILES}a = files(name) / 'etc'\nb = files(name) / x",
        True,
    ),
    "folders of which one is it": ("pkg/core.py", f"{FILES}files(name) / 'etc' / x", False),
    "a file, and the folder around it": ("pkg/core.py", f"{FILES}files(name) / 'py.typed'", True),
    "a folder and back": ("pkg/core.py", f"{FILES}files(name) / '../pkg/tests'", True),
    "a name that is known": ("pkg/core.py", f"{LIST}import_module('pkg.core')", False),
    "the package itself": ("pkg/core.py", f"{LIST}import_module(__package__)", False),
    "an imported package": ("pkg/core.py", "import json\niter_modules(json.__path__)", False),
    "other files": ("pkg/core.py", "x.files(name)", False),
    "a private function's argument": ("pkg/core.py", f"{LIST}{PRIVATE}_load('a')", False),
    "one that isn't literal": ("pkg/core.py", f"{LIST}{PRIVATE}_load('a')\n_load(b)", True),
    "one in a loop": ("pkg/core.py", f"{LIST}{PRIVATE}[_load(x) for x in found]", True),
    "one in a loop over literals": (
        "pkg/core.py",
        f"{LIST}{PRIVATE}def f():\n    given = ['a', 'b']\n    for x in given: _load(x)",
        False,
    ),
    "one in a loop over what is added to": (
        "pkg/core.py",
        f"{LIST}{PRIVATE}def f():\n    given = ['a']\n    given += y\n    for x in given: _load(x)",
        True,
    ),
    "one in a comprehension of literals": (
        "pkg/core.py",
        f"{LIST}{PRIVATE}def f(): return [_load(x) for x in ('a', 'b')]",
        False,
    ),
    "one in a loop over literals, bound again": (
        "pkg/core.py",
        f"{LIST}{PRIVATE}def f():\n    for x in ('a', 'b'):\n        x = y\n        _load(x)",
        True,
    ),
    "one that is passed on": ("pkg/core.py", f"{LIST}{PRIVATE}_load('a')\nmap(_load, found)", True),
    "one that nothing calls": ("pkg/core.py", f"{LIST}{PRIVATE}", True),
    "a public function's": (
        "pkg/core.py",
        f"{LIST}{PRIVATE}_load('a')".replace("_load", "load"),
        True,
    ),
    "one that is bound again": (
        "pkg/core.py",
        f"{LIST}{PRIVATE}_load('a')".replace("    return", "    name = found\n    return"),
        True,
    ),
    "another package's": ("elsewhere/core.py", f"{LIST}import_module(name)", False),
    "a module of no package": ("user.py", f"{LIST}import_module(name)", False),
    "what runs the tests": ("pkg/runtests.py", f"{LIST}import_module(name)", False),
    "a suite that goes": ("pkg/tests/mod.py", f"{LIST}import_module(name)", False),
}


@pytest.mark.parametrize("case", UNRESOLVED)
def test_a_call_of_which_only_running_tells_the_name_holds_its_own_package(case: str) -> None:
    path, text, holds = UNRESOLVED[case]
    assert held({path: text}) == (ALL if holds else set())


BEGUN: dict[str, tuple[str, bool]] = {
    "below another package of it": ("import_module(f'.lang.{name}', 'pkg')", False),
    "its own package": ("import_module('.lang.%s' % name, __package__)", False),
    "its own name": ("import_module('.lang.' + name, package=__name__)", False),
    "a full name": ("import_module('pkg.lang.{}.x'.format(name))", False),
    "a beginning of the last part": ("import_module('pkg.lang.of_' + name)", False),
    "below the tests": ("import_module(f'.tests.{name}', 'pkg')", True),
    "below the tests, in full": ("import_module(f'pkg.tests.{name}')", True),
    "a package that isn't known": ("import_module(f'.lang.{name}', found)", True),
    "the package that is above": ("import_module(f'..pkg.{name}', 'pkg.lang')", True),
    "one component": ("import_module(f'pkg.{name}')", True),
    "part of a component": ("import_module(f'.{name}.lang', 'pkg')", True),
    "one whose level is given": ("__import__('lang.x.' + name, g, l, [], 1)", True),
}


@pytest.mark.parametrize("case", BEGUN)
def test_a_name_of_which_the_beginning_is_known_means_what_lies_below_it(case: str) -> None:
    text, holds = BEGUN[case]
    files: dict[str, Contents] = {"pkg/lang/__init__.py": "", "pkg/core.py": f"{LIST}{text}"}
    assert held(files) == (ALL if holds else set())


def test_what_a_private_function_is_called_with_holds_what_it_names() -> None:
    assert held({"pkg/core.py": f"{LIST}{PRIVATE}_load(name='tests.mod')"}) == NAMED


def test_a_package_that_is_read_of_which_only_running_tells_the_name_holds_leftovers() -> None:
    """Any file may be read as a resource; modules aren't by what imports them."""
    files: dict[str, Contents] = {
        "$site/pkg/__init__.py": "",
        "$site/pkg/sub/kernel.pyx": "x",
        "$site/other/kernel.pyx": "x",
    }
    for text, stays in (
        ("from importlib.resources import files\nfiles(name) / x", {f"{SITE}/pkg/sub/kernel.pyx"}),
        (f"{FILES}files(name) / 'sub'", {f"{SITE}/pkg/sub/kernel.pyx"}),
        (f"{FILES}files(name) / 'subs'", set()),
        (f"{LIST}import_module(name)", set()),
    ):
        virtual = make_stack({"app-x": files | {"$site/pkg/core.py": text}})
        keys = {record.key for record in virtual.inventory if record.path.endswith(".pyx")}
        proof = ImportProof(virtual.stack, virtual.inventory, virtual.read)
        found = proof.prove(keys, weak_counts=lambda _key: True, unnamed=keys)
        assert {key[1] for key in found.refused} == stays


@pytest.mark.parametrize(
    ("code", "stays"),
    [
        ("NAME = 'test_speed'\nrun(f'{HERE}/{NAME}.py')", True),
        ("start('test_speed')", True),
        ("x = {'test_speed': 1}", False),
        ("x = name == 'test_speed'", False),
        ("start('test_other')", False),
    ],
)
def test_a_script_that_is_named_without_its_suffix_stays(code: str, stays: bool) -> None:
    files: dict[str, Contents] = {"$site/pkg/core.py": code, "$site/pkg/test_speed.py": ""}
    assert bool(refused(make_stack({"app-x": files}), "test_speed")) == stays


def test_a_name_of_which_only_running_tells_may_be_any_module_beside_tests() -> None:
    files: dict[str, Contents] = {
        "$site/pkg/__init__.py": "",
        "$site/pkg/load.py": "import_module(name)",
        "$site/pkg/test_speed.py": "",
        "$site/pkg/sub/conftest.py": "",
        "$site/pkg/tests/test_a.py": "",
        "$site/other/test_b.py": "",
    }
    stays = {f"{SITE}/pkg/test_speed.py", f"{SITE}/pkg/sub/conftest.py"}
    assert refused(make_stack({"app-x": files}), "test") == stays


@pytest.mark.parametrize(
    ("code", "stays"),
    [
        ("import_module('pkg.test_' + k)", True),
        ("import_module(f'pkg.test_{k}')", True),
        ("import_module('pkg.test_%s' % k)", True),
        ("import_module('pkg.other_' + k)", False),
    ],
)
def test_the_beginning_of_a_name_holds_what_begins_so(code: str, stays: bool) -> None:
    files: dict[str, Contents] = {
        "$site/pkg/__init__.py": "",
        "$site/pkg/test_speed.py": "",
        "$site/user.py": code,
    }
    expected = {f"{SITE}/pkg/test_speed.py"} if stays else set()
    assert refused(make_stack({"app-x": files}), "test_") == expected


# No version of Python reads this; later ones may read what this one can't.
UNPARSED = "match x: case ¿\nclass A[T]: x: t'{f\"{T}\"}'\n"
TOLD_BY_TEXT = [
    *((PATHS, case) for case in PATHS if PATHS[case][2] and PATHS[case][0].endswith(".py")),
    *((NAMES, case) for case in NAMES if NAMES[case][2] and NAMES[case][0].endswith(".py")),
    *((UNRESOLVED, case) for case in UNRESOLVED if UNRESOLVED[case][2]),
]


@pytest.mark.parametrize(("table", "case"), TOLD_BY_TEXT)
def test_a_file_that_cannot_be_parsed_holds_all_that_its_text_may_mean(
    table: dict[str, tuple[str, str, set[str] | bool]], case: str
) -> None:
    path, text, expected = table[case]
    assert held({path: UNPARSED + text}) >= (ALL if expected is True else expected)


MISTAKEN = "x = = 1\n"


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("x = 'other.thing'", False),
        ("    # as in pkg.tests.mod\nx = 1", False),
        ("x = 1  # as in pkg.tests.mod", False),
        ("x = f'{y['#']}'  # as in pkg.tests.mod", False),
        ("x = f'{y['#']}', 'pkg.tests.mod'", True),
        ("def f():\n    'As pkg.tests.mod.'\nx = 1", False),
        ("x = (\n    'pkg.tests.mod'\n)", True),
        ("x = 1  # as in pkg.tests.mod\ny = '", True),
        ('x = """\n# pkg.tests.mod\n"""', True),
        ('y = f"""{f"""a"""}\n# pkg.tests.mod\n"""', True),
        ("if x:\n  a\n b\n# pkg.tests.mod\n", False),
    ],
)
def test_a_comment_in_a_file_that_cannot_be_parsed_holds_nothing_where_it_surely_is_one(
    text: str, holds: bool
) -> None:
    assert held({"pkg/core.py": MISTAKEN + text}) == (NAMED if holds else set())


def archive(files: Mapping[str, str | bytes], start: bytes = b"") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in files.items():
            made.writestr(name, text)
    return start + stream.getvalue()


@pytest.mark.parametrize(
    "path",
    [
        *("$site/x-1.egg", "$site/lib.zip", "share/app.pyz", "$bin/program", "share/tool"),
        *("share/tool.dat", "share/x.addon", "$site/other/plugin.jar"),
    ],
)
def test_archives_of_python_are_read(path: str) -> None:
    start = b"#!/usr/bin/env python3\n" if path.endswith(("pyz", "program")) else b""
    files = {"x/__init__.py": "", "x/core.py": "from pkg.tests import mod"}
    assert held({path: archive(files, start)}) == NAMED


def test_a_zipapp_whose_offsets_count_its_first_line_is_read() -> None:
    stream = io.BytesIO()
    stream.write(b"#!/usr/bin/env python3\n")
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as made:
        made.writestr("__main__.py", "from pkg.tests import mod")
    assert held({"share/app.pyz": stream.getvalue()}) == NAMED


INSIDE = {
    "bytecode": {"x/__init__.pyc": b"\xe3\xda\x09pkg.tests)\x01\xda\x03mod"},
    "an archive": {"x.zip": archive({"x.py": "from pkg.tests import mod"})},
    "an archive of bytecode": {"x.egg": archive({"x.pyc": b"\xe3\xda\x0dpkg.tests.modN"})},
}


@pytest.mark.parametrize("path", ["share/x.zip", "share/x.bin"])
@pytest.mark.parametrize("case", INSIDE)
def test_code_that_lies_deep_in_an_archive_is_read(path: str, case: str) -> None:
    assert held({path: archive(INSIDE[case])}) == NAMED


def test_paths_in_members_of_an_archive_lead_to_tests() -> None:
    code = "import os, pkg\nx = os.path.join(os.path.dirname(pkg.__file__), 'tests', 'data')"
    assert held({"share/x.dat": archive({"x.py": code})}) == {DATA}
    own = "x = Path(__file__).parent / 'tests' / 'data'"
    assert held({"pkg/x.dat": archive({"x.py": own})}) == set()


def test_members_of_archives_in_archives_are_bounded_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inner = archive({f"a{at}.py": "" for at in range(4)})
    whole = memoryview(archive({f"{at}.zip": inner for at in range(10)}))
    assert len(archives.PythonArchive(whole, 100).sources) == 40
    monkeypatch.setattr(archives, "_MAX_MEMBERS", 20)
    cut = archives.PythonArchive(whole, 100, named=False)
    assert len(cut.sources) == 8
    assert cut.whole


def test_what_only_begins_like_an_archive_holds_nothing() -> None:
    assert held({"share/x.dat": b"PK\x03\x04 pkg tests mod" + b"\0" * 50}) == set()


BYTECODE: dict[str, tuple[str, set[str]]] = {
    "parts of a path": (
        "import pkg\nx = open(join(pkg.__file__, 'tests', 'data', 'a.csv'))",
        {DATA},
    ),
    "a path": ("import pkg\nx = open(pkg.__file__[:-11] + 'tests/data/a.csv')", {DATA}),
    "a folder": ("import pkg\nx = listdir(join(pkg.__path__[0], 'tests', 'data'))", {DATA}),
    "a module's file": (
        "import pkg\nx = (files('pkg') / 'tests' / 'deep' / 'b.py').read_text()",
        {DEEP},
    ),
    "another package": (
        "import core\nx = open(join(core.__file__, 'tests', 'data', 'a.csv'))",
        set(),
    ),
    "no tests": ("import pkg\nx = open(join(pkg.__file__, 'data', 'a.csv'))", set()),
    "no place": ("import pkg\nx = {'tests': 'data', 'data': 'a.csv'}", set()),
}


@pytest.mark.parametrize("case", BYTECODE)
def test_bytecode_without_a_source_holds_what_it_has_all_parts_of(case: str) -> None:
    source, expected = BYTECODE[case]
    code = marshal.dumps(compile(source, "user.py", "exec"))
    found = held({"user.pyc": bytes(16) + code, "core/__init__.py": ""})
    assert found - NAMED == expected  # "mod" stands in every module, as "<module>"
    assert held({"__pycache__/user.cpython-313.pyc": bytes(16) + code}) == set()


def test_bytecode_that_is_too_large_to_be_read_closely_holds_all_of_its_package() -> None:
    assert held({"pkg/large.pyc": bytes(MOST_BYTECODE + 1)}) == ALL
    assert held({"pkg/small.pyc": bytes(MOST_BYTECODE)}) == set()


def test_an_archive_that_cannot_be_read_holds_what_its_bytes_name() -> None:
    assert held({"lib.zip": b"PK\x03\x04 pkg.tests.mod" + b"\0" * 50}) == NAMED


COMPILED: dict[str, tuple[str, bytes, set[str]]] = {
    "another distribution's": ("other/a.abi3.so", b"\x7fELF\0pkg.tests.mod\0", NAMED),
    "bytecode elsewhere": ("other/a.pyc", b"\xe3\xda\x0dpkg.tests.modN", NAMED),
    "bytecode, in pieces": ("other/a.pyc", b"\xda\x09pkg.tests)\x01\xda\x03mod", NAMED),
    "Cython's table": ("other/a.so", b"\x7fELF\0cython_runtime\0xxpkg.tests.modyy\0", NAMED),
    "Cython's relative import": ("pkg/a.so", b"\x7fELF\0cython_runtime\0xxtestsmodyy\0", NAMED),
    "Cython's compressed table": (
        "other/a.so",
        b"\x7fELF\0cython_runtime\0" + zlib.compress(b"xxpkg.tests.modyy" * 9) + b"\0",
        NAMED,
    ),
    "Rust": ("other/a.so", b"\x7fELF\0/rustc/x\0failedpkg.tests.modunwrap\0", NAMED),
    "Python code in a string": (
        "other/a.so",
        b"\x7fELF\0import os\nfrom pkg.tests import conf, mod\nmod.run()\n\0",
        NAMED,
    ),
    "Python code after another": ("other/a.so", b"\x7fELF\0x=1;import os,pkg.tests.mod\0", NAMED),
    "talk of imports": ("other/a.so", b"\x7fELF\0can't import pkg or its tests\0", set()),
    "a program that embeds Python": (
        "other/launch/app",
        b"\x7fELF\0Py_InitializeFromConfig\0pkg.tests.mod\0",
        NAMED,
    ),
    "a program that doesn't": ("other/launch/app", b"\x7fELF\0pkg.tests.mod\0", set()),
    "plain C": ("other/a.so", b"\x7fELF\0failedpkg.tests.modunwrap\0", {INIT}),
    "Nuitka's constants": ("pkg/a.so", b"\x7fELF\0nuitka_version\0atests\0amod\0", NAMED),
    "C's relative import": (
        "pkg/a.so",
        b"\x7fELF\0PyImport_ImportModuleLevel\0tests.mod\0",
        NAMED,
    ),
    "a tail": ("pkg/a.so", b"\x7fELF\0.tests.mod\0PyImport_ImportModule\0", NAMED),
    "a tail of another distribution's": ("other/a.so", b"\x7fELF\0.tests.mod\0", set()),
    "a template": ("pkg/a.so", b"\x7fELF\0%s.tests.mod\0", NAMED),
    "a template of Python's": ("pkg/a.so", b"\x7fELF\0%U.tests.mod\0", NAMED),
    "another template": ("pkg/a.so", b"\x7fELF\0{}.tests.mod\0", NAMED),
    "a tail without a dot": ("pkg/a.so", b"\x7fELF\0tests.mod\0", NAMED),
    "a tail from deeper": ("pkg/sub/a.so", b"\x7fELF\0.tests.mod\0", NAMED),
    "a tail within a sentence": ("pkg/a.so", b"\x7fELF\0see .tests.mod here\0", set()),
    "a tail without a dot from deeper": ("pkg/sub/a.so", b"\x7fELF\0tests\0", {INIT}),
    "a longer tail": ("pkg/a.so", b"\x7fELF\0.tests.mod.Class\0", NAMED),
    "the folder": ("pkg/a.so", b"\x7fELF\0.tests\0", {INIT}),
    "the word": ("pkg/a.so", b"\x7fELF\0tests\0", {INIT}),
    "Mach-O": ("pkg/a.so", b"\xcf\xfa\xed\xfe\0.tests.mod\0", NAMED),
    "something else": ("other/a.so", b"\x7fELF\0cython_runtime\0xxpkgyymod\0", set()),
}


def test_a_compiled_module_beside_its_package_names_what_is_in_it() -> None:
    files: dict[str, Contents] = {
        "pkg-1.dist-info/METADATA": "Name: pkg\nVersion: 1\n",
        "pkg-1.dist-info/RECORD": "_pkg.so,,\npkg/__init__.py,,\n",
        "_pkg.so": b"\x7fELF\0%s.tests.mod\0",
    }
    assert held(files) >= NAMED


@pytest.mark.parametrize("case", COMPILED)
def test_compiled_importers_hold_modules_of_any_distribution(case: str) -> None:
    path, data, expected = COMPILED[case]
    assert NAMED & held({path: data}) == expected & NAMED


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("other/a.abi3.so", b"\x7fELF\0turtle\0"),
        ("other/a.pyc", b"\xe3\xda\x06turtle"),
        ("other/a.so", b"\x7fELF\0cython_runtime\0xxturtleyy"),
    ],
)
def test_compiled_importers_hold_the_standard_library(path: str, data: bytes) -> None:
    layers: dict[str, dict[str, Contents]] = {
        "cpython3.13": {"$stdlib/turtle.py": "", "$stdlib/os.py": ""},
        "app-x": {f"$site/{path}": data},
    }
    assert refused(make_stack(layers), "/turtle.py") == {"lib/python3.13/turtle.py"}


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("$site/other/a.so", b"\x7fELF\0PyRun_SimpleString\0import turtle\n\0"),
        ("bin/launcher", b"\x7fELF\0Py_RunMain\0import os, turtle as t\n\0"),
        ("Contents/MacOS/App", b"\xcf\xfa\xed\xfe\0Py_Initialize\0import sys,turtle\0"),
    ],
)
def test_code_in_compiled_files_holds_the_standard_library(path: str, data: bytes) -> None:
    layers: dict[str, dict[str, Contents]] = {
        "cpython3.13": {"$stdlib/turtle.py": "", "$stdlib/os.py": "", "$stdlib/sys.py": ""},
        "app-x": {path: data},
    }
    assert refused(make_stack(layers), "/turtle.py") == {"lib/python3.13/turtle.py"}


def test_a_package_and_a_module_in_two_strings_hold_tests_of_the_standard_library() -> None:
    support = {"$stdlib/test/support/__init__.py": "", "$stdlib/test/support/os_helper.py": ""}
    strings = b"\x7fELF\0cython_runtime\0test.support\0os_helper\0script_helper\0"
    layers: dict[str, dict[str, Contents]] = {
        "cpython3.13": {**support, "$stdlib/test/test_os.py": "", "$stdlib/test/__init__.py": ""},
        "app-x": {"$site/other/a.so": strings + b"test_os\0"},
    }
    made = make_stack(layers)
    keys = {record.key for record in made.inventory if "/test/" in record.path}
    found = {key[1].removeprefix("lib/python3.13/test/") for key in prove(made, keys).refused}
    assert found == {"__init__.py", "support/__init__.py", "support/os_helper.py"}


@pytest.mark.parametrize("name", ["user.py", "user.json", "pkg/core.py"])
def test_a_file_too_large_to_parse_counts_as_mentioning_all_its_words(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slim.analysis.imports.reader.MAX_PARSED", 100)

    def parsed(source: bytes, **_: bool) -> Scan:
        assert len(source) <= 100
        return Scan(imports=())

    monkeypatch.setattr("slim.analysis.ahead.makers.scan", parsed)
    text = "x = [" + "'q.z', " * 1000 + "]\nfrom pkg.tests import mod"
    assert held({name: text}) >= NAMED
    assert not held({name: "x = [" + "'q.z', " * 1000 + "]"})


def test_a_stub_that_a_lazy_loader_reads_stays() -> None:
    virtual = make_stack(
        {
            "app-x": {
                "$site/pkg/sub.py": "attach_stub(__name__, __file__)",
                "$site/pkg/sub.pyi": "from . import a",
                "$site/pkg/a.pyi": "",
            }
        }
    )
    assert refused(virtual, ".pyi") == {f"{SITE}/pkg/sub.pyi"}


def _two_runtimes(importer: str, contents: Contents) -> set[str]:
    """The layers whose ``test/a.py`` stays for a file of a runtime or an application on one."""
    old, new = "cpython3.12", "cpython3.13"
    layers: dict[str, dict[str, Contents]] = {
        layer: {"$stdlib/os.py": "", "$stdlib/test/a.py": ""} for layer in (old, new)
    }
    layers |= {"app-old": {}, "app-new": {}}
    layer, _, path = importer.partition("/")
    layers[layer][path] = contents
    requires = {old: (), new: (), "app-old": (old,), "app-new": (new,)}
    virtual = make_stack(layers, requires=requires)
    keys = {record.key for record in virtual.inventory if "/test/" in record.path}
    return {key[0] for key in prove(virtual, keys).refused}


@pytest.mark.parametrize(
    ("importer", "contents", "expected"),
    [
        ("cpython3.13/$stdlib/io.py", "import test.a", "cpython3.13"),
        ("cpython3.12/$stdlib/io.py", "import test.a", "cpython3.12"),
        ("app-old/$site/user.py", "from test import a", "cpython3.12"),
        ("app-new/$site/user.py", "from test import a", "cpython3.13"),
        ("app-new/$site/a.abi3.so", b"\x7fELF\0test.a\0", "cpython3.13"),
        ("app-old/$site/a.pyc", b"\xe3\xda\x06test.a", "cpython3.12"),
    ],
)
def test_a_layer_imports_from_its_own_runtime_only(
    importer: str, contents: Contents, expected: str
) -> None:
    assert _two_runtimes(importer, contents) == {expected}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"$bin/pl-try": ""}, {"__init__.py", "test_a.py", "data/a.csv"}),
        ({}, {"__init__.py"}),
        ({"$bin/other": ""}, {"__init__.py"}),
    ],
    ids=["a program that is there", "no programs", "another program"],
)
def test_a_program_that_begins_among_tests_runs_them(
    files: dict[str, Contents], expected: set[str]
) -> None:
    app: dict[str, Contents] = {
        "$site/x-1.dist-info/METADATA": "Name: x\nVersion: 1\n",
        "$site/x-1.dist-info/entry_points.txt": "[console_scripts]\npl-try = x.tests:main\n",
        "$site/x/__init__.py": "",
        "$site/x/tests/__init__.py": "def main(): run()",
        "$site/x/tests/test_a.py": "",
        "$site/x/tests/data/a.csv": "1",
        **files,
    }
    virtual = make_stack({"app-x": app})
    keys = {record.key for record in virtual.inventory if "/tests/" in record.path}
    held = {path.partition("/tests/")[2] for _, path in prove(virtual, keys).refused}
    assert held == expected


def test_an_entry_point_names_modules_of_its_own_runtime_only() -> None:
    entry = "[console_scripts]\nx = test.a:main\n"
    layers: dict[str, dict[str, Contents]] = {
        layer: {"$stdlib/os.py": "", "$stdlib/test/a.py": ""}
        for layer in ("cpython3.12", "cpython3.13")
    }
    app: dict[str, Contents] = {
        "$site/x-1.dist-info/METADATA": "Name: x\nVersion: 1\n",
        "$site/x-1.dist-info/entry_points.txt": entry,
    }
    virtual = make_stack(
        {**layers, "app-x": app}, requires={"cpython3.13": (), "app-x": ("cpython3.13",)}
    )
    keys = {record.key for record in virtual.inventory if "/test/" in record.path}
    assert {key[0] for key in prove(virtual, keys).refused} == {"cpython3.13"}
