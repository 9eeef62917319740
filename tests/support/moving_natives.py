"""Native files whose code moves between versions: functions that call each other, and data."""

from __future__ import annotations

import random
import struct
from collections.abc import Collection
from itertools import pairwise

X86_64, ARM64 = 62, 183
"""Machines, by their numbers in ELF files."""
_START, _DATA_SHIFT = 0x200, 0x1000
_SECTION = struct.Struct("<IIQQQQIIQQ")
_RETURN = {ARM64: b"\xc0\x03\x5f\xd6"}
_MACHO = {X86_64: 0x01000007, ARM64: 0x0100000C}
_PE = {X86_64: 0x8664, ARM64: 0xAA64}
_PE_BASE = 0x180000000


def library(
    functions: int, longer: Collection[int] = (), *, machine: int = X86_64, form: str = "elf"
) -> bytes:
    """A library with so many functions; those in ``longer`` have 16 bytes more.

    Every function calls four others and loads the address of a constant; the data has the address
    of every function. Without ``longer``, two libraries of one size are equal. ``form`` is one of
    elf, macho and pe.
    """
    bodies = []
    starts = [_START]
    for number in range(functions):
        chance = random.Random(number)
        filler = [_filler(chance, machine) for _ in range(5)]
        bodies.append((filler, [chance.randrange(functions) for _ in range(4)]))
        starts.append(starts[-1] + 128 + 16 * (number in longer))
    constants = b"".join(b"constant number %06d\0" % number for number in range(functions))
    code = bytearray()
    nop = b"\x1f\x20\x03\xd5" if machine == ARM64 else b"\x90"
    for number, (filler, calls) in enumerate(bodies):
        for part, call in zip(filler, calls, strict=False):
            code += part
            code += _call(starts[call] - (_START + len(code)), machine)
        code += filler[4]
        code += _load(_START + len(code), starts[-1] + 23 * number, machine)
        code += nop * (16 * (number in longer) // len(nop)) + _RETURN.get(machine, b"\xc3")
        code += nop * ((starts[number + 1] - _START - len(code)) // len(nop))
    constants += bytes(-len(constants) % 16)
    writers = {"elf": _elf, "macho": _macho, "pe": _pe}
    return writers[form](machine, bytes(code), constants, starts)


def _filler(chance: random.Random, machine: int) -> bytes:
    """Instructions of 20 bytes together that refer to nothing."""
    if machine != ARM64:
        return bytes(chance.randrange(0x60, 0x80) for _ in range(20))
    moves = [0xD2800000 | chance.randrange(1 << 16) << 5 | chance.randrange(31) for _ in range(5)]
    return struct.pack("<5I", *moves)


def _call(distance: int, machine: int) -> bytes:
    if machine == ARM64:
        return struct.pack("<I", 0x94000000 | distance >> 2 & 0x3FFFFFF)
    return b"\xe8" + struct.pack("<i", distance - 5)


def _load(here: int, target: int, machine: int) -> bytes:
    if machine == ARM64:
        pages = (target >> 12) - (here >> 12)
        page = 0x90000000 | (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5
        return struct.pack("<2I", page, 0x91000000 | (target & 0xFFF) << 10)
    return b"\x48\x8d\x3d" + struct.pack("<i", target - here - 7)


def _data(starts: list[int], shift: int = 0) -> bytes:
    return b"".join(struct.pack("<Q", start + shift) for start in starts[:-1])


def _elf(machine: int, code: bytes, constants: bytes, starts: list[int]) -> bytes:
    names = b"\0.text\0.rodata\0.data\0.shstrtab\0"
    offset, rows, data = _START, [bytes(64)], _data(starts)
    layout = ((1, 0x6, 0, code), (7, 0x2, 0, constants), (15, 0x3, _DATA_SHIFT, data))
    for name, flags, shift, content in layout:
        size = len(content)
        rows.append(_SECTION.pack(name, 1, flags, offset + shift, offset, size, 0, 0, 16, 0))
        offset += size
    rows.append(_SECTION.pack(21, 3, 0, 0, offset, len(names), 0, 0, 1, 0))
    table = offset + len(names)
    header = b"\x7fELF\2\1\1" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 0, table, 0, 64, 56, 0, 64, 5, 4)
    start = header.ljust(_START, b"\0")
    return b"".join([start, code, constants, data, names, *rows])


def _macho(machine: int, code: bytes, constants: bytes, starts: list[int]) -> bytes:
    """Return a library whose pointers are chained, and which has a symbol for each function."""
    after, constants_at = _START + len(code) + len(constants), _START + len(code)
    pointers = [start | 1 << 51 for start in starts[:-1]]
    data = struct.pack(f"<{len(pointers)}Q", *pointers)
    symbols = b"".join(struct.pack("<IBBHQ", 1, 0xE, 1, 0, start) for start in starts[:-1])

    def segment(name: bytes, at: int, length: int, writable: int, *sections: bytes) -> bytes:
        size = 72 + 80 * len(sections)
        fields = (at + writable, length, at, length, 7, 5 - writable // 0x800, len(sections), 0)
        return struct.pack("<2I16s4Q4I", 0x19, size, name, *fields) + b"".join(sections)

    def section(name: bytes, owner: bytes, at: int, size: int, shift: int, flags: int) -> bytes:
        return struct.pack(
            "<16s16s2Q8I", name, owner, at + shift, size, at, 4, 0, 0, flags, 0, 0, 0
        )

    text = b"__TEXT"
    commands = segment(
        text,
        0,
        after,
        0,
        section(b"__text", text, _START, len(code), 0, 0x80000400),
        section(b"__const", text, constants_at, len(constants), 0, 0),
    )
    held = section(b"__data", b"__DATA", after, len(data), _DATA_SHIFT, 0)
    commands += segment(b"__DATA", after, len(data), _DATA_SHIFT, held)
    end = after + len(data)
    commands += struct.pack("<6I", 2, 24, end, len(starts) - 1, end + len(symbols), 1)
    header = struct.pack("<8I", 0xFEEDFACF, _MACHO[machine], 0, 8, 3, len(commands), 0, 0)
    return (header + commands).ljust(_START, b"\0") + code + constants + data + symbols + b"\0"


def _pe(machine: int, code: bytes, constants: bytes, starts: list[int]) -> bytes:
    """Return a library that has addresses, and an entry for unwinding for each function."""
    shift = 0x1000
    pairs = pairwise(starts)
    unwind = b"".join(struct.pack("<3I", a + shift, b + shift, 0x10) for a, b in pairs)
    layout = (
        (b".text", 0x60000020, code),
        (b".rdata", 0x40000040, constants),
        (b".data", 0xC0000040, _data(starts, _PE_BASE + shift)),
        (b".pdata", 0x40000040, unwind),
    )
    rows, offset = [], _START
    for name, flags, content in layout:
        size = len(content)
        rows.append(struct.pack("<8s4I12xI", name, size, offset + shift, size, offset, flags))
        offset += size
    optional = struct.pack("<H22xQ80xI", 0x20B, _PE_BASE, 0)
    header = struct.pack("<4sHHIIIHH", b"PE\0\0", _PE[machine], 4, 0, 0, 0, len(optional), 0x2022)
    start = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40) + header + optional
    return b"".join([(start + b"".join(rows)).ljust(_START, b"\0"), *[part[2] for part in layout]])
