"""Large pages for encoders' tables: asked for where there is such a thing, and never a reason to fail."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import pytest

from slim.formats import hugepages
from slim.model.limits import MIB

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")


def advised() -> int:
    """How many mappings of this process the kernel has the advice for (proc(5), VmFlags)."""
    text = Path("/proc/self/smaps").read_text(encoding="ascii", errors="replace")
    return sum(" hg" in line for line in text.splitlines() if line.startswith("VmFlags:"))


@linux
def test_large_private_memory_is_advised() -> None:
    if not Path("/sys/kernel/mm/transparent_hugepage/enabled").is_file():
        pytest.skip("this kernel has no transparent huge pages")
    before = advised()
    with mmap.mmap(-1, 64 * MIB, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE) as large:
        hugepages.advise()
        assert advised() > before
        large[:5] = b"still"
        assert large[:5] == b"still"


@linux
def test_small_memory_and_files_are_left_alone(tmp_path: Path) -> None:
    hugepages.advise()
    before = advised()
    place = tmp_path / "file"
    place.write_bytes(bytes(1))
    with place.open("r+b") as file:
        file.truncate(64 * MIB)
        with mmap.mmap(file.fileno(), 64 * MIB, access=mmap.ACCESS_COPY), mmap.mmap(-1, MIB):
            hugepages.advise()
            assert advised() == before


def test_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    hugepages.advise()
