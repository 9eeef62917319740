"""Native files of each format and machine: code for ARM64, and what a delta sees of a file."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slim.binaries import may_be_native
from slim.delta.arm64 import arm64_references
from slim.delta.fields import BRANCH19, BRANCH26, FIELDS, LOW12, PAGE, Reference, value_of, write
from slim.delta.frames import quick_size
from slim.delta.moves import Moves, is_first_form, moved, parse
from slim.delta.native import native_images
from slim.delta.prediction import worthwhile_moves
from slim.delta.references import Kind, Layout, Region
from tests.support.macho_files import fat
from tests.support.moving_natives import ARM64, X86_64, library

AT, LOW, HIGH = 0x10000, 0x8000, 0x40000
"""Address of the code, lowest address, and the one after the highest."""
ADRP_X3 = 0x90000083
"""``adrp x3, 0x20000`` from there."""


CASES: list[tuple[str, list[int], list[Reference]]] = [
    ("bl", [0xD503201F, 0x94000003], [(4, BRANCH26, AT + 4, AT + 16)]),
    ("b back", [0xD503201F, 0x17FFFFFF], [(4, BRANCH26, AT + 4, AT)]),
    ("bl out of the file", [0x97FF0000], []),
    ("b.ne", [0x54000081], [(0, BRANCH19, AT, AT + 16)]),
    ("cbz back", [0xD503201F, 0xB4FFFFE5], [(4, BRANCH19, AT + 4, AT)]),
    ("adrp alone", [ADRP_X3, 0x910000A4], [(0, PAGE, AT, 0x20000)]),
    ("adrp out of the file", [0x90FFFF83], []),
    (
        "adrp, add",
        [ADRP_X3, 0x91048C63],
        [(0, PAGE, AT, 0x20123), (4, LOW12, AT, 0x20123)],
    ),
    (
        "adrp, two loads of 8 bytes",
        [ADRP_X3, 0xF9400465, 0xD503201F, 0xF9400866],
        [(0, PAGE, AT, 0x20008), (4, LOW12 + 3, AT, 0x20008), (12, LOW12 + 3, AT, 0x20010)],
    ),
    (
        "adrp, load of a byte, of 16 bytes",
        [ADRP_X3, 0x39400C64, 0x3DC00460],
        [(0, PAGE, AT, 0x20003), (4, LOW12, AT, 0x20003), (8, LOW12 + 4, AT, 0x20010)],
    ),
    (
        "a load after the register has another value",
        [ADRP_X3, 0xD2800003, 0xF9400465],
        [(0, PAGE, AT, 0x20000)],
    ),
    ("add that shifts its number", [ADRP_X3, 0x91448C64], [(0, PAGE, AT, 0x20000)]),
]


@pytest.mark.parametrize(
    ("words", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_references_of_arm64(words: list[int], expected: list[Reference]) -> None:
    for cut in (b"", b"\x94", b"\0\0\x94"):
        content = struct.pack(f"<{len(words)}I", *words) + cut
        assert list(arm64_references(content, 0, len(content), AT, LOW, HIGH)) == expected


def test_what_an_address_becomes() -> None:
    """The page changes, and the rest of the address, the registers don't."""
    content = struct.pack("<2I", ADRP_X3, 0xF9400465)
    layout = Layout(LOW, HIGH, (Region(Kind.ARM64, 0, 8, AT),))
    after = moved(content, [(layout, Moves([0x20000], [0x1FF8]))])
    assert after == struct.pack("<2I", 0xD0000083, 0xF9400065)  # 0x22000 instead of 0x20008


@given(st.integers(0, (1 << 64) - 1), st.data())
def test_only_the_bits_of_a_field_are_written(word: int, data: st.DataObject) -> None:
    form = data.draw(st.integers(0, len(FIELDS) - 1))
    value = value_of(form, data.draw(ADDRESSES), data.draw(ADDRESSES))
    content = bytearray(word.to_bytes(8, "little"))
    write(content, 0, form, value)
    size, mask = FIELDS[form]
    other = int.from_bytes(content, "little")
    assert (word ^ other) & ~mask == 0
    assert (other ^ value) & mask & (1 << 8 * size) - 1 == 0


ADDRESSES = st.integers(0, 1 << 40)


@given(st.lists(st.integers(0, (1 << 32) - 1), max_size=60), st.integers(-8, 8))
def test_what_moves_together_stays(words: list[int], pages: int) -> None:
    """Distances don't change, and neither do the rests of addresses, when all goes by pages."""
    content = struct.pack(f"<{len(words)}I", *words)
    layout = Layout(LOW, HIGH, (Region(Kind.ARM64, 0, len(content), AT),))
    assert moved(content, [(layout, Moves([0], [4096 * pages]))]) == content


# Files


@pytest.mark.parametrize("machine", [X86_64, ARM64])
@pytest.mark.parametrize("form", ["elf", "macho", "pe"])
def test_moves_of_each_format(form: str, machine: int) -> None:
    old = library(200, machine=machine, form=form)
    new = library(200, {10, 60, 150}, machine=machine, form=form)
    found = worthwhile_moves(old, new)
    assert found is not None and may_be_native(old)
    images = parse(found, len(old), source="p")
    assert quick_size(new, moved(old, images)) < 0.1 * quick_size(new, old)
    assert is_first_form(images) == ((form, machine) == ("elf", X86_64))


def test_moves_of_a_universal_file() -> None:
    old, new = (
        fat(*(library(200, longer, machine=one, form="macho") for one in (X86_64, ARM64)))
        for longer in ((), {10, 60, 150})
    )
    found = worthwhile_moves(old, new)
    assert found is not None and may_be_native(old)
    images = parse(found, len(old), source="p")
    assert len(images) == 2 and not is_first_form(images)
    assert quick_size(new, moved(old, images)) < 0.1 * quick_size(new, old)
    assert worthwhile_moves(old, library(200)) is None


def test_an_image_with_another_base() -> None:
    """What counts from the base stays, what has it in it follows."""
    old = library(100, form="pe")
    at = old.index(b"\x0b\x02") + 24
    new = bytearray(library(100, {5}, form="pe"))
    assert new[at : at + 8] == old[at : at + 8] == struct.pack("<Q", 0x180000000)
    new[at : at + 8] = struct.pack("<Q", 0x190000000)
    start = new.index(struct.pack("<Q", 0x180001200))
    for position in range(start, start + 800, 8):
        (word,) = struct.unpack_from("<Q", new, position)
        struct.pack_into("<Q", new, position, word + 0x10000000)
    found = worthwhile_moves(old, bytes(new))
    assert found is not None
    predicted = moved(old, parse(found, len(old), source="p"))
    assert predicted[-1200:-60] == new[-1200:-60]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"MZ",
        b"MZ" + bytes(100),
        library(9, form="pe")[:300],
        library(9, form="pe")[:2000],
        library(9, form="pe").replace(b"\x64\x86", b"\x4c\x01", 1),
        library(9, form="macho")[:20],
        library(9, form="macho")[:300],
        library(9, form="macho")[:2000],
        library(9, form="macho").replace(b"\7\0\0\1", b"\7\0\0\0", 1),
        b"\xca\xfe\xba\xbe\0\0\0\x34",  # a Java class
        fat(library(9, form="macho"))[:-9],
        fat(library(9)),
    ],
)
def test_no_images_of_what_isnt_known(content: bytes) -> None:
    assert native_images(content) == {}
