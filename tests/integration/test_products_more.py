"""More layouts of products that ship venvstacks layers: put together by hand, copied, embedded.

Each is slimmed with every profile, put in place as its user would, and started: it says the same.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slim.cli import main
from tests.integration.test_products import (
    RUNTIME,
    STDLIB,
    export,
    launcher,
    package,
    removed,
    runtime,
    slim,
)
from tests.support.deployed_stacks import clean_environment, output_of, unpack
from tests.support.published_stacks import (
    SITE,
    Files,
    LayerSpec,
    Link,
    merge,
    publish,
    write_json,
)
from tests.support.runnable_stacks import python_script

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the small layers start through a shell script"
)
PROFILES = ("safe", "standard", "aggressive")
APP = "import maths; print(maths.answer, maths.__name__)\n"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def application(name: str = "app-tool", *below: str, requires: tuple[str, ...] = ()) -> LayerSpec:
    return LayerSpec(
        "application",
        {
            f"{SITE}/tool.py": APP,
            "bin/python": python_script(name, *(below or requires), RUNTIME),
        },
        requires=requires,
        launch_module="tool",
    )


def small(**more: str | bytes | Link) -> dict[str, LayerSpec]:
    """A runtime, a framework with a package, an application on both."""
    framework = merge(package("maths", "answer = 42\n"), dict(more))
    return {
        RUNTIME: runtime(),
        "framework-maths": LayerSpec("framework", framework),
        "app-tool": application(requires=("framework-maths",)),
    }


def started(folder: Path, layer: str = "app-tool", module: str = "tool") -> str:
    return output_of(folder.resolve() / layer / "bin/python", "-m", module)


def embedded(folder: Path, code: str = APP, *layers: str) -> str:
    """What a launcher outside of the stack sees, which puts layers on ``PYTHONPATH`` by itself."""
    sites = [str(folder.resolve() / layer / SITE) for layer in layers or ("framework-maths",)]
    environment = {
        **clean_environment(),
        "PYTHONPATH": os.pathsep.join(sites),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tried(source: str, start: Callable[[Path], str], *more: str, archives: bool = False) -> Any:
    """Slim with every profile; what starts says what the original said. Returns the last result."""

    def put(folder: Path, name: str) -> Path:
        return unpack(folder, Path(name).resolve()) if archives else folder

    before = start(put(Path(source), "before"))
    assert before.strip()
    result: Any = None
    for profile in PROFILES:
        gate = ("--unverified",) if profile == "aggressive" else ()
        arguments = ["run", source, "-o", f"out-{profile}", "-q", "--profile", profile, *gate]
        assert main([*arguments, "--report", "json=report.json", *more]) == 0
        result = json.loads(Path("report.json").read_text("utf-8"))["runs"][0]
        assert start(put(Path(f"out-{profile}"), f"after-{profile}")) == before
    return result


def write(folder: Path, files: Files) -> None:
    for path, body in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body if isinstance(body, bytes) else str(body).encode())


# -- wheels that were unzipped by hand -------------------------------------------------------------


@pytest.mark.parametrize(
    "without",
    ["INSTALLER", "RECORD", "METADATA", "everything"],
)
def test_a_wheel_unzipped_by_hand(without: str) -> None:
    made = export("export", {RUNTIME: runtime(), "framework-maths": small()["framework-maths"]})
    site = made / "framework-maths" / SITE
    write(site.parents[2], package("by_hand", "import maths\nanswer = maths.answer + 1\n"))
    info = site / "by_hand-1.0.dist-info"
    if without == "everything":
        shutil.rmtree(info)
    else:
        (info / without).unlink(missing_ok=True)
    code = "import by_hand; print(by_hand.answer)"
    tried("export", lambda folder: embedded(folder, code))


def test_a_wheel_unzipped_over_an_older_one() -> None:
    """Two dist-info folders name the same files; only the newer one's digests are true."""
    made = export("export", {RUNTIME: runtime(), "framework-maths": small()["framework-maths"]})
    layer = made / "framework-maths"
    newer = {
        path.replace("maths-1.0", "maths-2.0"): str(body).replace("Version: 1.0", "Version: 2.0")
        for path, body in package("maths", "answer = 43\n").items()
    }
    write(layer, newer)
    tried("export", embedded)


