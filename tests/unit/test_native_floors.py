"""The oldest systems that native files ask for: glibc and libstdc++, macOS, Windows."""

from __future__ import annotations

import struct
import sys
import sysconfig
from pathlib import Path

import lief
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slim.binaries import describe, read_floors
from slim.binaries.elf.dynamic import read_dynamic
from slim.model.floor import PlatformFloor, Runtime
from slim.model.stack import System
from tests.support.macho_files import LIBRARY, build
from tests.support.native_headers import fat, macho, pe
from tests.support.versioned_elf import versioned

C = "libc.so.6"


def floor(data: bytes) -> PlatformFloor:
    (found,) = read_floors(data)
    return found


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "i686", "s390x"])
def test_the_newest_glibc_with_its_symbols(machine: str) -> None:
    data = versioned(
        {
            "libm.so.6": {"GLIBC_2.29": ["pow", "exp"]},
            C: {"GLIBC_2.2.5": ["malloc"], "GLIBC_2.34": ["dlopen", "pthread_create"]},
        },
        machine=machine,
    )
    assert read_dynamic(data) is not None
    assert floor(data) == PlatformFloor(
        runtime=Runtime.GLIBC,
        machine=machine,
        version=(2, 34),
        needs="GLIBC_2.34",
        symbols=("dlopen", "pthread_create"),
    )


def test_versions_are_compared_as_numbers() -> None:
    assert floor(versioned({C: {"GLIBC_2.9": ["a"], "GLIBC_2.17": ["b"]}})).version == (2, 17)


def test_of_many_symbols_three_are_told() -> None:
    data = versioned({C: {"GLIBC_2.17": ["a", "b", "c", "d"]}})
    assert floor(data).symbols == ("a", "b", "c")


def test_two_libraries_may_need_the_same_version() -> None:
    data = versioned(
        {"libm.so.6": {"GLIBC_2.27": ["expf"]}, C: {"GLIBC_2.27": ["copy_file_range"]}}
    )
    assert floor(data).symbols == ("expf", "copy_file_range")


def test_a_version_that_may_be_missing_does_not_count() -> None:
    data = versioned({C: {"GLIBC_2.17": ["a"], "GLIBC_2.38": ["b"]}}, weak=["GLIBC_2.38"])
    assert floor(data).version == (2, 17)


def test_packed_relocations_need_a_glibc_that_knows_them() -> None:
    found = floor(versioned({C: {"GLIBC_2.17": ["a"], "GLIBC_ABI_DT_RELR": []}}))
    assert (found.version, found.needs) == ((2, 36), "GLIBC_ABI_DT_RELR")


def test_libstdcxx_has_versions_of_its_own() -> None:
    data = versioned(
        {
            "libstdc++.so.6": {"GLIBCXX_3.4.9": ["_Z1a"], "GLIBCXX_3.4.32": ["_Z1b"]},
            C: {"GLIBC_2.28": ["statx"], "GLIBC_PRIVATE": ["x"]},
        }
    )
    glibc, libstdcxx = read_floors(data)
    assert (glibc.runtime, glibc.needs, glibc.library) == (
        Runtime.GLIBC,
        "GLIBC_2.28",
        "",
    )
    assert libstdcxx == PlatformFloor(
        runtime=Runtime.LIBSTDCXX,
        machine="x86_64",
        version=(3, 4, 32),
        needs="GLIBCXX_3.4.32",
        library="libstdc++.so.6",
    )


@pytest.mark.parametrize(
    ("data", "needs"),
    [
        (versioned(needed=["libz.so.1", "libc.musl-x86_64.so.1"]), "libc.musl-x86_64.so.1"),
        (versioned(interpreter="/lib/ld-musl-x86_64.so.1"), "ld-musl-x86_64.so.1"),
    ],
)
def test_musl_has_no_versions(data: bytes, needs: str) -> None:
    found = floor(data)
    assert (found.runtime, found.version, found.needs) == (Runtime.MUSL, (), needs)


@pytest.mark.parametrize(
    "data",
    [
        versioned(needed=[C]),
        versioned({"libcrypto.so.3": {"OPENSSL_3.0.0": ["EVP"]}}),
        versioned({C: {"GLIBC_2.17": ["a"]}}, kind=1),
        versioned({C: {"GLIBC_2.17": ["a"]}}, osabi=9),
        macho(),
        build(LIBRARY),
        b"!<arch>\n",
        b"#!/bin/sh\n",
        b"",
    ],
)
def test_files_that_ask_for_nothing(data: bytes) -> None:
    assert read_floors(data) == ()


def build_version(minimum: int, platform: int = 1) -> str:
    return f"command 50 {struct.pack('<4I', platform, minimum, minimum, 0).hex()}"


