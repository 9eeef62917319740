"""Files that rules for every package take by their names, and that a program reads: they stay."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from slim.cli import main
from tests.support.published_stacks import (
    SITE,
    STDLIB,
    Content,
    LayerSpec,
    distribution,
    merge,
    publish,
)

STUB = {"api.pyi": "x: int\n"}
HERE = "from pathlib import Path\nHERE = Path(__file__).parent\n"
ORPHAN = "__pycache__/core.cpython-313.pyc"
LOCK = {"web/package.json": "{}", "web/package-lock.json": "{}"}


@dataclass(frozen=True)
class Case:
    """A package with a module of ``code``, and the file asked about."""

    code: str
    files: dict[str, str]
    asked: str
    stays: bool = True
    notes: dict[str, str] = field(default_factory=dict)
    """Files of the dist-info folder."""


TESTS = {"tests/__init__.py": "", "tests/test_a.py": "def test_it(): pass\n"}
DATA = {**TESTS, "tests/data/a.csv": "1"}

TABLE = {
    "data that nothing names": Case("x = 1\n", DATA, "tests/data/a.csv", stays=False),
    "a path in place of the file's name": Case(
        "T = __file__.replace('m.py', 'tests/data/a.csv')\n", DATA, "tests/data/a.csv"
    ),
    "text that is replaced": Case(
        "T = 'x'.replace('tests/data/a.csv', 'y')\n", DATA, "tests/data/a.csv", stays=False
    ),
    "a path in INI": Case(
        "", {**DATA, "a.ini": "[a]\nb = %(here)s/tests/data\n"}, "tests/data/a.csv"
    ),
    "nothing names it": Case("'''See api.pyi.'''\n", STUB, "api.pyi", stays=False),
    "a stub by name": Case(HERE + "T = (HERE / 'api.pyi').read_text()\n", STUB, "api.pyi"),
    "stubs by suffix": Case(HERE + "T = list(HERE.glob('*.pyi'))\n", STUB, "api.pyi"),
    "a suffix put together": Case("def f(n): return open(f'{n}.pyi')\n", STUB, "api.pyi"),
    "another suffix": Case("T = '.pyx'\n", STUB, "api.pyi", stays=False),
    "a stub in JSON": Case("", {**STUB, "tools.json": '["stubs/api.pyi"]'}, "api.pyi"),
    "a Cython source": Case("T = 'kernels/k.pyx'\n", {"kernels/k.pyx": "x"}, "kernels/k.pyx"),
    "a template's build file": Case(
        "", {"templates/meson.build": "{{ x }}"}, "templates/meson.build"
    ),
    "a template's lock": Case(
        "", {"project_template/yarn.lock": "x"}, "project_template/yarn.lock"
    ),
    "a lock": Case("", LOCK, "web/package-lock.json", stays=False),
    "a lock that npm reads": Case(
        "import subprocess\nsubprocess.run(['npm', 'ci'])\n", LOCK, "web/package-lock.json"
    ),
    "a lock that a shell's npm reads": Case(
        "import os\nos.system('npm ci')\n", LOCK, "web/package-lock.json"
    ),
    "an archive that is none": Case("", {"data.a": "alpha"}, "data.a"),
    "a static library": Case("", {"data.a": "!<arch>\n"}, "data.a", stays=False),
    "a map": Case("", {"sector.dwo": "a map"}, "sector.dwo"),
    "bytecode that code loads": Case(f"T = '{ORPHAN}'\n", {ORPHAN: "x"}, ORPHAN),
    "an orphan": Case("", {ORPHAN: "x"}, ORPHAN, stays=False),
    "a manual that code opens": Case(
        "import sys\nT = sys.prefix + '/share/man/man1/x.1'\n",
        {"/share/man/man1/x.1": ".TH"},
        "/share/man/man1/x.1",
    ),
    "a manual that code shows": Case(
        "import subprocess\nT = ['man', 'x']\nsubprocess.run(T)\n",
        {"/share/man/man1/x.1": ".TH"},
        "/share/man/man1/x.1",
    ),
    "a page that code opens": Case(
        "import os, sys\nT = os.path.join(sys.prefix, 'share', 'doc', 'x')\n",
        {"/share/doc/x/index.html": "<p>"},
        "/share/doc/x/index.html",
    ),
    "what files() reads of an egg": Case(
        "", {f"/{SITE}/old.egg-info/SOURCES.txt": "old.py\n"}, "/old.egg-info/SOURCES.txt"
    ),
    "a manual": Case("T = 'man'\n", {"/share/man/man1/y.1": ".TH"}, "/share/man/man1/y.1", False),
}


def planned(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *packages: object,
    runtime: dict[str, str] | None = None,
) -> set[str]:
    """The paths below site-packages that a dry run would remove or rewrite."""
    monkeypatch.chdir(folder)
    base = {"bin/python3.13": "#!/bin/sh\n", f"{STDLIB}/os.py": "", f"{STDLIB}/site.py": ""}
    files = merge(*packages)  # type: ignore[arg-type]
    layers = {
        "cpython3.13": LayerSpec("runtime", {**base, **(runtime or {})}),
        "app": LayerSpec("application", files),
    }
    publish(folder / "stack", layers, suffix=".tar")
    assert main(["run", "stack", "--dry-run", "-q", "--report", "json=report.json"]) == 0
    report = json.loads(Path("report.json").read_text())["runs"][0]
    return {action["path"].removeprefix(f"{SITE}/") for action in report["actions"]}


def package(name: str, case: Case) -> dict[str, Content]:
    files: dict[str, Content] = {f"{name}/__init__.py": "", f"{name}/m.py": case.code}
    files |= {f"{name}/{path}": text for path, text in case.files.items() if path[0] != "/"}
    made = dict(distribution(name, files, more=case.notes, metadata=f"Summary: x\n\n{'y' * 99}\n"))
    shared = {path[1:]: text for path, text in case.files.items() if path[0] == "/"}
    return {**made, **shared}  # type: ignore[dict-item]


@pytest.mark.parametrize("case", TABLE)
def test_what_is_read_stays(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = TABLE[case].asked
    path = asked[1:] if asked[0] == "/" else f"pkg/{asked}"
    gone = planned(tmp_path, monkeypatch, package("pkg", TABLE[case]))
    assert (path not in gone) is TABLE[case].stays


@pytest.mark.parametrize("profile", ["safe", "standard"])
def test_a_lock_file_is_never_taken_by_safe(
    profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slim.toml").write_text(f'schema = 1\nprofile = "{profile}"\n')
    gone = planned(tmp_path, monkeypatch, package("pkg", TABLE["a lock"]))
    assert ("pkg/web/package-lock.json" in gone) is (profile == "standard")


NOTES = {"INSTALLER": "pip\n", "direct_url.json": "{}"}
READERS = {
    "m.distribution('shown').read_text('direct_url.json')\n": {"direct_url.json"},
    "m.distribution('shown').read_text('INSTALLER')\n": {"INSTALLER"},
    "m.metadata('shown')['Description']\n": {"METADATA"},
    "m.metadata('Shown').get_payload()\n": {"METADATA"},
    "m.metadata('other')['Description']\n": set[str](),
    "str(m.metadata('shown'))\n": {"METADATA"},
    "x = glob(site + '/shown-*.dist-info/METADATA')\n": {"METADATA"},
    "x = glob(site + '/other-*.dist-info/METADATA')\n": set[str](),
    "m.version('shown')\n": set[str](),
}


@pytest.mark.parametrize("code", READERS)
@pytest.mark.parametrize("reader", ["reader", "pip"])
def test_notes_that_code_reads_stay(
    code: str, reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = package("shown", Case("", {}, "", notes=NOTES))
    reading = package(reader, Case(f"import importlib.metadata as m\n{code}", {}, ""))
    gone = planned(tmp_path, monkeypatch, shown, reading)
    stay = {name for name in (*NOTES, "METADATA") if f"shown-1.0.dist-info/{name}" not in gone}
    assert stay == (READERS[code] if reader == "reader" else set())


SUITE = {
    "tests/__init__.py": "",
    "tests/__main__.py": "import unittest\n",
    "tests/test_a.py": "def test_it(): pass\n",
    "tests/data/a.json": "{}",
}
STARTED = {
    "x = 1\n": False,
    "import sys\nargs = [sys.executable, '-m', 'pkg.tests']\n": True,
    "import os\nos.system('python3 -m pkg.tests')\n": True,
    "import pytest\npytest.main(['--pyargs', 'pkg.tests'])\n": True,
    "import unittest as u\nu.defaultTestLoader.discover('pkg.tests')\n": True,
    "import pkgutil\npkgutil.get_data(__package__ + '.tests', 'data/a.json')\n": True,
    "import importlib as i\ndef f(n): return i.import_module(f'pkg.tests.test_{n}')\n": True,
    "import importlib as i\ndef f(n): return i.import_module('pkg.tests.test_%s' % n)\n": True,
    "import importlib as i\ndef f(n): return i.import_module('pkg.tests.test_' + n)\n": True,
}


@pytest.mark.parametrize("code", STARTED)
def test_a_package_that_is_run_or_partly_named_stays_whole(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = planned(tmp_path, monkeypatch, package("pkg", Case(code, SUITE, "")))
    assert {f"pkg/{path}" for path in SUITE} & gone == (
        set() if STARTED[code] else {f"pkg/{path}" for path in SUITE}
    )


def test_command_lines_in_the_standard_library_hold_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = {
        f"{STDLIB}/_sysconfigdata_x.py": "build = {'TASK': '-m test --timeout=1'}\n",
        f"{STDLIB}/test/__init__.py": "",
        f"{STDLIB}/test/test_a.py": "import os\n",
    }
    gone = planned(tmp_path, monkeypatch, runtime=paths)
    assert gone == set(paths) - {f"{STDLIB}/_sysconfigdata_x.py"}


PROGRAMS = {
    "x = '2to3'\n": {"bin/2to3", "lib2to3/main.py"},
    "import os\nos.system('pydoc3.13 os')\n": {"bin/pydoc3.13"},
    "import sys\nx = sys.prefix + '/bin/2to3'\n": {"bin/2to3", "lib2to3/main.py"},
    "x = 'like 2to3'\n": set[str](),
    "import subprocess\nsubprocess.run(['idle', 'x.py'])\n": {"bin/idle"},
    "from os import system\nsystem('idle -e x.py')\n": {"bin/idle"},
    "import os\nos.spawnlp(os.P_WAIT, 'idle', 'idle')\n": {"bin/idle"},
    "from shutil import which\nx = which('idle')\n": {"bin/idle"},
    "EDITORS = ['vim', ('idle', '-e')]\n": {"bin/idle"},
    "DEFAULTS = {'editor': 'idle'}\n": {"bin/idle"},
    "def edit(path, *, program='idle'): ...\n": {"bin/idle"},
    "def edit(path, command='idle', x=None): ...\n": {"bin/idle"},
    "from .tools import launch\nlaunch('idle', 'x.py')\n": {"bin/idle"},
    "settings['editor'] = 'idle'\n": {"bin/idle"},
    "class A:\n    command: str = 'idle %s'\n": {"bin/idle"},
    "from gevent import spawn, idle\n__all__ = ['spawn', 'idle']\n": set[str](),
    "import subprocess\n__all__ = ['idle']\nx = ['idle']\n": {"bin/idle"},
    "STATES = ('idle', 'running')\nx = state == 'idle'\ny = {'idle': open('x')}\n": set[str](),
    "import platform\nx = platform.system()\ncpu.idle = f(x, 'idle')\n": set[str](),
}


@pytest.mark.parametrize("code", PROGRAMS)
def test_programs_of_the_runtime_that_code_starts_stay(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = {name: "#!x\n" for name in ("bin/2to3", "bin/pydoc3.13", "bin/idle")}
    paths[f"{STDLIB}/lib2to3/main.py"] = "x = 1\n"
    gone = planned(tmp_path, monkeypatch, package("pkg", Case(code, {}, "")), runtime=paths)
    stay = {path.removeprefix(f"{STDLIB}/") for path in paths if path not in gone}
    assert stay == PROGRAMS[code]
