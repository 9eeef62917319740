"""Wheels of other platforms, and a compiler for them: from the package index, by pip."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.published_stacks import SITE, Content, Link


def pip(*arguments: str | Path) -> None:
    """Run pip; skips the test where there is no index, or no such wheel in it."""
    command = [
        sys.executable,
        "-I",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--quiet",
        *map(str, arguments),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pip {arguments[0]}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")


def download(
    folder: Path, platforms: Sequence[str], *packages: str, python: str = "3.13"
) -> list[Path]:
    """Current wheels for any of some platforms, without what they require.

    Without a platform those for the Python that is running.
    """
    tags = [word for platform in platforms for word in ("--platform", platform)]
    wanted = ["--no-deps", "--only-binary=:all:"]
    if tags:
        wanted += ["--python-version", python, *tags]
    pip("download", *wanted, "--dest", folder, *packages)
    return sorted(folder.glob("*.whl"))


def members(wheel: Path, site: str = SITE) -> Iterator[tuple[str, bytes]]:
    """The files of a wheel as pip would install them below site-packages."""
    with zipfile.ZipFile(wheel) as opened:
        for info in opened.infolist():
            if not info.is_dir() and ".data/" not in info.filename:
                yield f"{site}/{info.filename}", opened.read(info)


def installed(
    folder: Path, platforms: Sequence[str], *packages: str, site: str = SITE
) -> dict[str, Content | Link]:
    """The files of wheels that are downloaded, below site-packages."""
    wheels = download(folder, platforms, *packages)
    return {path: data for wheel in wheels for path, data in members(wheel, site)}


class Zig:
    """PyPI's ziglang: a C compiler for any platform on any other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        pip("install", "--only-binary=:all:", "--no-deps", "--target", folder, "ziglang")

    def build(self, target: str, built: Path, *arguments: str | Path) -> None:
        """Compile and link; AssertionError with what the compiler said if it fails."""
        caches = {
            "ZIG_GLOBAL_CACHE_DIR": str(self._folder / "cache"),
            "ZIG_LOCAL_CACHE_DIR": str(built.parent / "zig"),
        }
        command = [
            sys.executable,
            "-m",
            "ziglang",
            "cc",
            "-target",
            target,
            "-o",
            str(built),
            *map(str, arguments),
        ]
        environment = {**os.environ, **caches, "PYTHONPATH": str(self._folder)}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=built.parent, env=environment
        )
        assert done.returncode == 0, done.stderr[-2000:]