def test_a_wheels_data_folder_that_was_left_as_it_was() -> None:
    made = export("export", {RUNTIME: runtime(), "framework-maths": small()["framework-maths"]})
    data = made / "framework-maths" / SITE / "other-1.0.data/purelib"
    write(data, {"other/__init__.py": "x = 1\n", "other/tests/test_a.py": "def test_a(): pass\n"})
    code = (
        "import sys, os; sys.path.append(os.environ['PYTHONPATH'] + '/other-1.0.data/purelib')\n"
        "import other; print(other.x)"
    )
    tried("export", lambda folder: embedded(folder, code))


def test_sources_that_were_compiled_and_removed() -> None:
    made = export("export", {RUNTIME: runtime(), "framework-maths": small()["framework-maths"]})
    site = made / "framework-maths" / SITE
    subprocess.run([sys.executable, "-m", "compileall", "-q", "-b", str(site)], check=True)
    for source in site.rglob("*.py"):
        source.unlink()
    tried("export", embedded)


def test_a_zip_of_packages_on_the_path() -> None:
    made = export("export", {RUNTIME: runtime(), "framework-maths": small()["framework-maths"]})
    site = made / "framework-maths" / SITE
    shutil.make_archive(str(site / "bundle"), "zip", site, "maths")
    shutil.rmtree(site / "maths")
    code = "import sys, os; sys.path.insert(0, os.environ['PYTHONPATH'] + '/bundle.zip')\n" + APP
    tried("export", lambda folder: embedded(folder, code))


# -- exports that were copied, moved and changed ---------------------------------------------------


def test_an_export_copied_without_its_links() -> None:
    """``cp -rL``: ``lib64`` and the links to libraries are copies."""
    library = {f"{SITE}/maths/libm.so": b"x" * 600, "share/venv/dynlib/libm.so": b"x" * 600}
    made = export("export", small(**library))
    for layer in ("framework-maths", "app-tool"):
        shutil.copytree(made / layer / "lib", made / layer / "lib64")
    tried("export", started)


def test_a_bundle_with_what_an_operating_system_leaves() -> None:
    made = export("Mein Werkzeug (2).app", small())
    for folder in (made, made / "app-tool", made / "framework-maths" / SITE / "maths"):
        write(folder, {".DS_Store": b"\0\0\0\1Bud1", "._core": b"\0\5\x16\7", "Thumbs.db": b"x"})
    write(made, {"_CodeSignature/CodeResources": "<plist/>", "Info.plist": "<plist/>"})
    tried("Mein Werkzeug (2).app", started)
    assert Path("out-standard/_CodeSignature/CodeResources").exists() is False


def test_layers_side_by_side_without_a_manifest() -> None:
    made = export("export", small())
    shutil.rmtree(made / "__venvstacks__")
    tried("export", started)


@pytest.mark.parametrize("layer", ["framework-maths", "app-tool"])
def test_one_layer_alone(layer: str) -> None:
    made = export("export", small())
    source = str(made / layer)

    def start(folder: Path) -> str:
        """Put the layer among the others, and start the application."""
        shutil.rmtree("whole", ignore_errors=True)
        shutil.copytree(made, "whole", symlinks=True)
        shutil.rmtree(f"whole/{layer}")
        shutil.copytree(folder, f"whole/{layer}", symlinks=True)
        return started(Path("whole"))

    tried(source, start)


def test_an_export_in_which_a_hand_deleted_what_links_lead_to() -> None:
    """A list of what is too big took a library; its link in ``share/venv/dynlib`` dangles."""
    link = Link(f"../../../{SITE}/maths/libbig.so")
    made = export(
        "export",
        small(**{f"{SITE}/maths/libbig.so": b"x" * 64, "share/venv/dynlib/libbig.so": link}),
    )
    (made / "framework-maths" / SITE / "maths/libbig.so").unlink()
    tried("export", started)


