"""Whether an edited Mach-O file loads exactly as the original did. Shares no code and no shortcut with the editor.

The editor decides what may go and where the rest is put; this module looks at two files and asks whether the second
one can possibly behave differently, and whether macOS would accept it. So it knows nothing of levels or layouts.

Source: Apple's ``mach-o/loader.h``, ``mach-o/nlist.h`` and ``mach-o/fat.h``; dyld (``MachOAnalyzer``), for what a
loader looks at. Signatures: :mod:`slim.verify.macho_signature`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from slim.verify.macho_signature import signature_changes, signature_problems

_BLOCK = 1 << 20
_SEGMENT, _SYMTAB, _DYSYMTAB, _SIGNATURE = 0x19, 0x02, 0x0B, 0x1D
_DYLD_INFO = (0x22, 0x8000_0022)
_DYLD_INFO_TABLES = ("rebases", "binds", "weak binds", "lazy binds", "exports")
_DATA = {
    0x1D: "signature",
    0x1E: "split info",
    0x26: "function starts",
    0x29: "data in code",
    0x2B: "designated requirements",
    0x2E: "linker hints",
    0x8000_0033: "exports trie",
    0x8000_0034: "chained fixups",
}
_REWRITTEN = frozenset({"symbols", "indirect symbols", "names", "signature"})
_PAGES = {0x0100_0007: 0x1000, 0x0100_000C: 0x4000}
_ZERO_FILL = (0x1, 0xC, 0x12)
_SUBTYPE = 0xFF_FFFF  # the rest of the word are capabilities, which lipo sets or not
_NONE_NAMED = 0xC000_0000
_FAT = {b"\xca\xfe\xba\xbe": ">5I", b"\xca\xfe\xba\xbf": ">2I2Q2I"}

_Symbol = tuple[bytes, int, int, int, int | bytes]


class _Unreadable(Exception):
    """The file isn't a Mach-O image whose headers lie within it."""


@dataclass(frozen=True)
class _Command:
    kind: int
    at: int
    data: bytes

    def numbers(self, start: int, count: int) -> tuple[int, ...]:
        if start + 4 * count > len(self.data):
            raise _Unreadable(f"the load command at offset {self.at:#x} is cut short")
        return struct.unpack_from(f"<{count}I", self.data, start)


@dataclass(frozen=True)
class _Segment:
    at: int
    name: bytes
    address: int
    memory: int
    start: int
    size: int
    sections: tuple[tuple[int, ...], ...]


