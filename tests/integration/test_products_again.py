"""What installers, launchers and packers of products do with a slimmed stack, and with its parts.

Each is slimmed with every profile, handled as its product would, and started: it says the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from slim.cli import main
from tests.integration.test_products import RUNTIME, export, package, removed, runtime, slim
from tests.integration.test_products_more import (
    APP,
    application,
    embedded,
    small,
    started,
    tried,
    with_framework,
    write,
)
from tests.support.deployed_stacks import clean_environment, output_of
from tests.support.published_stacks import SITE, LayerSpec, publish

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the small layers start through a shell script"
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def with_application(code: str, **more: str) -> Path:
    """An export whose application ``tool`` is that code, with more files in its site-packages."""
    made = export("export", small())
    write(made / "app-tool" / SITE, {"tool.py": code, **more})
    return made


# -- installers that untar, and run what they like ------------------------------------------------


def test_layers_that_an_installer_calls_otherwise() -> None:
    """``tar --strip-components=1`` into ``python`` and ``lib``; the launcher knows where."""
    publish(Path("stack"), small())

    def start(folder: Path) -> str:
        there = folder.parent / f"{folder.name}-renamed"
        if not there.exists():
            shutil.copytree(folder / RUNTIME, there / "python", symlinks=True)
            shutil.copytree(folder / "framework-maths", there / "lib", symlinks=True)
        return embedded(there, APP, "lib")

    tried("stack", start, archives=True)


def test_an_installer_that_unpacks_over_the_version_before() -> None:
    """The whole stack was installed and compiled; the slimmed one is unpacked over it."""
    publish(Path("stack"), small())

    def start(folder: Path) -> str:
        over = folder.parent / f"over-{folder.name}"
        if not over.exists():
            shutil.copytree("before", over, symlinks=True)
            subprocess.run([sys.executable, "-m", "compileall", "-q", str(over)], check=True)
            subprocess.run(["cp", "-a", f"{folder}/.", str(over)], check=True)
        return started(over)

    tried("stack", start, archives=True)


def test_an_installation_script_in_the_application_that_copies_from_a_package() -> None:
    made = with_application("print('tool')\n")
    script = made / "app-tool/bin/setup"
    script.write_text(
        '#!/bin/sh\nhere=$(cd "$(dirname "$0")" && pwd)\n'
        f'layers="$here/../.."\nrm -rf copied\nmkdir copied\n'
        f'cp -r "$layers/framework-maths/{SITE}/maths/tests" copied\nls -R copied\n'
    )
    script.chmod(0o755)
    before = output_of(made / "app-tool/bin/setup")
    assert "test_it.py" in before
    for profile in ("safe", "standard"):
        assert main(["run", "export", "-o", profile, "-q", "--profile", profile]) == 0
        assert output_of(Path(profile).resolve() / "app-tool/bin/setup") == before


@pytest.mark.parametrize("flag", ["-O", "-OO", "-B", "-I"])
def test_a_launcher_that_starts_python_its_own_way(flag: str) -> None:
    publish(Path("stack"), small())
    code = "import sys; sys.path[:0] = sys.argv[1:]\n" + APP

    def start(folder: Path) -> str:
        sites = [str(folder.resolve() / "framework-maths" / SITE)]
        done = subprocess.run(
            [sys.executable, flag, "-c", code, *sites],
            env=clean_environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    tried("stack", start, archives=True)


# -- embedders that delete by hand ----------------------------------------------------------------


def test_an_export_whose_metadata_was_deleted() -> None:
    made = with_framework(
        {"maths/tests/tool.py": "x = 1\n", "maths/use.py": "from .tests import tool"}
    )
    for info in made.rglob("*.dist-info"):
        shutil.rmtree(info)
    tried("export", lambda folder: embedded(folder, "import maths.use; print(maths.use.tool.x)"))


def test_a_result_from_which_a_hand_deletes_and_that_is_slimmed_again() -> None:
    layers = small()
    layers["framework-maths"].files.update(package("large", "x = 1\n"))
    export("export", layers)

    def start(folder: Path) -> str:
        again = folder.parent / f"again-{folder.name}"
        if folder.name != "export" and not again.exists():
            shutil.rmtree(folder / "framework-maths" / SITE / "large")
            assert main(["run", str(folder), "-o", str(again), "-q"]) == 0
        return started(again if again.exists() else folder)

    tried("export", start)


def test_a_wheel_that_is_unzipped_into_the_result() -> None:
    """It asks for a package's helpers for tests, which are API, and for its public modules."""
    with_framework({"maths/testing/__init__.py": "y = 5\n", "maths/more.py": "z = 6\n"})

    def start(folder: Path) -> str:
        write(
            folder / "framework-maths" / SITE,
            {"late.py": "from maths import testing, more; print(testing.y + more.z)\n"},
        )
        return embedded(folder, "import late")

    tried("export", start)


