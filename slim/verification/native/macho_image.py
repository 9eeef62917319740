"""One image of a Mach-O file, read from scratch for :mod:`slim.verification.native.macho`.

Source: Apple's ``mach-o/loader.h`` and ``mach-o/nlist.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from macholib import mach_o

DYLD_INFO = (mach_o.LC_DYLD_INFO, mach_o.LC_DYLD_INFO_ONLY)
"""Kinds of the load command that has five tables."""

_DYLD_INFO_TABLES = ("rebases", "binds", "weak binds", "lazy binds", "exports")
DATA = {
    mach_o.LC_CODE_SIGNATURE: "signature",
    mach_o.LC_CODE_SEGMENT_SPLIT_INFO: "split info",
    mach_o.LC_FUNCTION_STARTS: "function starts",
    mach_o.LC_DATA_IN_CODE: "data in code",
    mach_o.LC_DYLIB_CODE_SIGN_DRS: "designated requirements",
    mach_o.LC_LINKER_OPTIMIZATION_HINT: "linker hints",
    mach_o.LC_DYLD_EXPORTS_TRIE: "exports trie",
    mach_o.LC_DYLD_CHAINED_FIXUPS: "chained fixups",
}
"""Kinds of load commands that have one table each, to what is in it."""

_NONE_NAMED = mach_o.INDIRECT_SYMBOL_LOCAL | mach_o.INDIRECT_SYMBOL_ABS

Symbol = tuple[bytes, int, int, int, int | bytes]
"""Name, type, section, description, and value; where the value is a name too, the name."""


class Unreadable(Exception):
    """The file isn't a Mach-O image whose headers lie within it."""


@dataclass(frozen=True)
class Command:
    """A load command, and where it is in the image."""

    kind: int
    at: int
    data: bytes

    def numbers(self, start: int, count: int) -> tuple[int, ...]:
        """32-bit numbers from an offset on; raises :class:`Unreadable` where it is too short."""
        if start + 4 * count > len(self.data):
            raise Unreadable(f"the load command at offset {self.at:#x} is cut short")
        return struct.unpack_from(f"<{count}I", self.data, start)


@dataclass(frozen=True)
class LoadedSegment:
    """Segment: where its command is, its ranges in memory and file in bytes, its sections."""

    at: int
    name: bytes
    address: int
    memory: int
    start: int
    size: int
    sections: tuple[tuple[int, ...], ...]


class Image:
    """One image, read from scratch."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        if len(data) < 32 or bytes(data[:4]) != b"\xcf\xfa\xed\xfe":
            raise Unreadable("not a 64-bit Mach-O image")
        self.cpu, self.subtype, _, count, size = struct.unpack_from("<5I", data, 4)
        self.head_end = 32 + size
        self.commands = list(self._read_commands(count))
        self.segments = [
            self._read_segment(command)
            for command in self.commands
            if command.kind == mach_o.LC_SEGMENT_64
        ]
        if not self.segments:
            raise Unreadable("there are no segments")
        self.tables: dict[str, tuple[int, int]] = {}
        self.partition: tuple[int, ...] = ()
        for command in self.commands:
            self._read_tables(command)
        for name, (start, length) in self.tables.items():
            if start + length > len(data):
                raise Unreadable(f"the {name} aren't in the file")
        if "symbols" not in self.tables or "indirect symbols" not in self.tables:
            raise Unreadable("there is no symbol table")
        self.names = bytes(self.table("names"))

    def _read_commands(self, count: int) -> Iterator[Command]:
        at = 32
        for _ in range(count):
            if at + 8 > self.head_end or self.head_end > len(self.data):
                raise Unreadable("the load commands aren't in the file")
            kind, size = struct.unpack_from("<2I", self.data, at)
            if size < 8 or size % 8 or at + size > self.head_end:
                raise Unreadable(f"the load command at offset {at:#x} has an impossible size")
            yield Command(kind, at, bytes(self.data[at : at + size]))
            at += size
        if at != self.head_end:
            raise Unreadable("the load commands don't fill their place")

    def _read_segment(self, command: Command) -> LoadedSegment:
        data = command.data
        if len(data) < 72:
            raise Unreadable("a segment command is cut short")
        name, address, memory, start, size, _, _, count, _ = struct.unpack_from("<16s4Q4I", data, 8)
        if len(data) != 72 + 80 * count:
            raise Unreadable("a segment command has another number of sections than it says")
        sections = tuple(
            struct.unpack_from("<32x2Q8I", data, 72 + 80 * number) for number in range(count)
        )
        return LoadedSegment(command.at, name.rstrip(b"\0"), address, memory, start, size, sections)

    def _read_tables(self, command: Command) -> None:
        found: list[tuple[str, int, int]] = []
        if command.kind == mach_o.LC_SYMTAB:
            symbols, count, strings, size = command.numbers(8, 4)
            found = [("symbols", symbols, 16 * count), ("names", strings, size)]
        elif command.kind == mach_o.LC_DYSYMTAB:
            numbers = command.numbers(8, 18)
            self.partition = numbers[:6]
            if any(numbers[6:12]) or any(numbers[14:]):
                raise Unreadable("LC_DYSYMTAB names tables that nobody writes any more")
            found = [("indirect symbols", numbers[12], 4 * numbers[13])]
        elif command.kind in DYLD_INFO:
            numbers = command.numbers(8, 10)
            found = list(zip(_DYLD_INFO_TABLES, numbers[::2], numbers[1::2], strict=True))
        elif command.kind in DATA:
            start, size = command.numbers(8, 2)
            found = [(DATA[command.kind], start, size)]
        for name, start, size in found:
            if name in self.tables:
                raise Unreadable(f"the {name} are there twice")
            self.tables[name] = (start, size)

    def table(self, name: str) -> memoryview:
        """The bytes of a table by its name; none where there is no such table."""
        start, size = self.tables.get(name, (0, 0))
        return self.data[start : start + size]

    @property
    def linkedit(self) -> LoadedSegment:
        """The segment of the tables, or the last one."""
        return next((one for one in self.segments if one.name == b"__LINKEDIT"), self.segments[-1])

    def name_at(self, offset: int) -> bytes:
        """A name of the string table; raises :class:`Unreadable` where none ends."""
        if offset == 0:
            return b""
        end = self.names.find(b"\0", offset)
        if end < 0:
            raise Unreadable("a symbol's name isn't in the table of names")
        return self.names[offset:end]

    def symbols(self, first: int, count: int) -> Iterator[Symbol]:
        """Symbols with their names; where the value is a name too, the name."""
        for name, kind, section, description, value in struct.iter_unpack(
            "<IBBHQ", self.table("symbols")[16 * first : 16 * (first + count)]
        ):
            alias = not kind & mach_o.N_STAB and kind & mach_o.N_TYPE == mach_o.N_INDR
            yield (
                self.name_at(name),
                kind,
                section,
                description,
                self.name_at(value) if alias else value,
            )

    def indirect(self) -> list[Symbol | int]:
        """List what each entry of the indirect symbol table stands for."""
        entries = [row[0] for row in struct.iter_unpack("<I", self.table("indirect symbols"))]
        total = self.tables["symbols"][1] // 16
        if any(entry >= total for entry in entries if not entry & _NONE_NAMED):
            raise Unreadable("the indirect symbol table names a symbol that isn't there")
        known = {
            entry: next(self.symbols(entry, 1))
            for entry in sorted(set(entries))
            if not entry & _NONE_NAMED
        }
        return [known.get(entry, entry) for entry in entries]
