"""Entries that are compressed again: what they unpack to stays, and the oracle sees where not."""

from __future__ import annotations

import random
import struct

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from slim.binaries.gpu.edit import GpuEdit, plan_gpu_edit
from slim.binaries.gpu.read import read_gpu_code
from slim.binaries.gpu.recompress import unpack_lz4
from slim.binaries.refusal import NotEditable, Refused
from slim.model.gpu import GpuCompression
from slim.model.gpu_target import parse_target
from slim.verification.native.gpu import check
from tests.support.gpu_files import LTO, LZ4, PTX, ZSTD, entry, fatbin
from tests.support.gpu_libraries import Library

WORDS = b"".join(bytes([number % 7, 3, number % 11, 0]) for number in range(5000))


def more(number: int) -> bytes:
    """The bytes after a nibble of 15, for a length that is ``number`` above it."""
    return b"\xff" * (number // 255) + bytes([number % 255])


def sequence(literals: bytes, length: int = 0, back: int = 0) -> bytes:
    """Literals, and a match of ``length`` bytes that lies ``back`` bytes before, if not 0."""
    count, rest = len(literals), max(length - 4, 0)
    out = bytes([min(count, 15) << 4 | min(rest, 15)])
    out += (more(count - 15) if count >= 15 else b"") + literals
    if back:
        out += back.to_bytes(2, "little") + (more(rest - 15) if rest >= 15 else b"")
    return out


def lz4(plain: bytes) -> bytes:
    """A block of LZ4, made the simple way: the last place of each four bytes is remembered."""
    out, seen, start, at = b"", dict[bytes, int](), 0, 0
    while at + 12 < len(plain):
        word = plain[at : at + 4]
        before = seen.get(word, -1)
        seen[word] = at
        if before < 0 or at - before > 65535:
            at += 1
            continue
        length = 4
        while at + length < len(plain) - 5 and plain[before + length] == plain[at + length]:
            length += 1
        out += sequence(plain[start:at], length, at - before)
        at += length
        start = at
    return out + sequence(plain[start:])


def build(*entries: bytes) -> bytes:
    return Library(containers=[fatbin(*entries)]).build()


def recompressed(data: bytes, *names: str) -> bytes:
    targets = [parse_target(name) for name in names]
    made = plan_gpu_edit(data, targets, "none", recompress=True)
    assert isinstance(made, GpuEdit), made
    new = made.recipe.whole(data)
    assert len(new) == made.size_after
    return new


def plain(data: bytes) -> list[tuple[GpuCompression, bytes]]:
    """Compression and unpacked bytes of each entry, read without slim's unpackers."""
    code = read_gpu_code(data)
    assert code is not None
    assert not code.damage
    found = []
    for one in code.entries:
        stored = data[one.payload : one.payload + one.stored_size]
        if one.compression is GpuCompression.ZSTD:
            stored = zstandard.ZstdDecompressor().decompress(stored)
            assert len(stored) == one.size
        found.append((one.compression, stored))
    return found


def test_plain_and_lz4_entries_become_zstandard() -> None:
    packed = lz4(WORDS)
    data = build(
        entry(payload=WORDS),
        entry(arch=80, payload=packed, flags=0x11 | LZ4, unpacked=len(WORDS)),
        entry(PTX, payload=WORDS, header_size=80),
    )
    new = recompressed(data)
    assert plain(new) == [(GpuCompression.ZSTD, WORDS)] * 3
    assert check(data, new) == []
    before, after = read_gpu_code(data), read_gpu_code(new)
    assert before is not None
    assert after is not None
    assert [(one.kind, one.architecture, one.header_size) for one in after.entries] == [
        (one.kind, one.architecture, one.header_size) for one in before.entries
    ]
    assert {one.flags & (LZ4 | ZSTD) for one in after.entries} == {ZSTD}
    assert recompressed(data) == new, "the same input gives the same bytes"


def test_what_is_compressed_well_or_unknown_stays() -> None:
    noise = random.Random(1).randbytes(9000)
    frame = zstandard.compress(WORDS)
    data = build(
        entry(payload=WORDS * 2),
        entry(arch=80, payload=noise),
        entry(arch=86, payload=frame, flags=0x11 | ZSTD, unpacked=len(WORDS)),
        entry(LTO, payload=WORDS[:4000]),
    )
    new = recompressed(data)
    assert [kind for kind, _ in plain(new)] == [
        GpuCompression.ZSTD,
        GpuCompression.NONE,
        GpuCompression.ZSTD,
        GpuCompression.NONE,
    ]
    assert check(data, new) == []


def test_devices_and_compression_go_together() -> None:
    data = build(entry(payload=WORDS), entry(arch=80, payload=WORDS))
    new = recompressed(data, "sm_90")
    assert plain(new) == [(GpuCompression.ZSTD, WORDS)]
    assert check(data, new) == []


def test_lz4_that_is_damaged_is_refused() -> None:
    packed = bytearray(lz4(WORDS))
    data = build(entry(payload=bytes(packed), flags=0x11 | LZ4, unpacked=len(WORDS) + 1))
    made = plan_gpu_edit(data, [], "none", recompress=True)
    assert isinstance(made, NotEditable)
    assert "can't be unpacked as LZ4" in made.reason


@pytest.mark.parametrize("at", [0, 7, 100, -1])
def test_the_oracle_unpacks_what_was_compressed(at: int) -> None:
    data = build(entry(payload=WORDS), entry(arch=80, payload=WORDS))
    new = bytearray(recompressed(data))
    code = read_gpu_code(bytes(new))
    assert code is not None
    first = code.entries[0]
    new[first.payload + at % first.stored_size] ^= 0x40
    assert check(data, bytes(new))


@pytest.mark.parametrize("field", [0, 2, 24, 26, 28, 40, 41, 56])
def test_the_oracle_compares_headers_of_what_was_compressed(field: int) -> None:
    data = build(entry(payload=WORDS), entry(arch=80, payload=WORDS))
    new = bytearray(recompressed(data))
    code = read_gpu_code(bytes(new))
    assert code is not None
    new[code.entries[0].offset + field] ^= 1
    assert check(data, bytes(new))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([b"a", b"bc", b"\0" * 9, b"kernel", bytes(range(40))]), max_size=90)
)
def test_lz4_is_unpacked(parts: list[bytes]) -> None:
    whole = b"".join(parts)
    assert unpack_lz4(lz4(whole), len(whole)) == whole


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 5000))
def test_lz4_of_any_bytes_is_unpacked_to_its_size_or_refused(block: bytes, size: int) -> None:
    try:
        assert len(unpack_lz4(block, size)) == size
    except Refused:
        return


def test_large_matches_of_lz4_overlap_themselves() -> None:
    block = bytes([0x1F]) + b"x" + struct.pack("<H", 1) + bytes([255, 0]) + bytes([0x50]) + b"abcde"
    assert unpack_lz4(block, 1 + 274 + 5) == b"x" * 275 + b"abcde"
