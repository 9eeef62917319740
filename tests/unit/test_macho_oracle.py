"""The oracle of edited Mach-O files finds what is wrong: each case breaks an edit in one way.

Most damage is signed again afterwards, so that page hashes don't give it away.
"""

from __future__ import annotations

import hashlib
import struct

import pytest

from slim.binaries.macho.edit import MachoEdit, plan_macho_edit, resign
from slim.verification.native.macho import check, check_layout
from tests.support.macho_files import LIBRARY, PAGE, build, command, fat, pattern, put

TEXT = f"{LIBRARY}\ncommand 0x8000001C 0c000000 40727061 74680000".replace(
    "signed linker", "signed codesign"
)
ORIGINAL = build(TEXT)


def edit(data: bytes) -> bytes:
    planned = plan_macho_edit(data, "unneeded")
    assert isinstance(planned, MachoEdit), planned
    return planned.data()


GOOD = edit(ORIGINAL)
TEXT_AT, LINKEDIT = command(GOOD, 0x19), command(GOOD, 0x19, 2)
SYMTAB, DYSYMTAB, SIGNATURE = command(GOOD, 0x2), command(GOOD, 0xB), command(GOOD, 0x1D)
STARTS = command(GOOD, 0x26)
SYMBOLS, _, STRINGS, _ = struct.unpack_from("<4I", GOOD, SYMTAB + 8)
INDIRECT = struct.unpack_from("<I", GOOD, DYSYMTAB + 56)[0]
BLOB, BLOB_SIZE = struct.unpack_from("<2I", GOOD, SIGNATURE + 8)
DIRECTORY = BLOB + 12 + 3 * 8


def at(offset: int, value: int, layout: str = "<I") -> bytes:
    return put(GOOD, offset, value, layout)


def flip(offset: int) -> bytes:
    return at(offset, GOOD[offset] ^ 0x40, "<B")


def signed(data: bytes) -> bytes:
    """With right page hashes, so that something else has to be noticed."""
    found = resign(data)
    return found if isinstance(found, bytes) else _sign_by_hand(data)


def _sign_by_hand(data: bytes) -> bytes:
    """Files that the editor refuses."""
    hashes = struct.unpack_from(">I", data, DIRECTORY + 16)[0]
    changed = bytearray(data)
    for number, start in enumerate(range(0, BLOB, 4096)):
        place = DIRECTORY + hashes + 32 * number
        changed[place : place + 32] = hashlib.sha256(data[start : min(start + 4096, BLOB)]).digest()
    return bytes(changed)


def test_a_good_edit_has_no_problems() -> None:
    assert check(ORIGINAL, GOOD) == []
    assert check(memoryview(ORIGINAL), memoryview(GOOD)) == []
    assert check_layout(ORIGINAL) == check_layout(GOOD) == []


