"""Moves of native files: which fields are references, what becomes of them, and their form."""

from __future__ import annotations

import random
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slim.binaries import may_be_native
from slim.delta.alignment import find_moves
from slim.delta.fields import ADDRESS, CHAINED, DISTANCE, SHORT_ADDRESS, Reference
from slim.delta.image import NativeImage
from slim.delta.moves import Moves, moved, parse, render
from slim.delta.native import native_images
from slim.delta.prediction import worthwhile_moves
from slim.delta.references import Kind, Layout, Region, references
from slim.errors import UnsafeInputError
from tests.support.moving_natives import ARM64, X86_64, library


def at(kind: Kind, content: bytes, address: int = 0x1000) -> Layout:
    """The whole content as one region, in a file that is loaded from 0x1000 to 0x3000."""
    return Layout(0x1000, 0x3000, (Region(kind, 0, len(content), address),))


CASES: list[tuple[str, Kind, bytes, list[Reference]]] = [
    ("call", Kind.X86_64, b"\x90\xe8\x10\0\0\0", [(2, DISTANCE, 0x1006, 0x1016)]),
    ("jump back", Kind.X86_64, b"\x90\x90\xe9\xfb\xff\xff\xff", [(3, DISTANCE, 0x1007, 0x1002)]),
    ("jump if", Kind.X86_64, b"\x0f\x84\x10\0\0\0", [(2, DISTANCE, 0x1006, 0x1016)]),
    ("load", Kind.X86_64, b"\x48\x8d\x3d\0\1\0\0", [(3, DISTANCE, 0x1007, 0x1107)]),
    ("call out of the file", Kind.X86_64, b"\xe8\0\0\0\1", []),
    ("call that is cut", Kind.X86_64, b"\x90\xe8\0\0", []),
    (
        "address of 4 bytes, not in so low a file",
        Kind.X86_64_FIXED,
        b"\xbf\0\x10\0\0",
        [],
    ),
    ("word", Kind.WORDS, bytes(8) + struct.pack("<Q", 0x2000), [(8, ADDRESS, 0, 0x2000)]),
    ("word, not an address", Kind.WORDS, struct.pack("<QQ", 0x3000, 1 << 60), []),
    (
        "frames",
        Kind.FRAMES,
        struct.pack("<II", 4, 0) + struct.pack("<IIiiI", 16, 8, 0x100, 8, 0) + bytes(8),
        [(16, DISTANCE, 0x1010, 0x1110)],
    ),
    (
        "frame with a table",
        Kind.FRAMES,
        struct.pack("<IIiiBi", 21, 8, 0x100, 8, 4, 0x200) + bytes(12),
        [(8, DISTANCE, 0x1008, 0x1108), (17, DISTANCE, 0x1011, 0x1211)],
    ),
    ("frames that are cut", Kind.FRAMES, struct.pack("<III", 100, 8, 0x100), []),
    (
        "index",
        Kind.FRAME_INDEX,
        bytes(12) + struct.pack("<ii", 0x40, 0x80),
        [(12, DISTANCE, 0x1000, 0x1040), (16, DISTANCE, 0x1000, 0x1080)],
    ),
    (
        "chained pointers, the second to another file",
        Kind.CHAINED,
        struct.pack("<QQQ", 0x2000 | 7 << 51, 0x2000 | 1 << 63, 0x3000),
        [(0, CHAINED, 0, 0x2000)],
    ),
    (
        "offsets from the image, the first into its headers",
        Kind.OFFSETS,
        struct.pack("<IIIB", 0xFFF, 0x1234, 0x2000, 0),
        [(4, DISTANCE, 0x1000, 0x2234)],
    ),
    (
        "addresses among constants",
        Kind.CONSTANTS,
        struct.pack("<QQ", 5, 0x2000),
        [(8, ADDRESS, 0, 0x2000)],
    ),
    (
        "index for unwinding: two entries, and an LSDA table of one",
        Kind.UNWIND_INDEX,
        struct.pack("<7I", 1, 28, 0, 28, 0, 28, 2)
        + struct.pack("<3I3I2I", 0x1100, 60, 52, 0x1200, 60, 60, 0x1110, 0x2000)
        + struct.pack("<2I", 0x1100, 0x1100),
        [
            (28, DISTANCE, 0, 0x1100),
            (40, DISTANCE, 0, 0x1200),
            (52, DISTANCE, 0, 0x1110),
            (56, DISTANCE, 0, 0x2000),
        ],
    ),
    (
        "index for unwinding, beyond its end",
        Kind.UNWIND_INDEX,
        struct.pack("<8I", 1, 28, 0, 28, 0, 28, 2, 0x1100),
        [],
    ),
    (
        "index for unwinding, of which the table is elsewhere",
        Kind.UNWIND_INDEX,
        struct.pack("<10I", 1, 28, 0, 28, 0, 28, 1, 0x1100, 0, 12),
        [(28, DISTANCE, 0, 0x1100)],
    ),
    ("index for unwinding that is cut", Kind.UNWIND_INDEX, bytes(27), []),
    ("nothing", Kind.PLAIN, b"\xe8\x10\0\0\0", []),
    ("empty", Kind.X86_64, b"", []),
]