def test_an_export_with_links_to_absolute_paths(capsys: pytest.CaptureFixture[str]) -> None:
    """They would lead back into the original wherever the result is put, so they are refused."""
    made = export("export", small())
    (made / "app-tool/bin/python_").symlink_to(made / RUNTIME / "bin/python")
    assert main(["run", "export", "-o", "out", "-q"]) == 3
    told = " ".join(capsys.readouterr().err.split())
    assert "app-tool: bin/python_: the link's target" in told
    assert "with a relative path" in told
    assert not Path("out").exists()


def test_an_export_of_files_that_nobody_may_write() -> None:
    made = export("export", small())
    paths = [path for path in made.rglob("*") if not path.is_symlink()]
    for path in sorted(paths, reverse=True):
        path.chmod(0o555 if path.is_dir() or "bin" in path.parts else 0o444)
    try:
        tried("export", started)
    finally:
        for path in paths:
            path.chmod(0o755)


def test_an_export_whose_files_are_hard_links_of_another() -> None:
    """``cp -al`` of a store of files; the store keeps its bytes."""
    made = export("store", small())
    shutil.copytree(made, "export", symlinks=True, copy_function=os.link)
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    tried("export", started)
    assert {path: path.read_bytes() for path in before} == before


def test_an_export_below_a_linked_folder() -> None:
    export("real", small())
    Path("export").symlink_to("real")
    tried("export", started)


def test_a_start_script_of_the_product_itself() -> None:
    made = export("export", small())
    script = made / "app-tool/bin/start"
    script.write_text(
        '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\nexec "$here/python" -m tool "$@"\n'
    )
    script.chmod(0o755)
    tried("export", lambda folder: output_of(folder.resolve() / "app-tool/bin/start"))


# -- layers and their names ------------------------------------------------------------------------


def test_versioned_layers() -> None:
    layers = small()
    script = python_script("app-tool@3", "framework-maths@12", f"{RUNTIME}@2")
    publish(
        Path("stack"),
        {
            f"{RUNTIME}@2": LayerSpec(
                "runtime",
                {**layers[RUNTIME].files, "bin/python": python_script(f"{RUNTIME}@2")},
                extra={"layer_name": RUNTIME},
            ),
            "framework-maths@12": LayerSpec(
                "framework",
                layers["framework-maths"].files,
                extra={"layer_name": "framework-maths"},
            ),
            "app-tool@3": LayerSpec(
                "application",
                {**layers["app-tool"].files, "bin/python": script},
                requires=("framework-maths@12",),
                launch_module="tool",
                extra={"layer_name": "app-tool"},
            ),
        },
    )
    result = tried("stack", lambda folder: started(folder, "app-tool@3"), archives=True)
    assert f"{SITE}/maths/tests/test_it.py" in removed(result)


def test_a_build_folder_with_versions() -> None:
    """``_build`` of venvstacks 0.8: the folders go without the versions of the layers."""
    made = export("_build", small())
    manifest = json.loads((made / "__venvstacks__/venvstacks.json").read_text())
    shutil.rmtree(made / "__venvstacks__")
    version = {RUNTIME: f"{RUNTIME}@1", "framework-maths": "framework-maths@2"}
    version["app-tool"] = "app-tool@3"
    for entry in (entry for entries in manifest["layers"].values() for entry in entries):
        name = entry["layer_name"]
        entry |= {"install_target": version[name], "runtime_layer": version[RUNTIME]}
        entry["required_layers"] = [version[layer] for layer in entry["required_layers"]]
        write_json(made / f"{name}.last-build.json", {"layer_details": entry})
    result = tried("_build", started)
    assert f"{SITE}/maths/tests/test_it.py" in removed(result)


def test_older_builds_beside_the_one_that_counts() -> None:
    publish(Path("stack"), small(), tag="-linux_x86_64-2")
    publish(Path("new"), small(), tag="-linux_x86_64-3")
    shutil.rmtree("stack/__venvstacks__")
    shutil.copytree("new", "stack", dirs_exist_ok=True)
    tried("stack", started, archives=True)
    assert all("-3.tar.xz" in path.name for path in Path("out-safe").glob("*.tar.xz"))


