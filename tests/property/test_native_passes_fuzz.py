"""Damaged native files of every format: left alone with a reason, or edited rightly.

In bounded time and memory.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.damaged_natives import MEGABYTES, PIECES

TOP = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc to bound memory")
@pytest.mark.parametrize("piece", range(PIECES))
@pytest.mark.parametrize("platform", ["linux_x86_64", "macosx_arm64"])
def test_500_damages_of_every_format(platform: str, piece: int) -> None:
    command = [sys.executable, "-m", "tests.support.damaged_natives", platform, str(piece)]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    told = done.stdout.splitlines()
    # Ended by SIGALRM: it hung. A MemoryError: the address space wasn't enough.
    assert done.returncode == 0, f"{told[-1:]} ended with {done.returncode}: {done.stderr[-2000:]}"
    edited, megabytes = map(int, told[-2:])
    assert edited > 20
    assert megabytes < MEGABYTES // 4
