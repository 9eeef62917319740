"""Planning and carrying out ELF edits, on files built from text."""

from __future__ import annotations

import io
import struct

import pytest
from elftools.elf.elffile import ELFFile

from slim.binaries.elf.edit import ElfEdit, NotEditable, RefusalKind, plan_edit
from slim.verification.native.elf import check
from tests.support.elf_files import build, get, pattern, put

PLAIN = """
load 0x10000 align 0x1000
section .dynsym dynsym 48 alloc align 8 link .dynstr
section .dynstr strtab 20 alloc
section .text progbits 200 alloc align 16
end
section .comment progbits 30
section .debug_info progbits 3000
section .debug_str progbits 500
section .symtab symtab 480 align 8 link .strtab
section .strtab strtab 900
"""
SMALL = "elf 64 little x86_64 shared" + PLAIN

GRAFTED = """
elf 64 little x86_64 shared
load 0x10000 align 0x1000
section .text progbits 200 alloc align 16
end
section .comment progbits 30
section .symtab symtab 480 align 8 link .strtab
section .strtab strtab 900
load 0x20000 align 0x1000
section .dynsym dynsym 48 alloc align 8 link .dynstr
section .dynstr strtab 20 alloc
end
section .debug_info progbits 3000
"""
"""What patchelf makes: the dynamic strings have moved behind the symbols."""


def edit(data: bytes, level: str = "unneeded") -> ElfEdit:
    planned = plan_edit(data, level)
    assert isinstance(planned, ElfEdit), planned
    return planned


def edited(data: bytes, level: str = "unneeded") -> bytes:
    """The edited file, which the oracle has seen and which a second edit leaves alone."""
    planned = edit(data, level)
    result = planned.data()
    assert len(result) == planned.recipe.size == planned.size_after < len(data)
    assert check(data, result) == []
    again = plan_edit(result, level)
    assert isinstance(again, NotEditable)
    assert again.kind is RefusalKind.NOTHING_GAINED
    return result


def refusal(data: bytes, level: str = "unneeded") -> NotEditable:
    planned = plan_edit(data, level)
    assert isinstance(planned, NotEditable), planned
    return planned


def sections(data: bytes) -> list[str]:
    """Section names in order, as pyelftools reads them; ``-`` for unused entries."""
    return [section.name or "-" for section in ELFFile(io.BytesIO(data)).iter_sections()][1:]


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("kind", ["shared", "executable"])
def test_every_class_and_byte_order(bits: int, order: str, kind: str) -> None:
    machine = {("little", 32): "i686", ("little", 64): "x86_64"}.get((order, bits), "s390x")
    data = build(f"elf {bits} {order} {machine} {kind}{PLAIN}")
    assert sections(edited(data)) == [".dynsym", ".dynstr", ".text", ".shstrtab"]


@pytest.mark.parametrize(
    ("level", "left"),
    [
        ("unneeded", [".dynsym", ".dynstr", ".text", ".shstrtab"]),
        (
            "debug",
            [
                ".dynsym",
                ".dynstr",
                ".text",
                ".comment",
                "-",
                "-",
                ".symtab",
                ".strtab",
                ".shstrtab",
            ],
        ),
    ],
)
def test_levels(level: str, left: list[str]) -> None:
    assert sections(edited(build(SMALL), level)) == left


def test_kept_symbols_keep_their_links_strings_and_bytes() -> None:
    elf = ELFFile(io.BytesIO(edited(build(SMALL), "debug")))
    symbols = elf.get_section_by_name(".symtab")
    assert symbols.data() == pattern(".symtab", 480)
    assert symbols["sh_offset"] % 8 == 0
    strings = elf.get_section(symbols["sh_link"])
    assert (strings.name, strings.data()) == (".strtab", pattern(".strtab", 900))


def test_what_goes_is_named_with_its_bytes() -> None:
    planned = edit(build(SMALL), "debug")
    assert planned.dropped == ((".debug_info", 3000), (".debug_str", 500))
    assert planned.holes == 0


def test_level_none_gains_nothing() -> None:
    assert refusal(build(SMALL), "none").kind is RefusalKind.NOTHING_GAINED


def test_an_unknown_level_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="unneeded"):
        plan_edit(build(SMALL), "everything")


def test_only_the_header_and_what_follows_the_image_changes() -> None:
    data = build(SMALL)
    result = edited(data)
    end = data.index(pattern(".text", 200)) + 200
    changed = {at for at in range(end) if data[at] != result[at]}
    shoff, shnum, shstrndx = range(0x28, 0x30), range(0x3C, 0x3E), range(0x3E, 0x40)
    assert changed <= {*shoff, *shnum, *shstrndx}


