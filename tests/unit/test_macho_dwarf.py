"""Debugging information in a segment of its own: when its content goes, and what stays."""

from __future__ import annotations

import struct

import pytest

from slim.binaries.macho.edit import MachoEdit, plan_macho_edit, resign
from slim.binaries.refusal import NotEditable
from slim.verification.native.macho import check, check_layout
from tests.support.macho_files import LIBRARY, PAGE, build, command, fat, names, pattern, put

SIZE = 40_000
PAGES = 3 * PAGE
UNMAPPED = f"{LIBRARY}\ndwarf {SIZE} unmapped"
MAPPED = f"{LIBRARY}\ndwarf {SIZE} mapped"
VARIANTS = {
    "unmapped": UNMAPPED,
    "mapped": MAPPED,
    "chained": f"{UNMAPPED}\nchained",
    "unsigned": UNMAPPED.replace("signed linker libsample.dylib", ""),
    "signed twice": UNMAPPED.replace("signed linker", "signed twice"),
    "intel": MAPPED.replace("arm64", "x86_64").replace("signed linker libsample.dylib", ""),
    "program": UNMAPPED.replace("dylib\n", "executable\n", 1),
}
SEGMENT = "<2I16s4Q4I"


def edited(data: bytes, level: str = "unneeded") -> bytes:
    planned = plan_macho_edit(data, level)
    assert isinstance(planned, MachoEdit), planned
    assert check(data, planned.data()) == []
    return planned.data()


def segment(data: bytes, number: int) -> tuple[int, ...]:
    """Address, size in memory, offset, size in the file."""
    return tuple(struct.unpack_from("<4Q", data, command(data, 0x19, number) + 24))


def again(data: bytes) -> bytes:
    """The file with right page hashes, or as it is where the editor won't touch it."""
    found = resign(data)
    return found if isinstance(found, bytes) else data


@pytest.mark.parametrize("level", ["debug", "unneeded"])
@pytest.mark.parametrize("text", VARIANTS.values(), ids=VARIANTS)
def test_its_content_goes_and_its_place_in_memory_stays(text: str, level: str) -> None:
    data = build(text)
    assert check_layout(data) == []
    made = edited(data, level)
    assert len(data) - len(made) > PAGES
    assert pattern("dwarf", 40) not in made
    address, memory, offset, size = segment(data, 2)
    assert (size, segment(made, 2)) == (SIZE, (address, memory, offset, 0))
    before, after = segment(data, 3), segment(made, 3)
    assert after[0] == before[0] and after[2] == before[2] - PAGES == offset
    assert made[0x800 : 2 * PAGE] == data[0x800 : 2 * PAGE], "code and data"
    for number in range(2):
        row = struct.unpack_from("<32x2Q8I", made, command(made, 0x19, 2) + 72 + 80 * number)
        assert row[:3] == (address, 0, 0), "dyld wants sections to be inside of their segment"
    assert isinstance(plan_macho_edit(made, level), NotEditable), "nothing is left to do"


def test_what_goes_is_told() -> None:
    planned = plan_macho_edit(build(UNMAPPED), "debug")
    assert isinstance(planned, MachoEdit)
    assert dict(planned.dropped)["debugging information"] == PAGES
    assert planned.resigned


def test_symbols_need_not_go_with_it() -> None:
    bare = "\n".join(
        line for line in UNMAPPED.splitlines() if not line.startswith(("stab", "local"))
    )
    data = build(bare.replace("indirect _used_by_stub\n", ""))
    assert names(edited(data)) == names(data)


def test_in_universal_files() -> None:
    edited(fat(build(VARIANTS["intel"]), build(UNMAPPED)))


def section_flags(data: bytes, number: int) -> bytes:
    """The file with a section of the segment that isn't marked as debugging information."""
    return put(data, command(data, 0x19, 2) + 72 + 80 * number + 64, 0)


