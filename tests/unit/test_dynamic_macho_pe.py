"""Needs of Mach-O and PE files, and that nothing makes the readers stumble."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slim.binaries import read_any_dynamic
from slim.binaries.macho.dynamic import MachoDynamic, read_macho_dynamic
from slim.binaries.pe.dynamic import PeDynamic, read_pe_dynamic
from tests.support.native_headers import fat, macho, pe

LIBRARY = macho(
    "@rpath/libb.dylib",
    "weak /usr/lib/libc.dylib",
    "lazy @loader_path/libd.dylib",
    "reexport libe.dylib",
    "upward @executable_path/libf.dylib",
    name="@rpath/liba.dylib",
    rpaths=("@loader_path/../lib", "/opt/lib"),
    inits=("PyInit_a", "PyInitU_b", "notPyInit_c"),
)


def read_macho(data: bytes) -> MachoDynamic:
    found = read_macho_dynamic(data)
    assert found is not None
    return found


def read_pe(data: bytes) -> PeDynamic:
    found = read_pe_dynamic(data)
    assert found is not None
    return found


def test_every_kind_of_library_command_counts_in_order() -> None:
    found = read_macho(LIBRARY)
    assert found.needed == (
        "@rpath/libb.dylib",
        "/usr/lib/libc.dylib",
        "@loader_path/libd.dylib",
        "libe.dylib",
        "@executable_path/libf.dylib",
    )
    assert found.weak == {"/usr/lib/libc.dylib"}
    assert (found.install_name, found.soname) == ("@rpath/liba.dylib", "@rpath/liba.dylib")
    assert found.rpaths == ("@loader_path/../lib", "/opt/lib")
    assert (found.kind, found.machines) == ("shared", ("aarch64",))
    assert found.python_inits == {"PyInit_a", "PyInitU_b"}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("bundle", "shared"), ("executable", "executable"), ("object", "relocatable")],
)
def test_the_kind_of_a_macho_file(kind: str, expected: str) -> None:
    assert read_macho(macho(kind=kind)).kind == expected


@pytest.mark.parametrize(("machine", "order"), [("i686", "<"), ("ppc", ">"), ("x86_64", "<")])
def test_images_of_32_bits_and_of_the_other_byte_order(machine: str, order: str) -> None:
    found = read_macho(
        macho(
            "libx.dylib", name="liby.dylib", machine=machine, order=order, rpaths=("@loader_path",)
        )
    )
    assert (found.needed, found.install_name, found.rpaths) == (
        ("libx.dylib",),
        "liby.dylib",
        ("@loader_path",),
    )
    assert found.machines == (machine,)


def test_a_universal_file_needs_what_any_of_its_images_needs() -> None:
    found = read_macho(
        fat(
            macho("liba.dylib", "weak libb.dylib", machine="x86_64", rpaths=("@loader_path/a",)),
            macho("libb.dylib", "weak libc.dylib", rpaths=("@loader_path/b",)),
        )
    )
    assert found.needed == ("liba.dylib", "libb.dylib", "libc.dylib")
    assert found.weak == {"libc.dylib"}
    assert found.rpaths == ("@loader_path/a", "@loader_path/b")
    assert found.machines == ("x86_64", "aarch64")


def section_command(sections: int, offset: int, size: int) -> bytes:
    """LC_SEGMENT_64 of sections that claim all to have this content."""
    row = struct.pack("<16s16s2Q8I", b"__text", b"__TEXT", 0, size, offset, *[0] * 7)
    head = struct.pack("<2I16s4Q4I", 0x19, 72 + 80 * sections, b"__TEXT", *[0] * 6, sections, 0)
    return head + row * sections


def with_commands(*commands: bytes) -> bytes:
    body = b"".join(commands)
    header = struct.pack("<8I", 0xFEEDFACF, 0x0100000C, 0, 6, len(commands), len(body), 0, 0)
    return header + body


LOAD = struct.pack("<6I", 0xC, 40, 24, 0, 0, 0) + b"libx.dylib".ljust(16, b"\0")


@pytest.mark.parametrize("offset", [0, 32, 1 << 31])
def test_content_of_sections_is_not_read(offset: int) -> None:
    data = with_commands(section_command(3000, offset, 1 << 40), LOAD)
    tracemalloc.start()
    assert read_macho(data).needed == ("libx.dylib",)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Each section is an object of a few kilobytes; its content would be 240 kB.
    assert peak < 64 << 20


def test_load_commands_beyond_the_bounds_are_not_read() -> None:
    many = with_commands(*[struct.pack("<2I", 0x7FFF, 8)] * 9000)
    assert read_macho_dynamic(many) is None
    large = with_commands(struct.pack("<2I", 0x7FFF, 1 << 21).ljust(1 << 21, b"\0"))
    assert read_macho_dynamic(large) is None
    # Slices may share their bytes: it is all of them together that counts.
    one = with_commands(struct.pack("<2I", 0x7FFF, 1 << 16).ljust(1 << 16, b"\0"))
    rows = struct.pack(">5I", 0x0100000C, 0, 0x1000, len(one), 12) * 5
    data = (struct.pack(">2I", 0xCAFEBABE, 5) + rows).ljust(0x1000, b"\0") + one
    assert read_macho_dynamic(data) is None


def test_room_behind_the_last_load_command_does_not_matter() -> None:
    data = bytearray(with_commands(LOAD, bytes(64)))
    struct.pack_into("<I", data, 16, 1)
    assert read_macho(bytes(data)).needed == ("libx.dylib",)


@pytest.mark.parametrize(
    "commands",
    [
        (LOAD[:8] + struct.pack("<I", 39) + LOAD[12:39] + b"x",),
        (LOAD[:8] + struct.pack("<I", 4) + LOAD[12:],),
        (LOAD[:8] + struct.pack("<I", 1 << 30) + LOAD[12:],),
        (struct.pack("<2I", 0xC, 8),),
        (struct.pack("<2I", 0xC, 0),),
        (struct.pack("<2I", 0x7FFF, 4) + bytes(4),),
        (section_command(1, 0, 0)[:-8],),
        (section_command(1, 0, 0).replace(struct.pack("<2I", 1, 0), struct.pack("<2I", 9, 0), 1),),
    ],
)
def test_load_commands_that_contradict_themselves(commands: tuple[bytes, ...]) -> None:
    data = with_commands(*commands)
    found = read_macho_dynamic(data)
    assert found is None or found.needed == ("x",)


@pytest.mark.parametrize("machine", ["x86_64", "i686", "aarch64"])
@pytest.mark.parametrize("old_delays", [False, True])
def test_imports_of_all_kinds(machine: str, old_delays: bool) -> None:
    data = pe(
        "KERNEL32.dll",
        "python313.dll",
        delayed=("late.dll",),
        exports=("PyInit_x", "other"),
        forwards=("real.Function", "api-ms-win.core.f"),
        machine=machine,
        old_delays=old_delays,
    )
    found = read_pe(data)
    assert found.needed == (
        "KERNEL32.dll",
        "python313.dll",
        "late.dll",
        "real.dll",
        "api-ms-win.core.dll",
    )
    assert found.delayed == {"late.dll"}
    assert found.python_inits == {"PyInit_x"}
    assert (found.machine, found.bits) == (machine, 32 if machine == "i686" else 64)
    assert (found.kind, found.signed) == ("shared", False)


def test_a_program_and_a_certificate() -> None:
    found = read_pe(pe(dll=False, signed=True))
    assert (found.kind, found.needed, found.signed) == ("executable", (), True)


@pytest.mark.parametrize(
    "data", [b"", b"MZ", b"\x7fELF", b"\xca\xfe\xba\xbe\0\0\0\x32" + bytes(99), b"#!/bin/sh\n"]
)
def test_what_is_no_native_file_needs_nothing(data: bytes) -> None:
    assert read_any_dynamic(data) is None


@pytest.mark.parametrize(
    "data", [LIBRARY, pe("a.dll", delayed=("b.dll",), exports=("PyInit_x",), forwards=("c.d",))]
)
@given(
    cut=st.integers(0, 2000),
    flips=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=8),
)
def test_damage_raises_nothing(data: bytes, cut: int, flips: list[tuple[int, int]]) -> None:
    damaged = bytearray(data)
    for place, value in flips:
        damaged[place % len(damaged)] = value
    read_any_dynamic(bytes(damaged))
    read_any_dynamic(bytes(damaged[: max(0, len(damaged) - cut)]))