# -- bundles --------------------------------------------------------------------------------------


def test_a_bundle_that_is_zipped_without_links() -> None:
    """``zip -r`` follows links, so that what was one file is several."""
    library = {f"{SITE}/maths/libm.so.1": b"x" * 6000, f"{SITE}/maths/libm.so": b"x" * 6000}
    export("export", small(**library))

    def start(folder: Path) -> str:
        there = folder.parent / f"unzipped-{folder.name}"
        if not there.exists():
            with zipfile.ZipFile(f"{there}.zip", "w") as bundle:
                for path in sorted(folder.rglob("*")):
                    bundle.write(path, path.relative_to(folder))
            shutil.unpack_archive(f"{there}.zip", there)
            for path in there.rglob("bin/*"):
                path.chmod(0o755)
        return started(there)

    tried("export", start)


def test_a_bundle_that_is_started_through_a_link() -> None:
    export("export", small())

    def start(folder: Path) -> str:
        bundle = folder.parent / f"{folder.name}.app/Contents/MacOS"
        bundle.mkdir(parents=True, exist_ok=True)
        link = bundle / "tool"
        if not link.is_symlink():
            link.write_text(
                '#!/bin/sh\nexec "$(dirname "$0")/../Resources/app-tool/bin/python" -m tool\n'
            )
            link.chmod(0o755)
            (bundle.parent / "Resources").symlink_to(folder.resolve())
        return output_of(link)

    tried("export", start)


def test_a_bundle_that_nobody_may_write_in() -> None:
    export("export", small())

    def start(folder: Path) -> str:
        for path in folder.rglob("*"):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o222)
        said = started(folder)
        for path in folder.rglob("*"):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o200)
        return said

    tried("export", start)


# -- applications with parts of their own ---------------------------------------------------------


def test_plug_ins_of_an_application_that_import_a_packages_tests() -> None:
    code = (
        "import importlib, os\n"
        "here = os.path.dirname(__file__)\n"
        "for name in sorted(os.listdir(os.path.join(here, 'plugins'))):\n"
        "    if name.endswith('.py'):\n"
        "        print(importlib.import_module('plugins.' + name[:-3]).x)\n"
    )
    with_application(
        code,
        **{
            "plugins/first.py": "from maths.tests.test_it import maths; x = maths.answer\n",
            "plugins/second.py": "x = 2\n",
        },
    )
    tried("export", started)


@pytest.mark.parametrize(
    "code",
    [
        "import maths\nprint(import_module('.'.join([maths.__name__, 'tests', n])).__name__)\n",
        "from loaders import load\nprint(load('.tests.test_it').__name__)\n",
    ],
    ids=["joined", "relative"],
)
def test_an_application_that_names_a_packages_tests_in_parts(code: str) -> None:
    made = with_application(
        f"from importlib import import_module\nn = 'test_it'\n{code}",
        **{
            "loaders.py": "import functools, importlib\n"
            "load = functools.partial(importlib.import_module, package='maths')\n"
        },
    )
    slim("export", "out")
    assert started(Path("out")) == started(made) == "maths.tests.test_it\n"


