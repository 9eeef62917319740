"""Any bytes as a Mach-O file: no exception, and an edit that the oracle accepts or none."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slim.binaries.macho.edit import resign
from tests.fuzz.natives import hold_macho as hold
from tests.support.examples import examples
from tests.support.macho_files import LIBRARY, build, command, fat

UNSIGNED = LIBRARY.replace("arm64", "x86_64").replace("signed linker libsample.dylib", "")
SEEDS = [
    build(LIBRARY),
    build(UNSIGNED + "chained"),
    build(LIBRARY.replace("signed linker", "data-in-code 8\nsigned twice")),
    fat(build(UNSIGNED), build(LIBRARY)),
    build(f"{LIBRARY}\ndwarf 3000 mapped"),
    build(f"{UNSIGNED}\ndwarf 3000 unmapped\nchained"),
    fat(build(LIBRARY.replace("signed linker", "signed codesign")), wide=True),
]


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_the_seeds_are_editable(seed: int) -> None:
    assert hold(SEEDS[seed])


def _places(data: bytes) -> list[tuple[int, int]]:
    """The ranges on which everything depends: headers, and the last segment of the first image."""
    start = struct.unpack_from(">I", data, 16)[0] if data[:4] == b"\xca\xfe\xba\xbe" else 0
    start = struct.unpack_from(">Q", data, 16)[0] if data[:4] == b"\xca\xfe\xba\xbf" else start
    image = data[start:]
    segments = 4 if b"__DWARF" in image[:2000] else 3
    head = start + 32 + struct.unpack_from("<I", image, 20)[0]
    linkedit = start + struct.unpack_from("<Q", image, command(image, 0x19, segments - 1) + 40)[0]
    return [
        (0, 60),
        (start, head),
        (start, head),
        (linkedit, min(linkedit + 1500, len(data))),
        (0, len(data)),
    ]


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_100_flipped_bytes(seed: int) -> None:
    data = SEEDS[seed]
    chance = random.Random(seed)
    edits = 0
    for _ in range(100):
        low, high = chance.choice(_places(data))
        at = chance.randrange(low, high)
        flipped = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        edits += hold(flipped)
        # With right page hashes, the same damage gets further.
        again = resign(flipped)
        if isinstance(again, bytes):
            hold(again)
    # In a signed file every byte counts: hardly any flip goes unnoticed.
    assert edits < 100


@settings(max_examples=examples(150), deadline=None)
@given(
    st.integers(0, len(SEEDS) - 1),
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 1 << 16), st.binary(min_size=1, max_size=8)),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 4000),
)
def test_patched_and_cut(seed: int, patches: list[tuple[int, int, bytes]], cut: int) -> None:
    data = SEEDS[seed]
    places = _places(data)
    for place, at, patch in patches:
        low, high = places[place]
        at = low + at % (high - low)
        data = data[:at] + patch + data[at + len(patch) :]
    hold(data[: len(data) - cut] if cut < 200 else data)


@settings(max_examples=examples(150), deadline=None)
@given(
    st.sampled_from(
        [
            b"",
            b"\xcf\xfa\xed\xfe",
            SEEDS[0][:32],
            b"\xca\xfe\xba\xbe\0\0\0\1",
            b"\xca\xfe\xba\xbf\0\0\0\2",
        ]
    ),
    st.binary(),
)
def test_arbitrary_bytes(start: bytes, rest: bytes) -> None:
    hold(start + rest)


@pytest.mark.parametrize("seed", [0, 3])
def test_truncations(seed: int) -> None:
    data = SEEDS[seed]
    for size in [*range(0, 700, 31), *range(700, len(data), 1511)]:
        hold(data[:size])