def test_a_framework_that_the_installer_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """The manifest of an export names an optional layer that isn't there."""
    layers = small()
    layers["framework-gpu"] = LayerSpec("framework", package("maths", "answer = 43\n"))
    layers["app-tool"] = application(
        "app-tool", "framework-gpu", "framework-maths",
        requires=("framework-gpu", "framework-maths"),
    )  # fmt: skip
    made = export("export", layers)
    shutil.rmtree(made / "framework-gpu")
    assert main(["run", "export", "-o", "out", "-q"]) == 6
    told = capsys.readouterr().err
    assert "the folder of layer 'framework-gpu' is missing" in told
    assert "export the stack again" in told
    assert not Path("out").exists()


def test_two_applications_on_one_runtime_without_frameworks() -> None:
    both = {
        RUNTIME: runtime(),
        "app-tool": application(),
        "app-other": LayerSpec(
            "application",
            {f"{SITE}/other.py": "import maths.tests.test_it; print('fine')\n"}
            | {"bin/python": python_script("app-other", "app-other", RUNTIME)}
            | dict(package("maths", "answer = 1\n")),
            launch_module="other",
        ),
    }
    both["app-tool"] = LayerSpec(
        "application",
        {**both["app-tool"].files, **package("maths", "answer = 42\n")},
        launch_module="tool",
    )
    publish(Path("stack"), both)
    tried(
        "stack",
        lambda folder: started(folder) + started(folder, "app-other", "other"),
        archives=True,
    )


# -- libraries -------------------------------------------------------------------------------------


@pytest.mark.parametrize("linked", [True, False], ids=["dynlib", "dynlib_exclude"])
def test_libraries_with_and_without_their_links(linked: bool, tmp_path: Path) -> None:
    """``dynlib_exclude`` leaves out the link; the package opens the library at its own place."""
    launcher(tmp_path)
    library = (tmp_path / "libpython.so").read_bytes()
    module = (
        "import ctypes, pathlib\n"
        "here = pathlib.Path(__file__).parent\n"
        "core = ctypes.CDLL(str(here / 'lib' / 'libcore.so'))\n"
        "core.Py_GetVersion.restype = ctypes.c_char_p\n"
        "answer = core.Py_GetVersion().decode()\n"
    )
    files: Files = package("maths", module)
    files = merge(files, {f"{SITE}/maths/lib/libcore.so": library})
    if linked:
        link = Link(f"../../../{SITE}/maths/lib/libcore.so")
        files = merge(files, {"share/venv/dynlib/libcore.so": link})
    layers = small()
    layers["framework-maths"] = LayerSpec("framework", files)
    publish(Path("stack"), layers)
    tried("stack", started, archives=True)
    out = Path("after-standard/framework-maths/share/venv/dynlib/libcore.so")
    assert out.is_symlink() is linked
    assert not linked or out.exists()


@pytest.mark.parametrize("name", ["libpython3.13.so", "libpython3.so"])
def test_a_launcher_that_opens_a_link_to_libpython(name: str, tmp_path: Path) -> None:
    starter = launcher(tmp_path)
    library = (tmp_path / "libpython.so").read_bytes()
    made = export("export", {RUNTIME: runtime(**{"lib/libpython3.13.so.1.0": library})})
    (made / RUNTIME / "lib" / name).symlink_to("libpython3.13.so.1.0")
    tried("export", lambda folder: output_of(starter, (folder / RUNTIME / "lib" / name).resolve()))


