"""Separate debug files of damaged ELF files: bounded, whatever the headers say."""

from __future__ import annotations

import struct

import pytest

from slim.binaries.elf.debugfile import DebugFile, debug_file
from tests.support.elf_files import build, get

SAMPLE = build(
    """
    elf 64 little x86_64 shared
    load 0 align 0x1000
    section .text progbits 256 alloc
    end
    section .comment progbits 64
    """
)


def aligned(data: bytes, value: int) -> bytes:
    """The file with another alignment in every section header (Elf64_Shdr, sh_addralign)."""
    changed = bytearray(data)
    for number in range(1, get(data, "e_shnum")):
        struct.pack_into("<Q", changed, get(data, "e_shoff") + 64 * number + 48, value)
    return bytes(changed)


@pytest.mark.parametrize("value", [0, 1, 3, 4096, 1 << 17, 1 << 40, (1 << 64) - 1])
def test_an_alignment_of_any_size_takes_no_more_than_a_page(value: int) -> None:
    made = debug_file(aligned(SAMPLE, value))
    if isinstance(made, DebugFile):
        assert made.size < len(SAMPLE) + 4 * (1 << 16)
