"""Native files that are damaged, unusual, or to be edited with care, built from text."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass

from tests.support.elf_files import build as build_elf
from tests.support.elf_files import get, put
from tests.support.macho_files import LIBRARY
from tests.support.macho_files import build as build_macho
from tests.support.native_headers import fat, pe

ELF = build_elf("""
elf 64 little x86_64 shared
load 0x0 align 0x1000
section .dynsym dynsym 96 alloc align 8 link .dynstr
section .dynstr strtab 100 alloc
section .text progbits 800 alloc align 16
end
section .debug_info progbits 900
section .symtab symtab 480 align 8 link .strtab
section .strtab strtab 900
""")
MACHO = build_macho(LIBRARY)
FLIPS = 250


@dataclass(frozen=True)
class Alone:
    """A file that comes out byte for byte.

    ``reported`` is what the report says of it; None where slim edits no file of that kind.
    """

    name: str
    data: bytes
    reported: str | None
    platform: str = "linux_x86_64"


def _misplaced() -> bytes:
    """The offset of the first PT_LOAD isn't congruent with its address any more."""
    changed = bytearray(ELF)
    at = get(ELF, "e_phoff") + 8
    struct.pack_into("<Q", changed, at, struct.unpack_from("<Q", ELF, at)[0] + 1)
    return bytes(changed)


def _section_of(machine: str, kind: str) -> bytes:
    return build_elf(f"""
elf 64 little {machine} {kind}
load 0x0 align 0x1000
section .text progbits 800 alloc align 16
end
section .debug_info progbits 900
""")


_CUT = "the ELF header is cut short"
_TABLE = "the section header table doesn't lie in the file"
_ISNT = "named like a native file, and isn't one"
_DARWIN = "macosx_arm64"

ALONE = [
    Alone("cut-0.so", b"", _ISNT),
    Alone("cut-4.so", ELF[:4], _CUT),
    Alone("cut-16.so", ELF[:16], _CUT),
    Alone("cut-63.so", ELF[:63], _CUT),
    Alone("cut-64.so", ELF[:64], "the program headers are missing"),
    Alone("cut-200.so", ELF[:200], _TABLE),
    Alone("cut-half.so", ELF[: len(ELF) // 2], _TABLE),
    Alone("e_shoff.so", put(ELF, "e_shoff", 1 << 63), _TABLE),
    Alone("e_shnum.so", put(ELF, "e_shnum", 65535), "extended numbering"),
    Alone("e_shentsize.so", put(ELF, "e_shentsize", 0), _TABLE),
    Alone("pt_load.so", _misplaced(), "isn't aligned with its address"),
    Alone("payload.so", ELF + b"payload" * 10, "belong to nothing that the headers know"),
    Alone("object.o", _section_of("x86_64", "relocatable"), "an object file needs its symbols"),
    Alone(
        "riscv.so", _section_of("riscv", "shared"), "slim doesn't edit files for riscv64 machines"
    ),
    Alone("script.so", b"/* GNU ld script */\nINPUT(libm.so.6)\n", _ISNT),
    Alone("Java.class", b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(100), None),
    Alone(
        "static.a",
        b"!<arch>\nx.o/            0           0     0     644     4         `\nabcd",
        None,
    ),
    Alone("slices.dylib", b"\xca\xfe\xba\xbe\x80\0\0\0" + bytes(100), _ISNT, _DARWIN),
    Alone(
        "adhoc.dylib",
        build_macho(LIBRARY.replace("signed linker", "signed bare")),
        "isn't marked as ad-hoc",
        _DARWIN,
    ),
    Alone(
        "identity.dylib",
        build_macho(LIBRARY.replace("signed linker", "signed identity")),
        "it is signed with an identity",
        _DARWIN,
    ),
    Alone("cut-half.dylib", MACHO[: len(MACHO) // 2], "ends after the end of the file", _DARWIN),
    Alone("signed.dll", pe("a.dll", signed=True), None, "win_amd64"),
    Alone("overlay.dll", pe("a.dll") + b"overlay" * 9, None, "win_amd64"),
]


@dataclass(frozen=True)
class Edited:
    """A file that comes out smaller and whole."""

    name: str
    data: bytes
    mode: int = 0o644
    platform: str = "linux_x86_64"


EDITED = [
    Edited("plain.so", ELF),
    Edited("read-only.so", ELF, mode=0o444),
    Edited("linker-signed.dylib", MACHO, platform=_DARWIN),
    Edited(
        "codesigned.dylib",
        build_macho(LIBRARY.replace("signed linker", "signed codesign")),
        platform=_DARWIN,
    ),
    Edited(
        "fat.dylib",
        fat(
            build_macho(
                LIBRARY.replace("arm64", "x86_64").replace("signed linker libsample.dylib", "")
            ),
            MACHO,
        ),
        platform=_DARWIN,
    ),
]


def flipped(data: bytes, count: int, seed: int) -> dict[str, bytes]:
    """``count`` files by name, with one byte changed, in the headers more often than by chance."""
    chance = random.Random(seed)
    found = {}
    for number in range(count):
        at = chance.randrange(chance.choice((64, 400, len(data))))
        found[f"flip-{number}.so"] = (
            data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :]
        )
    return found