@pytest.mark.parametrize("link", [True, False])
def test_a_launcher_that_looks_for_libpython_where_its_configuration_lies(
    link: bool, tmp_path: Path
) -> None:
    """LIBPL, as Julia's PyCall and others do; a distribution of Linux has a link there."""
    starter = launcher(tmp_path)
    library = (tmp_path / "libpython.so").read_bytes()
    folder = f"{STDLIB}/config-3.13-x86_64-linux-gnu"
    there = {f"{folder}/Makefile": "x = 1\n", "lib/libpython3.13.so.1.0": library}
    if not link:
        there[f"{folder}/libpython3.13.so"] = library
    made = export("export", {RUNTIME: runtime(**there)})
    place = Path(RUNTIME) / folder / "libpython3.13.so"
    if link:
        (made / place).symlink_to("../../libpython3.13.so.1.0")
    tried("export", lambda tree: output_of(starter, (tree / place).resolve()))
    assert not Path(f"after-standard/{RUNTIME}/{folder}/Makefile").exists()
    slim("export", "alone", "--no-embedded")
    assert not list(Path("alone").rglob("libpython*"))


def test_a_program_of_the_stack_that_names_libpython_holds_it(tmp_path: Path) -> None:
    launcher(tmp_path)
    library = (tmp_path / "libpython.so").read_bytes()
    script = "#!/bin/sh\nexec ./start ./lib/libpython3.13.so.1.0\n"
    made = {"lib/libpython3.13.so.1.0": library, "bin/go": script}
    export("export", {RUNTIME: runtime(**made)})
    slim("export", "out", "--no-embedded")
    assert Path(f"out/{RUNTIME}/lib/libpython3.13.so.1.0").exists()


def test_folders_that_are_looked_for_stay_though_all_in_them_goes(tmp_path: Path) -> None:
    """The interpreter finds itself by lib-dynload, and a link leads through a folder of tests."""
    launcher(tmp_path)
    library = (tmp_path / "libpython.so").read_bytes()
    extension = f"{STDLIB}/lib-dynload/_testcapi.cpython-313-x86_64-linux-gnu.so"
    made = export("export", {RUNTIME: runtime(**{extension: library})})
    write(made / RUNTIME / STDLIB, {"idlelib/idle.py": "x = 1\n"})
    (made / RUNTIME / "start.py").symlink_to(f"{STDLIB}/idlelib/../os.py")
    slim("export", "out")
    assert not Path("out", RUNTIME, extension).exists()
    assert Path("out", RUNTIME, extension).parent.is_dir()
    assert Path("out", RUNTIME, "start.py").exists()
    assert not Path("out", RUNTIME, STDLIB, "idlelib/idle.py").exists()


# -- Windows and macOS -----------------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
def test_layers_of_windows(profile: str) -> None:
    """``Lib`` and ``Scripts``, RECORD with the system's line ends, libraries beside packages."""
    site = "Lib/site-packages"
    files = {
        path.replace(SITE, site): body for path, body in package("maths", "answer = 42\n").items()
    }
    record = next(path for path in files if path.endswith("RECORD"))
    text = str(files[record]).replace("\n", "\r\n")
    files |= {
        record: text + "../../Scripts/maths.exe,,\r\n",
        "Scripts/maths.exe": b"MZ launcher #!python.exe\r\nPK",
        "Scripts/python.exe": b"MZ",
        f"{site}/maths.libs/msvcp140.dll": b"MZ" + b"x" * 64,
        f"{site}/maths/_distributor_init.py": "import os; os.add_dll_directory('maths.libs')\n",
    }
    made = Path("export")
    write(made / "framework-maths", files)
    write(
        made / "cpython3.13",
        {
            "python.exe": b"MZ",
            "python313.dll": b"MZ",
            "Lib/os.py": "",
            "Lib/test/test_os.py": "import os\n",
            "DLLs/_ssl.pyd": b"MZ",
        },
    )
    common = {"python_implementation": "cpython@3.13.0", "target_platform": "win_amd64"}
    common |= {"runtime_layer": "cpython3.13"}
    entry = {"install_target": "cpython3.13", "layer_name": "cpython3.13", **common}
    other = {"install_target": "framework-maths", "layer_name": "framework-maths", **common}
    layers = {"runtimes": [entry], "frameworks": [{**other, "required_layers": []}]}
    for name, base in (("cpython3.13", "python.exe"), ("framework-maths", "Scripts/python.exe")):
        config = {
            **{"python": base, "base_python": "../cpython3.13/python.exe", "py_version": "3.13.0"},
            **{"site_dir": site, "pylib_dirs": [], "dynlib_dirs": []},
        }
        write(made / name, {"share/venv/metadata/venvstacks_layer.json": json.dumps(config)})
    (made / "__venvstacks__").mkdir()
    write_json(made / "__venvstacks__/venvstacks.json", {"layers": {**layers, "applications": []}})
    gate = ("--unverified",) if profile == "aggressive" else ()
    arguments = ["run", "export", "-o", "out", "-q", "--profile", profile, *gate]
    assert main(arguments) == 0
    out = Path("out/framework-maths")
    left = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert {"Scripts/maths.exe", "Scripts/python.exe", f"{site}/maths/__init__.py"} <= left
    assert f"{site}/maths.libs/msvcp140.dll" in left
    assert (f"{site}/maths/tests/test_it.py" in left) is (profile == "safe")
    rows = (out / record).read_bytes()
    assert b"Scripts/maths.exe" in rows
    assert (b"tests/test_it.py" in rows) is (profile == "safe")


