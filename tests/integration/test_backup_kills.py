"""A run that is killed at a rename leaves no result without its backup; the next run succeeds."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.backup_runs import entries, put_back
from tests.support.published_stacks import small_stack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]


@pytest.mark.parametrize("there", [False, True])
def test_kills(tmp_path: Path, there: bool) -> None:
    source, output, store = (
        small_stack(tmp_path / "in"),
        tmp_path / "out",
        tmp_path / "kept.tar.zst",
    )
    slim = [
        sys.executable,
        "-m",
        "slim",
        "run",
        source,
        "-o",
        output,
        "--keep-removed",
        store,
        "--no-config",
        "-q",
    ]
    slim += ["--symbols", tmp_path / "symbols", "--force"]
    if there:
        subprocess.run(slim, check=True)
    killed = 0
    trace = tmp_path / "trace"
    # strace counts each system call by itself; a folder that is there already is exchanged by
    # renameat2.
    for call, number in [("rename", 1), ("rename", 2), ("rename", 3), ("renameat2", 1)]:
        strace = [
            "strace",
            "-f",
            "-o",
            trace,
            "-e",
            f"trace={call}",
            "-e",
            f"inject={call}:signal=KILL:when={number}",
        ]
        subprocess.run([*strace, *slim], check=False, capture_output=True)
        if "killed by SIGKILL" in trace.read_text():
            killed += 1
            assert store.exists() or not output.exists(), (call, number)
            if output.exists():
                put_back(store, output, tmp_path / f"back-{call}-{number}")
        if not there:
            subprocess.run(slim, check=True)
            put_back(store, output, tmp_path / f"again-{call}-{number}")
            shutil.rmtree(output)
            store.unlink()
    assert killed >= 3, "the index of symbols, the store, the result"
    subprocess.run(slim, check=True)
    put_back(store, output, tmp_path / "end")
    for path in source.glob("*.xz"):
        assert entries(tmp_path / "end" / path.name) == entries(path)
    assert not list(tmp_path.glob(".slim-*"))
