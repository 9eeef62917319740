"""Edits of Mach-O files built from text: what goes, what stays, and what is left alone."""

from __future__ import annotations

import struct

import pytest

from slim.binaries.macho.edit import MachoEdit, plan_macho_edit, resign, thin
from slim.binaries.refusal import NotEditable, RefusalKind
from slim.verification.native.macho import check, check_layout
from tests.support.macho_files import (
    LIBRARY,
    PAGE,
    SYMBOLS,
    build,
    command,
    fat,
    names,
    pattern,
    put,
)

UNSIGNED = LIBRARY.replace("signed linker libsample.dylib", "")
INTEL = UNSIGNED.replace("arm64", "x86_64")
GLOBAL = ["_answer", "_PyInit_sample", "_reply", "_malloc", "_free"]
LOCAL = ["_helper", "_table", "_used_by_stub", "_kept", "GCC_except_table1"]


def edited(data: bytes, level: str = "unneeded", machine: str | None = None) -> MachoEdit:
    """An edit that the oracle approves."""
    planned = plan_macho_edit(data, level, machine)
    assert isinstance(planned, MachoEdit), planned
    assert planned.recipe.size == planned.size_after == len(planned.data())
    assert planned.size_before == len(data)
    assert check(data, planned.data()) == []
    return planned


def refusal(data: bytes, level: str = "unneeded", machine: str | None = None) -> NotEditable:
    planned = plan_macho_edit(data, level, machine)
    assert isinstance(planned, NotEditable), planned
    return planned


def entry(data: bytes, number: int) -> str:
    """The name that an entry of the indirect symbol table stands for."""
    at = struct.unpack_from("<I", data, command(data, 0xB) + 56)[0]
    return names(data)[struct.unpack_from("<I", data, at + 4 * number)[0]]


@pytest.mark.parametrize("text", [LIBRARY, UNSIGNED, INTEL], ids=["signed", "unsigned", "intel"])
@pytest.mark.parametrize(
    "extra",
    [
        "",
        "chained",
        "data-in-code 16",
        # What could be encrypted, and isn't (scikit-learn's libomp.dylib).
        "command 0x2C 00400000 00400000 00000000 00000000",
    ],
)
def test_levels(text: str, extra: str) -> None:
    data = build(f"{text}\n{extra}")
    assert check_layout(data) == []
    assert names(edited(data, "debug").data()) == [*LOCAL, *GLOBAL]
    assert names(edited(data).data()) == ["_used_by_stub", "_kept", *GLOBAL]
    assert refusal(data, "none").kind is RefusalKind.NOTHING_GAINED


@pytest.mark.parametrize("kind", ["bundle", "executable"])
def test_programs_and_bundles_too(kind: str) -> None:
    assert names(edited(build(LIBRARY.replace("dylib\n", f"{kind}\n", 1))).data())[2:] == GLOBAL


def test_indirect_symbols_stand_for_the_same_names() -> None:
    data = build(LIBRARY)
    made = edited(data).data()
    for number, name in ((0, "_malloc"), (1, "_free"), (2, "_used_by_stub"), (4, "_malloc")):
        assert entry(made, number) == entry(data, number) == name
    at = struct.unpack_from("<I", made, command(made, 0xB) + 56)[0]
    assert struct.unpack_from("<I", made, at + 12)[0] == 0x80000000


def test_what_goes_is_told() -> None:
    found = edited(build(LIBRARY))
    assert [what for what, _ in found.dropped] == [
        "debugging symbols",
        "local symbols",
        "symbol names",
    ]
    assert found.dropped[:2] == (("debugging symbols", 3 * 16), ("local symbols", 3 * 16))
    assert (found.resigned, found.notes) == (True, ())
    assert not edited(build(UNSIGNED)).resigned


def test_an_edit_is_edited_no_further() -> None:
    once = edited(build(LIBRARY)).data()
    assert refusal(once).kind is RefusalKind.NOTHING_GAINED
    assert edited(edited(build(LIBRARY), "debug").data()).data() == once


