"""Layouts of products that ship venvstacks layers, rebuilt small.

They are slimmed, put in place their way, and started. Each case follows the packaging scripts of a
kind of product (public ones, read in 2026-11): which layers there are, what is changed by hand,
which post-install steps run, and what starts Python.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from slim.cli import main
from tests.support.deployed_stacks import clean_environment, launch, output_of, unpack
from tests.support.published_stacks import (
    SITE,
    Files,
    LayerSpec,
    Link,
    distribution,
    merge,
    publish,
    write_json,
)
from tests.support.runnable_stacks import python_script

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the small layers start through a shell script"
)

RUNTIME = "cpython3.13"
STDLIB = "lib/python3.13"
LIBPYTHON = "lib/libpython3.13.so.1.0"
POST_INSTALL = """\
import pathlib, sys
layer = pathlib.Path(__file__).resolve().parent
(layer / "pyvenv.cfg").write_text(f"home = {layer.parent / 'cpython3.13/bin'}\\n")
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def slim(source: str, output: str, *more: str) -> dict[str, Any]:
    """``slim run``; returns the one result of the JSON report."""
    arguments = ["run", source, "-o", output, "-q", "--report", "json=report.json", *more]
    assert main(arguments) == 0
    result: dict[str, Any] = json.loads(Path("report.json").read_text("utf-8"))["runs"][0]
    return result


def removed(result: dict[str, Any]) -> set[str]:
    return {row["path"] for row in result["actions"] if row["action"] == "remove"}


def runtime(**more: str | bytes) -> LayerSpec:
    files: Files = merge(
        {
            "bin/python": python_script(RUNTIME),
            "bin/python3": Link("python"),
            f"{STDLIB}/os.py": "",
            f"{STDLIB}/site.py": "",
            f"{STDLIB}/__pycache__/os.cpython-313.pyc": b"c" * 64,
            f"{STDLIB}/test/test_os.py": "import os\n",
            "postinstall.py": POST_INSTALL,
        },
        more,
    )
    return LayerSpec("runtime", files)


def package(name: str, text: str = "", **more: str) -> Files:
    """A distribution with one package and a test suite."""
    files = {
        f"{name}/__init__.py": text,
        f"{name}/tests/__init__.py": "",
        f"{name}/tests/test_it.py": f"import {name}\n",
    }
    return distribution(name, {**files, **{f"{name}/{path}": body for path, body in more.items()}})


def export(folder: str, layers: dict[str, LayerSpec]) -> Path:
    """What ``venvstacks local-export`` writes: plain folders beside ``__venvstacks__``."""
    made = Path(folder).resolve()
    publish(Path("published"), layers)
    unpack(Path("published"), made)
    manifest = json.loads(Path("published/__venvstacks__/venvstacks.json").read_text("utf-8"))
    for entry in (entry for kind in manifest["layers"].values() for entry in kind):
        for key in [key for key in entry if key.startswith("archive_")]:
            del entry[key]
    (made / "__venvstacks__").mkdir()
    write_json(made / "__venvstacks__/venvstacks.json", manifest)
    shutil.rmtree("published")
    return made


# -- an application directly on the runtime; an installer that runs two post-install steps ---------


def test_an_installer_that_runs_only_some_post_install_steps() -> None:
    """Untarred, archives removed; the framework's step isn't run, so nothing may depend on it."""
    application = "import maths; print(maths.__file__ is not None, maths.answer)\n"
    publish(
        Path("stack"),
        {
            RUNTIME: runtime(),
            "framework-maths": LayerSpec(
                "framework",
                merge(
                    package("maths", "answer = 42\n"),
                    {"bin/python": python_script("framework-maths", RUNTIME)},
                    {f"{SITE}/maths/__pycache__/__init__.cpython-313.pyc": b"c" * 64},
                ),
            ),
            "app-server": LayerSpec(
                "application",
                {
                    f"{SITE}/server.py": application,
                    "bin/python": python_script("app-server", "framework-maths", RUNTIME),
                    "postinstall.py": POST_INSTALL,
                },
                requires=("framework-maths",),
                launch_module="server",
            ),
            "app-tool": LayerSpec(
                "application",
                merge(
                    package("tool"),
                    {
                        f"{SITE}/tool_main.py": "import tool; print('tool')\n",
                        "bin/python": python_script("app-tool", RUNTIME),
                        "postinstall.py": POST_INSTALL,
                    },
                ),
                launch_module="tool_main",
            ),
        },
    )
    result = slim("stack", "out")
    assert f"{SITE}/maths/tests/test_it.py" in removed(result)
    assert f"{SITE}/tool/tests/test_it.py" in removed(result)
    app = unpack(Path("out"), Path("app").resolve())
    for layer in (RUNTIME, "app-server", "app-tool"):
        output_of(app / RUNTIME / "bin/python3", app / layer / "postinstall.py")
    assert launch(app, "app-server", "server") == "True 42\n"
    assert launch(app, "app-tool", "tool_main") == "tool\n"


