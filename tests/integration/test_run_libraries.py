"""Whole runs over small stacks with libraries that nothing links: which go, what holds others."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.support.native_headers import macho
from tests.support.published_stacks import (
    SITE,
    Content,
    LayerSpec,
    Link,
    distribution,
    merge,
    publish,
)
from tests.support.stack_runs import run

LIBRARY = macho()
LIBPYTHON = "lib/libpython3.13.dylib"
GRAFTED = f"{SITE}/plugs/.dylibs/libold.1.dylib"
PLUG = f"{SITE}/plugs/lib/libplugs_reader.3.dylib"


def stack(folder: Path, more: dict[str, Content | Link] | None = None) -> Path:
    runtime: dict[str, Content | Link] = {
        "bin/python3.13": "#!/bin/sh\n",
        "lib/python3.13/os.py": "",
        LIBPYTHON: LIBRARY,
        "lib/libpython3.dylib": Link("libpython3.13.dylib"),
        "lib/libtcl8.6.dylib": LIBRARY,
        "lib/libother.1.dylib": LIBRARY,
    }
    files = distribution(
        "plugs",
        {
            "plugs/__init__.py": "import ctypes\nKINDS = ['reader']\n",
            "plugs/lib/libplugs_reader.3.dylib": LIBRARY,
            "plugs/.dylibs/libold.1.dylib": LIBRARY,
            "plugs/libs/libplain.1.dylib": LIBRARY,
        },
    )
    publish(
        folder / "published",
        {
            "cpython3.13": LayerSpec("runtime", runtime),
            "framework-native": LayerSpec(
                "framework",
                merge(
                    files,
                    {
                        "share/venv/dynlib/libold.1.dylib": Link(f"../../../{GRAFTED}"),
                        "share/venv/dynlib/libplugs_reader.3.dylib": Link(f"../../../{PLUG}"),
                    },
                    more or {},
                ),
            ),
        },
        platform="macosx_arm64",
    )
    return folder / "published"


def left(output: Path) -> set[str]:
    """The native files and links of the stack that are left."""
    names: set[str] = set()
    for layer in ("cpython3.13", "framework-native"):
        with tarfile.open(output / f"{layer}.tar.xz") as archive:
            names.update(info.name.partition("/")[2] for info in archive if not info.isdir())
    return {name for name in names if name.endswith(".dylib")}


def test_only_grafted_libraries_go_without_evidence(tmp_path: Path) -> None:
    """The reader's name is put together at run time: nothing links it, nothing names it."""
    before = left(stack(tmp_path))
    run(tmp_path / "published", tmp_path / "out")
    assert before - left(tmp_path / "out") == {
        GRAFTED,
        "share/venv/dynlib/libold.1.dylib",
        "lib/libtcl8.6.dylib",
    }


@pytest.mark.parametrize(
    ("options", "stays"),
    [((), True), (("--profile", "aggressive", "--unverified"), True), (("--no-embedded",), False)],
)
def test_libpython_stays_for_those_who_embed_python(
    options: tuple[str, ...], stays: bool, tmp_path: Path
) -> None:
    report = run(stack(tmp_path), tmp_path / "out", *options)
    assert ({LIBPYTHON, "lib/libpython3.dylib"} <= left(tmp_path / "out")) is stays
    told = [held for held in report["skipped"] if held["rule"] == "runtime-libpython"]
    assert bool(told) is stays
    assert {held["reason"] for held in told} <= {"condition"}
