"""Which part of a large old file a part of the new one finds its content in."""

from __future__ import annotations

import random

import pytest

from slim.delta import places
from slim.delta.places import Follower
from slim.formats.base import BytesContent

WINDOW = 64 << 10
PART = 32 << 10
NOISE = random.Random(7).randbytes(1 << 20)
ELSE = random.Random(8).randbytes(1 << 20)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "DICTIONARY", WINDOW)


def share_found(old: bytes, new: bytes) -> float:
    """Return how much of the new file is in the windows of its parts, in pieces of 512 bytes."""
    follower = Follower(BytesContent(old), BytesContent(new))
    found = total = 0
    for offset in range(0, len(new), PART):
        length = min(PART, len(new) - offset)
        start, size = follower.window(offset, length)
        assert 0 <= start <= start + size <= len(old)
        window = old[start : start + size]
        pieces = [new[at : at + 512] for at in range(offset, offset + length, 512)]
        found += sum(piece in window for piece in pieces)
        total += len(pieces)
    return found / total


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(NOISE, NOISE, id="the same"),
        pytest.param(NOISE, NOISE[: 600 << 10], id="the end is gone"),
        pytest.param(NOISE, NOISE[400 << 10 :], id="the beginning is gone"),
        pytest.param(NOISE, NOISE + ELSE[:PART], id="a part more at the end"),
        pytest.param(NOISE[: 256 << 10], NOISE, id="it was the beginning"),
        pytest.param(NOISE, NOISE[: 256 << 10] + NOISE[700 << 10 :], id="the middle is gone"),
        pytest.param(
            NOISE,
            NOISE[: 200 << 10] + NOISE[220 << 10 : 500 << 10] + NOISE[800 << 10 :],
            id="two holes",
        ),
        pytest.param(
            NOISE,
            NOISE[: 300 << 10] + ELSE[: 100 << 10] + NOISE[300 << 10 :],
            id="something came in",
        ),
    ],
)
def test_what_is_still_there_is_found(old: bytes, new: bytes) -> None:
    present = sum(new[at : at + 512] in old for at in range(0, len(new), 512))
    assert share_found(old, new) >= 0.95 * present / -(-len(new) // 512)


def test_of_equal_windows_the_one_in_proportion() -> None:
    follower = Follower(BytesContent(bytes(1 << 20)), BytesContent(bytes(512 << 10)))
    assert follower.window(256 << 10, PART) == ((256 << 10) * 2 + PART - WINDOW // 2, WINDOW)


def test_a_small_old_file_is_all_of_the_dictionary() -> None:
    follower = Follower(BytesContent(NOISE[:WINDOW]), BytesContent(NOISE))
    assert follower.window(512 << 10, PART) == (0, WINDOW)


def test_paddings_decide_nothing() -> None:
    """Zeros are in every window; the few places with content decide."""
    old, new = bytearray(1 << 20), bytearray(512 << 10)
    old[300 << 10 : 301 << 10] = new[300 << 10 : 301 << 10] = NOISE[:1024]
    follower = Follower(BytesContent(bytes(old)), BytesContent(bytes(new)))
    start, length = follower.window(288 << 10, PART)
    assert start <= 300 << 10 < start + length
