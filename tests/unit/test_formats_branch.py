"""The ARM64 branch filter against liblzma's own decoder."""

from __future__ import annotations

import lzma
import random
import shutil
import struct
import subprocess

import pytest

from slim.formats.compression.xz.arm64 import arm64_filter

BL, ADRP = 0x9400_0000, 0x9000_0000


def code(seed: int, count: int = 20_000) -> bytes:
    """Instructions, a good part of them of the two kinds that are filtered, with any distance."""
    source = random.Random(seed)
    words = [
        source.choice(
            (
                BL | source.getrandbits(26),
                ADRP | source.getrandbits(31) & 0x60FF_FFFF,
                # ADRP within the 512 MiB that are filtered, both ways
                ADRP
                | source.getrandbits(2) << 29
                | source.getrandbits(16) << 5
                | source.choice((0, 0x00E0_0000)),
                source.getrandbits(32),
            )
        )
        for _ in range(count)
    ]
    return struct.pack(f"<{count}I", *words)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tail", [b"", b"x", b"xyz"])
def test_as_xz_filters(seed: int, tail: bytes) -> None:
    xz = shutil.which("xz")
    if xz is None:
        pytest.skip("needs xz")
    data = code(seed) + tail
    done = subprocess.run(
        [xz, "--format=raw", "--arm64", "--lzma2=preset=0", "-c"], input=data, capture_output=True
    )
    if done.returncode:
        pytest.skip("this xz has no ARM64 filter")
    unfiltered = lzma.decompress(
        done.stdout, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 0}]
    )
    assert b"".join(arm64_filter([data])) == unfiltered
    assert unfiltered != data


@pytest.mark.parametrize("size", [1, 3, 4, 5, 4096, 1_000_003])
def test_pieces_of_any_size_are_filtered_alike(size: int) -> None:
    data = code(7, 5000) + b"ab"
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert b"".join(arm64_filter(pieces)) == b"".join(arm64_filter([data]))


def test_nothing_stays_nothing() -> None:
    assert b"".join(arm64_filter([])) == b""
