"""Regressions with a real distribution: two releases of pandas, its tests, a debug build."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from slim.cli import main
from tests.support.audits import adds_up, audit_of
from tests.support.elf_files import compile_c

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.xdist_group("wheels")]

OLD, NEW = "3.1.0", "3.1.1"
LIBRARY = "pandas/_libs/byteswap.cpython-313-x86_64-linux-gnu.so"
BUDGET = """\
schema = 1

[[budget]]
name = "growth"
unpacked = "+0%"
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Both releases, for one platform whatever machine this is."""
    folder = tmp_path_factory.mktemp("wheels")
    found = {}
    for version in (OLD, NEW):
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
        ]
        target = ["--python-version=3.13", "--implementation=cp", "--abi=cp313"]
        platforms = [f"--platform=manylinux_2_{glibc}_x86_64" for glibc in (17, 24, 28)]
        place = folder / version
        subprocess.run(
            [*command, *target, *platforms, f"--dest={place}", f"pandas=={version}"], check=True
        )
        (found[version],) = place.glob("*.whl")
    return found


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "budgets.toml").write_text(BUDGET)
    return tmp_path


def again(
    wheel: Path, target: Path, *, without: str = "", instead: Mapping[str, bytes] | None = None
) -> Path:
    """The wheel written anew, with some files left out or replaced."""
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w") as changed:
        for info in source.infolist():
            if not without or without not in info.filename:
                content = (instead or {}).get(info.filename)
                changed.writestr(info.filename, source.read(info) if content is None else content)
    return target


def printed(capsys: pytest.CaptureFixture[str], new: Path, old: Path) -> str:
    assert main(["check", str(new), "--baseline", str(old), "--budget", "budgets.toml"]) == 1
    return capsys.readouterr().out


def test_totals_of_a_real_wheel(wheels: Mapping[str, Path]) -> None:
    found = audit_of(wheels[NEW])
    with zipfile.ZipFile(wheels[NEW]) as wheel:
        files = [info for info in wheel.infolist() if not info.is_dir()]
    assert (adds_up(found), found.total.files) == (
        sum(info.file_size for info in files),
        len(files),
    )
    assert found.total.archive == wheels[NEW].stat().st_size
    assert [row.label for row in found.by_owner] == [f"pandas {NEW}"]


def test_one_version_up(wheels: Mapping[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert re.search(
        r"pandas 3\.1\.0 → 3\.1\.1 \+[\d.]+ kB: \w+", printed(capsys, wheels[NEW], wheels[OLD])
    )


def test_the_tests_slip_in(
    wheels: Mapping[str, Path], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(
        capsys, wheels[NEW], again(wheels[NEW], place / "small.whl", without="pandas/tests/")
    )
    assert re.search(r"pandas 3\.1\.1 \+1\d\.\d MB: tests", text)
    assert re.search(r"[\d,]+ files of tests, 1\d\.\d MB, came in", text)
    assert "new pandas/tests/" in text


def test_a_debug_build_of_one_library(
    wheels: Mapping[str, Path], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(wheels[NEW]) as wheel:
        assert LIBRARY in wheel.namelist()
    lines = "".join(
        f"int swap_{number}(int x) {{ return x + {number}; }}\n" for number in range(2000)
    )
    built = compile_c(place, "byteswap.so", lines, "-shared", "-fPIC", "-g")
    debug = again(wheels[NEW], place / "debug.whl", instead={LIBRARY: built.read_bytes()})
    text = printed(capsys, debug, wheels[NEW])
    assert re.search(r"pandas 3\.1\.1 \+[\d.]+ kB: extension module", text)
    assert f"of debugging information, a debug build?: {LIBRARY}" in text