def test_macos_by_either_command() -> None:
    new = floor(build(f"{LIBRARY}\n{build_version(0x000B_0300)}"))
    assert new == PlatformFloor(
        runtime=Runtime.MACOS, machine="aarch64", version=(11, 3, 0), needs="LC_BUILD_VERSION"
    )
    old = floor(build(f"{LIBRARY}\ncommand 36 {struct.pack('<2I', 0x000A_0D00, 0).hex()}"))
    assert (old.version, old.needs) == ((10, 13, 0), "LC_VERSION_MIN_MACOSX")


def test_other_systems_of_apple_do_not_count() -> None:
    assert read_floors(build(f"{LIBRARY}\n{build_version(0x000E_0000, platform=2)}")) == ()


def test_each_slice_of_a_universal_file_has_its_own() -> None:
    intel = LIBRARY.replace("arm64", "x86_64")
    data = fat(
        build(f"{intel}\n{build_version(0x000A_0900)}"),
        build(f"{LIBRARY}\n{build_version(0x000B_0000)}"),
    )
    assert [(one.machine, one.version) for one in read_floors(data)] == [
        ("x86_64", (10, 9, 0)),
        ("aarch64", (11, 0, 0)),
    ]


@pytest.mark.parametrize("machine", ["x86_64", "i686", "aarch64"])
def test_windows_by_the_newer_of_two_versions(machine: str) -> None:
    found = floor(pe(machine=machine, system=(6, 0), subsystem=(6, 2)))
    assert found == PlatformFloor(
        runtime=Runtime.WINDOWS, machine=machine, version=(6, 2), needs="subsystem version"
    )
    other = floor(pe(machine=machine, system=(10, 0), subsystem=(6, 2)))
    assert (other.version, other.needs) == ((10, 0), "operating system version")


def test_a_dotnet_assembly_is_told_and_asks_for_no_windows() -> None:
    data = pe(system=(4, 0), subsystem=(4, 0), clr=True)
    info = describe(data)
    assert info is not None
    assert (info.clr, info.signed, info.system) == (True, False, System.WINDOWS)
    assert read_floors(data) == ()


def test_a_signature_is_told() -> None:
    info = describe(pe(signed=True))
    assert info is not None
    assert (info.clr, info.signed) == (False, True)


SAMPLES = (
    versioned({"libm.so.6": {"GLIBC_2.29": ["pow"]}, C: {"GLIBC_2.34": ["dlopen"]}}),
    build(f"{LIBRARY}\n{build_version(0x000B_0300)}"),
    pe("a.dll", system=(6, 0), subsystem=(6, 2), clr=True, signed=True),
)


@pytest.mark.parametrize("data", SAMPLES)
@given(
    cut=st.integers(0, 2000),
    flips=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=8),
)
def test_damage_raises_nothing(data: bytes, cut: int, flips: list[tuple[int, int]]) -> None:
    damaged = bytearray(data)
    for place, value in flips:
        damaged[place % len(damaged)] = value
    for part in (bytes(damaged), bytes(damaged[: max(0, len(damaged) - cut)])):
        assert all(found.needs for found in read_floors(part))


def test_a_chain_of_versions_that_leads_in_circles_ends() -> None:
    data = bytearray(versioned({C: {"GLIBC_2.17": ["a"], "GLIBC_2.28": ["b"]}}))
    at = bytes(data).index(struct.pack("<HHI", 1, 2, 1))
    # The first version follows on itself, and there are 65,535 of them.
    struct.pack_into("<H", data, at + 2, 0xFFFF)
    struct.pack_into("<I", data, at + 28, 0)
    assert floor(bytes(data)).version == (2, 17)


@pytest.mark.skipif(sys.platform != "linux", reason="the files of this Python are ELF files")
def test_lief_says_the_same_of_the_files_of_this_python() -> None:
    folder = Path(sysconfig.get_path("platstdlib")) / "lib-dynload"
    files = [Path(sys.executable).resolve(), *sorted(folder.glob("*.so"))[:12]]
    for path in files:
        binary = lief.parse(str(path))
        assert isinstance(binary, lief.ELF.Binary)
        names = [
            str(version.name)
            for library in binary.symbols_version_requirement
            for version in library.get_auxiliary_symbols()
        ]
        numbers = [
            tuple(map(int, name.removeprefix("GLIBC_").split(".")))
            for name in names
            if name.startswith("GLIBC_") and name[6:].replace(".", "").isdigit()
        ]
        found = [one for one in read_floors(path.read_bytes()) if one.runtime is Runtime.GLIBC]
        assert [one.version for one in found] == ([max(numbers)] if numbers else []), path