@pytest.mark.parametrize("where", ["'maths'", "maths.__path__[0]"])
def test_an_application_that_runs_a_packages_tests(where: str) -> None:
    made = with_application(
        f"import maths, unittest\nprint(unittest.TestLoader().discover({where}))\n"
    )
    slim("export", "out")
    assert "TestSuite tests=[<" in started(made)
    assert started(Path("out")) == started(made)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("os.chdir(FOLDER)\nprint(os.path.basename(os.getcwd()))", "lib\n"),
        ("print(os.path.isdir(FOLDER), len(tempfile.mkdtemp(dir=FOLDER)) > 0)", "True True\n"),
    ],
)
def test_a_package_that_uses_a_folder_of_which_all_goes(code: str, says: str) -> None:
    layers = small()
    archive = "!<arch>\n"
    text = f"import os, tempfile\nFOLDER = os.path.join(os.path.dirname(__file__), 'lib')\n{code}\n"
    layers["framework-maths"] = LayerSpec(
        "framework", package("maths", text, **{"lib/libm.a": archive})
    )
    made = export("export", layers)
    write(made / "app-tool" / SITE, {"tool.py": "import maths\n"})
    result = slim("export", "out")
    assert f"{SITE}/maths/lib/libm.a" in removed(result)
    assert started(Path("out")) == started(made) == says


def test_an_application_that_is_a_package_with_tests_as_data() -> None:
    code = (
        "from importlib.resources import files\n"
        "folder = files('shop') / 'tests' / 'data'\n"
        "print([one.name for one in sorted(folder.iterdir(), key=str)])\n"
    )
    with_application(
        "import shop.start\n",
        **{
            "shop/__init__.py": "",
            "shop/start.py": code,
            "shop/tests/__init__.py": "",
            "shop/tests/test_a.py": "def test_a(): pass\n",
            "shop/tests/data/a.json": "{}",
            "shop/tests/data/b.csv": "1",
        },
    )
    tried("export", started)


def test_an_application_with_a_finder_of_its_own() -> None:
    """Its finder brings a module that no layer has, which a framework's module asks for."""
    code = (
        "import importlib.machinery, sys, types\n"
        "class Bundle:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in self.names():\n"
        "            return importlib.machinery.ModuleSpec(name, self)\n"
        "    def names(self):\n"
        "        return ['to' + 'rch']\n"
        "    def create_module(self, spec):\n"
        "        return types.ModuleType(spec.name)\n"
        "    def exec_module(self, module):\n"
        "        module.version = 9\n"
        "sys.meta_path.append(Bundle())\n"
        "from maths import needy\n"
        "print(needy.one())\n"
    )
    made = with_application(code)
    tail = "".join(f"def function_{number}(): return {number}\n" for number in range(60))
    write(
        made / "framework-maths" / SITE,
        {"maths/needy.py": f"import torch\ndef one(): return torch.version\n{tail}"},
    )
    tried("export", started)


@pytest.mark.parametrize("layout", ["export", "archives"])
def test_an_application_without_a_framework_that_ships_its_tests(layout: str) -> None:
    files = {
        f"{SITE}/tool.py": "import own\nprint(own.answer)\n",
        **{f"{SITE}/{path}": text for path, text in OWN.items()},
    }
    layers = {
        RUNTIME: runtime(),
        "app-tool": LayerSpec(
            "application",
            {**files, "bin/python": application().files["bin/python"]},
            launch_module="tool",
        ),
    }
    if layout == "export":
        export("stack", layers)
    else:
        publish(Path("stack"), layers)
    tried("stack", started, archives=layout == "archives")


OWN = {
    "own/__init__.py": "from own.tests import tool\nanswer = tool.x\n",
    "own/tests/__init__.py": "",
    "own/tests/tool.py": "x = 3\n",
    "own/tests/test_own.py": "def test_own(): pass\n",
}


def test_two_products_that_share_the_layers_below() -> None:
    """The second product is slimmed and put beside the first one's layers, which stay."""
    export("export", small())

    def start(folder: Path) -> str:
        shared = folder.parent / f"shared-{folder.name}"
        if not shared.exists():
            shutil.copytree("export", shared, symlinks=True)
            shutil.rmtree(shared / "app-tool")
            shutil.copytree(folder / "app-tool", shared / "app-tool", symlinks=True)
        return started(shared)

    tried("export", start)
    assert os.listdir("export")
