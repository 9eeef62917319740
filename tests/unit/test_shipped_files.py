"""Libraries of another system stay where code hands them on, and go where it only loads them."""

from __future__ import annotations

import pytest

from slim.config.settings import Config
from slim.model.plan import SkipReason
from slim.model.progress import Silent
from slim.passes import SCHEMAS
from slim.plan.planner import Planner
from slim.rules.loader import builtin_packs
from tests.support.linked_elf import elf
from tests.support.native_headers import macho, pe
from tests.support.virtual_stacks import SITE, Contents, Link, make_stack

PACKS = tuple(pack for pack in builtin_packs(SCHEMAS) if "foreign" in pack.name)
DLL, SUB, MAC = "agent.dll", "libs/win32/deep.dll", "libs/darwin/deep.dylib"
FILES: dict[str, Contents] = {DLL: pe(), SUB: pe(), MAC: macho(machine="x86_64")}
ALL = set(FILES)
HERE = "import os, sys\nfrom pathlib import Path\nHERE = Path(__file__).parent\n"


def held(
    code: str, *, at: str = "pkg/core.py", more: dict[str, Contents] | None = None
) -> set[str]:
    """The foreign libraries of ``pkg`` that stay, relative to it."""
    code = code if "¿" in code else f"import os, sys, platform\n{code}"
    made = make_stack(
        {
            "app-x": {
                "$site/pkg-1.dist-info/METADATA": "Name: pkg\nVersion: 1\n",
                "$site/pkg/__init__.py": "",
                **{f"$site/pkg/{path}": content for path, content in FILES.items()},
                f"$site/{at}": code,
                **{f"$site/{path}": content for path, content in (more or {}).items()},
            }
        }
    )
    plan = Planner(made.facts, Config(packs=PACKS), Silent()).plan()
    gone = {key[1] for key in plan.actions if plan.actions[key].rule == "foreign-libraries"}
    reasons = {skip.reason for skip in plan.skipped if skip.rule == "foreign-libraries"}
    assert reasons <= {SkipReason.REFERENCED}
    return {path for path in FILES if f"{SITE}/pkg/{path}" not in gone}


