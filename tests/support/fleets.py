"""Small fleets for tests, and what is left of them."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slim.fleet.process import TaskProcess
from tests.support.published_stacks import small_stack

FLEET = """\
schema = 1
name = "small"
output = "out/{release}/{stack}"
scratch_folder = "scratch"
scratch = "1 MB"

[[source]]
pattern = "stacks/*/_artifacts"
"""
SCRATCH = "SLIM_FLEET_SCRATCH"


def small_fleet(folder: Path, *names: str, more: str = "") -> Path:
    """Make a fleet of equal small stacks, and return its file."""
    made = small_stack(folder / "first")
    for name in names:
        shutil.copytree(made, folder / "stacks" / name / "_artifacts")
    shutil.rmtree(made)
    file = folder / "fleet.toml"
    file.write_text(FLEET + more, encoding="utf-8")
    return file


def contents(folder: Path) -> dict[str, str]:
    """Digests of all files below a folder, by path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def processes_of(folder: Path) -> list[int]:
    """Numbers of the processes whose scratch lies in a folder (proc(5)); only Linux tells."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                environ = (entry / "environ").read_bytes()
            except OSError:
                continue
            if f"{SCRATCH}={folder}/".encode() in environ:
                found.append(int(entry.name))
    return found


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("it didn't happen")
        time.sleep(0.02)


def nothing_left(folder: Path) -> None:
    """Assert that a fleet has left no process, no temporary file and no half output."""
    if sys.platform == "linux":
        until(lambda: not processes_of(folder / "scratch"))
    assert list((folder / "scratch").glob("*")) == []
    assert [path.name for path in folder.rglob(".slim-*") if path.name != ".slim-fleet"] == []
    assert list(Path(tempfile.gettempdir()).glob(f"slim-work-{os.getpid()}-*")) == []


@contextmanager
def first_child_killed(
    monkeypatch: pytest.MonkeyPatch, out: Path, kill: Callable[[TaskProcess], None]
) -> Iterator[list[str]]:
    """Kill the first child that has something staged below ``out``; yields the names of victims."""
    processes: dict[str, TaskProcess] = {}
    victims: list[str] = []
    over = threading.Event()
    begin = TaskProcess.__init__

    def started(self: TaskProcess, request: dict[str, object], scratch: Path) -> None:
        begin(self, request, scratch)
        processes[Path(str(request["output"])).name] = self

    def watch() -> None:
        while not over.wait(0.002):
            for staged in out.rglob(".slim-staging-*"):
                name = staged.name.removeprefix(".slim-staging-").partition(".")[0]
                if name in processes:
                    victims.append(name)
                    kill(processes[name])
                    return

    monkeypatch.setattr(TaskProcess, "__init__", started)
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield victims
    finally:
        over.set()
        thread.join()
