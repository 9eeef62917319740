"""Mapped files take little memory, however much of them is looked at."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from slim.formats.spool import SliceContent, Spool
from slim.system.mapped import passing

MIB = 1 << 20
SIZE = 96 * MIB
MOST = 40 * MIB


def mapped(folder: Path) -> int:
    """Bytes of a folder's spool files that are in memory for this process (proc(5), smaps)."""
    total, counts = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        key, _, value = line.partition(":")
        if "-" in key.split(" ")[0] and key[0] in "0123456789abcdef":
            counts = str(folder) in line
        elif counts and key == "Rss":
            total += int(value.split()[0]) * 1024
    return total


def in_chunks(content: SliceContent) -> None:
    for chunk in content.chunks():
        hashlib.sha256(chunk)


def as_a_view(content: SliceContent) -> None:
    hashlib.sha256(content.view())


def handed_on(content: SliceContent) -> None:
    for piece in passing([content.data]):
        hashlib.sha256(piece)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/smaps")
@pytest.mark.parametrize("look", [in_chunks, as_a_view, handed_on])
@pytest.mark.parametrize("size", [100_000, 7 * MIB])
def test_memory_is_given_back_across_files(
    tmp_path: Path, look: Callable[[SliceContent], None], size: int
) -> None:
    with Spool(tmp_path) as spool:
        for number in range(SIZE // MIB):
            spool.write(bytes([number]) * MIB)
        view = spool.view()
        most = 0
        for start in range(0, SIZE - size, size):
            look(SliceContent(view[start : start + size]))
            most = max(most, mapped(tmp_path)) if start // size % 8 == 0 else most
        assert 0 < most < MOST
        assert {view[number * MIB] for number in range(SIZE // MIB)} == set(range(SIZE // MIB)), (
            "nothing was lost"
        )
        spool.forget()
        assert mapped(tmp_path) == 0
        view.release()
