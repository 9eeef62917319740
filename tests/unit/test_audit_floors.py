"""Lowest system that a stack runs on: the newest version that a file asks for, and which file."""

from __future__ import annotations

import pytest

from slim.auditing.floors import floors
from slim.auditing.natives import foreign
from slim.model.floor import Runtime, StackFloor
from slim.reports.common.floors import floor_text, needs_text
from tests.support.macho_files import LIBRARY, build
from tests.support.native_headers import fat, pe
from tests.support.versioned_elf import versioned
from tests.support.virtual_stacks import Contents, make_stack
from tests.unit.test_native_floors import C, build_version

OLD = versioned({C: {"GLIBC_2.17": ["memcpy"]}})
NEW = versioned({C: {"GLIBC_2.34": ["dlopen"]}, "libstdc++.so.6": {"GLIBCXX_3.4.29": ["_Z1a"]}})


def told(files: dict[str, Contents], platform: str = "linux_x86_64") -> list[StackFloor]:
    made = make_stack({"app-x": files}, platform=platform)
    return list(floors(made.stack, made.inventory, made.read))


def texts(found: list[StackFloor]) -> list[str]:
    return [floor_text(floor, machine=True) for floor in found]


def test_the_newest_version_and_who_asks_for_it() -> None:
    glibc, libstdcxx = told({"p/old.so": OLD, "p/new.so": NEW, "q/new.so": NEW, "p/a.py": "x"})
    assert (glibc.runtime, glibc.machine, glibc.version) == (Runtime.GLIBC, "x86_64", (2, 34))
    assert [(asked.record.path, needs_text(asked)) for asked in glibc.asked_by] == [
        ("p/new.so", "GLIBC_2.34: dlopen"),
        ("q/new.so", "GLIBC_2.34: dlopen"),
    ]
    assert (glibc.files, libstdcxx.files) == (3, 2)
    assert texts([glibc, libstdcxx]) == [
        "glibc 2.34 or later on x86_64",
        "libstdc++ (GLIBCXX) 3.4.29 or later on x86_64",
    ]


def test_a_library_that_the_stack_brings_is_nothing_it_asks_for() -> None:
    found = told({"p/new.so": NEW, "lib/libstdc++.so.6": OLD})
    assert [floor.runtime for floor in found] == [Runtime.GLIBC]


def test_files_that_cannot_run_there_do_not_count() -> None:
    files: dict[str, Contents] = {
        "p/old.so": OLD,
        "p/arm.so": versioned({C: {"GLIBC_2.38": ["x"]}}, machine="aarch64"),
        "p/launcher.exe": pe(dll=False, system=(10, 0)),
        "p/a.dylib": build(f"{LIBRARY}\n{build_version(0x000E_0000)}"),
    }
    assert texts(told(files)) == ["glibc 2.17 or later on x86_64"]
    assert texts(told(files, "linux_aarch64")) == ["glibc 2.38 or later on aarch64"]
    assert texts(told(files, "win_amd64")) == ["Windows 10 (10.0) or later on x86_64"]
    assert texts(told(files, "macosx_arm64")) == ["macOS 14.0 or later on aarch64"]


def test_each_machine_of_a_universal_layer() -> None:
    both = fat(
        build(f"{LIBRARY.replace('arm64', 'x86_64')}\n{build_version(0x000A_0D00)}"),
        build(f"{LIBRARY}\n{build_version(0x000B_0001)}"),
    )
    assert texts(told({"p/a.dylib": both}, "macosx_universal2")) == [
        "macOS 11.0.1 or later on aarch64",
        "macOS 10.13 or later on x86_64",
    ]
    assert texts(told({"p/a.dylib": both}, "macosx_x86_64")) == ["macOS 10.13 or later on x86_64"]


def test_musl_is_told_without_a_version() -> None:
    found = told({"p/a.so": versioned(needed=["libc.musl-x86_64.so.1"])})
    assert texts(found) == ["musl on x86_64"]


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ((6, 0), "Windows Vista (6.0) or later"),
        ((5, 2), "Windows XP x64 (5.2) or later"),
        ((11, 0), "Windows 11.0 or later"),
    ],
)
def test_windows_by_the_name_that_people_know(version: tuple[int, int], text: str) -> None:
    (found,) = told({"p/a.dll": pe(subsystem=version)}, "win_amd64")
    assert floor_text(found, machine=False) == text


@pytest.mark.parametrize("platform", ["linux_x86_64", "win_amd64"])
def test_a_dotnet_assembly_is_no_code_for_another_machine(platform: str) -> None:
    files: dict[str, Contents] = {
        "p/Python.Runtime.dll": pe(machine="i686", clr=True),
        "p/other.dll": pe(machine="i686"),
    }
    made = make_stack({"app-x": files}, platform=platform)
    found = foreign(made.stack, made.inventory, made.read)
    assert [one.record.path for one in found] == ["p/other.dll"]
