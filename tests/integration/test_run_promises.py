"""Whole runs over small stacks: what "standard" leaves where a program could read it."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.native_headers import pe
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

STDLIB = "lib/python3.13"
HEADERS = {"include/python3.13/Python.h", f"{STDLIB}/config-3.13-x86_64-linux-gnu/Makefile"}
STUB = f"{SITE}/typed/core.pyi"
ENSUREPIP = {
    f"{STDLIB}/ensurepip/__init__.py",
    f"{STDLIB}/ensurepip/_bundled/pip-26.0-py3-none-any.whl",
}
ASSEMBLY = f"{SITE}/bridge/runtime/Bridge.Runtime.dll"
CACHED = f"{SITE}/typed/__pycache__/__init__.cpython-313.pyc"


def stack(folder: Path, *packages: dict[str, Content | Link], install: str = "") -> Path:
    """Publish a runtime and an application with a typed package, a .NET bridge and ``packages``."""
    runtime: dict[str, Content | Link] = {
        "bin/python3.13": "#!/bin/sh\n",
        f"{STDLIB}/os.py": "",
        f"{STDLIB}/site.py": "",
        **dict.fromkeys((*HEADERS, *ENSUREPIP), "x"),
    }
    files = merge(
        distribution("typed", {"typed/__init__.py": "", "typed/core.pyi": "x: int\n"}),
        distribution(
            "bridge", {"bridge/__init__.py": "", "bridge/runtime/Bridge.Runtime.dll": pe(clr=True)}
        ),
        {CACHED: b"c" * 64},
        *packages,
        {"postinstall.py": install} if install else {},
    )
    publish(
        folder,
        {
            "cpython3.13": LayerSpec("runtime", runtime),
            "app-main": LayerSpec("application", files, requires=()),
        },
    )
    return folder


def left(output: Path) -> set[str]:
    names: set[str] = set()
    for archive in sorted(output.glob("*.tar.xz")):
        with tarfile.open(archive) as opened:
            names.update(info.name.partition("/")[2] for info in opened if not info.isdir())
    return names


def evidence(report: dict[str, Any], path: str) -> str:
    return json.dumps([row for row in report["skipped"] if row["path"] == path])


def test_headers_and_stubs_go_where_nobody_reads_them(tmp_path: Path) -> None:
    source = stack(tmp_path / "published")
    assert HEADERS | {STUB} | ENSUREPIP <= left(source)
    run(source, tmp_path / "out")
    assert not (HEADERS | {STUB} | ENSUREPIP) & left(tmp_path / "out")


def test_a_package_that_asks_for_the_include_folder_keeps_headers(tmp_path: Path) -> None:
    asks = "import sysconfig\n\nINCLUDE = sysconfig.get_path('include')\n"
    source = stack(tmp_path / "published", distribution("jit", {"jit/__init__.py": asks}))
    report = run(source, tmp_path / "out")
    assert left(tmp_path / "out") >= HEADERS
    assert "jit/__init__.py" in evidence(report, "include/python3.13/Python.h")
    assert STUB not in left(tmp_path / "out")


def test_a_run_time_compiler_known_by_its_name_keeps_headers(tmp_path: Path) -> None:
    source = stack(tmp_path / "published", distribution("triton", {"triton/__init__.py": ""}))
    report = run(source, tmp_path / "out")
    assert left(tmp_path / "out") >= HEADERS
    assert "launcher in C" in evidence(report, "include/python3.13/Python.h")


def test_a_type_checker_keeps_stubs(tmp_path: Path) -> None:
    source = stack(tmp_path / "published", distribution("mypy", {"mypy/__init__.py": ""}))
    report = run(source, tmp_path / "out")
    assert STUB in left(tmp_path / "out")
    assert "mypy" in evidence(report, STUB)
    assert not HEADERS & left(tmp_path / "out")


def test_safe_takes_nothing_that_a_program_could_read(tmp_path: Path) -> None:
    source = stack(tmp_path / "published")
    run(source, tmp_path / "out", "--profile", "safe")
    assert HEADERS | {STUB} | ENSUREPIP <= left(tmp_path / "out")


def test_ensurepip_stays_whole_where_something_imports_it(tmp_path: Path) -> None:
    imports = distribution("maker", {"maker/__init__.py": "import ensurepip\n"})
    source = stack(tmp_path / "published", imports)
    report = run(source, tmp_path / "out")
    assert left(tmp_path / "out") >= ENSUREPIP
    wheel = f"{STDLIB}/ensurepip/_bundled/pip-26.0-py3-none-any.whl"
    assert "ensurepip/__init__.py" in evidence(report, wheel)


@pytest.mark.parametrize("profile", ["safe", "standard", "aggressive"])
def test_a_dotnet_assembly_stays(tmp_path: Path, profile: str) -> None:
    source = stack(tmp_path / "published")
    gate = ("--unverified",) if profile == "aggressive" else ()
    run(source, tmp_path / "out", "--profile", profile, *gate)
    assert ASSEMBLY in left(tmp_path / "out")


def test_bytecode_goes_only_where_it_is_known_to_be_compiled_again(tmp_path: Path) -> None:
    compiled = stack(tmp_path / "compiled", install="import compileall\n")
    report = run(compiled, tmp_path / "small")
    assert CACHED not in left(tmp_path / "small")
    assert "postinstall.py compiles them again" in " ".join(report["notes"])

    never = stack(tmp_path / "never", install="print('nothing to do')\n")
    report = run(never, tmp_path / "whole")
    assert CACHED in left(tmp_path / "whole")
    assert 'bytecode = "none"' in " ".join(report["notes"])
    run(never, tmp_path / "stated", "--bytecode", "none")
    assert CACHED not in left(tmp_path / "stated")


def test_a_folder_keeps_its_bytecode(tmp_path: Path) -> None:
    """An export or a folder may be copied into an application as it is."""
    source = stack(tmp_path / "published", install="import compileall\n")
    folder = tmp_path / "folder"
    with tarfile.open(source / "app-main.tar.xz") as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    shutil.move(tmp_path / "unpacked" / "app-main", folder)
    shutil.rmtree(folder / "share")
    run(folder, tmp_path / "out")
    assert (tmp_path / "out" / CACHED).is_file()
