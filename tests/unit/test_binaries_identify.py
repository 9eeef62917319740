"""Telling native files by their headers."""

from __future__ import annotations

import struct

import pytest

from slim.binaries import BINARIES, describe, identify, may_be_native
from slim.binaries.base import ImageKind, NativeInfo
from slim.binaries.elf.edit import read_dynamic
from slim.model.record import NativeFormat
from slim.model.stack import Platform, System
from tests.support.elf_files import build, put

X86_64, ARM64 = 0x0100_0007, 0x0100_000C
LOADED = "\nload 0x10000 align 0x1000\nsection .text progbits 64 alloc\nend\n"


def macho(order: str = "<", bits: int = 64, cpu: int = ARM64, filetype: int = 6) -> bytes:
    magic = 0xFEEDFACF if bits == 64 else 0xFEEDFACE
    return struct.pack(f"{order}IIIIIII", magic, cpu, 0, filetype, 0, 0, 0) + bytes(4)


def fat(slices: list[tuple[int, bytes]], magic: int = 0xCAFEBABE) -> bytes:
    layout = ">IIIII" if magic == 0xCAFEBABE else ">IIQQII"
    start = 8 + struct.calcsize(layout) * len(slices)
    head, body = struct.pack(">II", magic, len(slices)), b""
    for cpu, data in slices:
        row: tuple[int, ...] = (cpu, 0, start + len(body), len(data), 14)
        head += struct.pack(layout, *row, *([0] if layout.endswith("QQII") else []))
        body += data
    return head + body


def pe(machine: int = 0x8664, flags: int = 0x2022, at: int = 0x80, magic: int = 0x20B) -> bytes:
    coff = struct.pack("<HHIIIHH", machine, 0, 0, 0, 0, 240, flags) + struct.pack("<H", magic)
    return b"MZ" + bytes(0x3A) + struct.pack("<I", at) + bytes(max(0, at - 0x40)) + b"PE\0\0" + coff


ELF, MACHO, PE, AR = NativeFormat.ELF, NativeFormat.MACHO, NativeFormat.PE, NativeFormat.ARCHIVE
SHARED, PROGRAM = ImageKind.SHARED, ImageKind.EXECUTABLE


@pytest.mark.parametrize(
    ("data", "format_", "system", "machine", "bits", "kind"),
    [
        (build("elf 64 little x86_64 shared" + LOADED), ELF, System.LINUX, "x86_64", 64, SHARED),
        (build("elf 64 little aarch64 shared" + LOADED), ELF, System.LINUX, "aarch64", 64, SHARED),
        (build("elf 32 little i686 executable" + LOADED), ELF, System.LINUX, "i686", 32, PROGRAM),
        (build("elf 64 big s390x executable" + LOADED), ELF, System.LINUX, "s390x", 64, PROGRAM),
        (build("elf 64 little riscv shared" + LOADED), ELF, System.LINUX, "riscv64", 64, SHARED),
        (build("elf 64 little ppc64 shared" + LOADED), ELF, System.LINUX, "ppc64le", 64, SHARED),
        (
            build("elf 64 little x86_64 relocatable" + LOADED),
            ELF,
            System.LINUX,
            "x86_64",
            64,
            ImageKind.RELOCATABLE,
        ),
        (macho(), MACHO, System.MACOS, "aarch64", 64, SHARED),
        (macho(cpu=X86_64, filetype=2), MACHO, System.MACOS, "x86_64", 64, PROGRAM),
        (macho(filetype=8), MACHO, System.MACOS, "aarch64", 64, SHARED),
        (macho(">", 32, 18, 1), MACHO, System.MACOS, "ppc", 32, ImageKind.RELOCATABLE),
        (macho(">", 64, 0x0100_0012), MACHO, System.MACOS, "ppc64", 64, SHARED),
        (macho("<", 32, 7), MACHO, System.MACOS, "i686", 32, SHARED),
        (pe(), PE, System.WINDOWS, "x86_64", 64, SHARED),
        (pe(0xAA64, 0x22), PE, System.WINDOWS, "aarch64", 64, PROGRAM),
        (pe(0x14C, 0x2102, 0x100, 0x10B), PE, System.WINDOWS, "i686", 32, SHARED),
        (b"!<arch>\n" + bytes(60), AR, System.UNKNOWN, "unknown", 0, ImageKind.ARCHIVE),
        (b"!<thin>\n", AR, System.UNKNOWN, "unknown", 0, ImageKind.ARCHIVE),
    ],
)
def test_headers_are_read(
    data: bytes, format_: NativeFormat, system: System, machine: str, bits: int, kind: ImageKind
) -> None:
    info = describe(memoryview(data))
    assert isinstance(info, NativeInfo)
    assert (info.format, info.system, info.machine, info.bits, info.kind) == (
        format_,
        system,
        machine,
        bits,
        kind,
    )
    assert identify(data) is format_