def test_a_framework_of_macos() -> None:
    """``Python.framework``: one copy of each file, and links by which it is found."""
    version = Path("Python.framework/Versions/3.13")
    site = version / "lib/python3.13/site-packages"
    for path, body in package("maths", "answer = 42\n").items():
        write(Path(str(site)), {path.removeprefix(f"{SITE}/"): body})
    write(version, {f"{STDLIB}/os.py": "", f"{STDLIB}/test/test_os.py": "import os\n"})
    write(version, {"Python": b"\xcf\xfa\xed\xfe" + b"\0" * 28, "Resources/Info.plist": "<plist/>"})
    write(version, {"bin/python3.13": b"\xcf\xfa\xed\xfe" + b"\0" * 28})
    Path("Python.framework/Versions/Current").symlink_to("3.13")
    for name in ("Python", "Resources"):
        Path(f"Python.framework/{name}").symlink_to(f"Versions/Current/{name}")

    def start(folder: Path) -> str:
        links = [folder / "Versions/Current", folder / "Python", folder / "Resources"]
        place = folder / "Versions/3.13/lib/python3.13/site-packages"
        environment = {**clean_environment(), "PYTHONPATH": str(place.resolve())}
        said = subprocess.run(
            [sys.executable, "-S", "-B", "-c", APP], env=environment, capture_output=True, text=True
        )
        assert said.returncode == 0, said.stderr
        return f"{said.stdout}{[link.is_symlink() and link.exists() for link in links]}"

    tried("Python.framework", start)


# -- what a product adds to an export --------------------------------------------------------------


def with_framework(files: Files) -> Path:
    """An export of a runtime and a framework, into whose site-packages files are written."""
    made = export("export", {RUNTIME: runtime(), "framework-maths": small()["framework-maths"]})
    write(made / "framework-maths" / SITE, files)
    return made


def test_a_path_file_that_leads_to_sources_of_the_product() -> None:
    with_framework(
        {
            "product.pth": "../../../src\n",
            "../../../src/product/__init__.py": "from product.tests.tool import x\n",
            "../../../src/product/tests/__init__.py": "",
            "../../../src/product/tests/tool.py": "x = 7\n",
            "../../../src/product/tests/test_x.py": "def test_x(): pass\n",
        }
    )
    code = "import site, os; site.addsitedir(os.environ['PYTHONPATH'])\n"
    code += "import product; print(product.x)"
    tried("export", lambda folder: embedded(folder, code))


def test_an_editable_installation_within_the_layer() -> None:
    finder = (
        "import sys, pathlib\n"
        "def install():\n"
        "    sys.path.append(str(pathlib.Path(__file__).parents[3] / 'work' / 'src'))\n"
    )
    with_framework(
        {
            "__editable__.mine-1.0.pth": "import __editable___mine_finder as f; f.install()\n",
            "__editable___mine_finder.py": finder,
            "../../../work/src/mine/__init__.py": "from . import testing; y = testing.z\n",
            "../../../work/src/mine/testing/__init__.py": "z = 8\n",
            "../../../work/src/mine/tests/test_a.py": "def test_a(): pass\n",
        }
    )
    code = "import site, os; site.addsitedir(os.environ['PYTHONPATH']); import mine; print(mine.y)"
    tried("export", lambda folder: embedded(folder, code))


