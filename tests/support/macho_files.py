"""Mach-O files for tests, built from a description in text.

A description has one directive a line:

    macho arm64 dylib           machine (arm64, arm64e, x86_64, x86_64h), and type (dylib, bundle,
                                executable, object)
    chained                     chained fixups and an exports trie instead of the older dyld info
    data-in-code SIZE           bytes of LC_DATA_IN_CODE (0 if there is no such line)
    stab|local|keep NAME        a symbol
    defined|undefined NAME      a symbol
    alias NAME TARGET           a symbol
    indirect NAME|local|absolute    an entry of the indirect symbol table
    command NUMBER HEX          a further load command
    dwarf SIZE mapped|unmapped  a segment __DWARF before __LINKEDIT, with an address in memory or
                                without
    fixed INDEX                 the segment that the loader writes into, with true fixups (with
                                dwarf: 1, __DATA)
    signed linker|linker8|codesign|twice|identity|bare [IDENTIFIER]

``local`` symbols are dropped, ``keep`` is a local one marked as referenced dynamically. Of the
signatures, ``linker`` is what linkers write (``linker8``: rounded to 8 bytes), ``codesign`` has
requirements, an empty certificate blob and reserved space, ``twice`` has SHA-1 and SHA-256,
``identity`` a certificate blob that isn't empty, ``bare`` the ad-hoc flag cleared. Segments and
tables are filled with patterns.
"""

from __future__ import annotations

import hashlib
import random
import struct
from dataclasses import dataclass, field

PAGE = 0x4000
CPUS = {
    "arm64": (0x0100000C, 0),
    "arm64e": (0x0100000C, 2),
    "x86_64": (0x01000007, 3),
    "x86_64h": (0x01000007, 8),
}
TYPES = {"object": 1, "executable": 2, "dylib": 6, "bundle": 8}
# n_type, n_desc and the order in the table.
SYMBOLS = {
    "stab": (0x24, 0, 0),
    "local": (0x0E, 0, 0),
    "keep": (0x0E, 0x10, 0),
    "defined": (0x0F, 0, 1),
    "alias": (0x0B, 0, 1),
    "undefined": (0x01, 0x100, 2),
}
STUB = 12

LIBRARY = """
macho arm64 dylib
stab /src/answer.c
stab _answer
stab /src/very/long/path/of/an/object/file.o
local _helper
local _table
local _used_by_stub
keep _kept
local GCC_except_table1
defined _answer
defined _PyInit_sample
alias _reply _answer
undefined _malloc
undefined _free
indirect _malloc
indirect _free
indirect _used_by_stub
indirect local
indirect _malloc
signed linker libsample.dylib
"""
"""A library with some of everything."""


@dataclass
class _Builder:
    machine: str = "arm64"
    type: str = "dylib"
    chained: bool = False
    data_in_code: int = 0
    symbols: list[tuple[str, ...]] = field(default_factory=list)
    indirect: list[str] = field(default_factory=list)
    commands: list[tuple[int, bytes]] = field(default_factory=list)
    dwarf: int = 0
    mapped: bool = False
    fixed: int = -1
    signature: str = ""
    identifier: str = "sample"


def pattern(name: str, size: int) -> bytes:
    """Bytes without a zero, different for each name."""
    return random.Random(name).randbytes(size).replace(b"\0", b"\1")


def build(text: str) -> bytes:
    """Build the file that a description asks for."""
    made = _Builder()
    for line in text.splitlines():
        match line.split("#")[0].split():
            case []:
                continue
            case ["macho", machine, kind]:
                made.machine, made.type = machine, kind
            case ["chained"]:
                made.chained = True
            case ["data-in-code", size]:
                made.data_in_code = int(size)
            case [kind, *names] if kind in SYMBOLS:
                made.symbols.append((kind, *names))
            case ["indirect", name]:
                made.indirect.append(name)
            case ["command", number, *content]:
                made.commands.append((int(number, 0), bytes.fromhex("".join(content))))
            case ["dwarf", size, how]:
                made.dwarf, made.mapped = int(size), how == "mapped"
                made.fixed = max(made.fixed, 1)
            case ["fixed", index]:
                made.fixed = int(index)
            case ["signed", signature, *rest]:
                made.signature, made.identifier = signature, *(rest or ["sample"])
            case words:
                raise AssertionError(words)
    made.symbols.sort(key=lambda row: SYMBOLS[row[0]][2])
    return _finish(made)