READ: dict[str, tuple[str, set[str]]] = {
    "get_data": ("import pkgutil\nx = pkgutil.get_data(__name__, 'agent.dll')", {DLL}),
    "get_data of a name": ("import pkgutil\ndef f(n): return pkgutil.get_data('pkg', n)", {DLL}),
    "files": ("x = files('pkg').joinpath('agent.dll').read_bytes()", {DLL}),
    "files of a folder": ("x = files('pkg') / 'libs' / 'win32'", {SUB}),
    "files of itself": ("x = files(__package__).joinpath('libs', s, n).read_bytes()", {SUB, MAC}),
    "all of it": ("shutil.copytree(files('pkg'), there)", ALL),
    "as a file": ("with as_file(files('pkg')) as p:\n    upload(p)", ALL),
    "copytree": (HERE + "shutil.copytree(HERE, there)", ALL),
    "copytree of a folder": (HERE + "shutil.copytree(HERE / 'libs', there)", {SUB, MAC}),
    "copytree, os.path": ("shutil.copytree(os.path.dirname(os.path.abspath(__file__)), x)", ALL),
    "rglob": (HERE + "x = [p.read_bytes() for p in HERE.rglob('*.dll')]", {DLL, SUB}),
    "rglob of all": (HERE + "for p in HERE.rglob('*'):\n    z.write(p)", ALL),
    "glob": (HERE + "x = list(HERE.glob('*.dll'))", {DLL}),
    "glob.glob": (HERE + "x = glob.glob(os.path.join(HERE, 'libs', '*', '*.dylib'))", {MAC}),
    "walk": (HERE + "for d, _, names in os.walk(HERE / 'libs'):\n    send(d, names)", {SUB, MAC}),
    "walk for a suffix": (
        HERE + "def f():\n for d, _, n in os.walk(HERE):\n  if n.endswith('.dll'): send(n)",
        {DLL, SUB},
    ),
    "a suffix": (HERE + "x = [p for p in look() if p.suffix == '.dll']", {DLL, SUB}),
    "endswith": (HERE + "x = [p for p in look() if p.endswith('.dylib')]", {MAC}),
    "a suffix that is added": ("x = open(name + '.dll', 'rb')", {DLL, SUB}),
    "an f-string": (HERE + "x = (HERE / 'libs' / s / f'deep.{e}').read_bytes()", {SUB, MAC}),
    "formatted": ("x = open('%s/libs/%s/deep%s' % (root, s, e), 'rb')", {SUB, MAC}),
    "a constant": ("AGENT = 'agent.dll'", {DLL}),
    "a table": ("AGENTS = {'windows': 'agent.dll', 'linux': 'agent.so'}", {DLL}),
    "for another computer": ("if remote.system == 'Windows':\n    push('agent.dll')", {DLL}),
    "a flag of another computer": ("def f(is_windows):\n  if is_windows: push('agent.dll')", {DLL}),
    "from this system": ("if sys.platform != 'win32':\n    push('agent.dll')", {DLL}),
    "on this system": ("if sys.platform == 'linux':\n    push('agent.dll')", {DLL}),
    "loaded and read": (
        HERE + "P = HERE / 'agent.dll'\nx = ctypes.CDLL(str(P))\nsend(P)",
        {DLL},
    ),
    "returned": (HERE + "def where():\n    return HERE / 'agent.dll'", {DLL}),
    "a loader of another thing": ("x = ctypes.CDLL('libc.so.6')\nsend('agent.dll')", {DLL}),
    "a parameter of the same name": (
        "s = platform.system()\ndef f(s):\n    if s == 'Windows': push('agent.dll')",
        {DLL},
    ),
    "taken apart": (
        "def g():\n    s = platform.system()\ndef f():\n    s, m = remote()\n"
        "    if s == 'Windows': push('agent.dll')",
        {DLL},
    ),
    "another system()": (
        "from .hosts import system\nif system() == 'Windows': x = 'agent.dll'",
        {DLL},
    ),
    "another uname()": ("if host.uname().sysname == 'Windows': x = 'agent.dll'", {DLL}),
    "a setting": ("from .conf import settings\nif settings.windows: push('agent.dll')", {DLL}),
    "kept in a list": (
        HERE + "P = HERE / 'agent.dll'\nL.append(P)\nx = ctypes.CDLL(P)\nsend(L)",
        {DLL},
    ),
    "kept in a table": (
        HERE + "P = HERE / 'agent.dll'\nT['x'] = P\nx = ctypes.CDLL(P)\nsend(T)",
        {DLL},
    ),
    "yielded": (
        HERE + "def f():\n    P = HERE / 'agent.dll'\n    ctypes.CDLL(P)\n    yield P",
        {DLL},
    ),
    "a step and more": (
        HERE + "root = HERE / 'libs'\nx = open(root / 'page.js')\nsend(root)",
        {SUB, MAC},
    ),
    "a step to a library": (
        "def f():\n    root = os.path.join(os.path.dirname(__file__), 'libs')\n"
        "    return open(os.path.join(root, 'win32', name), 'rb')",
        {SUB},
    ),
    "a step to a folder": (
        "def f():\n    root = os.path.join(os.path.dirname(__file__), 'libs')\n"
        "    shutil.copytree(os.path.join(root, system), there)",
        {SUB, MAC},
    ),
    "steps to a folder that is listed": (
        "def f():\n    root = os.path.join(os.path.dirname(__file__), 'libs')\n"
        "    kind = os.path.join(root, system)\n"
        "    return [os.path.join(kind, name) for name in os.listdir(kind)]",
        {SUB, MAC},
    ),
    "a step of another function": (
        "def f():\n    global page, root\n"
        "    root = os.path.join(os.path.dirname(__file__), 'libs')\n"
        "    page = open(os.path.join(root, 'page.js'))",
        {SUB, MAC},
    ),
    "a step of an object": (
        "class A:\n    root = Path(__file__).parent / 'libs'\nsend(A.root)\nx = A.root / 'a.js'",
        {SUB, MAC},
    ),
    "a step that is listed": (
        "def f():\n    root = os.path.join(os.path.dirname(__file__), 'libs')\n"
        "    return [os.path.join(root, name) for name in os.listdir(root)]",
        {SUB, MAC},
    ),
    "unparsed": ("match x: case ¿\nsend('agent.dll')", {DLL, SUB}),
}


@pytest.mark.parametrize("case", READ)
def test_what_is_read_as_data_stays(case: str) -> None:
    code, expected = READ[case]
    assert held(code) == expected