@pytest.mark.parametrize(
    ("kind", "content", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_references(kind: Kind, content: bytes, expected: list[Reference]) -> None:
    assert list(references(content, at(kind, content))) == expected


def test_addresses_of_four_bytes() -> None:
    content = b"\xbf\x34\x12\x40\0\x90\xbe\0\0\x41\0"
    layout = Layout(0x400000, 0x500000, (Region(Kind.X86_64_FIXED, 0, 11, 0x400000),))
    assert list(references(content, layout)) == [
        (1, SHORT_ADDRESS, 0, 0x401234),
        (7, SHORT_ADDRESS, 0, 0x410000),
    ]


def test_a_table_of_jumps_ends_where_distances_of_code_do() -> None:
    code = b"\x48\x8d\x05\x09\0\0\0".ljust(16, b"\x90")
    content = code + struct.pack("<iii", -16, -9, 1234)
    layout = Layout(
        0x1000,
        0x3000,
        (Region(Kind.X86_64, 0, 16, 0x1000), Region(Kind.TABLES, 16, 12, 0x1010)),
    )
    assert list(references(content, layout)) == [
        (3, DISTANCE, 0x1007, 0x1010),
        (16, DISTANCE, 0x1010, 0x1000),
        (20, DISTANCE, 0x1010, 0x1007),
    ]


@pytest.mark.parametrize(
    ("address", "expected"), [(0, 0), (9, 9), (10, 15), (19, 24), (20, 17), (99, 96)]
)
def test_where_an_address_went(address: int, expected: int) -> None:
    assert Moves([10, 20], [5, -3]).of(address) == expected


def image_of(content: bytes) -> NativeImage:
    (image,) = native_images(content).values()
    return image


def test_moves_predict_the_new_file() -> None:
    """Every reference of code, constants and data follows; only what was inserted is unknown."""
    old, new = library(200), library(200, {10, 60, 150})
    before, after = image_of(old), image_of(new)
    predicted = moved(old, [(before.layout, find_moves(before, after))])
    assert sum(predicted.count(new[n : n + 64]) > 0 for n in range(0x200, 0x6000, 16)) > 1400
    assert sum(old.count(new[n : n + 64]) > 0 for n in range(0x200, 0x6000, 16)) < 300


def test_the_same_file_hasnt_moved() -> None:
    image = image_of(library(50))
    moves = find_moves(image, image)
    assert set(moves.distances) == {0}
    assert moved(image.content, [(image.layout, moves)]) == image.content


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"", b""),
        (b"\x7fELF", library(20)),
        (library(20), b"\x7fELF\2\1\1" + bytes(100)),
        (library(20), library(20, machine=40)),
        (library(20, machine=40), library(20, {3}, machine=40)),
        (library(20), library(20)[:-64]),
    ],
)
def test_no_moves_of_what_isnt_known(old: bytes, new: bytes) -> None:
    assert worthwhile_moves(old, new) is None


