"""Surroundings of the packages of a sample layer, and its publication."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from slim.binaries.elf.dynamic import read_dynamic
from slim.errors import SlimError
from slim.inventory.locate import locate
from slim.inventory.located import check_archives
from slim.model.progress import Silent
from slim.model.stack import LayerKind, StackKind
from slim.sample.contents import LayerContents
from slim.sample.layers import SampleLayer, furnish
from slim.sample.layout import DYNLIB, METADATA, Interpreter
from slim.sample.publish import publish_layers
from slim.sample.runtime import is_foreign, relocated_executable

posix = pytest.mark.skipif(os.name == "nt", reason="the layout of layers on Linux and macOS")

INTERPRETER = Interpreter(
    executable=Path(sys.executable), prefix=Path(sys.base_prefix), version="3.13.7"
)
SITE = INTERPRETER.layout.site


def layer(kind: LayerKind, name: str, **more: object) -> SampleLayer:
    contents = LayerContents()
    return SampleLayer(name=name, kind=kind, contents=contents, **more)  # type: ignore[arg-type]


def text(contents: LayerContents, path: str) -> str:
    member = next(member for member in contents.members() if member.path == path)
    assert member.content is not None
    return bytes(member.content.view()).decode()


def links(contents: LayerContents) -> dict[str, str]:
    return {
        member.path: member.link_target
        for member in contents.members()
        if member.link_target is not None
    }


@posix
def test_libraries_are_linked_unless_they_are_extension_modules_or_ambiguous() -> None:
    framework = layer(LayerKind.FRAMEWORK, "framework-x")
    tagged = next(suffix for suffix in EXTENSION_SUFFIXES if suffix != ".so")
    for path in (
        f"a/mod{tagged}",
        "a.libs/libone-1234.so",
        "a/_plain.so",
        "b/libtwo.so",
        "c/libtwo.so",
        "b/x.so.1",
    ):
        framework.contents.add_bytes(f"{SITE}/{path}", b"")
    furnish(framework, "cpython3.13", INTERPRETER)
    linked = {
        path: target
        for path, target in links(framework.contents).items()
        if path.startswith(DYNLIB)
    }
    assert linked == {
        f"{DYNLIB}/_plain.so": f"../../../{SITE}/a/_plain.so",
        f"{DYNLIB}/libone-1234.so": f"../../../{SITE}/a.libs/libone-1234.so",
    }


@posix
def test_an_application_starts_the_runtime_and_sees_the_layers_below() -> None:
    application = layer(
        LayerKind.APPLICATION,
        "app-x",
        requires=("framework-b", "framework-a"),
        launch_module="x",
        modules={"x.py": b"print()"},
    )
    furnish(application, "cpython3.13", INTERPRETER)
    assert json.loads(text(application.contents, METADATA)) == {
        "base_python": "../cpython3.13/bin/python",
        "dynlib_dirs": [
            f"../{name}/{DYNLIB}" for name in ("framework-b", "framework-a", "cpython3.13")
        ],
        "launch_module": "x",
        "py_version": "3.13.7",
        "pylib_dirs": [
            f"../{name}/{SITE}" for name in ("framework-b", "framework-a", "cpython3.13")
        ],
        "python": "bin/python",
        "site_dir": SITE,
    }
    assert links(application.contents)["bin/python_"] == "../../cpython3.13/bin/python"
    assert links(application.contents)["bin/python3.13"] == "python"
    assert text(application.contents, f"{SITE}/x.py") == "print()"
    wrapper = text(application.contents, "bin/python")
    assert "@" not in wrapper.replace('"$@"', "")
    assert '"$layer/share/venv/dynlib" "$layers/framework-b/share/venv/dynlib"' in wrapper


@posix
def test_the_runtime_is_its_own_base() -> None:
    runtime = layer(LayerKind.RUNTIME, "cpython3.13")
    furnish(runtime, "cpython3.13", INTERPRETER)
    config = json.loads(text(runtime.contents, METADATA))
    assert (config["python"], config["base_python"], config["pylib_dirs"]) == (
        "bin/python",
        "bin/python",
        [],
    )
    assert "bin/python_" not in runtime.contents


@posix
def test_the_wrapper_extends_the_search_path_and_keeps_its_name(tmp_path: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is absent")
    application = layer(LayerKind.APPLICATION, "app-x", requires=("framework-a",))
    furnish(application, "cpython3.13", INTERPRETER)
    scripts = tmp_path / "with space" / "app-x" / "bin"
    scripts.mkdir(parents=True)
    wrapper = scripts / "python"
    wrapper.write_text(text(application.contents, "bin/python"))
    wrapper.chmod(0o755)
    (scripts / "python3").symlink_to("python")
    bash = shutil.which("bash")
    assert bash is not None
    (scripts / "python_").symlink_to(bash)
    variable = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"
    done = subprocess.run(
        [scripts / "python3", "-c", f'echo "$0|$1|${variable}"', "name", "an argument"],
        env={"PATH": os.environ["PATH"], variable: "/before"},
        capture_output=True,
        text=True,
        check=True,
    )
    name, argument, path = done.stdout.strip().split("|")
    top = (tmp_path / "with space").resolve()
    assert (name, argument) == ("name", "an argument")
    assert path.split(":") == [
        "/before",
        f"{top}/app-x/{DYNLIB}",
        f"{top}/framework-a/{DYNLIB}",
        f"{top}/cpython3.13/{DYNLIB}",
    ]


def small_stack() -> list[SampleLayer]:
    """A stack whose Python nobody will start."""
    return [
        layer(LayerKind.RUNTIME, "cpython3.13", modules={"os.py": b""}),
        layer(
            LayerKind.FRAMEWORK, "framework-a", pins=("demo==1.0",), modules={"demo.py": b"x = 1\n"}
        ),
        layer(
            LayerKind.APPLICATION,
            "app-x",
            requires=("framework-a",),
            launch_module="x",
            modules={"x.py": b"import demo\n"},
        ),
    ]


def test_what_is_published_is_a_stack(tmp_path: Path) -> None:
    target = publish_layers(tmp_path / "deep" / "out", small_stack(), INTERPRETER, Silent())
    (located,) = locate(target)
    check_archives(located)
    assert located.kind is StackKind.PUBLISHED
    assert [(one.name, one.requires) for one in located.stack] == [
        ("cpython3.13", ()),
        ("framework-a", ("cpython3.13",)),
        ("app-x", ("framework-a", "cpython3.13")),
    ]
    assert located.stack.layer("app-x").launch_module == "x"
    entry = located.stack.layer("framework-a").entry
    assert entry["requirements_hash"] == "sha256:" + hashlib.sha256(b"demo==1.0\n").hexdigest()
    assert set(located.stack.metadata_names) == {"cpython3.13", "framework-a", "app-x"}


def test_publishing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    def published(name: str) -> dict[str, bytes]:
        folder = publish_layers(tmp_path / name, small_stack(), INTERPRETER, Silent())
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }

    assert published("one") == published("two")


@pytest.mark.parametrize("occupied", ["folder", "file"])
def test_nothing_that_is_there_is_overwritten(tmp_path: Path, occupied: str) -> None:
    target = tmp_path / "out"
    if occupied == "folder":
        target.mkdir()
        (target / "mine").write_text("precious")
    else:
        target.write_text("precious")
    with pytest.raises(SlimError, match=r"out.*\n.*doesn't exist yet"):
        publish_layers(target, small_stack(), INTERPRETER, Silent())
    left = target / "mine" if occupied == "folder" else target
    assert left.read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "foreign"),
    [
        ("site-packages", True),
        ("__pycache__", True),
        ("sitecustomize.py", True),
        ("libpython3.13.a", True),
        ("libpython3.13.so", False),
        ("site.py", False),
        ("test", False),
    ],
)
def test_what_belongs_to_a_standard_library(name: str, foreign: bool) -> None:
    assert is_foreign(name) is foreign


LONG_PATH = "/opt/somewhere/python/lib"


@pytest.mark.parametrize(
    ("flags", "after"),
    [
        ([f"-Wl,-rpath,{LONG_PATH}", "-Wl,--enable-new-dtags"], (("$ORIGIN/../lib",), ())),
        ([f"-Wl,-rpath,{LONG_PATH}:/second", "-Wl,--disable-new-dtags"], ((), ("$ORIGIN/../lib",))),
        (["-Wl,-rpath,$ORIGIN/../lib"], None),
        (["-Wl,-rpath,/short"], None),
        ([], None),
    ],
    ids=["runpath", "rpath", "relative", "no room", "none"],
)
def test_an_executable_is_made_to_look_beside_itself(
    tmp_path: Path, flags: list[str], after: tuple[tuple[str, ...], tuple[str, ...]] | None
) -> None:
    if sys.platform != "linux" or shutil.which("gcc") is None:
        pytest.skip("needs gcc on Linux")
    source, program = tmp_path / "x.c", tmp_path / "x"
    source.write_text('#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n')
    subprocess.run(["gcc", "-o", program, source, *flags], check=True)
    data = program.read_bytes()
    dynamic = read_dynamic(data)
    assert dynamic is not None
    found = relocated_executable(data, dynamic)
    if after is None:
        assert found is None
        return
    assert found is not None
    changed = read_dynamic(found)
    assert changed is not None
    assert (changed.runpath, changed.rpath, changed.needed) == (*after, dynamic.needed)
    assert len(found) == len(data)
    program.write_bytes(found)
    assert subprocess.run([program], capture_output=True, text=True, check=True).stdout == "hello\n"