class _Image:
    """One image, read from scratch."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        if len(data) < 32 or bytes(data[:4]) != b"\xcf\xfa\xed\xfe":
            raise _Unreadable("not a 64-bit Mach-O image")
        self.cpu, self.subtype, _, count, size = struct.unpack_from("<5I", data, 4)
        self.head_end = 32 + size
        self.commands = list(self._read_commands(count))
        self.segments = [self._read_segment(command) for command in self.commands if command.kind == _SEGMENT]
        if not self.segments:
            raise _Unreadable("there are no segments")
        self.tables: dict[str, tuple[int, int]] = {}
        self.partition: tuple[int, ...] = ()
        for command in self.commands:
            self._read_tables(command)
        for name, (start, length) in self.tables.items():
            if start + length > len(data):
                raise _Unreadable(f"the {name} aren't in the file")
        if "symbols" not in self.tables or "indirect symbols" not in self.tables:
            raise _Unreadable("there is no symbol table")
        self.names = bytes(self.table("names"))

    def _read_commands(self, count: int) -> Iterator[_Command]:
        at = 32
        for _ in range(count):
            if at + 8 > self.head_end or self.head_end > len(self.data):
                raise _Unreadable("the load commands aren't in the file")
            kind, size = struct.unpack_from("<2I", self.data, at)
            if size < 8 or size % 8 or at + size > self.head_end:
                raise _Unreadable(f"the load command at offset {at:#x} has an impossible size")
            yield _Command(kind, at, bytes(self.data[at : at + size]))
            at += size
        if at != self.head_end:
            raise _Unreadable("the load commands don't fill their place")

    def _read_segment(self, command: _Command) -> _Segment:
        data = command.data
        if len(data) < 72:
            raise _Unreadable("a segment command is cut short")
        name, address, memory, start, size, _, _, count, _ = struct.unpack_from("<16s4Q4I", data, 8)
        if len(data) != 72 + 80 * count:
            raise _Unreadable("a segment command has another number of sections than it says")
        sections = tuple(struct.unpack_from("<32x2Q8I", data, 72 + 80 * number) for number in range(count))
        return _Segment(command.at, name.rstrip(b"\0"), address, memory, start, size, sections)

    def _read_tables(self, command: _Command) -> None:
        found: list[tuple[str, int, int]] = []
        if command.kind == _SYMTAB:
            symbols, count, strings, size = command.numbers(8, 4)
            found = [("symbols", symbols, 16 * count), ("names", strings, size)]
        elif command.kind == _DYSYMTAB:
            numbers = command.numbers(8, 18)
            self.partition = numbers[:6]
            if any(numbers[6:12]) or any(numbers[14:]):
                raise _Unreadable("LC_DYSYMTAB names tables that nobody writes any more")
            found = [("indirect symbols", numbers[12], 4 * numbers[13])]
        elif command.kind in _DYLD_INFO:
            numbers = command.numbers(8, 10)
            found = list(zip(_DYLD_INFO_TABLES, numbers[::2], numbers[1::2], strict=True))
        elif command.kind in _DATA:
            start, size = command.numbers(8, 2)
            found = [(_DATA[command.kind], start, size)]
        for name, start, size in found:
            if name in self.tables:
                raise _Unreadable(f"the {name} are there twice")
            self.tables[name] = (start, size)

    def table(self, name: str) -> memoryview:
        start, size = self.tables.get(name, (0, 0))
        return self.data[start : start + size]

    @property
    def linkedit(self) -> _Segment:
        return next((one for one in self.segments if one.name == b"__LINKEDIT"), self.segments[-1])

    def name_at(self, offset: int) -> bytes:
        if offset == 0:
            return b""
        end = self.names.find(b"\0", offset)
        if end < 0:
            raise _Unreadable("a symbol's name isn't in the table of names")
        return self.names[offset:end]

    def symbols(self, first: int, count: int) -> Iterator[_Symbol]:
        """Symbols with their names; where the value is a name too, the name."""
        for name, kind, section, description, value in struct.iter_unpack(
            "<IBBHQ", self.table("symbols")[16 * first : 16 * (first + count)]
        ):
            alias = not kind & 0xE0 and kind & 0x0E == 0x0A
            yield self.name_at(name), kind, section, description, self.name_at(value) if alias else value

    def indirect(self) -> list[_Symbol | int]:
        """What each entry of the indirect symbol table stands for."""
        entries = [row[0] for row in struct.iter_unpack("<I", self.table("indirect symbols"))]
        total = self.tables["symbols"][1] // 16
        if any(entry >= total for entry in entries if not entry & _NONE_NAMED):
            raise _Unreadable("the indirect symbol table names a symbol that isn't there")
        known = {entry: next(self.symbols(entry, 1)) for entry in sorted(set(entries)) if not entry & _NONE_NAMED}
        return [known.get(entry, entry) for entry in entries]


def check(original: bytes | memoryview, edited: bytes | memoryview) -> list[str]:
    """Compare an edited Mach-O file with its original; returns what is wrong, nothing if all is well.

    Checked are that the file is smaller; the layout of each image by itself (:func:`check_layout`), with every page
    hash of its signature; and, against the original, each load command, every byte outside of ``__LINKEDIT``, binds,
    rebases, fixups, exports and all other tables, the symbols that others see, in order, that only local ones went,
    what each indirect symbol stands for, and all of the signature but the hashes of pages. A universal file has the
    same images as before, or is one of them. Raises nothing.
    """
    before, after = memoryview(original), memoryview(edited)
    try:
        old, new = _slices(before), _slices(after)
    except _Unreadable as error:
        return [f"the files can't be judged: {error}"]
    problems = []
    if len(after) >= len(before):
        problems.append(f"the file isn't smaller: {len(after)} bytes, {len(before)} before")
    if _is_thin(after) and any(_same(after, part) for part in old.values()):
        return problems
    if len(new) == 1 and _is_thin(after):
        old = {key: one for key, one in old.items() if key in new}
    if list(old) != list(new):
        return [*problems, "the images are for other machines than before"]
    for key, part in new.items():
        if bytes(part[:4]) == bytes(old[key][:4]) and len(part) == len(old[key]) and _same(part, old[key]):
            continue
        problems += _check_image(old[key], part)
    return problems


def check_layout(data: bytes | memoryview) -> list[str]:
    """What is wrong with a file by itself, nothing if all is well. Raises nothing."""
    try:
        return [problem for part in _slices(memoryview(data)).values() for problem in _layout_problems(_Image(part))]
    except _Unreadable as error:
        return [f"the file is broken: {error}"]


def _check_image(before: memoryview, after: memoryview) -> list[str]:
    try:
        old = _Image(before)
    except _Unreadable as error:
        return [f"the original can't be judged: {error}"]
    try:
        new = _Image(after)
        return [*_layout_problems(new), *_changes(old, new)]
    except _Unreadable as error:
        return [f"the edited file is broken: {error}"]


def _is_thin(data: memoryview) -> bool:
    return bytes(data[:4]) not in _FAT


def _slices(data: memoryview) -> dict[tuple[int, int], memoryview]:
    """The images of a file by CPU type and subtype, in file order."""
    if _is_thin(data):
        if len(data) < 12:
            raise _Unreadable("not a Mach-O file")
        cpu, subtype = struct.unpack_from("<2I", data, 4)
        return {(cpu, subtype & _SUBTYPE): data}
    layout = struct.Struct(_FAT[bytes(data[:4])])
    count = int.from_bytes(data[4:8], "big")
    if len(data) < 8 or not 0 < count < 44 or 8 + count * layout.size > len(data):
        raise _Unreadable("the universal header is broken")
    at = 8 + count * layout.size
    found: dict[tuple[int, int], memoryview] = {}
    for row in sorted(layout.iter_unpack(data[8:at]), key=lambda row: row[2]):
        cpu, subtype, start, size, align = row[:5]
        if align > 20 or start % (1 << align) or start < at or start + size > len(data) or any(data[at:start]):
            raise _Unreadable(f"the image at offset {start:#x} isn't where it may be")
        found[cpu, subtype & _SUBTYPE] = data[start : start + size]
        at = start + size
    if len(found) != count or at != len(data):
        raise _Unreadable("the universal header and the file disagree")
    return found


def _layout_problems(image: _Image) -> Iterator[str]:
    yield from _segment_problems(image)
    yield from _table_problems(image)
    yield from _symbol_problems(image)
    if image.tables.get("signature", (0, 0))[1]:
        yield from signature_problems(image.data, *image.tables["signature"])


def _segment_problems(image: _Image) -> Iterator[str]:
    page = _PAGES.get(image.cpu)
    for one in image.segments:
        if one.start + one.size > len(image.data) or one.size > one.memory:
            yield f"segment {one.name!r} isn't in the file, or not in memory"
        if page and (one.start % page or one.address % page):
            yield f"segment {one.name!r} isn't aligned to pages"
        for address, size, offset, _, relocations, count, flags, first, width, _ in one.sections:
            kind = flags & 0xFF
            if relocations or count:
                yield f"a section of {one.name!r} has relocations"
            if address < one.address or address + size > one.address + one.memory:
                yield f"a section of {one.name!r} is outside of it"
            if size and kind not in _ZERO_FILL and offset - one.start != address - one.address:
                yield f"a section of {one.name!r} isn't where its address says"
            if kind in (6, 7, 8, 16):
                step = width if kind == 8 else 8
                if not step or 4 * (first + size // step) > image.tables["indirect symbols"][1]:
                    yield f"a section of {one.name!r} has too few indirect symbols"
    last = image.linkedit
    if last.name != b"__LINKEDIT" or last.start + last.size != len(image.data):
        yield "__LINKEDIT isn't the end of the file"
    for key in ("start", "address"):
        extent = "size" if key == "start" else "memory"
        spans = sorted((getattr(one, key), getattr(one, extent)) for one in image.segments if getattr(one, extent))
        if any(first + size > second for (first, size), (second, _) in pairwise(spans)):
            yield "segments overlap"
        if spans and spans[-1][0] != getattr(last, key):
            yield "__LINKEDIT isn't the last segment"


def _table_problems(image: _Image) -> Iterator[str]:
    at, end = image.linkedit.start, image.linkedit.start + image.linkedit.size
    for start, size, name in sorted((start, size, name) for name, (start, size) in image.tables.items()):
        if not start and not size:
            continue
        if start < at or start + size > end:
            yield f"the {name} overlap something, or aren't in __LINKEDIT"
        elif start - at >= 16 or any(image.data[at:start]):
            yield f"there are bytes before the {name} that belong to nothing"
        at = max(at, start + size)
    if end - at >= 16:
        yield "there are bytes at the end that belong to nothing"
    for name, align in (("symbols", 8), ("indirect symbols", 4), ("signature", 16)):
        if image.tables.get(name, (0, 0))[0] % align:
            yield f"the {name} aren't aligned"


def _symbol_problems(image: _Image) -> Iterator[str]:
    local, locals_, defined, defines, undefined, undefines = image.partition
    if (local, defined, undefined) != (0, locals_, locals_ + defines):
        yield "local, defined and undefined symbols aren't in that order"
    if 16 * (locals_ + defines + undefines) != image.tables["symbols"][1]:
        yield "the symbol table has another number of symbols than it should have"
    kinds = bytes(image.table("symbols")[4::16])
    if any(kind & 1 and not kind & 0xE0 for kind in set(kinds[:defined])):
        yield "a symbol that others see is among the local ones"
    for one in set(kinds[defined:undefined]):
        if one & 0xE0 or not one & 1 or one & 0x0E == 0:
            yield f"a symbol of type {one:#x} is among the defined ones"
    for one in set(kinds[undefined:]):
        if one & 0xE0 or not one & 1 or one & 0x0E not in (0, 0x0C):
            yield f"a symbol of type {one:#x} is among the undefined ones"


def _changes(old: _Image, new: _Image) -> Iterator[str]:
    if not _same(old.data[:32], new.data[:32]) or len(old.commands) != len(new.commands):
        yield "the Mach-O header has changed"
        return
    for before, after in zip(old.commands, new.commands, strict=True):
        if _blank(before) != _blank(after):
            yield f"load command {before.kind:#x} at offset {before.at:#x} has changed"
    start = old.linkedit.start
    if new.linkedit.start != start or not _same(old.data[old.head_end : start], new.data[old.head_end : start]):
        yield "mapped bytes have changed"
    page = _PAGES.get(old.cpu, 1)
    if new.linkedit.memory > old.linkedit.memory or new.linkedit.memory % page > old.linkedit.memory % page:
        yield "__LINKEDIT has grown in memory, or isn't a number of pages any more"
    for name in old.tables:
        if name not in _REWRITTEN and not _same(old.table(name), new.table(name)):
            yield f"the {name} have changed"
    yield from _symbol_changes(old, new)
    if old.tables.get("signature", (0, 0))[1]:
        yield from signature_changes(old.table("signature"), new.table("signature"))


def _blank(command: _Command) -> bytes:
    """A load command with zeros for what an edit may change."""
    data = bytearray(command.data)
    free: list[tuple[int, int]] = []
    if command.kind == _SEGMENT and data[8:24].rstrip(b"\0") == b"__LINKEDIT":
        free = [(32, 40), (48, 56)]
    elif command.kind == _SYMTAB or command.kind == _SIGNATURE:
        free = [(8, len(data))]
    elif command.kind == _DYSYMTAB:
        # Number of local symbols, first defined one, first undefined one, offset of the indirect symbols.
        free = [(12, 20), (24, 28), (56, 60)]
    elif command.kind in _DATA:
        free = [(8, 12)]
    for start, end in free:
        data[start:end] = bytes(end - start)
    return bytes(data)


def _symbol_changes(old: _Image, new: _Image) -> Iterator[str]:
    visible = [list(image.symbols(image.partition[2], image.partition[3] + image.partition[5])) for image in (old, new)]
    if visible[0] != visible[1]:
        yield "the symbols that others see have changed"
    if old.partition[3] != new.partition[3] or old.partition[5] != new.partition[5]:
        yield "there are more or fewer defined or undefined symbols"
    left = old.symbols(0, old.partition[1])
    if not all(any(symbol == one for one in left) for symbol in new.symbols(0, new.partition[1])):
        yield "a local symbol isn't in the original, or is in another place"
    if old.indirect() != new.indirect():
        yield "indirect symbols stand for others than before"


def _same(first: memoryview, second: memoryview) -> bool:
    if len(first) != len(second):
        return False
    # In blocks, as bytes: comparing memory views directly goes item by item and is thirty times slower.
    return all(bytes(first[at : at + _BLOCK]) == bytes(second[at : at + _BLOCK]) for at in range(0, len(first), _BLOCK))
