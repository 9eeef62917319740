"""Tests that share what is expensive go to one worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.scheduling import group_of

ROOT = Path(__file__).parent.parent.parent
MODULE = """
import os

import pytest

pytestmark = pytest.mark.xdist_group("{name}")


@pytest.fixture(scope="module")
def built():
    with open("built", "a") as file:
        file.write("{name}")


@pytest.mark.parametrize("number", range(8))
def test_something(built, number):
    pass
"""
CONFTEST = """
from tests.conftest import pytest_collection_modifyitems, pytest_xdist_make_scheduler
"""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('pytestmark = pytest.mark.xdist_group("a")\n', "a"),
        ('pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("a-b")]\n', "a-b"),
        ('pytestmark = [\n    pytest.mark.slow,\n    pytest.mark.xdist_group("a"),\n]\n', "a"),
        ('# pytest.mark.xdist_group("a")\n', None),
        ("pytestmark = pytest.mark.slow\n", None),
    ],
)
def test_the_group_is_read_where_it_is_written(
    tmp_path: Path, source: str, expected: str | None
) -> None:
    module = tmp_path / "test_it.py"
    module.write_text(source, encoding="utf-8")
    assert group_of(module) == expected


def test_every_group_of_ours_is_one_of_a_module() -> None:
    for module in (ROOT / "tests").rglob("test_*.py"):
        written = module.read_text(encoding="utf-8").count("mark.xdist_group(")
        if written and module != Path(__file__):
            assert written == 1
            assert group_of(module), module


def test_what_a_group_shares_is_built_once(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    for name in ("a", "b"):
        (tmp_path / f"test_{name}.py").write_text(MODULE.format(name=name), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist=loadgroup"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted((tmp_path / "built").read_text(encoding="utf-8")) == ["a", "b"]
