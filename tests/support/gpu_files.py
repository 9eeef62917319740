"""Files with GPU code for tests: fat binaries, offload bundles, and ELF and PE files around them.

Nothing here is shared with slim's reader: numbers are written out as the formats have them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import zstandard

ZSTD, LZ4, SPECIFIC, FAMILY = 0x8000, 0x2000, 0x100000, 0x200000
PTX, CUBIN, LTO = 1, 2, 8


def entry(
    kind: int = CUBIN,
    arch: int = 90,
    payload: bytes = b"\x7fELF" + b"\x01" * 60,
    *,
    flags: int = 0x11,
    header_size: int = 64,
    unpacked: int = 0,
    version: tuple[int, int] = (1, 8),
) -> bytes:
    """An entry of a fat binary, padded to 8 bytes; compressed where ``flags`` say so."""
    room = -len(payload) % 8 + len(payload)
    packed = len(payload) if flags & (ZSTD | LZ4) else 0
    head = struct.pack(
        "<HHIQIIHHIIIQQQ",
        *(kind, 0x101, header_size, room, packed, 0, version[1], version[0], arch, 0, 0, flags),
        *(0, unpacked),
    )
    return head + b"\0" * (header_size - len(head)) + payload + b"\0" * (room - len(payload))


def fatbin(*entries: bytes) -> bytes:
    """A fat binary."""
    body = b"".join(entries)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def wrapper(pointer: int, linked: int = 0) -> bytes:
    """The record that registers a fat binary."""
    return struct.pack("<IIQQ", 0x466243B1, 2 if linked else 1, pointer, linked)


def bundle(codes: Sequence[tuple[str, bytes]]) -> bytes:
    """An offload bundle: the host's empty entry, and one for each target."""
    rows = [("host-x86_64-unknown-linux--", b""), *codes]
    table = sum(24 + len(name) for name, _ in rows) + 32
    at = -(-table // 4096) * 4096
    head, body = b"__CLANG_OFFLOAD_BUNDLE__" + struct.pack("<Q", len(rows)), b""
    for name, code in rows:
        head += struct.pack("<3Q", at + len(body), len(code), len(name)) + name.encode()
        body += code
    return head.ljust(at, b"\0") + body


def packed_bundle(plain: bytes, version: int = 3, method: int = 1) -> bytes:
    """A compressed bundle."""
    body = zstandard.compress(plain) if method == 1 else zlib.compress(plain)
    layout = {1: "<IQ", 2: "<IIQ", 3: "<QQQ"}[version]
    size = 8 + struct.calcsize(layout) + len(body)
    numbers = (len(plain), 7) if version == 1 else (size, len(plain), 7)
    return struct.pack("<4sHH", b"CCOB", version, method) + struct.pack(layout, *numbers) + body


def elf(sections: Sequence[tuple[str, bytes]]) -> bytes:
    """A 64-bit ELF library with these sections, each at a multiple of 16 bytes."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name, _ in sections) + b".shstrtab\0"
    rows, body, at = [(0,) * 10], b"", 64
    for name, content in [*sections, (".shstrtab", names)]:
        body += b"\0" * (-(at + len(body)) % 16)
        place = names.index(b"\0" + name.encode() + b"\0") + 1
        rows.append((place, 1, 2, 0, at + len(body), len(content), 0, 0, 16, 0))
        body += content
    table = b"".join(struct.pack("<IIQQQQIIQQ", *row) for row in rows)
    ident = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    numbers = (3, 62, 1, 0, 0, at + len(body), 0, 64, 56, 0, 64, len(rows), len(rows) - 1)
    return ident + struct.pack("<HHIQQQIHHHHHH", *numbers) + body + table


def pe(sections: Sequence[tuple[str, bytes]]) -> bytes:
    """A 64-bit PE library with these sections, whose names are cut after eight characters."""
    optional = struct.pack("<H", 0x20B) + b"\0" * 106 + struct.pack("<I", 0)
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40) + b"PE\0\0"
    head += struct.pack("<HHIIIHH", 0x8664, len(sections), 0, 0, 0, len(optional), 0x2002)
    at = 0x400 + 512 * len(sections)
    table, body = b"", b""
    for name, content in sections:
        room = -(-len(content) // 512) * 512
        numbers = (len(content), 0x1000, room, at + len(body))
        table += struct.pack("<8s4I16x", name.encode()[:8], *numbers)
        body += content.ljust(room, b"\0")
    return (head + optional + table).ljust(at, b"\0") + body


def cubin(flags: int, abi: int = 8) -> bytes:
    """The header of a cubin that is a file of its own."""
    ident = b"\x7fELF\x02\x01\x01\x41" + bytes([abi]) + b"\0" * 7
    return ident + struct.pack("<HHIQQQIHHHHHH", 2, 190, 1, 0, 0, 0, flags, 64, 56, 0, 64, 0, 0)


def hsaco(target: str) -> bytes:
    """A code object for one of AMD's GPUs that is a file of its own."""
    note = b"\x05\0\0\0amdhsa.target\xd9" + target.encode() + b"\0"
    ident = b"\x7fELF\x02\x01\x01\x40" + b"\0" * 8
    numbers = (3, 224, 1, 0, 64, 0, 0x54C, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(note), len(note), 4)
    return ident + struct.pack("<HHIQQQIHHHHHH", *numbers) + segment + note
