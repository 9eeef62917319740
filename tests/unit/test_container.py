"""Memory and processors that control groups leave, told from folders like the kernel's."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

import slim
from slim.cli import main
from slim.errors import LimitError, OutOfMemoryError, StorageError
from slim.formats import encoders, format_by_name
from slim.formats.compression import memory as encoder_memory
from slim.model.settings import Effort
from slim.system import cpus
from slim.system.container import Allowance, allowance

GIB = 1 << 30
V2 = "0::/user.slice/pod.scope\n"
V1 = "5:memory:/docker/ab12\n4:cpu,cpuacct:/docker/ab12\n1:name=systemd:/docker/ab12\n"


def tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, "ascii")
    return folder


def v2(**files: str) -> dict[str, str]:
    named = {"memory": "memory.max", "cpu": "cpu.max"}
    found = {"proc/self/cgroup": V2}
    for key, text in files.items():
        kind, _, place = key.partition("_")
        folder = {"": "", "top": "", "slice": "user.slice/", "own": "user.slice/pod.scope/"}[place]
        found[f"sys/fs/cgroup/{folder}{named[kind]}"] = text
    return found


@pytest.mark.parametrize(
    ("files", "memory", "processors"),
    [
        ({}, None, None),
        ({"proc/self/cgroup": "nonsense\n::\n0\n"}, None, None),
        (v2(memory_own="2147483648\n", cpu_own="150000 100000\n"), 2 * GIB, 1.5),
        (v2(memory_own="max\n", cpu_own="max 100000\n"), None, None),
        (v2(memory_own="max\n", memory_slice="1073741824\n", cpu_slice="50000 100000"), GIB, 0.5),
        (v2(memory_own="4294967296\n", memory_slice="1073741824\n"), GIB, None),
        (v2(memory_top="536870912\n", cpu_top="200000 100000\n"), GIB // 2, 2.0),
        (v2(memory_own="", cpu_own="100000\n"), None, None),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/memory/docker/ab12/memory.limit_in_bytes": "3221225472\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/ab12/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/ab12/cpu.cfs_period_us": "100000\n",
            },
            3 * GIB,
            3.0,
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            GIB,
            None,
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            None,
            None,
        ),
        (
            {
                "proc/self/cgroup": "0::/../../outside\n",
                "sys/fs/cgroup/memory.max": "1073741824\n",
                "outside/memory.max": "1\n",
            },
            GIB,
            None,
        ),
    ],
)
def test_the_tightest_limit_counts(
    tmp_path: Path, files: dict[str, str], memory: int | None, processors: float | None
) -> None:
    found = allowance(tree(tmp_path, files))
    assert found == Allowance(memory=memory, processors=processors)


@pytest.mark.parametrize(("limit", "expected"), [(None, 8), (0.2, 1), (1.5, 2), (3.0, 3), (64, 8)])
def test_processors_of_a_container(
    monkeypatch: pytest.MonkeyPatch, limit: float | None, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(cpus, "allowance", lambda: Allowance(processors=limit))
    assert cpus.available_cpus() == expected


def test_memory_of_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpus, "allowance", lambda: Allowance(memory=GIB))
    assert cpus.total_memory() == GIB


@pytest.mark.parametrize(
    ("memory", "most"), [(0, 10), (GIB, 3), (2 * GIB, 8), (8 * GIB, 10), (256 * GIB, 64)]
)
def test_a_container_has_fewer_encoders_and_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, memory: int, most: int
) -> None:
    from slim.formats.compression.xz.settings import settings
    from slim.formats.compression.zstd import parameters

    effort = Effort()
    expected = settings(effort, "", native=False), parameters(effort).window_log
    monkeypatch.setattr(encoder_memory, "total_memory", lambda: memory)
    count = encoders(64, effort, format_by_name("tar.xz"))
    assert 1 <= count <= most
    assert not memory or count * 220_000_000 < memory
    assert (settings(effort, "", native=False), parameters(effort).window_log) == expected


def test_no_memory_is_a_limit_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    (tmp_path / "x.py").write_text("x = 1\n", "utf-8")
    monkeypatch.setattr("slim.inventory.scan.record_of", fail)
    assert main(["audit", str(tmp_path)]) == LimitError.exit_code == 4
    told = capsys.readouterr().err
    assert told.startswith("slim: limit: there is not enough memory\n  hint: give slim more memory")
    assert "bug" not in told


def test_the_systems_word_for_it_is_the_same_error() -> None:
    error = StorageError.from_os_error(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))
    assert isinstance(error, OutOfMemoryError)


def test_what_slim_itself_takes_leaves_less_for_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    effort, tar_xz = Effort(memory=2 * 10**9), format_by_name("tar.xz")
    usual = encoders(64, effort, tar_xz)
    monkeypatch.setattr(encoder_memory, "resident_memory", lambda: 900_000_000)
    assert 1 <= encoders(64, effort, tar_xz) < usual


def test_the_library_raises_it_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    (tmp_path / "x.py").write_text("x = 1\n", "utf-8")
    monkeypatch.setattr("slim.inventory.scan.record_of", fail)
    with pytest.raises(OutOfMemoryError):
        slim.audit(tmp_path)