def test_moves_only_where_they_pay() -> None:
    assert worthwhile_moves(library(300), library(300)) is None
    form = worthwhile_moves(library(300), library(300, range(0, 300, 50)))
    assert form is not None and len(form) < 200
    assert may_be_native(library(1)) and not may_be_native(b"#!/bin/sh")


# The form


ADDRESSES = st.integers(0, 1 << 40)


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    regions, end = [], 0
    for _ in range(draw(st.integers(0, 4))):
        start, length = end + draw(st.integers(0, 20)), draw(st.integers(0, 200))
        address = draw(st.integers(0, 400) | ADDRESSES)
        regions.append(Region(draw(st.sampled_from(Kind)), start, length, address))
        end = start + length
    low = draw(st.sampled_from([0, 16, 1 << 16, 0x400000]))
    return Layout(low, low + draw(st.integers(1, 1 << 20)), tuple(regions))


@st.composite
def any_moves(draw: st.DrawFn) -> Moves:
    starts = sorted(draw(st.lists(ADDRESSES | st.integers(0, 500), max_size=8)))
    distance = st.integers(-(1 << 40), 1 << 40)
    distances = draw(st.lists(distance, min_size=len(starts), max_size=len(starts)))
    return Moves(starts, distances)


@given(st.lists(st.tuples(layouts(), any_moves()), min_size=1, max_size=3))
def test_the_form_is_read_as_it_was_written(images: list[tuple[Layout, Moves]]) -> None:
    images, size = apart(images)
    assert parse(render(images), size, source="p") == images
    if size:
        with pytest.raises(UnsafeInputError):
            parse(render(images), size - 1, source="p")


def apart(images: list[tuple[Layout, Moves]]) -> tuple[list[tuple[Layout, Moves]], int]:
    """The images one after another in a file, and the size of it."""
    placed, end = [], 0
    for layout, moves in images:
        regions = [replace(one, start=one.start + end) for one in layout.regions]
        placed.append((replace(layout, regions=tuple(regions)), moves))
        end = regions[-1].end if regions else end
    return placed, end


def test_no_more_images_than_a_file_has() -> None:
    image = (Layout(0, 1, ()), Moves([], []))
    assert parse(render([image] * 8), 9, source="p") == [image] * 8
    with pytest.raises(UnsafeInputError, match="9 images"):
        parse(render([image] * 9), 9, source="p")


@given(st.binary(max_size=1000), layouts(), any_moves())
def test_any_layout_and_moves_change_any_content(
    content: bytes, layout: Layout, moves: Moves
) -> None:
    """No size, no position and no distance is too much: what comes out has the same size."""
    content = content.ljust(layout.regions[-1].end if layout.regions else 0, b"\xe8")
    assert len(moved(content, [(layout, moves)])) == len(content)
    assert moved(content, [(layout, Moves([], []))]) == content


@given(st.binary(max_size=60), st.integers(0, 500))
def test_any_bytes_are_moves_or_refused(form: bytes, size: int) -> None:
    try:
        images = parse(form, size, source="p")
    except UnsafeInputError:
        return
    assert render(images) == form
    assert len(moved(bytes(size), images)) == size


@given(st.integers(0, 1 << 32))
def test_a_damaged_file_gives_moves_or_none(seed: int) -> None:
    chance = random.Random(seed)
    form = chance.choice(("elf", "macho", "pe"))
    machine = chance.choice((X86_64, ARM64))
    contents = [bytearray(library(12, longer, machine=machine, form=form)) for longer in ((), {4})]
    for content in contents:
        for _ in range(chance.choice((0, 1, 8, 64))):
            end = chance.choice((64, len(content)))
            start = chance.choice((0, len(content) - 6 * 64, len(content) - end))
            position = max(0, start) + chance.randrange(end)
            content[position % len(content)] = chance.choice((0, 1, 0x7F, 0xFF, 64))
        if chance.random() < 0.2:
            del content[chance.randrange(len(content)) :]
    old, new = map(bytes, contents)
    found = worthwhile_moves(old, new)
    if found is not None:
        assert len(moved(old, parse(found, len(old), source="p"))) == len(old)