# -- no application layer; wheels by hand; a launcher that embeds Python ---------------------------


def launcher(folder: Path) -> Path:
    """A program that opens the runtime's libpython by name and calls it, as an app bundle does."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    (folder / "python.c").write_text('const char *Py_GetVersion(void) { return "3.13 small"; }\n')
    (folder / "launcher.c").write_text(
        "#include <dlfcn.h>\n#include <stdio.h>\n"
        "int main(int count, char **words) {\n"
        "  void *library = dlopen(words[1], RTLD_NOW | RTLD_GLOBAL);\n"
        "  if (!library) { puts(dlerror()); return 1; }\n"
        '  puts(((const char *(*)(void))dlsym(library, "Py_GetVersion"))());\n'
        "  return 0;\n}\n"
    )
    output_of("cc", "-g", "-shared", "-fPIC", folder / "python.c", "-o", folder / "libpython.so")
    output_of("cc", folder / "launcher.c", "-o", folder / "launcher", "-ldl")
    return folder / "launcher"


def test_an_embedder_without_application_layer(tmp_path: Path) -> None:
    """A runtime and one framework, exported; wheels unzipped into it, packages deleted by hand."""
    starter = launcher(tmp_path)
    made = export(
        "export",
        {
            RUNTIME: runtime(**{LIBPYTHON: (tmp_path / "libpython.so").read_bytes()}),
            "framework-mlx": LayerSpec(
                "framework",
                merge(
                    package("maths", "answer = 42\n"),
                    package("heavy", "weight = 780\n"),
                    {f"{SITE}/maths/__pycache__/__init__.cpython-313.pyc": b"c" * 64},
                ),
            ),
        },
    )
    site = made / "framework-mlx" / SITE
    for path, body in package("wheel_by_hand", "import maths; total = maths.answer + 1\n").items():
        target = made / "framework-mlx" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(str(body))
    shutil.rmtree(site / "heavy")  # a hand-written list of what is too big; its dist-info stays

    result = slim("export", "out")

    gone = removed(result)
    assert f"{SITE}/wheel_by_hand/tests/test_it.py" in gone
    assert f"{STDLIB}/test/test_os.py" in gone
    # Nobody makes bytecode at the user's: that step isn't run, and this export can't tell.
    out = Path("out")
    assert (out / RUNTIME / STDLIB / "__pycache__/os.cpython-313.pyc").exists()
    assert (out / "framework-mlx" / SITE / "maths/__pycache__/__init__.cpython-313.pyc").exists()
    assert (out / "framework-mlx" / SITE / "heavy-1.0.dist-info/RECORD").exists()
    assert output_of(starter, (out / RUNTIME / LIBPYTHON).resolve()) == "3.13 small\n"
    environment = {
        **clean_environment(),
        "PYTHONPATH": str((out / "framework-mlx" / SITE).resolve()),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-S", "-c", "import wheel_by_hand as w; print(w.total)"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "43\n"


@pytest.mark.parametrize(
    ("profile", "embedded", "stays"),
    [("safe", True, True), ("standard", True, True), ("standard", False, False)],
)
def test_libpython_goes_only_where_nobody_embeds(
    profile: str, embedded: bool, stays: bool, tmp_path: Path
) -> None:
    launcher(tmp_path)
    library = (tmp_path / "libpython.so").read_bytes()
    export("export", {RUNTIME: runtime(**{LIBPYTHON: library})})
    Path("slim.toml").write_text(f"schema = 1\nembedded = {str(embedded).lower()}\n")
    slim("export", "out", "--profile", profile)
    assert (Path("out") / RUNTIME / LIBPYTHON).exists() is stays


# -- an export copied into an app bundle, installed there, and signed ------------------------------


def sign(folder: Path) -> list[Path]:
    """Stand-in for codesign: each library gets bytes at its end that RECORD knows nothing of."""
    libraries = sorted(path for path in folder.rglob("*.so") if not path.is_symlink())
    for path in libraries:
        path.write_bytes(path.read_bytes() + b"signature" * 16)
    return libraries


def bundled(tmp_path: Path) -> dict[str, LayerSpec]:
    launcher(tmp_path)
    library = (tmp_path / "libpython.so").read_bytes()
    site = distribution(
        "native",
        {
            "native/__init__.py": "import pathlib; here = pathlib.Path(__file__).parent\n",
            "native/core.so": library.decode("latin-1").encode("latin-1"),
            "native/tests/__init__.py": "",
            "native/tests/test_it.py": "import native\n",
        },
    )
    return {
        RUNTIME: runtime(),
        "app-kimo": LayerSpec(
            "application",
            merge(
                site,
                {
                    f"{SITE}/kimo.py": "import native; print((native.here / 'core.so').exists())\n",
                    "bin/python": python_script("app-kimo", RUNTIME),
                    "bin/python_": Link(f"../../{RUNTIME}/bin/python"),
                    "lib64": Link("lib"),
                    "postinstall.py": POST_INSTALL,
                },
            ),
            launch_module="kimo",
        ),
    }


def test_an_export_that_is_slimmed_copied_installed_and_signed(tmp_path: Path) -> None:
    made = export("export", bundled(tmp_path))
    for layer in (RUNTIME, "app-kimo"):  # local-export runs them in its own place
        output_of(made / RUNTIME / "bin/python3", made / layer / "postinstall.py")
    result = slim("export", "out")
    assert f"{SITE}/native/tests/test_it.py" in removed(result)
    assert any("postinstall.py" in text for text in result["warnings"])

    bundle = Path("Kimo.app/Contents/Resources/python").resolve()
    shutil.copytree("out", bundle, symlinks=True)
    shutil.rmtree("out")
    shutil.rmtree("export")
    for layer in (RUNTIME, "app-kimo"):
        output_of(bundle / RUNTIME / "bin/python3", (bundle / layer / "postinstall.py").resolve())
    assert sign(bundle)
    assert (bundle / "app-kimo/bin/python_").resolve() == (
        bundle / RUNTIME / "bin/python"
    ).resolve()
    assert str(bundle.resolve()) in (bundle / "app-kimo/pyvenv.cfg").read_text()
    assert launch(bundle, "app-kimo", "kimo") == "True\n"


def test_an_export_that_was_signed_before_it_is_slimmed(tmp_path: Path) -> None:
    """Files that RECORD is wrong about are told and stay byte for byte; the rest is slimmed."""
    made = export("export", bundled(tmp_path))
    (signed,) = sign(made)
    before = signed.read_bytes()
    result = slim("export", "out")
    assert (Path("out") / signed.relative_to(made)).read_bytes() == before
    assert f"{SITE}/native/tests/test_it.py" in removed(result)
    assert any("core.so" in text for text in result["warnings"])


# -- two frameworks with the same distribution, one of them optional -------------------------------


@pytest.mark.parametrize("installed", [("torch-gpu", "torch-cpu"), ("torch-cpu",), ("torch-gpu",)])
def test_either_framework_alone_serves_the_application(installed: tuple[str, ...]) -> None:
    """An installer leaves out the GPU's framework without a GPU: no link may lead into it."""
    shared = "# a long file that both builds hold\n" * 200
    layers = {
        RUNTIME: runtime(),
        **{
            name: LayerSpec(
                "framework",
                merge(
                    package(
                        "torch",
                        f"from .shared import x\nbuild = {name!r}\n",
                        **{"shared.py": shared + "x = 1\n", "copy.py": shared + "x = 1\n"},
                    ),
                    {"bin/python": python_script(name, RUNTIME)},
                ),
            )
            for name in ("torch-gpu", "torch-cpu")
        },
        "app-server": LayerSpec(
            "application",
            {
                f"{SITE}/server.py": "import torch; print(torch.build, torch.x)\n",
                "bin/python": python_script("app-server", "torch-gpu", "torch-cpu", RUNTIME),
            },
            requires=("torch-gpu", "torch-cpu"),
            launch_module="server",
        ),
    }
    publish(Path("stack"), layers)
    result = slim("stack", "out")
    assert f"{SITE}/torch/tests/test_it.py" in removed(result)
    app = unpack(Path("out"), Path("app").resolve())
    for name in {"torch-gpu", "torch-cpu"} - set(installed):
        shutil.rmtree(app / name)
    assert launch(app, "app-server", "server") == f"{installed[0]} 1\n"


