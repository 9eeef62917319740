"""A package ``slim`` that isn't ours: the command says so, instead of failing somehow."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import venvstacks_slim

STARTED = "import sys; sys.path.insert(0, sys.argv[1]); import venvstacks_slim as it; "


def _run(site: Path) -> subprocess.CompletedProcess[str]:
    """Start slim in a Python that has nothing but its standard library and ``site``."""
    shutil.copy(venvstacks_slim.__file__, site)
    command = [sys.executable, "-I", "-S", "-c", f"{STARTED}sys.exit(it.main())", str(site)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _other(site: Path, init: str | None, *, installed: bool) -> None:
    """A foreign package, as it lies there after it was installed over ours."""
    (site / "slim").mkdir()
    if init is not None:
        (site / "slim/__init__.py").write_text(init)
    if installed:
        (site / "slim-0.6.2.dist-info").mkdir()
        metadata = "Metadata-Version: 2.1\nName: slim\nVersion: 0.6.2\n"
        (site / "slim-0.6.2.dist-info/METADATA").write_text(metadata)


@pytest.mark.parametrize(
    "init",
    ["", "__version__ = '0.6.2'", "from slim.base.app import App", "raise ValueError('?')", None],
    ids=["empty", "version", "modules of its own", "fails", "a namespace"],
)
def test_another_distribution_in_the_way_is_named(tmp_path: Path, init: str | None) -> None:
    _other(tmp_path, init, installed=True)
    done = _run(tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "slim: installation: another distribution called slim (version 0.6.2) is installed in"
        f" {tmp_path}, and its files overwrite ours\n"
        "  hint: pip uninstall slim, then pip install --force-reinstall venvstacks-slim\n"
    )


@pytest.mark.parametrize("init", ["", None], ids=["a package", "no __init__.py left"])
def test_a_package_that_nobody_installed_is_named_by_its_place(
    tmp_path: Path, init: str | None
) -> None:
    """For instance what ``pip uninstall slim`` leaves: it takes our ``__init__.py`` along."""
    _other(tmp_path, init, installed=False)
    done = _run(tmp_path)
    assert done.returncode == 2
    assert f"the package slim in {tmp_path / 'slim'}" in done.stderr
    assert done.stderr.endswith("hint: pip install --force-reinstall venvstacks-slim\n")


def test_a_mistake_of_our_own_stays_one(tmp_path: Path) -> None:
    _other(tmp_path, "raise ValueError('ours')", installed=False)
    done = _run(tmp_path)
    assert done.returncode == 1
    assert "ValueError: ours" in done.stderr
