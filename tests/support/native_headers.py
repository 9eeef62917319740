"""Mach-O and PE files for tests of what they need: headers and tables, no code."""

from __future__ import annotations

import struct
from collections.abc import Sequence

MACHO_CPUS = {"x86_64": 0x0100_0007, "aarch64": 0x0100_000C, "i686": 7, "ppc": 18}
MACHO_TYPES = {"object": 1, "executable": 2, "dylib": 6, "bundle": 8}
LOADS = {
    "load": 0xC,
    "weak": 0x8000_0018,
    "lazy": 0x20,
    "reexport": 0x8000_001F,
    "upward": 0x8000_0023,
}
PE_MACHINES = {"i686": 0x14C, "x86_64": 0x8664, "aarch64": 0xAA64}
FAT_MAGIC = b"\xca\xfe\xba\xbe"


def macho(
    *needed: str,
    name: str = "",
    rpaths: Sequence[str] = (),
    machine: str = "aarch64",
    kind: str = "dylib",
    inits: Sequence[str] = (),
    strings: Sequence[str] = (),
    order: str = "<",
) -> bytes:
    """A Mach-O image.

    ``needed`` are install names, perhaps with a kind before them: ``weak @rpath/libx.dylib``.
    ``strings`` lie in the file like any constant; ``inits`` are symbols. i686 and ppc give an image
    of 32 bits.
    """
    wide = MACHO_CPUS[machine] & 0x0100_0000
    commands = []
    if name:
        commands.append(_string_command(order, 0xD, 24, name))
    for text in needed:
        how, _, path = text.rpartition(" ")
        commands.append(_string_command(order, LOADS[how or "load"], 24, path))
    commands += [_string_command(order, 0x8000_001C, 12, path) for path in rpaths]
    size = sum(map(len, commands)) + 24
    start = (32 if wide else 28) + size
    names = b" \0" + b"".join(b"_" + init.encode() + b"\0" for init in inits)
    commands.append(struct.pack(f"{order}6I", 2, 24, start, 0, start, len(names)))
    header = struct.pack(
        f"{order}7I",
        0xFEEDFACF if wide else 0xFEEDFACE,
        MACHO_CPUS[machine],
        0,
        MACHO_TYPES[kind],
        len(commands),
        size,
        0,
    )
    return b"".join(
        (
            header,
            bytes(4 if wide else 0),
            *commands,
            names,
            *(text.encode() + b"\0" for text in strings),
        )
    )


def _string_command(order: str, kind: int, offset: int, text: str) -> bytes:
    raw = text.encode() + b"\0"
    size = -(-(offset + len(raw)) // 8) * 8
    head = struct.pack(f"{order}3I", kind, size, offset)
    return head.ljust(offset, b"\0") + raw.ljust(size - offset, b"\0")


def fat(*images: bytes) -> bytes:
    """A universal file of thin little-endian images, one page apart."""
    rows, body = [], b""
    for image in images:
        body = body.ljust(-(-len(body) // 0x1000) * 0x1000, b"\0")
        cpu, subtype = struct.unpack_from("<2I", image, 4)
        rows.append(struct.pack(">5I", cpu, subtype, 0x1000 + len(body), len(image), 12))
        body += image
    return (FAT_MAGIC + struct.pack(">I", len(images)) + b"".join(rows)).ljust(0x1000, b"\0") + body


def pe(
    *needed: str,
    delayed: Sequence[str] = (),
    exports: Sequence[str] = (),
    forwards: Sequence[str] = (),
    machine: str = "x86_64",
    dll: bool = True,
    signed: bool = False,
    old_delays: bool = False,
    strings: Sequence[str | bytes] = (),
    clr: bool = False,
    system: tuple[int, int] = (0, 0),
    subsystem: tuple[int, int] = (0, 0),
    environment: int = 0,
) -> bytes:
    """A PE image with one section that holds its tables.

    ``forwards`` are such as ``python313.Py_Main``; ``clr`` gives it a CLR header; ``system`` and
    ``subsystem`` are versions of Windows; ``environment`` is one of ``IMAGE_SUBSYSTEM_*``.
    """
    wide = machine != "i686"
    base = 0x4000_0000 if wide else 0x1000_0000
    section = _Section()
    imports = section.table([(0, 0, 0, name, 0) for name in map(section.string, needed)], 5)
    shift = base if old_delays else 0
    late = [
        (0 if old_delays else 1, name + shift, 0, 0, 0, 0, 0, 0)
        for name in map(section.string, delayed)
    ]
    delays = section.table(late, 8)
    export = section.exports(exports, forwards)
    for text in strings:
        section.string(text)
    directories = [(0, 0)] * 16
    directories[0] = export
    directories[1] = imports if needed else (0, 0)
    directories[13] = delays if delayed else (0, 0)
    directories[4] = (0x10000, 8) if signed else (0, 0)
    directories[14] = (section.add(bytes(72)), 72) if clr else (0, 0)
    data = section.data
    optional = struct.pack("<H", 0x20B if wide else 0x10B).ljust(24 if wide else 28, b"\0")
    optional += struct.pack("<Q" if wide else "<I", base)
    optional = optional.ljust(40, b"\0") + struct.pack("<2H", *system)
    optional = optional.ljust(48, b"\0") + struct.pack("<2H", *subsystem)
    optional = optional.ljust(68, b"\0") + struct.pack("<H", environment)
    optional = optional.ljust(108 if wide else 92, b"\0") + struct.pack("<I", 16)
    optional += b"".join(struct.pack("<2I", *row) for row in directories)
    flags = 0x2022 if dll else 0x22
    coff = struct.pack("<HHIIIHH", PE_MACHINES[machine], 1, 0, 0, 0, len(optional), flags)
    row = struct.pack("<8s4I16x", b".rdata", len(data), _Section.ADDRESS, len(data), 0x400)
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40) + b"PE\0\0" + coff + optional + row
    return head.ljust(0x400, b"\0") + data


class _Section:
    """Grows, and says at which address each piece is."""

    ADDRESS = 0x1000

    def __init__(self) -> None:
        self.data = b"\0" * 16

    def add(self, data: bytes) -> int:
        at = self.ADDRESS + len(self.data)
        self.data += data
        return at

    def string(self, text: str | bytes) -> int:
        return self.add((text.encode() if isinstance(text, str) else text) + b"\0")

    def table(self, rows: Sequence[tuple[int, ...]], width: int) -> tuple[int, int]:
        data = b"".join(struct.pack(f"<{width}I", *row) for row in (*rows, (0,) * width))
        return self.add(data), len(data)

    def exports(self, names: Sequence[str], forwards: Sequence[str]) -> tuple[int, int]:
        if not names and not forwards:
            return 0, 0
        addresses = [self.string(name) for name in sorted(names)]
        name_table = self.add(struct.pack(f"<{len(names)}I", *addresses))
        start = self.ADDRESS + len(self.data)
        count = len(names) + len(forwards)
        function_table = start + 40
        texts = function_table + 4 * count
        functions = [0x99_0000] * len(names)
        strings = b""
        for text in forwards:
            functions.append(texts + len(strings))
            strings += text.encode() + b"\0"
        row = (0, 0, 0, 0, 1, count, len(names), function_table, name_table, 0)
        data = struct.pack("<10I", *row) + struct.pack(f"<{count}I", *functions) + strings
        return self.add(data), len(data)