def test_unsigned_stays_unsigned() -> None:
    made = edited(build(INTEL)).data()
    with pytest.raises(AssertionError, match="no load command 0x1d"):
        command(made, 0x1D)


def test_linkedit_ends_with_the_file_and_shrinks_in_memory() -> None:
    many = "\n".join(f"local _{'x' * 60}{number}" for number in range(400))
    made = edited(build(f"{UNSIGNED}\n{many}")).data()
    _, size_in_memory, start, size = struct.unpack_from("<4Q", made, command(made, 0x19, 2) + 24)
    assert start + size == len(made)
    assert size_in_memory == PAGE


@pytest.mark.parametrize("kind", ["linker", "linker8", "codesign", "twice"])
@pytest.mark.parametrize("pages", [0, 300])
def test_signatures(kind: str, pages: int) -> None:
    """The oracle compares all fields and checks all hashes; here is what it leaves open."""
    many = "\n".join(f"local _{'x' * 60}{number}" for number in range(pages))
    data = build(LIBRARY.replace("signed linker", f"{many}\nsigned {kind}"))
    assert resign(data) == data
    made = edited(data)
    assert made.resigned
    result = made.data()
    assert resign(result) == result
    at, size = struct.unpack_from("<2I", result, command(result, 0x1D) + 8)
    length = struct.unpack_from(">I", result, at + 4)[0]
    align = 8 if kind == "linker8" else 16
    assert size == -(-length // align) * align or (
        kind == "linker8" and size == -(-length // 16) * 16
    )
    assert b"libsample.dylib\0" in result[at:]
    assert ("code signature" in dict(made.dropped)) == (kind in ("codesign", "twice") or pages > 0)


def test_resign_mends_hashes() -> None:
    data = build(LIBRARY)
    at = data.index(pattern("text", 1000)[:40])
    changed = put(data, at, 0, "<B")
    assert refusal(changed).kind is RefusalKind.MALFORMED
    assert "aren't what was signed" in refusal(changed).reason
    mended = resign(changed)
    assert isinstance(mended, bytes)
    assert check_layout(mended) == []
    assert isinstance(resign(build(UNSIGNED)), NotEditable)


ARM, X86, E = build(LIBRARY), build(INTEL), build(LIBRARY.replace("arm64", "arm64e"))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("align", [12, 14])
def test_every_slice_of_a_universal_file_is_edited(wide: bool, align: int) -> None:
    found = edited(fat(X86, ARM, wide=wide, align=align))
    assert {what for what, _ in found.dropped} >= {
        "local symbols (x86_64)",
        "debugging symbols (aarch64)",
    }
    assert found.data() == fat(edited(X86).data(), edited(ARM).data(), wide=wide, align=align)
    assert resign(found.data()) == found.data()


def test_thinning() -> None:
    both = fat(X86, ARM)
    taken = thin(both, "aarch64")
    assert isinstance(taken, MachoEdit)
    assert taken.data() == ARM
    assert (taken.dropped, taken.resigned) == ((("slice x86_64", len(X86)),), False)
    assert check(both, ARM) == []
    assert edited(both, "unneeded", "x86_64").data() == edited(X86).data()


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_an_absent_slice_is_an_error(machine: str) -> None:
    other = {"aarch64": X86, "x86_64": ARM}[machine]
    for data in (fat(other), other):
        assert refusal(data, "unneeded", machine).kind is RefusalKind.ABSENT_SLICE
    assert machine in refusal(other, "unneeded", machine).reason


def test_slices_for_some_machines_only_are_no_substitute() -> None:
    assert "arm64e" in refusal(fat(X86, E), "none", "aarch64").reason
    found = thin(fat(X86, E, ARM), "aarch64")
    assert isinstance(found, MachoEdit)
    assert found.data() == ARM


def test_a_file_for_one_machine_is_thin_already() -> None:
    assert refusal(ARM, "none", "aarch64").kind is RefusalKind.NOTHING_GAINED


def test_a_slice_that_cannot_be_edited() -> None:
    signed = build(LIBRARY.replace("signed linker", "signed identity"))
    both = fat(X86, signed)
    whole = refusal(both)
    assert whole.kind is RefusalKind.SIGNED
    assert "in the slice for aarch64" in whole.reason
    taken = edited(both, "unneeded", "aarch64")
    assert taken.data() == signed
    assert taken.notes == ("it is signed with an identity",)


def test_archives_in_universal_files_can_be_thinned() -> None:
    archive = b"!<arch>\n" + bytes(100)
    both = bytearray(fat(X86, ARM))
    start = struct.unpack_from(">I", both, 8 + 20 + 8)[0]
    both[start : start + len(archive)] = archive
    found = thin(bytes(both), "aarch64")
    assert isinstance(found, MachoEdit)
    assert found.data()[: len(archive)] == archive
    assert check(bytes(both), found.data()) == []
    assert "in the slice for aarch64" in refusal(bytes(both)).reason


SYMTAB, DYSYMTAB, SIGNATURE, TEXT, LINKEDIT = (
    command(ARM, 0x2),
    command(ARM, 0xB),
    command(ARM, 0x1D),
    command(ARM, 0x19, 0),
    command(ARM, 0x19, 2),
)
BLOB = struct.unpack_from("<I", ARM, SIGNATURE + 8)[0]
DIRECTORY = BLOB + 20
SYMBOLS_AT = struct.unpack_from("<I", ARM, SYMTAB + 8)[0]
INDIRECT_AT = struct.unpack_from("<I", ARM, DYSYMTAB + 56)[0]


def at(offset: int, value: int, layout: str = "<I") -> bytes:
    return put(ARM, offset, value, layout)


def with_command(text: str) -> bytes:
    return build(f"{LIBRARY}\ncommand {text}")


KIND = RefusalKind


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (b"", KIND.UNSUPPORTED, "cut short"),
        (ARM[:20], KIND.UNSUPPORTED, "cut short"),
        (ARM[:300], KIND.MALFORMED, "load commands don't lie in the file"),
        (ARM[:-1], KIND.MALFORMED, "ends after the end"),
        (ARM + b"\0", KIND.PAYLOAD, "1 bytes follow"),
        (b"\xce" + ARM[1:], KIND.UNSUPPORTED, "not a 64-bit"),
        (at(4, 7), KIND.UNSUPPORTED, "CPU type 0x7"),
        (at(12, 1), KIND.OBJECT_FILE, "object file"),
        (at(12, 10), KIND.UNSUPPORTED, "filetype 10"),
        (at(24, 0x80000085), KIND.UNSUPPORTED, "shared cache"),
        (at(16, 1), KIND.MALFORMED, "belong to none"),
        (at(16, 1 << 30), KIND.MALFORMED, "don't lie in the file"),
        (at(SYMTAB + 4, 12), KIND.MALFORMED, "impossible size"),
        (at(SYMTAB, 0x7FFF), KIND.UNSUPPORTED, "0x7fff"),
        (at(SYMTAB, 0x1B), KIND.MALFORMED, "two load commands of kind 0x1b"),
        (with_command("0x2C 00000000 00000000 01000000 00000000"), KIND.UNSUPPORTED, "encrypted"),
        (with_command("0x2C 00000000 00000001 00000000 00000000"), KIND.MALFORMED, "be encrypted"),
        (with_command("0x1B " + "00" * 16), KIND.MALFORMED, "two load commands"),
        (with_command("0x31 " + "00" * 32), KIND.UNSUPPORTED, "doesn't know"),
        (at(LINKEDIT + 10, 0x41, "<B"), KIND.UNSUPPORTED, "__LINKEDIT isn't the last"),
        (at(LINKEDIT + 24, PAGE, "<Q"), KIND.MALFORMED, "overlap in memory"),
        (at(LINKEDIT + 40, PAGE, "<Q"), KIND.MALFORMED, "overlap in the file"),
        (at(LINKEDIT + 32, 0, "<Q"), KIND.MALFORMED, "doesn't fit into memory"),
        (at(TEXT + 48, 64, "<Q"), KIND.MALFORMED, "no segment holds the load commands"),
        (at(TEXT + 72 + 40, PAGE, "<Q"), KIND.MALFORMED, "__text isn't in its segment"),
        (at(TEXT + 72 + 60, 5), KIND.UNSUPPORTED, "relocations"),
        (at(TEXT + 72 + 48, 0x900), KIND.MALFORMED, "in the file where its address says"),
        (at(TEXT + 72 + 80 + 68, 3), KIND.MALFORMED, "no place in the indirect symbol table"),
        (at(TEXT + 72 + 80 + 72, 0), KIND.MALFORMED, "no place in the indirect symbol table"),
        (at(SYMTAB + 12, 5), KIND.PAYLOAD, "belong to nothing"),
        (at(SYMTAB + 12, 0), KIND.NOTHING_GAINED, "empty"),
        (at(SYMTAB + 8, SYMBOLS_AT - 16), KIND.UNSUPPORTED, "overlap others"),
        (at(SYMTAB + 16, 5), KIND.MALFORMED, "strings aren't in __LINKEDIT"),
        (at(SYMTAB + 16, SYMBOLS_AT), KIND.UNSUPPORTED, "overlap others or lie"),
        (at(DYSYMTAB + 12, 7), KIND.MALFORMED, "disagree"),
        (at(DYSYMTAB + 8, 1), KIND.MALFORMED, "disagree"),
        (at(DYSYMTAB + 68, 1), KIND.UNSUPPORTED, "no longer write"),
        (at(SYMBOLS_AT + 4, 1, "<B"), KIND.MALFORMED, "among the local ones is external"),
        (at(SYMBOLS_AT + 16 * 8 + 4, 0x0E, "<B"), KIND.MALFORMED, "among the defined ones"),
        (at(SYMBOLS_AT + 16 * 12 + 4, 0x0F, "<B"), KIND.MALFORMED, "among the undefined ones"),
        (at(SYMBOLS_AT + 16 * 12, 1 << 31), KIND.MALFORMED, "name isn't in the string table"),
        (at(SYMBOLS_AT, 1 << 31), KIND.MALFORMED, "name isn't in the string table"),
        (at(SYMBOLS_AT + 16 * 3 + 4, 0x0A, "<B"), KIND.MALFORMED, "among the local ones"),
        (at(LINKEDIT + 24, 3 * PAGE + 8, "<Q"), KIND.MALFORMED, "aligned to pages"),
        (at(INDIRECT_AT, 99), KIND.MALFORMED, "symbol that doesn't exist"),
        (at(INDIRECT_AT, 0), KIND.MALFORMED, "names a debugging symbol"),
        (at(SIGNATURE + 8, BLOB - 8), KIND.MALFORMED, "isn't aligned"),
        (at(BLOB, 0), KIND.MALFORMED, "code signature isn't one"),
        (at(BLOB + 4, 1 << 20, ">I"), KIND.MALFORMED, "code signature isn't one"),
        (at(BLOB + 12, 1, ">I"), KIND.MALFORMED, "no code directory"),
        (at(BLOB + 16, 8, ">I"), KIND.MALFORMED, "overlap or have gaps"),
        (at(DIRECTORY, 0), KIND.MALFORMED, "code directory isn't one"),
        (at(DIRECTORY + 8, 0x20600, ">I"), KIND.UNSUPPORTED, "version 0x20600"),
        (at(DIRECTORY + 12, 0, ">I"), KIND.SIGNED, "isn't marked as ad-hoc"),
        (at(DIRECTORY + 32, 5, ">I"), KIND.MALFORMED, "all of the image"),
        (at(DIRECTORY + 28, 1, ">I"), KIND.MALFORMED, "all of the image"),
        (at(DIRECTORY + 37, 9, ">B"), KIND.UNSUPPORTED, "hashes of type 9"),
        (at(DIRECTORY + 39, 0, ">B"), KIND.UNSUPPORTED, "code directory of version"),
        (at(DIRECTORY + 44, 1, ">I"), KIND.UNSUPPORTED, "scatter"),
        (at(DIRECTORY + 48, 88, ">I"), KIND.SIGNED, "team"),
        (at(DIRECTORY + 20, 9999, ">I"), KIND.MALFORMED, "identifier"),
        (
            build(LIBRARY.replace("signed linker", "signed identity")),
            KIND.SIGNED,
            "with an identity",
        ),
        (
            build(LIBRARY.replace("signed linker", "signed bare")),
            KIND.SIGNED,
            "isn't marked as ad-hoc",
        ),
        (at(0x900, 0), KIND.MALFORMED, "aren't what was signed"),
    ],
)
def test_what_is_left_alone(data: bytes, kind: RefusalKind, reason: str) -> None:
    found = refusal(data)
    assert (found.kind, reason in found.reason) == (kind, True), found