def test_a_changed_sitecustomize_that_imports_a_packages_tests() -> None:
    with_framework(
        {
            "sitecustomize.py": "from maths.tests import test_it as helper\n",
            "late.py": "import sitecustomize; print(sitecustomize.helper.__name__)\n",
        }
    )
    code = "import os, sys, runpy; runpy.run_path(os.environ['PYTHONPATH'] + '/late.py')"
    tried("export", lambda folder: embedded(folder, code))


def test_a_launcher_outside_that_the_stack_cant_tell() -> None:
    """What only the launcher names: a package's public modules are there in every profile."""
    with_framework(
        {
            "maths/plugins/__init__.py": "",
            "maths/plugins/one.py": "name = 'one'\n",
            "maths/data/table.json": "[1]",
            "maths/templates/tests/test_page.py": "template = 1\n",
        }
    )
    code = (
        "import importlib, maths, pathlib\n"
        "one = importlib.import_module('maths.' + 'plug' + 'ins.one')\n"
        "here = pathlib.Path(maths.__file__).parent\n"
        "print(one.name, (here / 'data/table.json').read_text())\n"
        "print((here / 'templates/tests/test_page.py').exists())\n"
    )
    tried("export", lambda folder: embedded(folder, code))


def test_a_standard_library_in_a_zip() -> None:
    """An embedder's ``python313.zip`` beside the folder of the standard library."""
    made = export("export", {RUNTIME: runtime(), "framework-maths": small()["framework-maths"]})
    store = made / RUNTIME / "lib"
    write(
        Path("zipped"), {"extra_module.py": "answer = 5\n", "test/support/__init__.py": "z = 1\n"}
    )
    shutil.make_archive(str(store / "python313"), "zip", "zipped")
    code = (
        "import sys, os, pathlib\n"
        "layers = pathlib.Path(os.environ['PYTHONPATH']).parents[3]\n"
        "sys.path.insert(0, str(layers / 'cpython3.13/lib/python313.zip'))\n"
        "import extra_module; print(extra_module.answer)\n"
    )
    tried("export", lambda folder: embedded(folder, code))


def test_bytecode_of_another_python_beside_the_right_one() -> None:
    made = with_framework({"maths/__pycache__/__init__.cpython-39.pyc": b"old" * 20})
    result = tried("export", embedded)
    assert made.exists()
    assert any("cpython-39" in path for path in removed(result))


def test_scripts_with_a_path_of_the_machine_that_built_them() -> None:
    made = export("export", small())
    script = made / "app-tool/bin/tool"
    script.write_text("#!/build/machine/app-tool/bin/python\nimport tool\n")
    script.chmod(0o755)

    def start(folder: Path) -> str:
        return output_of(folder.resolve() / "app-tool/bin/python", folder / "app-tool/bin/tool")

    tried("export", start)


def test_a_folder_of_archives_without_a_manifest() -> None:
    """An installer that only keeps the archives gives one of them at a time."""
    publish(Path("stack"), small())
    shutil.rmtree("stack/__venvstacks__")
    for layer in (RUNTIME, "framework-maths", "app-tool"):
        arguments = ["run", f"stack/{layer}.tar.xz", "-o", f"out-{layer}", "-q"]
        assert main(arguments) == 0
    app = Path("app").resolve()
    app.mkdir()
    for layer in (RUNTIME, "framework-maths", "app-tool"):
        (archive,) = Path(f"out-{layer}").rglob("*.tar.xz")
        output_of("tar", "-xf", archive.resolve(), cwd=app)
    assert started(app) == "42 maths\n"


# -- two runtimes, and bytecode that nobody makes again --------------------------------------------


