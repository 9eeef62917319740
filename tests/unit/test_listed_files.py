"""Tests and leftovers stay where code lists, walks or copies the folder that they lie in."""

from __future__ import annotations

from pathlib import Path

import pytest

from slim.analysis.code_paths import reading
from slim.analysis.listed_files import ListedFiles
from slim.analysis.readings import Readings
from slim.config.settings import Config
from slim.model.progress import Silent
from slim.passes import SCHEMAS
from slim.plan.planner import Planner
from slim.rules.loader import builtin_packs
from tests.support.virtual_stacks import SITE, Contents, make_stack

PACKS = tuple(pack for pack in builtin_packs(SCHEMAS) if pack.name in ("tests", "leftovers"))
TEST, MODULE, DATA = "tests/__init__.py", "tests/test_a.py", "tests/data/x.json"
STUB, DEEP = "core.pyi", "sub/fast.pyx"
FILES: dict[str, Contents] = {
    TEST: "",
    MODULE: "def test_a(): pass\n",
    DATA: "{}",
    STUB: "x: int\n",
    DEEP: "cdef int x\n",
    "sub/__init__.py": "",
}
TAKEN = {TEST, MODULE, DATA, STUB, DEEP}
HERE = "import os, shutil, sys\nfrom pathlib import Path\nHERE = Path(__file__).parent\n"


def held(files: dict[str, Contents]) -> set[str]:
    """The files of ``pkg`` that stay, of those that rules take."""
    made = make_stack(
        {
            "app-x": {
                "$site/pkg-1.dist-info/METADATA": "Name: pkg\nVersion: 1\n",
                "$site/pkg/__init__.py": "",
                **{f"$site/pkg/{path}": content for path, content in FILES.items()},
                **{
                    path if path.startswith("bin/") else f"$site/{path}": content
                    for path, content in files.items()
                },
            }
        }
    )
    plan = Planner(made.facts, Config(packs=PACKS), Silent()).plan()
    return {path for path in TAKEN if ("app-x", f"{SITE}/pkg/{path}") not in plan.actions}