@pytest.mark.parametrize(
    ("damaged", "complaint"),
    [
        (flip(GOOD.index(pattern("text", 400)) + 77), "pages don't have their hash"),
        (flip(STRINGS + 5), "pages don't have their hash"),
        (signed(flip(GOOD.index(pattern("text", 400)) + 77)), "mapped bytes have changed"),
        (signed(flip(PAGE + 9)), "mapped bytes have changed"),
        (signed(flip(GOOD.index(pattern("bind", 32)))), "the binds have changed"),
        (signed(flip(GOOD.index(pattern("rebase", 16)))), "the rebases have changed"),
        (signed(flip(GOOD.index(pattern("lazy", 24)))), "the lazy binds have changed"),
        (signed(flip(GOOD.index(pattern("export", 48)))), "the exports have changed"),
        (signed(flip(GOOD.index(pattern("starts", 8)))), "the function starts have changed"),
        (signed(flip(GOOD.index(b"@rpath"))), "load command 0x8000001c"),
        (signed(flip(GOOD.index(pattern("uuid", 16)))), "load command 0x1b"),
        (signed(at(24, 0x84)), "header has changed"),
        (signed(at(TEXT_AT + 60, 7)), "load command 0x19"),
        (signed(flip(GOOD.index(b"_malloc"))), "symbols that others see have changed"),
        (signed(at(SYMBOLS + 16 * 2 + 8, 5, "<Q")), "symbols that others see have changed"),
        (signed(at(SYMBOLS + 16 * 2 + 6, 5, "<H")), "symbols that others see have changed"),
        (signed(at(SYMBOLS + 8, 5, "<Q")), "a local symbol isn't in the original"),
        (signed(at(SYMBOLS + 4, 0x0F, "<B")), "among the local ones"),
        (signed(at(SYMBOLS + 16 * 2 + 4, 0x0E, "<B")), "among the defined ones"),
        (signed(at(SYMBOLS + 16 * 6 + 4, 0x0F, "<B")), "among the undefined ones"),
        (signed(at(SYMBOLS + 16 * 6, 1 << 30)), "a symbol's name isn't in the table"),
        (signed(at(INDIRECT, 6)), "indirect symbols stand for others"),
        (signed(at(INDIRECT, 70)), "names a symbol that isn't there"),
        (signed(at(DYSYMTAB + 20, 2)), "symbol"),
        (signed(at(DYSYMTAB + 16, 3)), "aren't in that order"),
        (signed(at(DYSYMTAB + 68, 3)), "nobody writes any more"),
        (
            signed(at(STARTS + 8, struct.unpack_from("<I", GOOD, STARTS + 8)[0] - 8)),
            "overlap something",
        ),
        (signed(at(SYMTAB + 12, 900)), "aren't in"),
        (signed(at(LINKEDIT + 48, 64, "<Q")), "__LINKEDIT isn't the end of the file"),
        (signed(at(LINKEDIT + 32, 5 * PAGE, "<Q")), "grown in memory"),
        (signed(at(LINKEDIT + 32, PAGE - 8, "<Q")), "isn't a number of pages"),
        (signed(at(LINKEDIT + 40, PAGE, "<Q")), "overlap"),
        (at(SIGNATURE + 8, BLOB - 16), "signature is broken"),
        (at(DIRECTORY + 12, 0x10002, ">I"), "changed in more than its page hashes"),
        (at(DIRECTORY + 64 + 16, 1, ">Q"), "changed in more than its page hashes"),
        (at(DIRECTORY + 88, 0x41, "<B"), "changed in more than its page hashes"),
        (at(DIRECTORY + 32, BLOB - 16, ">I"), "the signature covers"),
        (at(DIRECTORY + 28, 3, ">I"), "longer than its hashes"),
        (at(DIRECTORY + 37, 7, "<B"), "unknown hashes"),
        (
            flip(GOOD.index(b"\xfa\xde\x0c\x01") + 9),
            "blob in slot 2 of the signature doesn't have its hash",
        ),
        (at(BLOB + 8, 2, ">I"), "other blobs than before"),
        (at(BLOB + 16, 1 << 20, ">I"), "doesn't lie in it"),
        (GOOD[:-16], "aren't in the file"),
        (GOOD[:200], "broken"),
        (b"", "can't be judged"),
        (b"\x7fELF" + bytes(60), "other machines"),
        (GOOD + bytes(len(ORIGINAL)), "isn't smaller"),
        (ORIGINAL, "isn't smaller"),
    ],
)
def test_damage_is_found(damaged: bytes, complaint: str) -> None:
    problems = check(ORIGINAL, damaged)
    assert any(complaint in problem for problem in problems), problems


def test_an_identity_may_not_be_replaced() -> None:
    for kind, complaint in (
        ("identity", "signed with an identity"),
        ("bare", "isn't signed ad hoc"),
    ):
        original = build(TEXT.replace("signed codesign", f"signed {kind}"))
        assert any(complaint in problem for problem in check(original, GOOD)), kind


def test_an_unsigned_image_may_not_become_a_signed_one() -> None:
    unsigned = build(TEXT.replace("signed codesign libsample.dylib", "local " + "x" * 19000))
    assert check(unsigned, GOOD) == ["the Mach-O header has changed"]
    assert check(ORIGINAL, edit(unsigned)) == ["the Mach-O header has changed"]


INTEL = build(LIBRARY.replace("arm64", "x86_64"))


def test_universal_files() -> None:
    both = fat(INTEL, ORIGINAL)
    assert check(both, fat(edit(INTEL), GOOD)) == []
    assert check(both, fat(INTEL, GOOD)) == []
    assert check(both, GOOD) == check(both, ORIGINAL) == check(both, edit(INTEL)) == []
    assert check(both, fat(GOOD, edit(INTEL))) == ["the images are for other machines than before"]
    assert check(both, fat(GOOD)) == ["the images are for other machines than before"]
    assert check(fat(INTEL), GOOD)[-1] == "the images are for other machines than before"
    moved = put(fat(edit(INTEL), GOOD), 8 + 8, PAGE + 4, ">I")
    assert "isn't where it may be" in check(both, moved)[0]


@pytest.mark.parametrize("size", range(0, len(GOOD), 997))
def test_no_truncation_is_accepted(size: int) -> None:
    assert check(ORIGINAL, GOOD[:size])
    assert check_layout(GOOD[:size])
