"""ELF files whose code moves between versions: functions that call each other, and data."""

from __future__ import annotations

import random
import struct
from collections.abc import Collection

_START, _DATA_SHIFT = 0x200, 0x1000
_SECTION = struct.Struct("<IIQQQQIIQQ")


def library(functions: int, longer: Collection[int] = (), *, machine: int = 62) -> bytes:
    """A library with so many functions; those in ``longer`` have 16 bytes more.

    Every function calls four others and loads the address of a constant; the data has the address
    of every function. Without ``longer``, two libraries of one size are equal.
    """
    bodies, lengths = [], []
    for number in range(functions):
        chance = random.Random(number)
        filler = [bytes(chance.randrange(0x60, 0x80) for _ in range(20)) for _ in range(5)]
        calls = [chance.randrange(functions) for _ in range(4)]
        bodies.append((filler, calls))
        lengths.append(16 * -(-(20 * 5 + 5 * 4 + 7 + 1) // 16) + 16 * (number in longer))
    starts = [_START]
    for length in lengths:
        starts.append(starts[-1] + length)
    constants = b"".join(b"constant number %06d\0" % number for number in range(functions))
    code = bytearray()
    for number, (filler, calls) in enumerate(bodies):
        for part, call in zip(filler, calls, strict=False):
            code += part
            code += b"\xe8" + struct.pack("<i", starts[call] - (_START + len(code) + 5))
        target = starts[-1] + 23 * number
        code += filler[4]
        code += b"\x48\x8d\x3d" + struct.pack("<i", target - (_START + len(code) + 7))
        code += b"\x90" * (16 * (number in longer)) + b"\xc3"
        code += b"\x90" * (starts[number + 1] - _START - len(code))
    constants += bytes(-len(constants) % 16)
    data = b"".join(struct.pack("<Q", start) for start in starts[:-1])
    names = b"\0.text\0.rodata\0.data\0.shstrtab\0"
    offset, rows = _START, [bytes(64)]
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
