"""The oracle of edited ELF files finds what is wrong: each case breaks an edit in one way."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from slim.binaries.elf.edit import ElfEdit, plan_edit
from slim.verification.native.elf import check
from tests.support.elf_files import build, get, pattern, put

TEXT = """
elf 64 little x86_64 shared
load 0x10000 align 0x1000
section .dynsym dynsym 48 alloc align 8 link .dynstr
section .dynstr strtab 20 alloc
end
section .debug_info progbits 3000
section .payload progbits 64 align 16
load 0x20000 align 0x1000
section .text progbits 200 alloc align 16
section .bss nobits 4096 alloc align 16
end
section .symtab symtab 480 align 8 link .strtab
section .strtab strtab 900
"""
ORIGINAL = build(TEXT)


def good() -> bytes:
    planned = plan_edit(ORIGINAL, "unneeded")
    assert isinstance(planned, ElfEdit)
    return planned.data()


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :]


def section(name: str, at: int, value: int) -> Callable[[bytes], bytes]:
    """Change a 64-bit field of a section header, found by its original number."""
    number = 1 + [
        line.split()[1] for line in TEXT.splitlines() if line.startswith("section")
    ].index(name)

    def change(data: bytes) -> bytes:
        place = get(data, "e_shoff") + number * 64 + at
        return data[:place] + struct.pack("<Q", value) + data[place + 8 :]

    return change


def test_a_good_edit_has_no_problems() -> None:
    assert check(ORIGINAL, good()) == []
    assert check(memoryview(ORIGINAL), memoryview(good())) == []


@pytest.mark.parametrize(
    ("name", "damage", "complaint"),
    [
        (
            "mapped byte",
            lambda data: flip(data, data.index(pattern(".text", 200)) + 77),
            "mapped bytes have changed",
        ),
        ("program header", lambda data: flip(data, 64 + 8), "program headers"),
        ("entry point", lambda data: put(data, "e_entry", 5), "e_entry"),
        ("machine", lambda data: put(data, "e_machine", 183), "e_machine"),
        ("padding in e_ident", lambda data: flip(data, 12), "e_ident"),
        ("image cut short", lambda data: data[:1000], "broken"),
        ("no sections", lambda data: put(put(data, "e_shnum", 0), "e_shoff", 0), "missing"),
        ("lost payload section", lambda data: data.replace(b".payload", b".comment"), "lost"),
        ("changed payload", lambda data: data.replace(pattern(".payload", 64), bytes(64)), "lost"),
        ("section address", section(".text", 16, 0x20001), "another address"),
        ("section size", section(".text", 32, 100), "another size"),
        ("section flags", section(".text", 8, 0), "another flags"),
        ("bss size", section(".bss", 32, 1), "another size"),
        ("section link", lambda data: section(".dynsym", 40, 3)(data), "linked to another section"),
        ("grown", lambda data: data + bytes(len(ORIGINAL)), "isn't smaller"),
        ("sections beyond the end", lambda data: put(data, "e_shoff", 1 << 62), "broken"),
        ("names beyond the end", lambda data: put(data, "e_shstrndx", 99), "broken"),
        ("not ELF", lambda data: b"MZ" + data, "broken"),
        ("empty", lambda data: b"", "broken"),
    ],
)
def test_damage_is_found(name: str, damage: Callable[[bytes], bytes], complaint: str) -> None:
    broken = damage(good())
    assert broken != good(), name
    assert complaint in " ".join(check(ORIGINAL, broken))


def test_renumbered_sections_are_found() -> None:
    """Symbols refer to sections by number: in another order they make another program."""
    data = bytearray(good())
    table = get(good(), "e_shoff")
    first, second = table + 64, table + 128
    data[first : first + 64], data[second : second + 64] = (
        data[second : second + 64],
        data[first : first + 64],
    )
    assert "number 1" in " ".join(check(ORIGINAL, bytes(data)))


def test_a_lost_payload_is_found() -> None:
    assert "a payload is lost" in " ".join(check(ORIGINAL + b"payload", good()))
    assert "a payload is lost" in " ".join(check(ORIGINAL + bytes(99), good()))


def test_a_lost_payload_between_sections_is_found() -> None:
    original = build(TEXT.replace("section .symtab", "bytes 30\nsection .symtab"))
    assert "a payload is lost" in " ".join(check(original, good()))


def test_a_segment_out_of_step_with_its_address_is_found() -> None:
    """Both files are wrong in the same way: still no file to publish."""
    place = 64 + 56 + 16
    shift = struct.pack("<Q", struct.unpack_from("<Q", ORIGINAL, place)[0] + 1)
    original = ORIGINAL[:place] + shift + ORIGINAL[place + 8 :]
    edited = good()[:place] + shift + good()[place + 8 :]
    assert "isn't aligned with its address" in " ".join(check(original, edited))


@pytest.mark.parametrize(
    "data", [b"", b"\x7fELF", ORIGINAL[:100], put(ORIGINAL, "e_shoff", 1 << 63)]
)
def test_an_unreadable_original_is_said_to_be_one(data: bytes) -> None:
    (problem,) = check(data, good())
    assert problem.startswith("the original can't be judged")