@pytest.mark.parametrize(
    "name",
    [
        ".payload",
        ".note.custom",
        ".ARM.attributes",
        ".note.stapsdt",
        ".qtmetadata",
        ".debugger",
        ".symtable",
        ".stabilizer",
        ".debug_payload",
        ".zdebug_of_mine",
        ".symtab",  # no symbol table by its type
        ".annobin.payload",
        ".gnu.build.attributes",
        ".gnu.lto_payload",
        ".rela.debug_info",
        ".comments",
    ],
)
def test_sections_that_slim_does_not_know_stay(name: str) -> None:
    data = build(SMALL + f"section {name} progbits 333 align 32\n")
    section = ELFFile(io.BytesIO(edited(data))).get_section_by_name(name)
    assert section.data() == pattern(name, 333)
    assert section["sh_offset"] % 32 == 0


def test_a_symbol_table_by_another_name_is_not_the_static_one() -> None:
    data = build(
        SMALL
        + "section .my_symbols symtab 96 align 8 link .my_strings\nsection .my_strings strtab 70\n"
    )
    assert {".my_symbols", ".my_strings"} <= set(sections(edited(data)))


@pytest.mark.parametrize("level", ["debug", "unneeded"])
def test_names_and_symbols_may_share_one_string_table(level: str) -> None:
    """Files as LLVM's tools write them."""
    data = build(SMALL)
    number = sections(data).index(".shstrtab") + 1
    symbols = get(data, "e_shoff") + (sections(data).index(".symtab") + 1) * 64
    data = data[: symbols + 40] + struct.pack("<I", number) + data[symbols + 44 :]
    left = sections(edited(data, level))
    assert (".symtab" in left) == (level == "debug")
    assert ".shstrtab" in left


def test_relocations_outside_of_the_image_keep_their_symbols() -> None:
    data = build(SMALL + "section .rela.text rela 48 align 8 link .symtab info .text\n")
    left = sections(edited(data))
    assert {".rela.text", ".symtab", ".strtab"} <= set(left)
    assert ".debug_info" not in left


def test_relocations_of_dropped_sections_go_with_them() -> None:
    data = build(SMALL + "section .rela.debug_info rela 48 align 8 link .symtab info .debug_info\n")
    assert sections(edited(data)) == [".dynsym", ".dynstr", ".text", ".shstrtab"]


def test_a_loaded_section_may_have_been_linked_to_what_goes() -> None:
    """In a static program .rela.plt refers to .symtab."""
    data = build(
        SMALL.replace(
            ".text progbits 200 alloc align 16", ".text progbits 200 alloc align 16 link .symtab"
        )
    )
    assert ELFFile(io.BytesIO(edited(data))).get_section_by_name(".text")["sh_link"] == 0


def test_debug_sections_that_are_loaded_stay() -> None:
    data = build(SMALL.replace("end\n", "section .debug_gdb_scripts progbits 40 alloc\nend\n", 1))
    assert ".debug_gdb_scripts" in sections(edited(data))


def test_sections_amid_the_image_become_zeros_and_keep_the_numbers_of_the_others() -> None:
    data = build(GRAFTED)
    planned, result = edit(data), edited(data)
    assert sections(result) == [".text", ".shstrtab", "-", "-", ".dynsym", ".dynstr"]
    at = data.index(pattern(".strtab", 900))
    assert pattern(".strtab", 900)[-300:] not in result
    assert result[at + 800 : at + 900] == bytes(100)
    assert 0 < planned.holes <= 30 + 480 + 900
    end = data.index(pattern(".dynstr", 20)) + 20
    assert len(result) == end, "the table fits into the hole, so the file ends with the image"


def test_padding_does_not_split_a_hole() -> None:
    text = GRAFTED.replace("symtab 480 align 8", "symtab 300 align 8").replace(
        "strtab 900", "strtab 170"
    )
    data = build(text.replace("progbits 30\n", "progbits 33\n"))
    assert len(edited(data)) == data.index(pattern(".dynstr", 20)) + 20
    data = build(text.replace("section .symtab", "bytes 3\nsection .symtab"))
    assert len(edited(data)) > data.index(pattern(".dynstr", 20)) + 20


def test_a_hole_too_small_for_the_table_is_left() -> None:
    data = build(
        GRAFTED.replace("section .symtab symtab 480 align 8 link .strtab\n", "").replace(
            " 900", " 9"
        )
    )
    result = edited(data)
    assert get(result, "e_shoff") > data.index(pattern(".dynstr", 20))


