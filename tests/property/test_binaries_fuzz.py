"""Whatever the bytes are: no exception, and an edit that the oracle accepts or none at all."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fuzz.natives import hold_elf as hold
from tests.support.elf_files import build
from tests.support.examples import examples

BODY = """
load 0x10000 align 0x1000
section .dynsym dynsym 48 alloc align 8 link .dynstr
section .dynstr strtab 20 alloc
section .text progbits 64 alloc align 16
end
section .comment progbits 30
section .debug_info progbits 900
section .payload progbits 50 align 4
load 0x20000 align 0x1000
section .data progbits 64 alloc align 8
section .bss nobits 64 alloc align 8
end
section .symtab symtab 96 align 8 link .strtab
section .strtab strtab 90
"""
HOLE = BODY.replace("load 0x20000", "section .debug_line progbits 9000\nload 0x20000")
SEEDS = [
    build(f"elf {kind}{BODY}")
    for kind in (
        "64 little x86_64 shared",
        "32 little i686 executable",
        "64 big s390x shared",
        "32 big s390x executable",
    )
]
SEEDS.append(build(f"elf 64 little aarch64 shared{HOLE}"))
HEADERS = 64 + 2 * 56


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_the_seeds_are_editable(seed: int) -> None:
    assert hold(SEEDS[seed]) is not None


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_250_flipped_bytes(seed: int) -> None:
    data = SEEDS[seed]
    chance = random.Random(seed)
    table = len(data) - 13 * (64 if data[4] == 2 else 40)
    edits = 0
    for _ in range(250):
        # Half of the flips hit the headers: elsewhere hardly anything depends on a byte.
        low, high = chance.choice([(0, HEADERS), (table, len(data)), (0, len(data))])
        at = chance.randrange(low, high)
        edits += hold(data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]) is not None
    assert 0 < edits < 250


@settings(max_examples=examples(300), deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(
        st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6
    ),
    st.integers(0, 4000),
)
def test_patched_and_cut(data: bytes, patches: list[tuple[int, bytes]], cut: int) -> None:
    for at, patch in patches:
        at %= len(data)
        data = data[:at] + patch + data[at + len(patch) :]
    hold(data[: len(data) - cut] if cut < 200 else data)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.sampled_from(
        [b"", b"\x7fELF", b"\x7fELF\2\1\1", b"MZ", b"\xca\xfe\xba\xbe\0\0\0\2", b"!<arch>\n"]
    ),
    st.binary(),
)
@example(b"\xcf\xfa\xed\xfe", b"")
def test_arbitrary_bytes(start: bytes, rest: bytes) -> None:
    hold(start + rest)


def test_every_truncation() -> None:
    data = SEEDS[0]
    for size in range(0, len(data), 7):
        assert hold(data[:size]) is None
