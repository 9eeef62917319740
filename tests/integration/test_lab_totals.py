"""Totals of stacks that venvstacks built are those of ``tar -tv`` and ``du``, byte for byte.

``SLIM_LAB_STACKS`` names a folder with the stacks; see ``test_real_stack.py``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.test_real_stack import VARIABLE
from tests.support.audits import adds_up, audit_of, by_du

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        VARIABLE not in os.environ, reason=f"{VARIABLE} names no folder with built stacks"
    ),
    pytest.mark.skipif(
        shutil.which("tar") is None or shutil.which("xz") is None, reason="needs tar and xz"
    ),
    pytest.mark.xdist_group("real-stack"),
]


def published(name: str) -> Path:
    folder = Path(os.environ[VARIABLE]) / name / "_artifacts"
    if not folder.is_dir():
        pytest.skip(f"there is no stack {name}")
    return folder


def listed(archive: Path) -> tuple[int, int]:
    """Bytes of all members, and how many aren't folders, as tar tells them."""
    command = ["tar", "--numeric-owner", "-tvf", archive]
    environment = {**os.environ, "LC_ALL": "C"}
    lines = subprocess.run(
        command, check=True, capture_output=True, env=environment
    ).stdout.splitlines()
    rows = [line.split(None, 5) for line in lines]
    return sum(int(row[2]) for row in rows if row[0][:1] == b"-"), sum(
        row[0][:1] != b"d" for row in rows
    )


@pytest.mark.parametrize("name", ["assistant", "science"])
def test_archives_are_counted_as_tar_lists_them(name: str) -> None:
    folder = published(name)
    found = audit_of(folder, findings=False)
    expected = {}
    for archive in sorted(folder.glob("*.tar.xz")):
        expected[archive.name] = (*listed(archive), archive.stat().st_size)
    told = {
        row.layer.archive.name: (row.size.unpacked, row.size.files, row.size.archive)
        for row in found.layers
        if row.layer.archive is not None
    }
    assert told == expected
    assert adds_up(found) == sum(size for size, _, _ in expected.values())


@pytest.mark.parametrize("name", ["assistant", "science"])
def test_a_deployed_stack_is_counted_as_du_does(name: str) -> None:
    folder = published(name).parent / "_deployed"
    if not folder.is_dir():
        pytest.skip(f"the stack {name} isn't deployed")
    assert adds_up(audit_of(folder, findings=False)) == by_du(folder)
