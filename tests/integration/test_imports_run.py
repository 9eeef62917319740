"""Programs that worked before ``slim run`` work afterwards, and what only tests need is gone."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from slim.config.load import load_config
from slim.passes import SCHEMAS
from slim.pipeline.stages import RunRequest, run
from tests.support.published_stacks import (
    SITE,
    STDLIB,
    Files,
    LayerSpec,
    distribution,
    merge,
    publish,
)

TEST = "def test_it(): pass\n" * 30


def _publish(folder: Path, package: Files, program: str) -> Path:
    publish(
        folder,
        {
            "cpython3.13": LayerSpec("runtime", {f"{STDLIB}/os.py": "x = 1\n"}),
            "framework-f": LayerSpec("framework", distribution("pkg", package)),
            "app-main": LayerSpec(
                "application",
                {f"{SITE}/main_app.py": program},
                requires=("framework-f",),
                launch_module="main_app",
            ),
        },
    )
    return folder


def _answer(folder: Path, to: Path) -> str:
    """What the application prints when this Python runs it out of the unpacked archives."""
    for archive in sorted(folder.glob("*.tar.xz")):
        with tarfile.open(archive) as opened:
            opened.extractall(to, filter="fully_trusted")
    path = os.pathsep.join(str(to / layer / SITE) for layer in ("app-main", "framework-f"))
    command = [sys.executable, "-S", "-B", "-m", "main_app"]
    ran = subprocess.run(
        command, env={"PYTHONPATH": path}, cwd=to, capture_output=True, text=True, check=False
    )
    return ran.stdout or ran.stderr


PROGRAMS: dict[str, tuple[Files, str]] = {
    "test data that a function reads": (
        {
            "pkg/core/__init__.py": (
                "import os\n"
                "def example(name):\n"
                "    here = os.path.dirname(__file__)\n"
                "    return open(os.path.join(here, 'tests', 'data', name)).read()\n"
            ),
            "pkg/core/tests/data/events.xml": "<events/>",
        },
        "from pkg.core import example\nprint(example('events.xml'))\n",
    ),
    "a project template": (
        {
            "pkg/new.py": (
                "from pathlib import Path\n"
                "def files():\n"
                "    root = Path(__file__).parent / 'templates'\n"
                "    return sorted(str(p.relative_to(root)) for p in root.rglob('*'))\n"
            ),
            "pkg/templates/app/tests/test_app.py": TEST,
            "pkg/templates/app/tests/conftest.py": "",
            "pkg/templates/app/role/tests/main.yml": "x: 1\n",
        },
        "from pkg.new import files\nprint(files())\n",
    ),
    "helpers for the tests of others": (
        {"pkg/tests/helper.py": "def check(): return 'checked'\n", "pkg/tests/__init__.py": ""},
        "import importlib\nname = '.'.join(['pkg', 'te' + 'sts', 'helper'])\n"
        "print(importlib.import_module(name).check())\n",
    ),
    "a plug-in that configuration names": (
        {
            "pkg/load.py": (
                "import importlib, json, pathlib\n"
                "conf = json.loads(pathlib.Path(__file__).with_name('conf.json').read_text())\n"
                "def load(): return importlib.import_module(conf['use']).NAME\n"
            ),
            "pkg/conf.json": '{"use": "pkg.core.tests.plugin"}',
            "pkg/core/tests/__init__.py": "",
            "pkg/core/tests/plugin.py": "NAME = 'plugged'\n",
        },
        "from pkg.load import load\nprint(load())\n",
    ),
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_programs_that_read_tests_go_on_working(case: str, tmp_path: Path) -> None:
    package, program = PROGRAMS[case]
    files = {
        "pkg/__init__.py": "",
        "pkg/core/__init__.py": "",
        "pkg/core/tests/test_core.py": TEST,
        "pkg/sub/__init__.py": "",
        "pkg/sub/tests/test_sub.py": TEST,
        "pkg/tests/test_pkg.py": TEST,
        **package,
    }
    stack = _publish(tmp_path / "stack", files, program)
    before = _answer(stack, tmp_path / "before")
    assert "Error" not in before
    config = load_config(SCHEMAS)
    run(RunRequest(source=stack, output=tmp_path / "out", config=config))
    after = _answer(tmp_path / "out", tmp_path / "after")
    assert after == before
    left = {path.name for path in (tmp_path / "after").rglob("test_*.py")}
    assert not left & {"test_sub.py", "test_pkg.py"}, "what is only tests goes as before"


def _egg(text: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("more/core.py", text)
    return stream.getvalue()


MODULE = {"__init__.py", "mod.py"}
DATA = {"data/a.csv"}
EVERYTHING = MODULE | DATA | {"test_a.py"}

# One package each, with a suite in ``p.sub.tests`` ("p" stands for its name): a file that stays
# below the layer's site-packages (or, with "@/", in the layer), and what it holds of the suite.
EVIDENCE: dict[str, tuple[str, str | bytes, set[str]]] = {
    # Row 3: data and API
    "nothing": ("p/core.py", "x = 1\n", set()),
    "reads_data": ("p/sub/c.py", "D = Path(__file__).parent / 'tests' / 'data'\n", DATA),
    "joins_data": ("p/sub/c.py", "D = os.path.join(HERE, 'tests', 'data')\n", DATA),
    "package_data": ("p/c.py", "setup(package_data={'p': ['sub/tests/data/*.csv']})\n", DATA),
    # Row 8: Cython's table of strings, Rust's
    "cython": ("p/_c.so", b"\x7fELF\0cython_runtime\0xxp.sub.testsmodyy\0", MODULE),
    "rust": ("other/_c.abi3.so", b"\x7fELF\0/rustc/\0xxp.sub.tests.modyy\0", MODULE),
    # Row 16: more than is read whole
    "enormous": ("p/c.py", "x = [" + "'y', " * 500_000 + "'p.sub.tests.mod']\n", MODULE),
    # Row 18: compiled importers of other distributions
    "extension": ("other/_d.abi3.so", b"\x7fELF\0p.sub.tests.mod\0", MODULE),
    "bytecode": ("other/b.pyc", b"\xe3\xda\x0fp.sub.tests.modN", MODULE),
    # Row 20: a stub that runs
    "lazy_stub": ("p/sub/c.py", "attach_stub(__name__, __file__)\n", set()),
    # Row 21: scripts, archives, notebooks
    "script": ("@/share/run-1.2", "#!/usr/bin/env python\nimport p.sub.tests.mod\n", MODULE),
    "shell": ("@/share/run.sh", "#!/bin/sh\nexec python -m p.sub.tests.mod\n", MODULE),
    "egg": ("more.egg", "from p.sub.tests import mod\n", MODULE),
    "notebook": ("@/share/n.ipynb", '{"source": ["from p.sub.tests import mod\\n"]}', MODULE),
    # Row 31: text
    "entry": ("other/a.py", "plugin = 'p.sub.tests.mod:main'\n", MODULE),
    "json": ("other/a.json", '{"class": "p.sub.tests.mod.Class"}', MODULE),
    "ini": ("@/etc/app.ini", "[app]\nuse = p.sub.tests.mod:main\n", MODULE),
    "exec": ("other/x.py", "exec('from p.sub.tests import mod')\n", MODULE),
    "pth": ("start.pth", "import sys; exec('import p.sub.tests.mod')\n", MODULE),
    "alias": ("p/c.py", "from i import import_module as im\nim('.sub.tests.mod', 'p')\n", MODULE),
    "percent": ("p/__init__.py", "x = '%s.sub.tests.mod' % __name__\n", MODULE),
    "pieces": ("other/y.py", "__import__('p.sub.' + 'tests.mod')\n", MODULE),
    "lists": (
        "other/z.py",
        "from p.sub import tests\nnames = iter_modules(tests.__path__)\n",
        EVERYTHING,
    ),
    "resource": ("other/r.py", "files('p.sub.tests').joinpath('y.json')\n", EVERYTHING),
}


def test_every_kind_of_evidence_holds_what_it_names_in_a_run(tmp_path: Path) -> None:
    wheels = []
    outside: dict[str, str | bytes] = {}
    for name, (path, content, _) in EVIDENCE.items():
        suite = ("__init__.py", "sub/__init__.py", *(f"sub/tests/{file}" for file in EVERYTHING))
        files: dict[str, str | bytes] = {f"{name}/{file}": "" for file in suite}
        files[f"{name}/sub/tests/test_a.py"] = TEST
        at = f"{name}/{path[2:]}" if path.startswith("p/") else path
        if isinstance(content, bytes):
            content = content.replace(b"p.sub", f"{name}.sub".encode())
        else:
            content = content.replace("p.sub", f"{name}.sub").replace("'p'", f"'{name}'")
        if path.endswith(".egg"):
            content = _egg(str(content))
        (files if path.startswith("p/") else outside)[at] = content
        if name == "lazy_stub":
            files["lazy_stub/sub/c.pyi"] = "from .tests import mod\n"
        wheels.append(distribution(name, files))
    placed = {
        path[2:] if path.startswith("@/") else f"{SITE}/{path}": content
        for path, content in {**outside, "eggs.pth": "more.egg\n"}.items()
    }
    layers = {
        "cpython3.13": LayerSpec("runtime", {f"{STDLIB}/os.py": "x = 1\n"}),
        "app-main": LayerSpec("application", merge(*wheels, placed), requires=()),
    }
    publish(tmp_path / "stack", layers, suffix=".tar")
    config = load_config(SCHEMAS)
    run(RunRequest(source=tmp_path / "stack", output=tmp_path / "out", config=config))
    with tarfile.open(next((tmp_path / "out").glob("app-main.tar*"))) as archive:
        left = {name.removeprefix(f"app-main/{SITE}/") for name in archive.getnames()}
    for name, (_, _, expected) in EVIDENCE.items():
        if name == "lazy_stub":
            assert "lazy_stub/sub/c.pyi" in left
            expected = MODULE
        start = f"{name}/sub/tests/"
        stays = {path.removeprefix(start) for path in left if path.startswith(start)} - {"data"}
        assert stays == expected, name


def test_each_runtime_of_a_stack_is_slimmed_by_what_runs_on_it(tmp_path: Path) -> None:
    stdlib = {
        "bin/python3.13": "#!/bin/sh\n",
        f"{STDLIB}/os.py": "x = 1\n",
        f"{STDLIB}/site.py": "",
    }
    files = {f"{STDLIB}/test/__init__.py": "", f"{STDLIB}/test/support.py": "", **stdlib}
    old, new = "cpython3.12", "cpython3.13"
    app = distribution("main", {"main.py": "from test import support\n"})
    publish(
        tmp_path / "stack",
        {
            old: LayerSpec("runtime", files),
            new: LayerSpec("runtime", files, extra={"runtime_layer": new}),
            "app-new": LayerSpec("application", app, extra={"runtime_layer": new}),
        },
    )
    config = load_config(SCHEMAS)
    run(RunRequest(source=tmp_path / "stack", output=tmp_path / "out", config=config))
    left = {}
    for layer in (old, new):
        with tarfile.open(tmp_path / "out" / f"{layer}.tar.xz") as archive:
            left[layer] = {name for name in archive.getnames() if name.endswith("/support.py")}
    assert left == {old: set(), new: {f"{new}/{STDLIB}/test/support.py"}}