LOADED: dict[str, str] = {
    "nothing": "x = 1",
    "a docstring": "'''Reads agent.dll.'''",
    "loaded": "x = ctypes.CDLL('agent.dll')",
    "loaded from its place": HERE + "x = ctypes.cdll.LoadLibrary(str(HERE / 'agent.dll'))",
    "another system's": "if sys.platform == 'win32':\n    push('agent.dll')",
    "another system's name": "if os.name == 'nt':\n    push('agent.dll')",
    "another system's, asked for": "if platform.system() == 'Windows':\n    push('agent.dll')",
    "lower case": "if platform.system().lower().startswith('win'):\n    push('agent.dll')",
    "asked for once": "s = platform.system()\nif s == 'Windows':\n  x = 'agent.dll'",
    "a flag": "WIN = sys.platform.startswith('win')\nx = 'agent.dll' if WIN else 'agent.so'",
    "an imported flag": "from .compat import IS_WINDOWS\nif IS_WINDOWS:\n    x = 'agent.dll'",
    "this system's": "if sys.platform == 'linux':\n    x = 'a.so'\nelse:\n    x = 'agent.dll'",
    "returns before": "def f():\n    if os.name != 'nt':\n        return\n    push('agent.dll')",
    "a function": "def f():\n if sys.platform == 'linux':\n  return 1\n return 'agent.dll'",
    "part of a name": "if 'win32' in sys.platform:\n    push('agent.dll')",
    "an alias": "from platform import system as s\nif s() == 'Windows':\n    push('agent.dll')",
    "uname": "if platform.uname().system == 'Windows':\n    push('agent.dll')",
    "the name itself": "from sys import platform as p\nif p == 'win32':\n    push('agent.dll')",
    "a table": "x = {'win32': 'agent.dll', 'linux': 'a.so'}[sys.platform]\nsend(x)",
    "the usual loader": HERE
    + "if sys.platform == 'win32':\n    name = 'deep.dll'\n"
    + "elif sys.platform == 'darwin':\n    name = 'deep.dylib'\nelse:\n    name = 'deep.so'\n"
    + "path = os.path.join(HERE, 'libs', sys.platform, name)\n"
    + "if not os.path.exists(path):\n    raise OSError(f'{path} not found')\n"
    + "lib = ctypes.CDLL(path)",
    "names that are put together": HERE
    + "path = os.path.join(os.path.dirname(__file__), 'libs', find(), f'deep{suffix}')\n"
    + "lib = ffi.dlopen(path)\nx = open('/etc/passwd')",
    "a function that loads": HERE
    + "def _load(name):\n    return ctypes.CDLL(str(HERE / 'libs' / name / 'deep.dll'))\n"
    + "x = _load('win32')",
    "a loop": HERE
    + "for name in ('a.so', 'agent.dll'):\n    try: x = ctypes.CDLL(HERE / name)\n"
    + "    except OSError: pass",
    "pieces of this system": HERE
    + "x = open(HERE / 'libs' / sys.platform / name)\ny = glob.glob(f'{HERE}/libs/{os.name}/*')",
    "modules only": HERE + "for p in HERE.rglob('*.py'):\n    import_module(p.stem)",
    "modules of a folder": HERE
    + "for f in os.listdir(HERE):\n    if not f.endswith('.py'):\n        continue\n    load(f)",
    "a step on the way": "def f():\n    root = os.path.join(os.path.dirname(__file__), 'libs')\n"
    + "    if os.path.isdir(root):\n        return open(os.path.join(root, 'page.js'))",
    "two steps": HERE
    + "def f(a=HERE):\n    root = a / 'libs'\n    win = root / 'win32'\n"
    + "    return open(win / 'page.js')",
    "another place": HERE + "shutil.copytree(HERE / 'templates', there)",
    "a word": "x = name == 'win32' or name.startswith('libs')",
    "the package's name": "NAME = 'pkg'\nlog = getLogger('pkg')\nx = find('pkg')",
    "its own place": HERE + "sys.path.insert(0, str(HERE))\nx = open(HERE / 'data.json')",
}


@pytest.mark.parametrize("case", LOADED)
def test_what_is_only_loaded_on_another_system_goes(case: str) -> None:
    assert held(LOADED[case]) == set()


@pytest.mark.parametrize(
    ("path", "content", "expected"),
    [
        ("pkg/agents.json", '{"windows": "agent.dll"}', {DLL}),
        ("pkg/core.cpython-313-x86_64-linux-gnu.so", b"\x7fELF\0cython\0agent.dll\0", {DLL}),
        ("pkg/core.pyc", b"\xe3\xda\x09agent.dll", {DLL}),
        ("pkg/README.md", "agent.dll", set()),
        ("pkg/setup.iss", "Source: agent.dll; DestDir: {app}", {DLL}),
        ("pkg/page.html", "<a href='agent.dll'>", {DLL}),
        ("user.py", "import pkg\nx = Path(pkg.__file__).parent / 'agent.dll'", {DLL}),
        (
            "user.py",
            "from importlib.resources import files\nsend(files('pkg') / 'libs')",
            {SUB, MAC},
        ),
        ("user.py", "shutil.copytree(os.path.dirname(pkg.__file__), there)", ALL),
        ("user.py", "x = 'agent.dll'", set()),
    ],
)
def test_who_may_read_a_library(path: str, content: Contents, expected: set[str]) -> None:
    assert held("", more={path: content}) == expected


LOADS = HERE + "AGENT = HERE / 'agent.dll'\nx = ctypes.CDLL(AGENT)"