@pytest.mark.parametrize("magic", [0xCAFEBABE, 0xCAFEBABF])
def test_universal_files_name_every_machine(magic: int) -> None:
    info = describe(fat([(X86_64, macho(cpu=X86_64)), (ARM64, macho())], magic))
    assert info is not None
    assert (info.format, info.machines, info.kind) == (MACHO, ("x86_64", "aarch64"), SHARED)


def test_a_universal_static_archive_is_no_library() -> None:
    info = describe(fat([(ARM64, b"!<arch>\n")]))
    assert info is not None
    assert info.kind is ImageKind.ARCHIVE


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7f",
        b"\x7fEL",
        b"MZ",
        b"MZ" + b"a text that begins like a program" * 9,
        pe()[:0x80],
        pe()[:0x84],
        pe().replace(b"PE\0\0", b"NE\0\0"),
        b"MZ" + bytes(0x3A) + b"\xff\xff\xff\xff" + bytes(99),
        b"\xca\xfe\xba\xbe\x00\x00\x00\x34" + bytes(400),  # Java 8
        b"\xca\xfe\xba\xbe\x00\x00\x00\x2d" + bytes(4000),  # Java 1.1
        b"\xca\xfe\xba\xbe\x00\x03\x00\x2d" + bytes(400),
        b"\xca\xfe\xba\xbe\x80\x00\x00\x00" + bytes(400),
        b"\xca\xfe\xba\xbe\x00\x00\x00\x00" + bytes(400),
        b"\xca\xfe\xba\xbe\x00\x00\x00\x02" + bytes(400),
        b"\xca\xfe\xba",
        fat([(ARM64, macho())])[:20],
        fat([(ARM64, macho())])[:-1],
        b"!<arch>",
        b"INPUT ( -lfoo )",
        b"#!/bin/sh",
        b"PK\3\4",
    ],
)
def test_what_is_no_native_file(data: bytes) -> None:
    assert describe(data) is None
    assert identify(memoryview(data)) is None


@pytest.mark.parametrize("size", [4, 5, 16, 40, 63])
def test_a_truncated_elf_file_is_elf_of_unknown_machine(size: int) -> None:
    info = describe(build("elf 64 little x86_64 shared" + LOADED)[:size])
    assert info is not None
    assert (info.format, info.machine) == (ELF, "unknown")


def test_lying_program_headers_do_no_harm() -> None:
    info = describe(put(build("elf 64 little x86_64 shared" + LOADED), "e_phoff", 1 << 63))
    assert info is not None
    assert (info.machine, info.dynamic) == ("x86_64", False)


def test_machines_are_named_as_platform_tags_name_them() -> None:
    """A layer's platform and its files' machines are compared."""
    for tag, data in [
        ("linux_x86_64", build("elf 64 little x86_64 shared" + LOADED)),
        ("linux_aarch64", build("elf 64 little aarch64 shared" + LOADED)),
        ("macosx_arm64", macho()),
        ("win_amd64", pe()),
        ("win_arm64", pe(0xAA64)),
    ]:
        info, platform = describe(data), Platform.parse(tag)
        assert info is not None
        assert (info.machine, info.system) == (platform.machine, platform.system)


def test_every_format_has_its_own_magic() -> None:
    magics = [magic for row in BINARIES for magic in row.magics]
    assert len(magics) == len(set(magics))
    assert len({row.format for row in BINARIES}) == len(BINARIES)


@pytest.mark.parametrize(
    "data", [b"", b"\x7fELF", build("elf 64 little x86_64 shared" + LOADED), macho(), pe()]
)
def test_without_a_dynamic_section_nothing_is_read(data: bytes) -> None:
    assert read_dynamic(data) is None


def test_the_beginning_of_a_file_only_says_what_it_may_be() -> None:
    """The slices of a universal file lie beyond what is read first; without them it is none."""
    whole = fat([(X86_64, macho(cpu=X86_64)), (ARM64, macho())])
    assert may_be_native(whole[:64]) and identify(whole[:64]) is None
    assert may_be_native(whole) and identify(whole) is NativeFormat.MACHO
    assert (
        not may_be_native(b"")
        and not may_be_native(b"\xca\xfe")
        and not may_be_native(b"#!/bin/sh")
    )
