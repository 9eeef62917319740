"""Names of Mach-O numbers: macholib's, slim's own, LIEF's and the bytes in files say the same."""

from __future__ import annotations

import subprocess
import sys

import lief
import pytest
from macholib import mach_o

from slim.binaries.macho import names
from slim.binaries.macho.identify import FAT_MAGICS, MACHINES, THIN_MAGICS, image_kind
from slim.binaries.macho.structs import MAGIC_64

CPU_TYPES = lief.MachO.Header.CPU_TYPE


def test_magics_are_those_of_macholib() -> None:
    numbers = (mach_o.MH_MAGIC, mach_o.MH_MAGIC_64)
    assert set(THIN_MAGICS) == {
        number.to_bytes(4, order) for number in numbers for order in ("big", "little")
    }
    assert {data: order for data, (order, _) in THIN_MAGICS.items()} == {
        **{number.to_bytes(4, "big"): ">" for number in numbers},
        **{number.to_bytes(4, "little"): "<" for number in numbers},
    }
    assert mach_o.MH_MAGIC_64.to_bytes(4, "little") == MAGIC_64
    for number, arch in (
        (mach_o.FAT_MAGIC, mach_o.fat_arch),
        (mach_o.FAT_MAGIC_64, mach_o.fat_arch64),
    ):
        assert FAT_MAGICS[number.to_bytes(4, "big")].size == arch._size_


@pytest.mark.parametrize(
    ("name", "macholib_name", "lief_name"),
    [
        ("CPU_TYPE_X86", "i386", "X86"),
        ("CPU_TYPE_X86_64", "x86_64", "X86_64"),
        ("CPU_TYPE_ARM", "ARM", "ARM"),
        ("CPU_TYPE_ARM64", "ARM64", "ARM64"),
        ("CPU_TYPE_POWERPC", "PowerPC", "POWERPC"),
        ("CPU_TYPE_POWERPC64", "PowerPC64", "POWERPC64"),
    ],
)
def test_cpu_types(name: str, macholib_name: str, lief_name: str) -> None:
    number = getattr(names, name)
    assert mach_o.CPU_TYPE_NAMES[number] == macholib_name
    assert int(getattr(CPU_TYPES, lief_name)) == number
    assert number in MACHINES


@pytest.mark.parametrize(
    ("cpu", "name"),
    [
        (names.CPU_TYPE_X86_64, "CPU_SUBTYPE_X86_64_ALL"),
        (names.CPU_TYPE_X86_64, "CPU_SUBTYPE_X86_64_H"),
        (names.CPU_TYPE_ARM64, "CPU_SUBTYPE_ARM64_ALL"),
        (names.CPU_TYPE_ARM64, "CPU_SUBTYPE_ARM64_V8"),
        (names.CPU_TYPE_ARM64, "CPU_SUBTYPE_ARM64E"),
    ],
)
def test_cpu_subtypes(cpu: int, name: str) -> None:
    assert mach_o.get_cpu_subtype(cpu, getattr(names, name)) == name


def test_no_name_of_ours_is_one_that_macholib_has() -> None:
    ours = {name for name in vars(names) if name.isupper()}
    assert ours
    assert ours.isdisjoint(vars(mach_o))


@pytest.mark.parametrize(
    ("filetype", "kind"),
    [
        (mach_o.MH_OBJECT, "relocatable"),
        (mach_o.MH_EXECUTE, "executable"),
        (mach_o.MH_DYLIB, "shared"),
        (mach_o.MH_BUNDLE, "shared"),
        (mach_o.MH_DSYM, "other"),
    ],
)
def test_kinds_of_images(filetype: int, kind: str) -> None:
    assert image_kind(filetype) == kind


def test_the_command_line_comes_without_macholib() -> None:
    code = "import sys, slim.cli; sys.exit('macholib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