def test_tagged_names_of_two_platforms_side_by_side() -> None:
    """One folder with the manifests of several platforms, archives with tag and build number."""
    for tag, platform in (("-linux_x86_64", "linux_x86_64"), ("-macosx_arm64", "macosx_arm64")):
        publish(
            Path("stack"),
            {
                RUNTIME: runtime(),
                "app-tool": LayerSpec("application", package("tool"), launch_module="tool"),
            },
            tag=tag,
            platform=platform,
        )
    arguments = ["run", "stack", "-o", "out", "-q", "--report", "json=report.json"]
    assert main(arguments) == 0
    runs = json.loads(Path("report.json").read_text("utf-8"))["runs"]
    assert len(runs) == 2
    for run in runs:
        assert f"{SITE}/tool/tests/test_it.py" in removed(run)
    assert {path.name for path in Path("out").iterdir() if path.is_file()} == {
        f"{layer}-{platform}.tar.xz"
        for layer in (RUNTIME, "app-tool")
        for platform in ("linux_x86_64", "macosx_arm64")
    }
    manifests = sorted(Path("out/__venvstacks__").glob("*.json"))
    assert [
        json.loads(path.read_text())["layers"]["applications"][0]["archive_name"]
        for path in manifests
    ] == ["app-tool-linux_x86_64.tar.xz", "app-tool-macosx_arm64.tar.xz"]
