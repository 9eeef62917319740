"""A wheel called ``slim``, installed over ours by pip, in an environment of its own."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from slim import __version__

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def wheel(folder: Path, name: str, version: str, files: Mapping[str, bytes], scripts: str) -> Path:
    """Write a wheel of these files (PyPA, "Binary distribution format")."""
    info = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{scripts}".encode(),
    }
    rows = [f"{path},{_digest(data)},{len(data)}\n" for path, data in files.items()]
    target = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
        archive.writestr(f"{info}/RECORD", "".join((*rows, f"{info}/RECORD,,\n")))
    return target


def _digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    sources = [*(ROOT / "slim").rglob("*"), ROOT / "venvstacks_slim.py"]
    files = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in sources
        if path.is_file() and "__pycache__" not in path.parts
    }
    packs = {f"slim/_rules/{path.name}": path.read_bytes() for path in (ROOT / "rules").iterdir()}
    scripts = "".join(f"{name} = {entry}\n" for name, entry in project["scripts"].items())
    name = project["name"].replace("-", "_")
    folder = tmp_path_factory.mktemp("ours")
    return wheel(folder, name, __version__, {**files, **packs}, scripts)


@pytest.fixture
def environment(tmp_path: Path, ours: Path) -> Path:
    """The folder of the programs of an environment that slim is installed in."""
    place = tmp_path / "environment"
    venv.create(place, with_pip=False, symlinks=os.name != "nt")
    programs = place / ("Scripts" if os.name == "nt" else "bin")
    python = programs / "python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    import click

    requirements = {sysconfig.get_path("purelib"), str(Path(click.__file__).parents[1])}
    (Path(site) / "requirements.pth").write_text("\n".join(requirements))
    install(programs, ours)
    return programs


def pip(programs: Path, *arguments: str) -> None:
    """Let pip work on the environment."""
    command = [sys.executable, "-m", "pip", "--python", str(programs / "python")]
    subprocess.run([*command, *arguments], check=True)


def install(programs: Path, *arguments: str | Path) -> None:
    """Install into the environment, without an index."""
    pip(programs, "install", "-q", "--no-index", "--no-deps", *map(str, arguments))


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(program), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=clean, cwd=program.parent
    )


def test_slim_beside_another_slim(environment: Path, tmp_path: Path, ours: Path) -> None:
    for program in ("slim", "venvstacks-slim"):
        done = run(environment / program, "--version")
        assert (done.returncode, done.stdout) == (0, f"slim {__version__}\n"), done.stderr

    files = {
        "slim/__init__.py": b"from slim.base import Application\n",
        "slim/base/__init__.py": b"class Application: pass\n",
        "slim_cli/main.py": b"def cli(): print('a web framework')\n",
    }
    other = wheel(tmp_path, "slim", "0.6.2", files, "slim = slim_cli.main:cli\n")
    install(environment, other)
    assert run(environment / "slim").stdout == "a web framework\n", "its script is there, too"
    for command in ((environment / "venvstacks-slim",), (environment / "python", "-m", "slim")):
        done = run(*command, "--version")  # type: ignore[arg-type]
        assert (done.returncode, done.stdout) == (2, "")
        assert "another distribution called slim (version 0.6.2) is installed in" in done.stderr

    # what the hint says
    pip(environment, "uninstall", "-qy", "slim")
    done = run(environment / "venvstacks-slim", "--version")
    assert done.returncode == 2
    assert "pip install --force-reinstall venvstacks-slim" in done.stderr
    install(environment, "--force-reinstall", ours)
    assert run(environment / "slim", "rules", "check").stdout.endswith("all is well\n")