def test_a_mapped_section_table_stays_as_dead_bytes() -> None:
    text = SMALL.replace("end\n", "table\nend\n", 1)
    data = build(text)
    result = edited(data)
    old, new = get(data, "e_shoff"), get(result, "e_shoff")
    size = get(data, "e_shnum") * 64
    assert new != old
    assert result[old : old + size] == data[old : old + size]


def test_a_mapped_name_table_is_used_further() -> None:
    data = build(SMALL.replace("end\n", "names\nend\n", 1))
    result = edited(data)
    assert sections(result) == [".dynsym", ".dynstr", ".text", ".shstrtab"]
    assert get(result, "e_shstrndx") == get(data, "e_shstrndx")


def test_nothing_is_gained_by_dropping_less_than_the_new_table_takes() -> None:
    lines = SMALL.replace("end\n", "table\nend\n", 1).splitlines()
    data = build(
        "\n".join(line for line in lines if not line.startswith(("section .debug", "section .s")))
    )
    assert refusal(data).reason == "the file wouldn't get smaller"


def test_chunks_are_of_bounded_size() -> None:
    data = build(SMALL.replace("200 alloc", "0x900000 alloc"))
    assert max(len(chunk) for chunk in edit(data).recipe.chunks(memoryview(data))) <= 1 << 22
    edited(data)


MALFORMED = RefusalKind.MALFORMED
UNSUPPORTED = RefusalKind.UNSUPPORTED


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("e_shoff", 1 << 63, MALFORMED),
        ("e_shoff", 8, MALFORMED),
        ("e_shoff", 0, MALFORMED),
        ("e_shnum", 65535, UNSUPPORTED),
        ("e_shnum", 0, UNSUPPORTED),
        ("e_shentsize", 0, MALFORMED),
        ("e_shentsize", 40, MALFORMED),
        ("e_shstrndx", 0, MALFORMED),
        ("e_shstrndx", 65535, MALFORMED),
        ("e_shstrndx", 3, MALFORMED),
        ("e_phnum", 65535, UNSUPPORTED),
        ("e_phnum", 0, MALFORMED),
        ("e_phoff", 0, MALFORMED),
        ("e_phoff", 1 << 62, MALFORMED),
        ("e_phentsize", 32, MALFORMED),
        ("e_ehsize", 52, MALFORMED),
        ("e_version", 2, MALFORMED),
        ("e_type", 1, RefusalKind.OBJECT_FILE),
        ("e_type", 4, UNSUPPORTED),
        ("e_type", 0xFE00, UNSUPPORTED),
        ("e_machine", 243, UNSUPPORTED),
        ("e_machine", 8, UNSUPPORTED),
        ("e_machine", 0, UNSUPPORTED),
    ],
)
def test_refused_headers(field: str, value: int, kind: RefusalKind) -> None:
    assert refusal(put(build(SMALL), field, value)).kind is kind


@pytest.mark.parametrize("size", [0, 4, 16, 63, 64, 200, -1, -64, 0.5])
def test_truncated_files_are_refused(size: float) -> None:
    data = build(SMALL)
    cut = int(len(data) * size) if isinstance(size, float) else size
    assert refusal(data[:cut]).kind is MALFORMED


# Offsets of fields in Elf64_Phdr and Elf64_Shdr.
P_OFFSET, P_VADDR, P_FILESZ, P_MEMSZ, P_ALIGN = 8, 16, 32, 40, 48
SH_NAME, SH_TYPE, SH_ADDR, SH_OFFSET, SH_SIZE, SH_LINK, SH_ALIGN = 0, 4, 16, 24, 32, 40, 48


def segment_field(data: bytes, segment: int, at: int, change: int) -> bytes:
    place = 64 + segment * 56 + at
    (value,) = struct.unpack_from("<Q", data, place)
    return data[:place] + struct.pack("<Q", (value + change) % (1 << 64)) + data[place + 8 :]


def section_field(data: bytes, section: int, at: int, value: int) -> bytes:
    place = get(data, "e_shoff") + section * 64 + at
    layout = "<I" if at in (SH_NAME, SH_TYPE, SH_LINK) else "<Q"
    return data[:place] + struct.pack(layout, value) + data[place + struct.calcsize(layout) :]


