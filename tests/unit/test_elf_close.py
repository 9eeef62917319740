"""Holes amid a library: what is closed, what stays where it was, and who keeps its holes."""

from __future__ import annotations

import io
import struct

import pytest
from elftools.elf.elffile import ELFFile

from slim.binaries.elf.edit import ElfEdit, plan_edit
from slim.binaries.refusal import NotEditable
from slim.verification.native.elf import check
from tests.support.elf_files import build, pattern

LIBRARY = """
elf 64 little x86_64 shared
load 0x10000 align 0x1000
section .dynsym dynsym 96 alloc align 8 link .dynstr
section .text progbits 200 alloc align 16
end
section .symtab symtab 24000 align 8 link .strtab
section .strtab strtab 12000
load 0x40000 align 0x1000
section .hash progbits 500 alloc align 8
end
section .debug_info progbits 9000
load 0x80000 align 0x1000
section .dynstr strtab 300 alloc
section .bss nobits 5000 alloc
end
section .payload progbits 700
"""
GONE = 24000 + 12000 + 9000


def edited(data: bytes, level: str = "unneeded") -> bytes:
    planned = plan_edit(data, level)
    assert isinstance(planned, ElfEdit), planned
    found = planned.data()
    assert len(found) == planned.size_after
    assert check(data, found) == []
    return found


def memory(data: bytes) -> dict[int, bytes]:
    """Loaded bytes by address, without the file's own headers."""
    found = {}
    for number, segment in enumerate(ELFFile(io.BytesIO(data)).iter_segments("PT_LOAD")):
        start = 64 + 3 * 56 if number == 0 else 0
        found[segment["p_vaddr"] + start] = segment.data()[start:]
    return found


def offsets(data: bytes) -> list[int]:
    return [segment["p_offset"] for segment in ELFFile(io.BytesIO(data)).iter_segments("PT_LOAD")]


@pytest.mark.parametrize("align", [0x1000, 0x4000])
@pytest.mark.parametrize(
    "head", ["64 little x86_64", "64 little aarch64", "64 big s390x", "32 little i686"]
)
def test_segments_move_up_by_whole_steps(head: str, align: int) -> None:
    text = LIBRARY.replace("64 little x86_64", head).replace("align 0x1000", f"align {align:#x}")
    data = build(text)
    found = edited(data)
    moves = [before - after for before, after in zip(offsets(data), offsets(found), strict=True)]
    assert moves[0] == 0 and moves[1] > 0 and moves[2] >= moves[1]
    assert all(move % align == 0 for move in moves)
    assert len(data) - len(found) > GONE - 3 * align - 200
    if head.startswith("64"):
        assert memory(found) == memory(data)
    names = {section.name for section in ELFFile(io.BytesIO(found)).iter_sections()}
    assert names == {"", ".dynsym", ".text", ".shstrtab", ".hash", ".dynstr", ".bss", ".payload"}
    assert pattern(".payload", 700) in found
    assert isinstance(plan_edit(found, "unneeded"), NotEditable), "nothing is left to do"


def test_only_debugging_information() -> None:
    data = build(LIBRARY)
    found = edited(data, "debug")
    assert offsets(found)[:2] == offsets(data)[:2]
    assert offsets(data)[2] - offsets(found)[2] == 0x1000


@pytest.mark.parametrize(
    "data",
    [
        build(LIBRARY.replace("shared", "executable")),
        build(LIBRARY.replace("align 0x1000", "align 0x10000")),
    ],
    ids=["program", "large pages"],
)
def test_other_files_keep_their_holes(data: bytes) -> None:
    planned = plan_edit(data, "unneeded")
    assert isinstance(planned, ElfEdit)
    assert check(data, planned.data()) == []
    assert planned.holes > 30_000
    assert offsets(planned.data()) == offsets(data)


ORIGINAL = build(LIBRARY)
GOOD = edited(ORIGINAL)


def moved(number: int, by: int) -> bytes:
    """Another place in the file for a segment."""
    at = 64 + 56 * number + 8
    value = struct.unpack_from("<Q", GOOD, at)[0] + by
    return GOOD[:at] + struct.pack("<Q", value) + GOOD[at + 8 :]


@pytest.mark.parametrize(
    ("damaged", "complaint"),
    [
        (moved(1, 8), "other than whole multiples"),
        (moved(2, -0x1000), "mapped bytes have changed"),
        (moved(2, -0x1000), "has another offset"),
        (moved(0, 0x1000), "segments overlap in the file"),
        (moved(0, 0x1000), "before the program headers' end"),
        (moved(2, 0x1000), "isn't wholly in the file"),
        (GOOD[:-1400], "broken"),
    ],
)
def test_the_verifier_finds_what_is_in_the_wrong_place(damaged: bytes, complaint: str) -> None:
    assert complaint in " ".join(check(ORIGINAL, damaged))


def test_the_verifier_wants_programs_as_they_were() -> None:
    """The same edit of a file that says it is a program."""
    program = ORIGINAL[:16] + b"\2" + ORIGINAL[17:]
    assert "segments of a program" in " ".join(check(program, GOOD[:16] + b"\2" + GOOD[17:]))
