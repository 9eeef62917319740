"""Stubs and pkg-config's descriptions that others read, and what web servers hand out."""

from __future__ import annotations

import pytest

from slim.config.settings import Config
from slim.model.progress import Silent
from slim.passes import SCHEMAS
from slim.plan.planner import Planner
from slim.rules.loader import builtin_packs
from tests.support.virtual_stacks import SITE, Contents, make_stack

PACKS = tuple(pack for pack in builtin_packs(SCHEMAS) if pack.name == "leftovers")
STUB, COMPILED, DESCRIPTION = "pkg/mod.pyi", "pkg/fast.pyi", "pkg/lib/pkgconfig/x.pc"
USER = "from other.lazy import attach\n__getattr__ = attach(__name__, __file__)\n"


def held(files: dict[str, Contents]) -> set[str]:
    """What stays, of those files of ``pkg`` that rules take."""
    return kept(files) & {STUB, COMPILED, DESCRIPTION}


def kept(files: dict[str, Contents]) -> set[str]:
    """What stays of these files, and of those of ``pkg``."""
    made = make_stack(
        {
            "app-x": {
                "$site/pkg-1.dist-info/METADATA": "Name: pkg\nVersion: 1\n",
                "$site/other-1.dist-info/METADATA": "Name: other\nVersion: 1\n",
                "$site/pkg/__init__.py": "",
                "$site/pkg/mod.py": USER,
                "$site/other/__init__.py": "",
                **{f"$site/{path}": "x" for path in (STUB, COMPILED, DESCRIPTION)},
                **{
                    path if path.startswith("bin/") else f"$site/{path}": content
                    for path, content in files.items()
                },
            }
        }
    )
    plan = Planner(made.facts, Config(packs=PACKS), Silent()).plan()
    wanted = (STUB, COMPILED, DESCRIPTION, *files)
    return {path for path in wanted if ("app-x", f"{SITE}/{path}") not in plan.actions}


LOADERS = {
    "the suffix": "def attach(n, f): ast.parse(open(splitext(f)[0] + '.pyi').read())",
    "in a template": "def attach(n, f): ast.parse(open(f'{splitext(f)[0]}.pyi').read())",
    "with a percent": "def attach(n, f): ast.parse(open('%s.pyi' % splitext(f)[0]).read())",
    "another suffix": "def attach(n, f): ast.parse(Path(f).with_suffix('.pyi').read_text())",
    "one letter more": "def attach(n, filename): ast.parse(open(filename + 'i').read())",
    "a letter behind": "def attach(n, filename): ast.parse(open(f'{filename}i').read())",
    "of a short name": "def attach(n, fn): ast.parse(open(fn + 'i').read())",
    "replaced": "def attach(n, f): ast.parse(open(f.replace('.py', '.pyi')).read())",
    "without the start": "def attach(n, f): ast.parse(open(f.removesuffix('py') + 'pyi').read())",
    "an expression": "def attach(n, f): exec(open(re.sub(r'\\.py$', '.pyi', f)).read())",
    "a constant": "S = '.pyi'\ndef attach(n, f): ast.parse(Path(f).with_suffix(S).read_text())",
    "of the caller": "def attach(): open(splitext(_getframe(1).f_globals['__file__'])[0] + '.pyi')",
    "of a frame": "def attach(): ast.parse(open(stack()[1].filename + 'i').read())",
    "of a module": "def attach(n): Path(modules[n].__file__).with_suffix('.pyi').read_text()",
    "as a resource": "def attach(n): ast.parse(get_data(n.rpartition('.')[0], n + '.pyi'))",
    "all of a folder": "def attach(n, f): [p.read_text() for p in Path(f).parent.glob('*.pyi')]",
    "handed on": "from lazy_loader import attach_stub as attach",
}


@pytest.mark.parametrize("case", LOADERS)
def test_a_lazy_loader_reads_stubs_of_other_distributions(case: str) -> None:
    assert held({"other/lazy.py": LOADERS[case]}) == {STUB}


@pytest.mark.parametrize(
    "code",
    [
        "def attach(n, f): ast.parse(open(f).read())",
        "SUFFIXES = ('.py', '.pyi')",
        "def attach(n, x): open(n + 'i')",
        "# reads x.pyi\nopen(x)",
    ],
)
def test_what_reads_no_stubs_holds_none(code: str) -> None:
    assert held({"other/lazy.py": code}) == set()


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("pkg/core.py", "os.environ['PKG_CONFIG_PATH'] = os.path.join(HERE, 'lib', 'pkgconfig')"),
        ("other/core.py", "env = dict(os.environ, PKG_CONFIG_PATH=x)"),
        ("other/core.py", "subprocess.run(['pkg-config', '--libs', 'x'])"),
        ("other/core.py", "subprocess.check_output('pkgconf --variable=prefix x', shell=True)"),
        ("other/core.py", "import pkgconfig\npkgconfig.cflags('x')"),
        ("pkg/core.py", "def get_pkgconfig_dir(): return HERE / 'lib' / 'pkgconfig'"),
        ("bin/go", "#!/bin/sh\nPKG_CONFIG_PATH=$HERE/pkgconfig exec x"),
    ],
)
def test_who_asks_pkg_config_gets_an_answer(path: str, code: str) -> None:
    assert held({path: code}) == {DESCRIPTION}


@pytest.mark.parametrize(
    ("folder", "stays"),
    [
        ("pkg/static/js", True),
        ("pkg/public", True),
        ("pkg/web/assets", True),
        ("pkg/data", False),
        ("pkg/statics_of_x", False),
    ],
)
def test_what_a_web_server_hands_out_stays(folder: str, stays: bool) -> None:
    """An editor in a page reads stubs, too. Lock files are left from building it."""
    files: dict[str, Contents] = {f"{folder}/{name}": "x" for name in ("a.pyi", "b.pyx", "c.cmake")}
    assert kept({**files, f"{folder}/yarn.lock": "x"}) == (set(files) if stays else set())


def test_a_package_that_is_called_static_is_code() -> None:
    files: dict[str, Contents] = {"pkg/static/__init__.py": "", "pkg/static/a.pyx": "x"}
    assert kept(files) == {"pkg/static/__init__.py"}
