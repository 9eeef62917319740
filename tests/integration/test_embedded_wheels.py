"""Whole runs over a runtime with pip's wheel in ensurepip: environments are made of it as before.

The wheel is of the pip that is installed here, so that nothing is fetched.
"""

from __future__ import annotations

import importlib.metadata
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from slim.cli import main
from slim.delta.apply import ApplyRequest, apply
from slim.delta.create import MakeRequest, make
from tests.support.embedded_wheels import pip_wheel, wheel
from tests.support.published_stacks import STDLIB, Content, LayerSpec, Link, publish
from tests.support.stack_runs import run

ENSUREPIP = f"{STDLIB}/ensurepip"
TOOL = {
    "tool.py": b"def main():\n    print('the tool runs')\n",
    "tool-1.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tool\nVersion: 1\n",
    "tool-1.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "tool-1.dist-info/entry_points.txt": b"[console_scripts]\ntool = tool:main\n",
}
PIP = """
import runpy, sys
wheel, *sys.argv[1:] = sys.argv[1:]
sys.path.insert(0, wheel)
sys.argv[0] = "pip"
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
"""What ensurepip does with the wheel (``_run_pip``)."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published runtime whose ``venv`` installs pip."""
    try:
        name, content = pip_wheel()
    except (importlib.metadata.PackageNotFoundError, FileNotFoundError):
        pytest.skip("needs a whole pip beside the tests")
    files: dict[str, Content | Link] = {
        "bin/python3.13": "#!/bin/sh\n",
        f"{STDLIB}/os.py": "",
        f"{STDLIB}/site.py": "",
        f"{STDLIB}/site-packages/README.txt": "site-packages\n",
        f"{STDLIB}/venv/__init__.py": "cmd = ['-m', 'ensurepip', '--upgrade']\n",
        f"{ENSUREPIP}/__init__.py": "import subprocess\n",
        f"{ENSUREPIP}/_bundled/{name}": content,
    }
    folder = tmp_path_factory.mktemp("made") / "published"
    publish(folder, {"cpython3.13": LayerSpec("runtime", files)})
    return folder


def bundled(published: Path) -> tuple[str, bytes]:
    """Name and bytes of the wheel in a published runtime."""
    (archive,) = published.glob("*.tar.xz")
    with tarfile.open(archive) as opened:
        (info,) = [one for one in opened if one.name.endswith(".whl")]
        member = opened.extractfile(info)
        assert member is not None
        return info.name.rpartition("/")[2], member.read()


def programs(content: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        assert opened.testzip() is None
        return [name for name in opened.namelist() if name.endswith(".exe")]


def output_of(*command: str | Path) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [*map(str, command)], env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_environment_is_made_of_it(source: Path, tmp_path: Path) -> None:
    report = run(source, tmp_path / "out")
    name, content = bundled(tmp_path / "out")
    assert len(programs(bundled(source)[1])) == 6
    assert programs(content) == []
    (row,) = [row for row in report["actions"] if row["path"].endswith(".whl")]
    assert (row["rule"], row["after"]) == ("ensurepip-launchers", len(content))

    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / name).write_bytes(content)
    (wheels / "tool-1-py3-none-any.whl").write_bytes(wheel(TOOL, info="tool-1.dist-info"))
    output_of(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env")
    scripts = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    quiet = ("--no-cache-dir", "--no-compile", "--no-index", "--find-links", wheels)
    output_of(scripts / "python", "-c", PIP, wheels / name, "install", *quiet, "pip")
    assert output_of(scripts / "pip", "--version").startswith("pip ")
    output_of(scripts / "pip", "install", *quiet, "tool")
    assert output_of(scripts / "tool").strip() == "the tool runs"
    output_of(scripts / "pip", "uninstall", "-y", "pip")


def test_safe_leaves_it_whole(source: Path, tmp_path: Path) -> None:
    """It leaves installed launchers, too: a program could hand them to another computer."""
    run(source, tmp_path / "out", "--profile", "safe")
    assert bundled(tmp_path / "out") == bundled(source)


def test_it_comes_back_and_is_verified_and_patched(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "out", "--keep-removed", str(tmp_path / "kept.tar.zst"))
    assert bundled(tmp_path / "out") != bundled(source)
    assert main(["verify", str(source), str(tmp_path / "out"), "--no-config", "-q"]) == 0
    back = ["restore", str(tmp_path / "kept.tar.zst"), str(tmp_path / "out")]
    assert main([*back, "-o", str(tmp_path / "back"), "-q"]) == 0
    assert bundled(tmp_path / "back") == bundled(source)
    make(MakeRequest(old=source, new=tmp_path / "out", output=tmp_path / "delta"))
    apply(ApplyRequest(old=source, delta=tmp_path / "delta", output=tmp_path / "new"))
    assert bundled(tmp_path / "new") == bundled(tmp_path / "out")
    run(tmp_path / "out", tmp_path / "again")
    assert bundled(tmp_path / "again") == bundled(tmp_path / "out")