@pytest.mark.parametrize(
    ("path", "code", "expected"),
    [
        ("pkg/send.py", "from .core import AGENT\nsend(AGENT)", {DLL}),
        ("pkg/send.py", "from . import core\nsend(core.AGENT)", {DLL}),
        ("pkg/send.py", "from .core import x", set()),
        ("pkg/send.py", "AGENT = 1", set()),
        ("user.py", "from pkg.core import x", set()),
    ],
)
def test_what_one_module_loads_and_another_may_send(
    path: str, code: str, expected: set[str]
) -> None:
    assert held(LOADS, more={path: code}) == expected


def test_what_a_held_library_needs_stays_with_it_and_so_do_links() -> None:
    made = make_stack(
        {
            "app-x": {
                "$site/pkg-1.dist-info/METADATA": "Name: pkg\nVersion: 1\n",
                "$site/pkg/__init__.py": "import pkgutil\npkgutil.get_data('pkg', 'a.dll')",
                "$site/pkg/a.dll": pe() + b"\0B.dll\0",
                "$site/pkg/b.dll": pe(),
                "$site/pkg/c.dll": pe(),
                "$site/pkg/link.dll": Link("b.dll"),
            }
        }
    )
    plan = Planner(made.facts, Config(packs=PACKS), Silent()).plan()
    gone = {key[1].rpartition("/")[2] for key in plan.actions}
    assert {"a.dll", "b.dll", "c.dll", "link.dll"} & gone == {"c.dll"}


@pytest.mark.parametrize(
    ("code", "stays"),
    [
        ("x = f'{family}_{machine}'", False),
        ("x = '%s-%s' % (family, machine)", False),
        ("x = re.fullmatch('[A-Za-z0-9][A-Za-z0-9._-]*', name)", False),
        ("send(re.sub('[.]so$', '.dll', name))", True),
        ("x = f'{machine}.dll'", True),
        ("send(f'{root}/{family}_{machine}')", False),
        ("root = os.path.dirname(__file__)\nsend(f'{root}/in/{family}_{machine}')", True),
        ("import pkg\nsend(f'{pkg.__path__[0]}/in/{family}_{machine}')", True),
        ("agent = f'pkg/{version}'", False),
        ("cell = f'I{row}'", False),
        ("send(f'I{n}/{name}')", True),
        ("folder = f'I{n}'\nsend(os.path.join(root, folder, name))", True),
        ("send(f'pkg/{place}/{name}')", True),
    ],
)
def test_any_two_words_put_together_are_no_path(code: str, stays: bool) -> None:
    made = make_stack(
        {
            "app-x": {
                "$site/pkg-1.dist-info/METADATA": "Name: pkg\nVersion: 1\n",
                "$site/pkg/__init__.py": code,
                "$site/pkg/in/agent_x86-64.dll": pe(),
            }
        }
    )
    plan = Planner(made.facts, Config(packs=PACKS), Silent()).plan()
    assert (f"{SITE}/pkg/in/agent_x86-64.dll" not in {key[1] for key in plan.actions}) is stays


@pytest.mark.parametrize("twin", [True, False])
def test_scripts_of_node_load_the_add_on_of_their_own_system(*, twin: bool) -> None:
    made = make_stack(
        {
            "app-x": {
                "$site/pkg-1.dist-info/METADATA": "Name: pkg\nVersion: 1\n",
                "$site/pkg/main.js": "require(`./${process.platform}/words.node`)",
                "$site/pkg/darwin/words.node": macho(machine="x86_64"),
                f"$site/pkg/{'linux' if twin else 'other'}/words{'' if twin else 'x'}.node": elf(),
            }
        }
    )
    plan = Planner(made.facts, Config(packs=PACKS), Silent()).plan()
    assert ((f"{SITE}/pkg/darwin/words.node") in {key[1] for key in plan.actions}) is twin


@pytest.mark.parametrize(
    ("code", "platform", "stays"),
    [
        ("path = Path(__file__).parent / 'old_lib32'", "win_amd64", True),
        ("start('old_lib32', 'cdll')", "win_amd64", True),
        ("start('old_lib', 'cdll')", "win_amd64", False),
        ("start('pkg')", "win_amd64", False),
        ("start('old_lib32', 'cdll')", "macosx_arm64", False),
    ],
)
def test_windows_puts_the_suffix_behind_a_bare_name(code: str, platform: str, stays: bool) -> None:
    """A program of 32 bits is given the name, and loads the library (msl-loadlib's server)."""
    made = make_stack(
        {
            "app-x": {
                "$site/pkg-1.dist-info/METADATA": "Name: pkg\nVersion: 1\n",
                "$site/pkg/__init__.py": f"from pathlib import Path\n{code}\n",
                "$site/pkg/old_lib32.DLL": pe(machine="i686"),
            }
        },
        platform=platform,
    )
    plan = Planner(made.facts, Config(packs=PACKS), Silent()).plan()
    gone = {key[1].rpartition("/")[2] for key in plan.actions}
    assert ("old_lib32.DLL" not in gone) is stays
