"""Kinds of ELF files: larger pages, compressed symbol tables, separate debug files."""

from __future__ import annotations

import pytest

from slim.binaries.elf.edit import ElfEdit, plan_edit
from slim.verification.native.elf import check
from tests.support.elf_files import build

FILE = """
load 0x0 align {page}
section .dynsym dynsym 96 alloc align 8 link .dynstr
section .dynstr strtab 100 alloc
section .text progbits 5000 alloc align 16
end
load 0x40000 align {page}
section .data progbits 300 alloc align 8
end
section .comment progbits 40
{more}
section .symtab symtab 480 align 8 link .strtab
section .strtab strtab 900
"""


def dropped(head: str, level: str, page: str = "0x1000", more: str = "") -> list[str]:
    data = build(f"elf {head}{FILE.format(page=page, more=more)}")
    edit = plan_edit(data, level)
    assert isinstance(edit, ElfEdit), edit
    assert check(data, edit.data()) == []
    return [name for name, _ in edit.dropped]


@pytest.mark.parametrize(
    ("head", "page"),
    [
        ("64 little x86_64 shared", "0x1000"),
        ("64 little aarch64 shared", "0x10000"),
        ("64 little aarch64 executable", "0x10000"),
        ("32 little arm shared", "0x10000"),
        ("32 little i686 shared", "0x1000"),
        ("64 big s390x shared", "0x1000"),
        ("64 big ppc64 shared", "0x10000"),
    ],
)
def test_machines_and_their_pages(head: str, page: str) -> None:
    assert dropped(head, "unneeded", page) == [".comment", ".symtab", ".strtab"]


def test_a_machine_that_was_not_tried_is_left_alone() -> None:
    assert not isinstance(
        plan_edit(
            build(f"elf 64 little riscv shared{FILE.format(page='0x1000', more='')}"), "unneeded"
        ),
        ElfEdit,
    )


@pytest.mark.parametrize("level", ["debug", "unneeded"])
@pytest.mark.parametrize(
    "section",
    [
        ".gnu_debugdata",  # a compressed symbol table of its own (MiniDebugInfo)
        ".gnu_debuglink",
        ".gnu_debugaltlink",
        ".debug_info.dwo",  # split DWARF that stayed in the file
        ".debug_str_offsets",
        ".debug_addr",  # what a .dwo file refers to
        ".debug_gnu_pubnames",
        ".zdebug_line",
        ".gdb_index",
    ],
)
def test_debug_information_in_every_wrapping(section: str, level: str) -> None:
    assert section in dropped(
        "64 little x86_64 shared", level, more=f"section {section} progbits 700"
    )