DATA = build(UNMAPPED)
REBASES = struct.unpack_from("<I", DATA, command(DATA, 0x80000022) + 8)[0]
BINDS = struct.unpack_from("<I", DATA, command(DATA, 0x80000022) + 16)[0]
KEPT = {
    "a section holds something else": section_flags(DATA, 1),
    "something is rebased in it": build(f"{MAPPED}\nfixed 2"),
    "something is chained in it": build(f"{MAPPED}\nfixed 2\nchained"),
    "an unknown opcode": put(DATA, REBASES, 0xE0, "<B"),
    "an opcode without its number": put(DATA, BINDS + 20, 0xC0, "<B"),
    "chains that aren't in their place": put(
        build(f"{UNMAPPED}\nchained"),
        build(f"{UNMAPPED}\nchained").index(struct.pack("<2I", 0, 28)) + 4,
        1 << 30,
    ),
    "bytes after it": put(DATA, 2 * PAGE + SIZE + 9, 1, "<B"),
    "another name": DATA.replace(b"__DWARF\0", b"__DWARFS"),
}


@pytest.mark.parametrize("data", KEPT.values(), ids=KEPT)
def test_what_may_be_needed_stays(data: bytes) -> None:
    """The symbols go all the same, or the file is left alone as a whole."""
    data = again(data)
    planned = plan_macho_edit(data, "unneeded")
    if isinstance(planned, MachoEdit):
        assert check(data, planned.data()) == []
        assert "debugging information" not in dict(planned.dropped)
        assert pattern("dwarf", 40) in planned.data()
    else:
        assert planned.reason


def without_content(data: bytes) -> bytes:
    """The work of an editor that doesn't look, on a file that isn't as the rules want it."""
    plain = build(MAPPED)
    made = bytearray(edited(plain))
    # The tables are as long as in the plain file, so they can be put in the place of its own.
    for kind in (0x80000022,):
        old, new = command(data, kind), command(plain, kind)
        for number in range(5):
            offset, size = struct.unpack_from("<2I", data, old + 8 + 8 * number)
            place = struct.unpack_from("<I", plain, new + 8 + 8 * number)[0] - PAGES
            if size:
                made[place : place + size] = data[offset : offset + size]
    return again(bytes(made))


def test_the_verifier_refuses_the_loss_of_what_is_written_to() -> None:
    data = build(f"{MAPPED}\nfixed 2")
    assert any(
        "the loader writes into" in problem for problem in check(data, without_content(data))
    )


GOOD = edited(DATA)
AT = command(GOOD, 0x19, 2)


@pytest.mark.parametrize(
    ("original", "damaged", "complaint"),
    [
        (
            again(section_flags(DATA, 0)),
            again(put(GOOD, AT + 72 + 64, 0)),
            "isn't debugging information",
        ),
        (DATA, again(put(GOOD, AT + 72 + 64, 0)), "load command 0x19"),
        (DATA, again(put(GOOD, AT + 24, PAGE * 2 + 8, "<Q")), "load command 0x19"),
        (DATA, again(put(GOOD, AT + 72 + 40, 8, "<Q")), "load command 0x19"),
        (DATA, again(put(GOOD, AT + 72 + 32, PAGE, "<Q")), "load command 0x19"),
        (again(put(DATA, 2 * PAGE + SIZE + 9, 1, "<B")), GOOD, "between debugging information"),
        (DATA, again(put(GOOD, REBASES - PAGES, 0x10, "<B")), "the rebases have changed"),
        (DATA, again(put(GOOD, PAGE + 5, 0, "<B")), "mapped bytes have changed"),
        (DATA, again(put(GOOD, command(GOOD, 0x19, 3) + 24, PAGE * 3, "<Q")), "load command 0x19"),
    ],
)
def test_the_verifier_finds_damage(original: bytes, damaged: bytes, complaint: str) -> None:
    assert check(DATA, GOOD) == []
    found = check(original, damaged)
    assert any(complaint in problem for problem in found), found
