"""Runs, kills and runs again in any order.

What lies at the output is always one whole set, and the input is as it was.

A stateful test: hypothesis chooses what happens next. Each kill hits a process of its own at a
moment of chance.
"""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slim.cli import main
from tests.support.published_stacks import SITE, LayerSpec, distribution, publish, small_stack

_READY = "ready"
# Everything is loaded before it says so, so that a kill after that hits the run and not the start
# of Python.
_CHILD = f"""
import sys
import slim.pipeline.stages
from slim.cli import main
print({_READY!r}, flush=True)
sys.exit(main(sys.argv[1:]))
"""
_ROOT = Path(__file__).parents[2]
_KEPT = ("removed.tar.zst", "slimmed", "back")
_PROFILES = st.sampled_from(["safe", "standard", "aggressive"])


def digest(place: Path) -> str:
    """Names, types, modes and contents of what lies there; empty where nothing does."""
    if not place.exists():
        return ""
    state = hashlib.sha256()
    for path in sorted(place.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        row = f"{path.relative_to(place)} {path.lstat().st_mode:o} {len(content)}\n"
        state.update(row.encode() + content)
    return state.hexdigest()


def inodes(place: Path) -> Mapping[str, tuple[int, int, int, int]]:
    """What an input may not lose: the very same files, untouched."""
    found = {}
    for path in sorted((place, *place.rglob("*"))):
        status = path.lstat()
        found[str(path)] = (status.st_ino, status.st_nlink, status.st_mtime_ns, status.st_size)
    return found


class Runs(RuleBasedStateMachine):
    """Two stacks, one output."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="stateful-")
        self.top = Path(self._folder.name).resolve()
        self.out = self.top / "out"
        self.stacks = [self.top / "first", self.top / "second"]
        self.wanted: dict[tuple[int, str], str] = {}
        self.before: list[Mapping[str, tuple[int, int, int, int]]] = []
        self.possible = {""}
        self.durations = [0.3]
        self.chance = random.Random(0)

    @initialize(seed=st.integers(0, 1 << 30))
    def build(self, seed: int) -> None:
        self.chance = random.Random(seed)
        small_stack(self.stacks[0])
        files = distribution(
            "lib",
            {"lib/__init__.py": "x = 1\n", "lib/tests/test_x.py": "assert 1\n", "lib/x.pyi": ""},
        )
        large = {
            f"{SITE}/lib/data{number}.bin": self.chance.randbytes(200_000) for number in range(8)
        }
        publish(self.stacks[1], {"app-x": LayerSpec("application", {**files, **large})})
        self.before = [inodes(stack) for stack in self.stacks]

    def expected(self, which: int, profile: str) -> str:
        """The one set that this stack and profile give; worked out apart from the output."""
        key = (which, profile)
        if key not in self.wanted:
            place = self.top / "apart"
            started = time.monotonic()
            assert main(self.line(which, profile, place)) == 0
            self.durations.append(time.monotonic() - started)
            self.wanted[key] = digest(place)
        return self.wanted[key]

    def line(self, which: int, profile: str, out: Path) -> list[str]:
        return [
            "run",
            str(self.stacks[which]),
            "-o",
            str(out),
            "--force",
            "--profile",
            profile,
            "--unverified",
            "-q",
            "--no-config",
        ]

    @rule(which=st.integers(0, 1), profile=_PROFILES)
    def run(self, which: int, profile: str) -> None:
        wanted = self.expected(which, profile)
        assert main(self.line(which, profile, self.out)) == 0
        assert digest(self.out) == wanted
        self.possible = {wanted}
        left = {path.name for path in self.top.iterdir()} - {
            "first",
            "second",
            "out",
            "apart",
            *_KEPT,
        }
        assert left == set(), "a finished run leaves nothing behind, of killed ones neither"

    @rule(which=st.integers(0, 1), profile=_PROFILES, moment=st.floats(0, 1))
    def kill(self, which: int, profile: str, moment: float) -> None:
        wanted = self.expected(which, profile)
        command = [sys.executable, "-c", _CHILD, *self.line(which, profile, self.out)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as child:
            assert child.stdout is not None
            assert child.stdout.readline().strip() == _READY
            time.sleep(moment * max(self.durations))
            child.kill()
            ended = child.wait()
        assert ended in (0, -signal.SIGKILL)
        self.possible = {wanted} if ended == 0 else {*self.possible, wanted}
        assert digest(self.out) in self.possible
        self.possible = {digest(self.out)}

    @rule(which=st.integers(0, 1), profile=_PROFILES, moment=st.one_of(st.none(), st.floats(0, 1)))
    def restore(self, which: int, profile: str, moment: float | None) -> None:
        """What a run removed comes back, in spite of a restore before it that was killed."""
        store, slimmed, back = (self.top / name for name in _KEPT)
        store.unlink(missing_ok=True)
        assert main([*self.line(which, profile, slimmed), "--keep-removed", str(store)]) == 0
        line = [
            "restore",
            str(store),
            str(slimmed),
            "-o",
            str(back),
            "--force",
            "-q",
            "--no-config",
        ]
        if moment is not None:
            before = digest(back)
            with subprocess.Popen(
                [sys.executable, "-c", _CHILD, *line], stdout=subprocess.PIPE, cwd=_ROOT
            ) as child:
                assert child.stdout is not None
                child.stdout.readline()
                time.sleep(moment * max(self.durations))
                child.kill()
            killed = digest(back)
        assert main(line) == 0
        assert moment is None or killed in (before, digest(back))
        assert self.contents(back) == self.contents(self.stacks[which])

    @staticmethod
    def contents(stack: Path) -> dict[str, tuple[bytes, int, str]]:
        """Every member of every archive: type, mode, link and content."""
        found = {}
        for archive in sorted(stack.glob("*.tar.xz")):
            with tarfile.open(archive) as members:
                for info in members:
                    stream = members.extractfile(info) if info.isreg() else None
                    data = hashlib.sha256(stream.read()).hexdigest() if stream else info.linkname
                    found[info.name] = (info.type, info.mode, data)
        return found

    @precondition(lambda self: self.out.exists())
    @rule()
    def refuse_to_overwrite(self) -> None:
        line = [part for part in self.line(0, "safe", self.out) if part != "--force"]
        assert main(line) == 2

    @rule(which=st.integers(0, 1))
    def look(self, which: int) -> None:
        assert main(["run", str(self.stacks[which]), "--dry-run", "-q", "--no-config"]) == 0

    @invariant()
    def one_whole_set(self) -> None:
        assert digest(self.out) in self.possible

    @invariant()
    def input_as_it_was(self) -> None:
        assert [inodes(stack) for stack in self.stacks[: len(self.before)]] == self.before

    def teardown(self) -> None:
        self._folder.cleanup()


Runs.TestCase.settings = settings(
    max_examples=4, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.slow
class TestRuns(Runs.TestCase):  # type: ignore[misc, name-defined]
    """What pytest collects."""