def test_blobs_that_were_not_signed() -> None:
    data = build(LIBRARY.replace("signed linker", "signed codesign"))
    place = data.index(b"\xfa\xde\x0c\x01") + 8
    assert "slot 2" in refusal(put(data, place, 7)).reason


BOTH = fat(X86, ARM)


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (BOTH[:6], KIND.MALFORMED, "cut short"),
        (put(BOTH, 4, 1 << 31, ">I"), KIND.MALFORMED, "doesn't hold 2147483648 slices"),
        (
            b"\xca\xfe\xba\xbe\x00\x00\x00\x34" + bytes(4000),
            KIND.MALFORMED,
            "doesn't hold 52 slices",
        ),
        (put(BOTH, 8 + 16, 60, ">I"), KIND.MALFORMED, "aligned"),
        (put(BOTH, 8 + 8, PAGE + 4, ">I"), KIND.MALFORMED, "aligned"),
        (put(BOTH, 8 + 12, 1 << 30, ">I"), KIND.MALFORMED, "ends after the end"),
        (put(BOTH, 8 + 20 + 8, PAGE, ">I"), KIND.MALFORMED, "overlap"),
        (put(BOTH, 8, 0x0100000C, ">I"), KIND.MALFORMED, "another machine than it says"),
        (fat(ARM, ARM), KIND.MALFORMED, "two slices are for the same machine"),
        (BOTH + b"payload", KIND.PAYLOAD, "belong to no slice"),
        (BOTH + bytes(8), KIND.PAYLOAD, "belong to no slice"),
        (put(BOTH, 8 + 4, 8, ">I"), KIND.MALFORMED, "another machine than it says"),
        (put(BOTH, 100, 1), KIND.PAYLOAD, "belong to no slice"),
        (put(BOTH, 8 + 16, 12, ">I"), KIND.PAYLOAD, "belong to no slice"),
        (put(BOTH, PAGE, 0), KIND.MALFORMED, "neither an image nor an archive"),
        (fat(X86, ARM[:-1]), KIND.MALFORMED, "in the slice for aarch64"),
    ],
)
def test_universal_files_that_are_left_alone(data: bytes, kind: RefusalKind, reason: str) -> None:
    found = refusal(data)
    assert (found.kind, reason in found.reason) == (kind, True), found


def test_an_unknown_level_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="unknown level 'all'"):
        plan_macho_edit(ARM, "all")


def test_nothing_gained_in_any_slice() -> None:
    assert refusal(BOTH, "none").kind is RefusalKind.NOTHING_GAINED
    stripped = fat(edited(X86).data(), edited(ARM).data())
    assert refusal(stripped).kind is RefusalKind.NOTHING_GAINED


def test_kinds_of_symbols_are_all_in_use() -> None:
    assert {line.split()[0] for line in LIBRARY.split("\n") if line} >= set(SYMBOLS)