def test_two_runtimes_each_with_its_own_framework() -> None:
    """What one runtime's application imports holds nothing of the other's, as for free threads."""
    tool = {"tests/tool.py": "x = 3\n", "core.cpython-313-x86_64-linux-gnu.so": "x"}
    free = {"tests/tool.py": "x = 4\n", "core.cpython-313t-x86_64-linux-gnu.so": "x"}
    other = f"{RUNTIME}t"
    uses = "import maths.tests.tool as tool; print(tool.x)\n"
    layers = {
        RUNTIME: runtime(),
        other: LayerSpec(
            "runtime",
            {**runtime().files, "bin/python": python_script(other)},
            extra={"runtime_layer": other},
        ),
        "framework-maths": LayerSpec("framework", package("maths", "answer = 42\n", **tool)),
        "framework-free": LayerSpec(
            "framework", package("maths", "answer = 42\n", **free), extra={"runtime_layer": other}
        ),
        "app-tool": LayerSpec(
            "application",
            {f"{SITE}/tool.py": uses, "bin/python": python_script("app-tool", "framework-maths")},
            requires=("framework-maths",),
            launch_module="tool",
        ),
        "app-free": LayerSpec(
            "application",
            {f"{SITE}/free.py": APP, "bin/python": python_script("app-free", "framework-free")},
            requires=("framework-free",),
            launch_module="free",
            extra={"runtime_layer": other},
        ),
    }
    publish(Path("stack"), layers)
    tried(
        "stack",
        lambda folder: started(folder) + started(folder, "app-free", "free"),
        archives=True,
    )
    out = Path("after-standard")
    assert (out / "framework-maths" / SITE / "maths/tests/tool.py").exists()
    assert not (out / "framework-free" / SITE / "maths/tests/test_it.py").exists()
    for layer, tag in (("framework-maths", "313"), ("framework-free", "313t")):
        (left,) = (out / layer / SITE / "maths").glob("core.*.so")
        assert f"cpython-{tag}-" in left.name


@pytest.mark.parametrize("installed", [True, False], ids=["steps-run", "no-steps"])
def test_bytecode_where_nobody_makes_it_again(installed: bool) -> None:
    """An export whose steps never run keeps what it brings; one that was installed may lose it."""
    made = export("export", small())
    site = made / "framework-maths" / SITE
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(site)], check=True)
    tag = sys.implementation.cache_tag
    for path in site.rglob(f"*.{tag}.pyc"):
        path.rename(path.with_name(path.name.replace(str(tag), "cpython-313")))
    if installed:
        (made / "framework-maths/pyvenv.cfg").write_text("home = ../cpython3.13/bin\n")
    tried("export", started)
    cached = Path("out-standard/framework-maths") / SITE / "maths/__pycache__"
    assert (cached / "__init__.cpython-313.pyc").exists()


def test_bytecode_of_a_product_that_starts_with_optimisation_and_of_a_second_python() -> None:
    """All that there is, where no plain variant was shipped; by folder, for whichever Python."""
    files = {
        "lib/python3.11/os.py": "",
        "lib/python3.11/site.py": "",
        "lib/python3.13/os.py": "",
        "lib/python3.13/site.py": "",
        "lib/python3.11/__pycache__/os.cpython-311.opt-1.pyc": "x",
        "lib/python3.11/__pycache__/site.cpython-311.pyc": "x",
        "lib/python3.11/__pycache__/site.cpython-311.opt-1.pyc": "x",
        "lib/python3.11/__pycache__/site.cpython-310.pyc": "x",
        "lib/python3.13/__pycache__/os.cpython-313.pyc": "x",
    }
    write(Path("tree"), files)
    assert removed(slim("tree", "out", "--profile", "safe")) == {
        "lib/python3.11/__pycache__/site.cpython-311.opt-1.pyc",
        "lib/python3.11/__pycache__/site.cpython-310.pyc",
    }
    kept = slim("tree", "kept", "--profile", "safe", "--bytecode", "keep")
    assert removed(kept) == {"lib/python3.11/__pycache__/site.cpython-310.pyc"}
