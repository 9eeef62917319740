"""Large pages for encoders' tables: asked for where there are any, and never a reason to fail."""

from __future__ import annotations

import ctypes
import mmap
import re
import sys
from pathlib import Path

import pytest

from slim.formats.compression.xz import hugepages
from slim.model.limits import MIB

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")


def is_advised(memory: mmap.mmap) -> bool:
    """True if the kernel has the advice for a mapping, or for the one that it was merged with.

    Source: proc(5), VmFlags.
    """
    first = ctypes.c_char.from_buffer(memory)
    address = ctypes.addressof(first)
    del first
    inside = False
    for line in Path("/proc/self/smaps").read_text(encoding="ascii", errors="replace").splitlines():
        found = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if found:
            inside = int(found[1], 16) <= address < int(found[2], 16)
        elif inside and line.startswith("VmFlags:"):
            return " hg" in line
    raise AssertionError("the mapping isn't in the list")


@linux
def test_large_private_memory_is_advised() -> None:
    if not Path("/sys/kernel/mm/transparent_hugepage/enabled").is_file():
        pytest.skip("this kernel has no transparent huge pages")
    with mmap.mmap(
        -1, 64 * MIB, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE
    ) as large:
        hugepages.advise()
        assert is_advised(large)
        large[:5] = b"still"
        assert large[:5] == b"still"


@linux
def test_shared_memory_and_files_are_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_bytes(bytes(1))
    with place.open("r+b") as file:
        file.truncate(64 * MIB)
        with (
            mmap.mmap(file.fileno(), 64 * MIB, access=mmap.ACCESS_COPY) as copied,
            mmap.mmap(-1, 64 * MIB) as shared,
        ):
            hugepages.advise()
            assert not is_advised(copied)
            assert not is_advised(shared)


def test_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    hugepages.advise()