PATHS = f"{HERE}def here(*parts): return HERE\nclass Paths:\n  root = HERE\nDEEP = HERE / 'sub'\n"
ELSEWHERE: dict[str, tuple[str, set[str]]] = {
    "a variable": ("from pkg._paths import HERE\nx = list(HERE.rglob('*'))", TAKEN),
    "a variable by another name": (
        "from pkg._paths import HERE as ROOT\nshutil.copytree(ROOT, x)",
        TAKEN,
    ),
    "a folder in it": ("from pkg._paths import HERE\nshutil.copytree(HERE / 'sub', x)", {DEEP}),
    "a folder": ("from pkg._paths import DEEP as DIR\nos.walk(DIR)", {DEEP}),
    "a function": ("from pkg._paths import here\nos.walk(here())", TAKEN),
    "a module's function": ("import pkg._paths\nos.walk(pkg._paths.here())", TAKEN),
    "an attribute": ("from pkg._paths import Paths\nx = list(Paths.root.rglob('*'))", TAKEN),
    "what another passes on": ("from other import HERE\nx = list(HERE.rglob('*'))", TAKEN),
    "no place": ("from pkg._paths import os as ROOT\nshutil.copytree(ROOT, x)", set()),
    "nothing there": ("from pkg._paths import NO_ROOT\nshutil.copytree(NO_ROOT, x)", set()),
    "another's pattern": ("from pkg._paths import DIR\nlist(Path(x).glob(DIR))", set()),
    "a module that is given": (
        "import pkg\ndef pack(m): shutil.copytree(os.path.dirname(m.__file__), x)\npack(pkg)",
        TAKEN,
    ),
    "modules in a loop": ("import pkg\nfor m in (pkg, os): os.walk(m.__path__[0])", TAKEN),
    "modules by name": (
        "for n in ['pkg']:\n  m = import_module(n)\n  os.walk(os.path.dirname(m.__file__))",
        TAKEN,
    ),
    "a package in a variable": (
        "from importlib.resources import files\nP = 'pkg.sub'\nx = list(files(P).rglob('*'))",
        {DEEP},
    ),
    "a module that isn't given": (
        "import pkg\ndef pack(m): shutil.copytree(os.path.dirname(m.__file__), x)\npack(os)",
        set(),
    ),
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_places_that_other_code_tells(case: str) -> None:
    code, taken = ELSEWHERE[case]
    files: dict[str, Contents] = {
        "pkg/_paths.py": PATHS,
        "other.py": "from pkg._paths import HERE\n",
        "user.py": f"import os, shutil\n{code}\n",
    }
    assert held(files) == taken


def test_a_place_that_a_neighbour_tells() -> None:
    code = "from . import _paths\nx = list(_paths.HERE.rglob('*'))\n"
    assert held({"pkg/_paths.py": PATHS, "pkg/core.py": code}) == TAKEN


LISTED: dict[str, tuple[str, set[str]]] = {
    "nothing": ("x = 1", set()),
    "a shell copies it": ("os.system(f'cp -r {HERE} /x')", TAKEN),
    "a shell copies the tests": ("os.system('cp -r %s/tests /x' % HERE)", {TEST, MODULE, DATA}),
    "a command in a variable": ("C = 'cp -r {}/sub /x'.format(HERE)\nos.popen(C)", {DEEP}),
    "a command that was split": ("run(shlex.split(f'tar czf x {HERE}'))", TAKEN),
    "a command elsewhere": ("run('zip -r x .', shell=True, cwd=HERE)", TAKEN),
    "a program elsewhere": ("run(['zip', '-r', 'x', 'sub'], cwd=str(HERE))", {DEEP}),
    "tar goes there": ("run(['tar', '-C', HERE, '-czf', 'x', '.'])", TAKEN),
    "a shell goes there": ("os.popen(f'cd {HERE} && cp -r . /x')", TAKEN),
    "a program where it was started": ("run('zip -r x .', shell=True)", set()),
    "a container sees it": ("run(['docker', 'run', '-v', f'{HERE}:/x', 'y'])", TAKEN),
    "files that a shell finds": ("getoutput(f'find {HERE} -name *.json')", {DATA}),
    "a shell removes": ("os.system(f'rm -r {HERE}; cp -r {HERE} /x')", set()),
    "Flask's folder": ("app = Flask(__name__, static_folder='sub')", {DEEP}),
    "a blueprint's folder": ("b = Blueprint('b', __name__, template_folder='./sub/')", {DEEP}),
    "another's folder": ("app = Flask(__name__, static_folder='other')", set()),
    "rglob": ("for p in HERE.rglob('*'): z.write(p)", TAKEN),
    "glob of all": ("for p in HERE.glob('**/*'): z.write(p)", TAKEN),
    "glob of a folder": ("x = list(HERE.glob('*'))", {STUB}),
    "glob of a root": ("x = glob.glob('**/*.json', root_dir=HERE, recursive=True)", {DATA}),
    "iglob of a root": ("import glob\nx = glob.iglob('*/data/x.json', root_dir=HERE)", {DATA}),
    "glob of another root": ("x = glob.glob('**/*.json', root_dir=HERE / 'sub')", set()),
    "a path's pattern": (
        "x = [f for d, _, fs in os.walk(HERE) for f in fs if fnmatch(path(d, f), '*/data/*.json')]",
        {DATA},
    ),
    "glob of a suffix": ("x = list(HERE.rglob('*.json'))", {DATA}),
    "glob of one of two names": ("P = 'c*' if WIN else '*.so'\nlist(HERE.glob(P))", {STUB}),
    "glob of a system's suffix": (
        "P = 'c*.p*' if sys.platform == 'win32' else '*.so'\nx = list(HERE.glob(P))",
        set(),
    ),
    "glob of one of two that holds": ("x = list(HERE.rglob('*.json' if X else '*.jsn'))", {DATA}),
    "glob of names alike": ("x = list(HERE.rglob('x.j*n' if X else 'y.json'))", {DATA}),
    "glob of classes": ("x = list(HERE.rglob('*[n]' if X else '*[m]'))", TAKEN),
    "glob of something or a suffix": ("x = list(HERE.rglob(given if X else '*.json'))", TAKEN),
    "one of two folders": ("shutil.copytree(HERE / ('sub' if X else 'other'), there)", {DEEP}),
    "one of two folders, deep": ("os.walk(HERE / ('sub' if X else 'a/b'))", TAKEN),
    "iterdir": ("x = [p.read_text() for p in HERE.iterdir()]", {STUB}),
    "iterdir that descends": ("for p in HERE.iterdir():\n  if p.is_dir(): go(p)", TAKEN),
    "a function that calls itself": (
        "def go(d):\n  for p in d.iterdir():\n    z.write(p)\n    if p.is_dir(): go(p)\ngo(HERE)",
        TAKEN,
    ),
    "a function that calls itself on paths": (
        "def go(d):\n  for n in os.listdir(d):\n    p = os.path.join(d, n)\n"
        "    z.write(p)\n    if os.path.isdir(p): go(p)\ngo(os.path.dirname(__file__))",
        TAKEN,
    ),
    "a function that lists": ("def go(d): return os.listdir(Path(d))\ngo(HERE)", {STUB}),
    "a function that lists by itself": ("def go(d=HERE): return sorted(d.rglob('*'))", TAKEN),
    "a function that lists a suffix": (
        "def go(d):\n  for p in d.rglob('*'):\n    if p.suffix == '.json': z.write(p)\ngo(HERE)",
        {DATA},
    ),
    "a function that lists something else": (
        "def go(d): return [os.listdir(HOME), d]\ngo(HERE)",
        set(),
    ),
    "listdir": ("x = os.listdir(os.path.dirname(__file__))", {STUB}),
    "walk": ("for d, _, n in os.walk(HERE): z.write(d, n)", TAKEN),
    "walk, all but bytecode": (
        "for d, _, ns in os.walk(HERE):\n  for n in ns:\n    if n.endswith('.pyc'):\n"
        "      continue\n    z.write(n)",
        TAKEN,
    ),
    "walk of a folder": ("for d, _, n in os.walk(HERE / 'sub'): z.write(d, n)", {DEEP}),
    "copytree": ("shutil.copytree(HERE, there)", TAKEN),
    "an archive": ("shutil.make_archive('x', 'zip', root_dir=HERE)", TAKEN),
    "a function of its own": ("def here(): return HERE\nupload_folder(here())", TAKEN),
    "files": ("shutil.copytree(files('pkg'), there)", TAKEN),
    "one of several folders": ("shutil.copytree(HERE / kind, there)", {DEEP}),
    "one file of several": ("send_file(HERE / name)", set()),
    "templates": ("e = Environment(loader=FileSystemLoader(HERE / 'sub'))", {DEEP}),
    "templates of a package": ("e = Environment(loader=PackageLoader('pkg', 'sub'))", {DEEP}),
    "templates of several folders": ("l = TemplateLookup(directories=[str(HERE / 'sub')])", {DEEP}),
    "templates beside the code": ("e = Environment(loader=FileSystemLoader(HERE))", set()),
    "a project's template": ("cookiecutter(str(HERE / 'sub'))", {DEEP}),
    "another's template": ("cookiecutter('https://example.com')", set()),
    "added to an archive": ("with tarfile.open('a', 'w') as t: t.add(HERE)", TAKEN),
    "added under a name": ("z.add(str(HERE), arcname='x')", TAKEN),
    "a program that copies": ("subprocess.run(['rsync', '-a', str(HERE), 'x:'])", TAKEN),
    "a program that doesn't": ("subprocess.run(['pylint', str(HERE)])", set()),
    "sent to workers": ("ray.init(runtime_env={'py_modules': [str(HERE)]})", TAKEN),
    "added to a set": ("known.add(HERE)", set()),
    "modules": ("for p in HERE.rglob('*.py'): load(p.stem)", set()),
    "modules by suffix": (
        "for n in os.listdir(HERE):\n  if n.endswith('.py') and n != 'x': load(n)",
        set(),
    ),
    "modules, turned round": (
        "for n in os.listdir(HERE):\n  if not n.endswith('.py'):\n    continue\n  load(n)",
        set(),
    ),
    "modules, in a list": ("x = [n[:-3] for n in os.listdir(HERE) if n.endswith('.py')]", set()),
    "another suffix": ("x = [n for n in os.listdir(HERE) if n.endswith('.yaml')]", set()),
    "stubs": ("x = [n for n in os.listdir(HERE) if n.endswith(('.py', '.pyi'))]", {STUB}),
    "another folder": ("shutil.copytree(HERE / 'templates', there)", set()),
    "somewhere": ("for p in Path(root).rglob('*'): z.write(p)", set()),
    "the path": ("sys.path.insert(0, str(HERE))\nx = open(HERE / 'a.json')", set()),
    "unpacked": ("unpack_archive(HERE / 'a.zip', there)", set()),
}


@pytest.mark.parametrize("case", LISTED)
def test_listings_hold_what_they_take(case: str) -> None:
    code, expected = LISTED[case]
    assert held({"pkg/core.py": HERE + code}) == expected


@pytest.mark.parametrize(
    ("path", "code", "expected"),
    [
        ("user.py", "import pkg\nshutil.copytree(Path(pkg.__file__).parent, there)", TAKEN),
        ("user.py", "shutil.copytree(files('pkg') / 'sub', there)", {DEEP}),
        ("user.py", "import pkg\nx = pkg.__file__\nfor p in Path(root).rglob('*'): y(p)", set()),
        ("pkg/testing/run.py", "x = list(Path(__file__).parents[1].rglob('*'))", set()),
        ("pkg/sub/a.py", "x = list(Path(__file__).parents[1].rglob('*'))", TAKEN),
        ("pkg/sub/a.py", "x = list(Path(__file__).parent.rglob('*'))", {DEEP}),
        ("pkg/page.html", '<a href="core.pyi">', {STUB}),
        ("pkg/core.py", "x = open(__file__ + 'i').read()", {STUB}),
        ("user.py", "x = files('pkg').joinpath('core.pyi').read_text()", {STUB}),
        ("user.py", "import pkg\nx = join(dirname(pkg.__file__), 'core.pyi')", {STUB}),
        ("user.py", "x = join(dirname(sys.modules['pkg'].__file__), 'core.pyi')", {STUB}),
        ("user.py", "x = [*os.walk(dirname(sys.modules['pkg'].__file__))]", TAKEN),
        ("user.py", "shutil.copytree(import_module('pkg').__path__[0], there)", TAKEN),
        ("settings.json", '{"stub": "pkg/core.pyi"}', {STUB}),
        ("settings.json", '{"stub": "other/core.pyi"}', set()),
        ("bin/go", "cat $HERE/site-packages/pkg/sub/fast.pyx", {DEEP}),
        ("user.py", "x = [*os.walk(find_spec('pkg').submodule_search_locations[0])]", TAKEN),
        ("user.py", "x = [*os.walk(dirname(find_spec('pkg').origin))]", TAKEN),
        ("user.py", "s = util.find_spec('pkg')\nx = [*os.walk(dirname(s.origin))]", TAKEN),
        ("user.py", "x = [*os.walk(dirname(find_spec('json').origin))]", set()),
        ("user.py", "import pkg\nx = [*os.walk(dirname(inspect.getfile(pkg)))]", TAKEN),
        ("user.py", "import pkg\nx = [*os.walk(next(iter(pkg.__path__)))]", TAKEN),
        ("user.py", "import pkg\nx = [*os.walk(list(pkg.__path__)[0])]", TAKEN),
        ("user.py", "import pkg as p\nx = [*os.walk(dirname(p.__file__))]", TAKEN),
        ("user.py", "from pkg import sub\nx = [*os.walk(dirname(sub.__file__))]", {DEEP}),
        ("user.py", "from pkg import core\nx = [*os.walk(dirname(core.__file__))]", TAKEN),
        ("user.py", "import pkg.core\nx = [*os.walk(dirname(pkg.core.__file__))]", TAKEN),
        ("user.py", "from pkg.core import C\nx = [*os.walk(dirname(getfile(C)))]", TAKEN),
        ("user.py", "import json as pkg\nx = [*os.walk(dirname(pkg.__file__))]", set()),
        ("user.py", "x = resources.contents('pkg')", {STUB}),
        ("user.py", "make_archive('x', 'zip', root, 'pkg')", TAKEN),
        ("user.py", "make_archive('x', 'zip', root_dir=root, base_dir='pkg/sub')", {DEEP}),
        ("user.py", "make_archive('x', 'zip', root, 'other')", set()),
        (
            "user.py",
            "from importlib import metadata\nfor f in metadata.files('pkg'): send(f.locate())",
            TAKEN,
        ),
        (
            "user.py",
            "import importlib.metadata as m\nfor f in m.distribution('pkg').files: send(f)",
            TAKEN,
        ),
        ("user.py", "from importlib import metadata\nx = metadata.version('pkg')", set()),
        ("user.py", "from importlib import metadata\nx = metadata.distribution('pkg').name", set()),
        ("user.py", "x = join(dirname(sys.modules['pkg'].__file__), 'tests', 'data')", {DATA}),
        ("user.py", "x = join(__import__('pkg').__path__[0], 'tests', 'data')", {DATA}),
        ("user.py", "import pkg\nM = pkg\nx = join(dirname(M.__file__), 'tests', 'data')", {DATA}),
        ("user.py", "import json, pkg\nx = join(json.__file__, 'tests', 'data')", set()),
        ("user.py", "x = open('core.pyi')", set()),
        ("pkg/x.py", "attach_stub(__name__, __file__)", set()),
        ("pkg/x.py", "attach_stub(__name__, os.path.join(HERE, 'core.py'))", {STUB}),
        ("pkg/x.py", "attach_stub('pkg.core', find('pkg.core'))", {STUB}),
        ("pkg/x.py", "def attach_stub(package, filename): pass", set()),
        ("pkg/x.py", "x = open(inspect.getfile(pkg.core) + 'i')", {STUB}),
        ("pkg/x.py", "x = open(f'{spec.origin}i')", {STUB}),
        ("pkg/x.py", "x = f'{a}+{b}i'", set()),
        ("pkg/x.py", "type A = int\ncopytree(Path(__file__).parent, there)", TAKEN),
        (
            "pkg/x.py",
            "type A = int\n# the distribution (of pkg) in base_dir\nx = __file__",
            set(),
        ),
        ("pkg/sub/x.py", "{% a %}\nshutil.copytree(Path(__file__).parent, there)", TAKEN),
        ("pkg/sub/x.tmpl.py", "{% a %}\nshutil.copytree(Path(__file__).parent, there)", {DEEP}),
        ("pkg/core.py", "x = open(f'{__file__}i')", {STUB}),
        ("pkg/x.so", "\x7fELF\0core.pyi\0", {STUB}),
        ("pkg/x.so", "\x7fELF\0core.py\0", set()),
        ("other.so", "\x7fELF\0core.pyi\0", set()),
        ("pkg/a.qml", 'Text { source: "core.pyi" }', {STUB}),
    ],
)
def test_who_lists_or_names_and_where(path: str, code: str, expected: set[str]) -> None:
    assert held({path: code}) == expected


@pytest.mark.parametrize(
    "code",
    [
        "from pathlib import Path\nX = list(Path(__file__).parent.rglob('*.json'))",
        "import pkgutil\nX = pkgutil.get_data(__package__, 'data/x.json')",
        "from importlib.resources import files\nX = files(__package__).joinpath('data')",
        "import os\nHERE = os.path.dirname(__file__)\ndef get(n): return f'{HERE}/data/{n}.json'",
        "from pathlib import Path\nHERE = Path(__file__).parent\nX = HERE / 'data' / 'x.json'",
    ],
)
def test_a_helper_that_is_held_reads_its_own_data(code: str) -> None:
    files: dict[str, Contents] = {
        "pkg/core.py": "from .tests import test_a",
        "pkg/tests/test_a.py": f"{code}\ndef test_a(): pass\n",
    }
    assert held(files) == {TEST, MODULE, DATA}


def test_listings_are_remembered_as_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    padding = "# padding\n" * 40
    sources = ("for p in HERE.rglob('*.json'): z.write(p)", "x = 1", "print 'x', HERE.glob('*')")
    files = {f"$site/pkg/a{at}.py": HERE + code + padding for at, code in enumerate(sources)}
    made = make_stack({"app-x": {**files, "$site/pkg/x.json": "{}"}})
    candidates = [record for record in made.inventory if record.path.endswith(".json")]

    def taken(folder: Path | None, sources: bool) -> object:
        with Readings(folder) as readings:
            search = ListedFiles(
                made.stack, made.inventory, made.facts.read, readings, sources=sources
            )
            return [(search.among(candidates, ()), search._known)]

    for with_sources in (False, True):
        off = taken(None, with_sources)
        assert taken(tmp_path, with_sources) == off
    parse = reading.parsed
    monkeypatch.delattr(reading, "parsed")
    warm = [taken(tmp_path, with_sources) for with_sources in (False, True)]
    monkeypatch.setattr(reading, "parsed", parse, raising=False)
    assert warm == [taken(None, with_sources) for with_sources in (False, True)]


@pytest.mark.parametrize(
    ("path", "text", "holds"),
    [
        ("$site/app.py", "import pkg\nshutil.copytree(os.path.dirname(pkg.__file__), x)", True),
        ("$site/app.py", "import pkg\nx = list(Path(pkg.__file__).parent.rglob('*'))", True),
        ("$site/app.py", "x = list(Path(__file__).parent.rglob('*'))", False),
        (
            "bin/go",
            "#!/usr/bin/env python3\nimport pkg\nx = [*Path(pkg.__file__).parent.rglob('*')]",
            True,
        ),
        ("bin/go", "#!/usr/bin/env python3\nx = [*Path(__file__).parent.rglob('*')]", False),
        ("bin/go", "#!/bin/sh\ncp -r $HERE/framework-x/lib/python3.13/site-packages/pkg /x", True),
        (
            "bin/go",
            "#!/bin/sh\ncp -r $HERE/framework-x/lib/python3.13/site-packages/other /x",
            False,
        ),
    ],
)
def test_code_of_a_layer_above_holds_what_it_takes(path: str, text: str, holds: bool) -> None:
    package: dict[str, Contents] = {
        "$site/pkg-1.dist-info/METADATA": "Name: pkg\nVersion: 1\n",
        "$site/pkg/__init__.py": "",
        **{f"$site/pkg/{name}": content for name, content in FILES.items()},
    }
    made = make_stack({"framework-x": package, "app-x": {path: f"{HERE}{text}"}})
    if path == "bin/go":
        made = make_stack({"framework-x": package, "app-x": {path: text}})
    plan = Planner(made.facts, Config(packs=PACKS), Silent()).plan()
    gone = {key[1] for key in plan.actions if key[0] == "framework-x"}
    assert gone == (set() if holds else {f"{SITE}/pkg/{name}" for name in TAKEN})