@pytest.mark.parametrize(
    ("segment", "at", "change"),
    [
        (0, P_OFFSET, 1),
        (1, P_OFFSET, 1),
        (1, P_OFFSET, 1 << 40),
        (1, P_VADDR, -0x18000),
        (0, P_VADDR, -1),
        (1, P_FILESZ, 1 << 63),
        (1, P_FILESZ, 1),
        (1, P_MEMSZ, -1),
        (0, P_MEMSZ, 0x20000),
        (1, P_MEMSZ, -(1 << 16)),
        (0, P_ALIGN, 1),
    ],
)
def test_inconsistent_segments_are_refused(segment: int, at: int, change: int) -> None:
    assert refusal(segment_field(build(GRAFTED), segment, at, change)).kind is MALFORMED


@pytest.mark.parametrize(
    ("section", "at", "value"),
    [
        (1, SH_TYPE, 0),
        (1, SH_ADDR, 0x10001),
        (1, SH_OFFSET, 1 << 40),
        (1, SH_SIZE, 1 << 62),
        (4, SH_SIZE, 1 << 62),
        (4, SH_OFFSET, 100),
        (4, SH_ALIGN, 3),
        (4, SH_LINK, 99),
        (4, SH_NAME, 1 << 20),
        (5, SH_SIZE, 600),
    ],
)
def test_inconsistent_sections_are_refused(section: int, at: int, value: int) -> None:
    data = section_field(build(SMALL), section, at, value)
    planned = refusal(data)
    assert planned.kind in (MALFORMED, RefusalKind.PAYLOAD)
    assert planned.reason


def test_a_used_first_section_means_extended_numbering() -> None:
    assert refusal(section_field(build(SMALL), 0, SH_SIZE, 70000)).kind is UNSUPPORTED


@pytest.mark.parametrize(
    "payload", [b"x", b"\0" * 15 + b"x", bytes(16), b"PK\3\4" + bytes(60), bytes(100_000)]
)
def test_a_payload_after_the_image_is_refused(payload: bytes) -> None:
    assert refusal(build(SMALL) + payload).kind is RefusalKind.PAYLOAD


def test_a_payload_between_sections_is_refused() -> None:
    assert (
        refusal(build(SMALL.replace("section .symtab", "bytes 20\nsection .symtab"))).kind
        is RefusalKind.PAYLOAD
    )


def test_padding_at_the_end_is_no_payload() -> None:
    """One zero byte is what patchelf leaves behind."""
    data = build(SMALL) + b"\0"
    assert check(data, edited(data)) == []


def test_unknown_bytes_amid_the_image_stay_where_they_are() -> None:
    data = build(GRAFTED.replace("load 0x20000", "bytes 40\nload 0x20000"))
    result = edited(data)
    at = data.index(pattern("payload", 40))
    assert result[at : at + 40] == pattern("payload", 40)


def test_another_operating_system_is_refused() -> None:
    data = build(SMALL)
    assert refusal(data[:7] + b"\x09" + data[8:]).kind is UNSUPPORTED


def test_a_file_without_section_headers_has_nothing_to_drop() -> None:
    data = put(put(put(build(SMALL), "e_shoff", 0), "e_shnum", 0), "e_shstrndx", 0)
    assert refusal(data).kind is RefusalKind.NOTHING_GAINED


@pytest.mark.parametrize("data", [b"", b"\x7fEL", b"MZ", b"!<arch>\n", b"INPUT(libm.so.6)\n"])
def test_what_is_no_elf_file_is_refused(data: bytes) -> None:
    assert refusal(data).kind is MALFORMED


def test_a_section_over_the_elf_header_is_refused() -> None:
    """Its bytes would change with the header."""
    found = refusal(section_field(build(SMALL), 1, SH_OFFSET, 0))
    assert found.kind is MALFORMED
    assert "overlaps the ELF header" in found.reason


@pytest.mark.parametrize(
    ("remarks", "goes"),
    [
        (b"GCC: (GNU) 14.2.0\0clang version 19.1.7 (rev)\0", True),
        (b"\0Linker: LLD 19.1.7\0rustc version 1.91.0 (abc)\0", True),
        (b"GCC: (GNU) 14.2.0\0licence=12345-67890\0", False),
        (b"\x01\x02\x03 payload", False),
    ],
)
def test_a_comment_goes_where_the_toolchain_wrote_it(remarks: bytes, goes: bool) -> None:
    size = len(remarks)
    data = build(SMALL.replace("section .comment progbits 30", f"section .comment progbits {size}"))
    data = data.replace(pattern(".comment", size), remarks)
    assert (".comment" not in sections(edited(data))) is goes
