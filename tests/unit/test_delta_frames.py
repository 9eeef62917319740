"""Frames of a delta: what a dictionary is good for, and that nothing but the arguments decides."""

from __future__ import annotations

import random

import pytest

from slim.delta.frames import pack, unpack


def opened(packed: bytes, size: int, dictionary: bytes) -> bytes:
    return b"".join(unpack(memoryview(packed), size, dictionary, source="test"))


@pytest.mark.parametrize("start", [0, 6 << 20, 12 << 20])
def test_all_of_a_large_dictionary_is_found(start: int) -> None:
    """Its own tables, at this level, remember less than half of it."""
    dictionary = random.Random(1).randbytes(22 << 20)
    content = bytearray(dictionary[start : start + (9 << 20)])
    content[::4096] = bytes(len(content) // 4096)
    packed = pack(bytes(content), [dictionary])
    assert len(packed) < len(content) // 500
    assert opened(packed, len(content), dictionary) == content


@pytest.mark.parametrize("dictionary", [b"", b"old content " * 100])
@pytest.mark.parametrize("content", [b"", b"x", b"new content " * 100])
def test_small_contents(content: bytes, dictionary: bytes) -> None:
    packed = pack(content, [dictionary])
    assert packed == pack(content, [dictionary])
    assert opened(packed, len(content), dictionary) == content
