"""What Mach-O and PE files say that they need, and that nothing makes the readers stumble."""

from __future__ import annotations

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
