"""The symbols of a Mach-O image: which may go, and the tables without them.

A symbol table has debugging symbols ("stabs") and local ones first, then those that others may bind
to, then those that are bound to others. The indirect symbol table has an index into it for each
stub and each symbol pointer.

Source: Apple's ``mach-o/nlist.h``, ``mach-o/loader.h`` (``dysymtab_command``); strip(1), options -S
and -x.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from macholib import mach_o

from slim.binaries.macho.layout import MachoImage
from slim.binaries.macho.linkedit import Part
from slim.binaries.macho.structs import SYMBOL_SIZE
from slim.binaries.refusal import NotEditable, RefusalKind, Refused

LEVELS = ("none", "debug", "unneeded")
"""Levels of an edit.

Nothing goes; what only debuggers read (strip -S); also local symbols (strip -S -x).
"""

_SYMBOL = struct.Struct("<IBBHQ")
_NAME = struct.Struct("<I12x")
_NAMELESS = mach_o.INDIRECT_SYMBOL_LOCAL | mach_o.INDIRECT_SYMBOL_ABS
"""The marks of an entry of the indirect symbol table that names no symbol."""

# Types (bytes) that a defined or an undefined symbol which others can see may have.
_UNDEFINED_TYPES = bytes(
    kind
    for kind in range(mach_o.N_STAB)
    if kind & mach_o.N_EXT and kind & mach_o.N_TYPE in (mach_o.N_UNDF, mach_o.N_PBUD)
)
_DEFINED_TYPES = bytes(
    kind
    for kind in range(0x20)
    if kind & mach_o.N_EXT and kind & mach_o.N_TYPE in (mach_o.N_ABS, mach_o.N_INDR, mach_o.N_SECT)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolTables:
    """The tables to be written.

    ``local`` is the new number of local symbols; ``dropped`` says what went, in bytes.
    """

    symbols: bytes
    indirect: bytes
    strings: bytes
    local: int
    dropped: tuple[tuple[str, int], ...]


def drop_symbols(image: MachoImage, level: str, *, at_least_one: bool = True) -> SymbolTables:
    """The tables without the symbols that ``level`` lets go.

    Raises :class:`slim.binaries.refusal.Refused` for tables that contradict each other, and with
    ``at_least_one`` if nothing would go.
    """
    symbols = image.parts[Part.SYMBOLS]
    rows = image.view[symbols.offset : symbols.end]
    types = bytes(rows[4::SYMBOL_SIZE])
    _check_types(image, types)
    _check_names(image, rows)
    indirect = _read_indirect(image)
    named = {entry for entry in indirect if not entry & _NAMELESS}
    if named and max(named) >= image.symbols:
        raise Refused.malformed("the indirect symbol table names a symbol that doesn't exist")
    kept = _kept_locals(image, rows, types, named, level)
    gone = image.local - len(kept)
    if not gone and at_least_one:
        raise Refused(NotEditable(RefusalKind.NOTHING_GAINED, "there is nothing to drop"))
    numbers = {old: new for new, old in enumerate(kept)}
    if any(old < image.local and old not in numbers for old in named):
        raise Refused.malformed("the indirect symbol table names a debugging symbol")
    new_numbers = {old: old - gone if old >= image.local else numbers[old] for old in named}
    new_indirect = [new_numbers.get(entry, entry) for entry in indirect]
    new_symbols, strings = _write_symbols(image, rows, kept)
    stabs = sum(1 for kind in types[: image.local] if kind & mach_o.N_STAB)
    dropped = (
        ("debugging symbols", stabs * SYMBOL_SIZE),
        ("local symbols", (gone - stabs) * SYMBOL_SIZE),
        ("symbol names", image.parts[Part.STRINGS].size - len(strings)),
    )
    return SymbolTables(
        symbols=new_symbols,
        indirect=struct.pack(f"<{len(new_indirect)}I", *new_indirect),
        strings=strings,
        local=len(kept),
        dropped=tuple(row for row in dropped if row[1] > 0),
    )


def _check_types(image: MachoImage, types: bytes) -> None:
    """Raise Refused unless each symbol is of the kind that its place in the table says."""
    defined, undefined = image.local, image.local + image.defined
    plain = [kind for kind in set(types[:defined]) if not kind & mach_o.N_STAB]
    if any(kind & mach_o.N_EXT or kind & mach_o.N_TYPE == mach_o.N_INDR for kind in plain):
        raise Refused.malformed("a symbol among the local ones is external")
    if types[defined:undefined].translate(None, _DEFINED_TYPES):
        raise Refused.malformed("a symbol among the defined ones isn't")
    if types[undefined:].translate(None, _UNDEFINED_TYPES):
        raise Refused.malformed("a symbol among the undefined ones isn't")


def _check_names(image: MachoImage, rows: memoryview) -> None:
    """Raise Refused unless each symbol has a name, those too that go.

    Otherwise this isn't the symbol table that it seems to be.
    """
    strings = image.parts[Part.STRINGS]
    last = max(offset for (offset,) in _NAME.iter_unpack(rows))
    if last >= strings.size or image.view[strings.end - 1]:
        raise Refused.malformed("a symbol's name isn't in the string table")


def _read_indirect(image: MachoImage) -> tuple[int, ...]:
    span = image.parts.get(Part.INDIRECT)
    if span is None:
        return ()
    return struct.unpack_from(f"<{span.size // 4}I", image.view, span.offset)


def _kept_locals(
    image: MachoImage, rows: memoryview, types: bytes, named: set[int], level: str
) -> list[int]:
    """The numbers of the local symbols that stay, ascending."""
    plain = (number for number, kind in enumerate(types[: image.local]) if not kind & mach_o.N_STAB)
    if level == "debug":
        return list(plain)
    flags = bytes(rows[6::SYMBOL_SIZE])
    return [
        number
        for number in plain
        if number in named or flags[number] & mach_o.REFERENCED_DYNAMICALLY
    ]


class _Strings:
    """A new string table, made of names out of the old one."""

    def __init__(self, image: MachoImage) -> None:
        span = image.parts[Part.STRINGS]
        self._old = bytes(image.view[span.offset : span.end])
        # Apple's linkers begin the table with " \0", others with "\0".
        start = b" \0" if self._old.startswith(b" \0") else b"\0"
        self._new = [start]
        self._size = len(start)
        self._moved: dict[bytes, int] = {}

    def move(self, offset: int) -> int:
        """The offset in the new table of the name at an offset of the old one."""
        if offset == 0:
            return 0
        end = self._old.find(b"\0", offset)
        if end < 0:
            raise Refused.malformed("a symbol's name isn't in the string table")
        name = self._old[offset : end + 1]
        found = self._moved.get(name)
        if found is None:
            found = self._moved[name] = self._size
            self._new.append(name)
            self._size += len(name)
        return found

    def data(self) -> bytes:
        """The table, padded to eight bytes."""
        return b"".join(self._new) + bytes(-self._size % 8)


def _write_symbols(image: MachoImage, rows: memoryview, kept: list[int]) -> tuple[bytes, bytes]:
    strings = _Strings(image)
    written = []
    first = image.local * SYMBOL_SIZE
    stay = [
        *(_SYMBOL.unpack_from(rows, number * SYMBOL_SIZE) for number in kept),
        *_SYMBOL.iter_unpack(rows[first:]),
    ]
    for name, kind, section, description, value in stay:
        if kind & mach_o.N_TYPE == mach_o.N_INDR:
            value = strings.move(value)
        written.append(_SYMBOL.pack(strings.move(name), kind, section, description, value))
    return b"".join(written), strings.data()