def _tables(made: _Builder) -> tuple[bytes, bytes, bytes]:
    """Symbols, indirect symbols, strings."""
    strings = bytearray(b" \0")
    rows = []
    for number, (kind, name, *target) in enumerate(made.symbols):
        type_, flags, _ = SYMBOLS[kind]
        value = 0 if kind == "undefined" else 0x4000 + number
        if target:
            value = len(strings)
            strings += target[0].encode() + b"\0"
        section = 1 if type_ & 0x0E == 0x0E or kind == "stab" else 0
        rows.append(struct.pack("<IBBHQ", len(strings), type_, section, flags, value))
        strings += name.encode() + b"\0"
    strings += bytes(-len(strings) % 8)
    names = [row[1] for row in made.symbols if row[0] != "stab"]
    stabs = len(made.symbols) - len(names)
    special = {"local": 0x80000000, "absolute": 0x40000000}
    entries = [
        special[name] if name in special else stabs + names.index(name) for name in made.indirect
    ]
    return b"".join(rows), struct.pack(f"<{len(entries)}I", *entries), bytes(strings)


class _Linkedit:
    """The parts of ``__LINKEDIT``, and their places."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.data = bytearray()

    def add(self, content: bytes, align: int = 8) -> tuple[int, int]:
        self.data += bytes(-len(self.data) % align)
        at = self.start + len(self.data)
        self.data += content
        return at, len(content)


def _finish(made: _Builder) -> bytes:
    symbols, indirect, strings = _tables(made)
    linkedit = _Linkedit(2 * PAGE + -(-made.dwarf // PAGE) * PAGE)
    commands: list[bytes] = []
    if made.chained:
        parts = [(0x80000034, _chains(made)), (0x80000033, pattern("trie", 40))]
        commands += [_command(kind, "2I", *linkedit.add(content)) for kind, content in parts]
    else:
        rebases, binds, lazy = _opcodes(made)
        spans = [linkedit.add(rebases), linkedit.add(binds), (0, 0), linkedit.add(lazy)]
        spans.append(linkedit.add(pattern("export", 48)))
        commands.append(_command(0x80000022, "10I", *(number for span in spans for number in span)))
    commands.append(_command(0x26, "2I", *linkedit.add(pattern("starts", 8))))
    commands.append(_command(0x29, "2I", *linkedit.add(pattern("code", made.data_in_code))))
    symbol_at = linkedit.add(symbols)[0]
    indirect_at = linkedit.add(indirect)[0]
    string_at = linkedit.add(strings)[0]
    counts = [sum(SYMBOLS[row[0]][2] == order for row in made.symbols) for order in range(3)]
    commands.append(_command(0x2, "4I", symbol_at, len(symbols) // 16, string_at, len(strings)))
    partition = (0, counts[0], counts[0], counts[1], counts[0] + counts[1], counts[2])
    commands.append(
        _command(0xB, "18I", *partition, *[0] * 6, indirect_at, len(indirect) // 4, *[0] * 4)
    )
    commands.append(_command(0x1B, "16s", pattern("uuid", 16)))
    commands += [_command(kind, f"{len(content)}s", content) for kind, content in made.commands]
    limit = linkedit.start + len(linkedit.data)
    if made.signature:
        linkedit.add(b"", 16)
        limit = linkedit.start + len(linkedit.data)
        size = len(_sign(made, bytes(limit)))
        commands.append(_command(0x1D, "2I", limit, size))
    total = limit + (size if made.signature else 0)
    commands = [*_segments(made, total, len(indirect) // 4), *commands]
    body = b"".join(commands)
    cpu, subtype = CPUS[made.machine]
    header = struct.pack(
        "<8I", 0xFEEDFACF, cpu, subtype, TYPES[made.type], len(commands), len(body), 0x85, 0
    )
    head = header + body
    text = head + bytes(0x800 - len(head)) + pattern("text", PAGE - 0x800)
    dwarf = pattern("dwarf", made.dwarf) + bytes(-made.dwarf % PAGE)
    image = text + pattern("data", PAGE) + dwarf + bytes(linkedit.data)
    return image + (_sign(made, image) if made.signature else b"")


def _command(kind: int, layout: str, *values: int | bytes) -> bytes:
    body = struct.pack(f"<{layout}", *values)
    body += bytes(-len(body) % 8)
    return struct.pack("<2I", kind, 8 + len(body)) + body


def _segments(made: _Builder, total: int, indirect: int) -> list[bytes]:
    text = _section("__text", 0x800, 0x1000, 0, 0, 0)
    stubs = _section("__stubs", 0x1800, STUB * indirect, 0x8, 0, STUB)
    data = _section("__data", PAGE, 0x100, 0, 0, 0)
    pages = -(-made.dwarf // PAGE) * PAGE
    start = 2 * PAGE + pages
    segments = [_segment("__TEXT", 0, PAGE, text + stubs), _segment("__DATA", PAGE, PAGE, data)]
    if made.dwarf:
        half = made.dwarf // 2
        debug = _section("__debug_info", 2 * PAGE, half, 0x02000000, 0, 0)
        debug += _section("__zdebug_line", 2 * PAGE + half, made.dwarf - half, 0x02000000, 0, 0)
        segments.append(
            _segment("__DWARF", 2 * PAGE, made.dwarf, debug, memory=pages if made.mapped else 0)
        )
    address = start if made.mapped else 2 * PAGE
    return [*segments, _segment("__LINKEDIT", start, total - start, b"", address=address)]


def _chains(made: _Builder) -> bytes:
    """Chained fixups; if anything is ``fixed``, with a true start for each segment."""
    if made.fixed < 0:
        return pattern("fixups", 40)
    count = 4 if made.dwarf else 3
    starts = [64 if index == made.fixed else 0 for index in range(count)]
    return struct.pack(f"<7I{count + 1}I", 0, 28, 40, 40, 0, 1, 0, count, *starts) + bytes(40)


def _opcodes(made: _Builder) -> tuple[bytes, bytes, bytes]:
    """Rebases, binds and lazy binds: true ones if anything is ``fixed``."""
    if made.fixed < 0:
        return pattern("rebase", 16), pattern("bind", 32), pattern("lazy", 24)
    place = bytes([made.fixed, 0x90, 0x01])
    rebases = b"\x11" + bytes([0x20 | place[0]]) + place[1:] + b"\x52\x30\x08\x61\x03\x81\x04\x10\0"
    binds = (
        b"\x11\x51\x40_malloc\0"
        + bytes([0x70 | place[0]])
        + place[1:]
        + b"\x90\xa0\x08\xc0\x02\x08\0"
    )
    lazy = b"\x71\x08\x12\x40_free\0\x90\0" * 2
    return rebases, binds, lazy


def _segment(
    name: str,
    start: int,
    size: int,
    sections: bytes,
    *,
    address: int | None = None,
    memory: int | None = None,
) -> bytes:
    memory = -(-size // PAGE) * PAGE if memory is None else memory
    address = start if address is None else address
    row = struct.pack(
        "<16s4Q4I", name.encode(), address, memory, start, size, 5, 5, len(sections) // 80, 0
    )
    return struct.pack("<2I", 0x19, 8 + len(row) + len(sections)) + row + sections


def _section(name: str, at: int, size: int, flags: int, first: int, width: int) -> bytes:
    return struct.pack(
        "<16s16s2Q8I", name.encode(), b"", at, size, at, 2, 0, 0, flags, first, width, 0
    )


def _sign(made: _Builder, image: bytes) -> bytes:
    """The signature for an image, with the reserve or padding after it."""
    kind = made.signature
    requirements = struct.pack(">3I", 0xFADE0C01, 12, 0)
    blobs: list[tuple[int, bytes]] = []
    if kind in ("linker", "linker8"):
        blobs = [(0, _directory(made.identifier, image, 0x20002, 2, []))]
    else:
        flags = 0 if kind in ("identity", "bare") else 2
        hashes = [(0, 1), (0x1000, 2)] if kind == "twice" else [(0, 2)]
        special = [
            (slot, _directory(made.identifier, image, flags, hashed, [requirements]))
            for slot, hashed in hashes
        ]
        blobs = [special[0], (2, requirements), *special[1:]]
        certificate = b"certificate" if kind == "identity" else b""
        blobs.append((0x10000, struct.pack(">2I", 0xFADE0B01, 8 + len(certificate)) + certificate))
    at = 12 + 8 * len(blobs)
    index = b""
    for slot, blob in blobs:
        index += struct.pack(">2I", slot, at)
        at += len(blob)
    data = (
        struct.pack(">3I", 0xFADE0CC0, at, len(blobs)) + index + b"".join(blob for _, blob in blobs)
    )
    data += bytes(-len(data) % (8 if kind == "linker8" else 16))
    return data if kind.startswith("linker") else data + bytes(18000)


def _directory(
    identifier: str, image: bytes, flags: int, hashed: int, requirements: list[bytes]
) -> bytes:
    name, width = ("sha1", 20) if hashed == 1 else ("sha256", 32)
    pages = [hashlib.new(name, image[at : at + 4096]).digest() for at in range(0, len(image), 4096)]
    special = [hashlib.new(name, blob).digest() for blob in requirements]
    special += [bytes(width)] if requirements else []
    text = identifier.encode() + b"\0"
    start = 88 + len(text) + width * len(special)
    length = start + width * len(pages)
    row = (
        0xFADE0C02,
        length,
        0x20400,
        flags,
        start,
        88,
        len(special),
        len(pages),
        len(image),
        width,
        hashed,
        0,
        12,
        0,
    )
    header = struct.pack(">9I4BI", *row) + bytes(20) + struct.pack(">3Q", 0, PAGE, 0)
    return header + text + b"".join(special) + b"".join(pages)


def fat(*images: bytes, wide: bool = False, align: int = 14) -> bytes:
    """A universal file; ``wide`` for 64-bit headers."""
    layout = ">2I2Q2I" if wide else ">5I"
    at = 8 + struct.calcsize(layout) * len(images)
    rows, body = b"", b""
    for image in images:
        cpu, subtype = struct.unpack_from("<2I", image, 4)
        start = -(-(at + len(body)) >> align) << align
        body += bytes(start - at - len(body)) + image
        rows += struct.pack(layout, cpu, subtype, start, len(image), align, *([0] if wide else []))
    return (
        (b"\xca\xfe\xba\xbf" if wide else b"\xca\xfe\xba\xbe")
        + struct.pack(">I", len(images))
        + rows
        + body
    )


def command(data: bytes, kind: int, nth: int = 0) -> int:
    """The offset of a load command of a thin file."""
    at = 32
    for _ in range(struct.unpack_from("<I", data, 16)[0]):
        found, size = struct.unpack_from("<2I", data, at)
        if found == kind:
            if nth == 0:
                return at
            nth -= 1
        at += size
    raise AssertionError(f"no load command {kind:#x}")


def put(data: bytes, at: int, value: int, layout: str = "<I") -> bytes:
    """The file with another number at an offset."""
    changed = bytearray(data)
    struct.pack_into(layout, changed, at, value)
    return bytes(changed)


def names(data: bytes) -> list[str]:
    """The names of all symbols of a thin file, in order."""
    symbols, count, strings, size = struct.unpack_from("<4I", data, command(data, 0x2) + 8)
    table = data[strings : strings + size]
    offsets = [struct.unpack_from("<I", data, symbols + 16 * number)[0] for number in range(count)]
    return [table[at : table.index(b"\0", at)].decode() for at in offsets]
