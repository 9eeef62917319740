"""The parts of ``__LINKEDIT``: which there are, and whether they lie as every linker puts them.

Source: Apple's ``mach-o/loader.h``; the order of the parts from cctools (``libstuff/checkout.c``).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from macholib import mach_o

from slim.binaries.macho.structs import (
    DYLD_INFO,
    INDIRECT_SIZE,
    LINKEDIT_DATA,
    SYMBOL_SIZE,
    SYMTAB,
)
from slim.binaries.refusal import NotEditable, RefusalKind, Refused

_GAP = 16
"""Bytes: more than the padding between two parts."""


class Part(IntEnum):
    """A part of ``__LINKEDIT``; the numbers are the order in which they lie there."""

    REBASE = 0
    BIND = 1
    WEAK_BIND = 2
    LAZY_BIND = 3
    EXPORT = 4
    CHAINED_FIXUPS = 5
    EXPORTS_TRIE = 6
    SPLIT_INFO = 7
    FUNCTION_STARTS = 8
    DATA_IN_CODE = 9
    CODE_SIGN_DRS = 10
    OPTIMIZATION_HINT = 11
    SYMBOLS = 12
    INDIRECT = 13
    STRINGS = 14
    SIGNATURE = 15


DYLD_INFO_COMMANDS = (mach_o.LC_DYLD_INFO, mach_o.LC_DYLD_INFO_ONLY)
"""The two kinds of the load command with five tables, of which an image has one at most."""

_DYLD_INFO_PARTS = (Part.REBASE, Part.BIND, Part.WEAK_BIND, Part.LAZY_BIND, Part.EXPORT)
DATA_COMMANDS: dict[int, Part] = {
    mach_o.LC_CODE_SIGNATURE: Part.SIGNATURE,
    mach_o.LC_CODE_SEGMENT_SPLIT_INFO: Part.SPLIT_INFO,
    mach_o.LC_FUNCTION_STARTS: Part.FUNCTION_STARTS,
    mach_o.LC_DATA_IN_CODE: Part.DATA_IN_CODE,
    mach_o.LC_DYLIB_CODE_SIGN_DRS: Part.CODE_SIGN_DRS,
    mach_o.LC_LINKER_OPTIMIZATION_HINT: Part.OPTIMIZATION_HINT,
    mach_o.LC_DYLD_EXPORTS_TRIE: Part.EXPORTS_TRIE,
    mach_o.LC_DYLD_CHAINED_FIXUPS: Part.CHAINED_FIXUPS,
}
"""Load commands that are a ``linkedit_data_command``, to the part that each is about."""


class Span(NamedTuple):
    """Bytes of an image, as offset into it and size."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """The byte after the last one."""
        return self.offset + self.size


def read_parts(
    view: memoryview, commands: dict[int, int], dynamic: tuple[int, ...]
) -> Iterator[tuple[Part, Span]]:
    """Every part of ``__LINKEDIT`` that a load command names, empty ones if they have an offset.

    ``commands`` has the offset of each load command by its kind, ``dynamic`` the numbers of
    LC_DYSYMTAB.
    """
    for kind in DYLD_INFO_COMMANDS:
        if kind in commands:
            numbers = DYLD_INFO.unpack_from(view, commands[kind])[2:]
            for number, part in enumerate(_DYLD_INFO_PARTS):
                if numbers[2 * number] or numbers[2 * number + 1]:
                    yield part, Span(numbers[2 * number], numbers[2 * number + 1])
    for kind, part in DATA_COMMANDS.items():
        if kind in commands:
            _, _, offset, size = LINKEDIT_DATA.unpack_from(view, commands[kind])
            if offset or size:
                yield part, Span(offset, size)
    _, _, symbols, count, strings, strings_size = SYMTAB.unpack_from(
        view, commands[mach_o.LC_SYMTAB]
    )
    yield Part.SYMBOLS, Span(symbols, count * SYMBOL_SIZE)
    yield Part.STRINGS, Span(strings, strings_size)
    if dynamic[12] or dynamic[13]:
        yield Part.INDIRECT, Span(dynamic[12], dynamic[13] * INDIRECT_SIZE)


def check_parts(view: memoryview, linkedit: Span, parts: dict[Part, Span]) -> None:
    """Raise :class:`slim.binaries.refusal.Refused` unless the parts fill ``linkedit``.

    They have to lie in the usual order, with nothing but padding between them.
    """
    if not parts[Part.SYMBOLS].size or not parts[Part.STRINGS].size:
        raise Refused(NotEditable(RefusalKind.NOTHING_GAINED, "the symbol table is empty"))
    if Part.SIGNATURE in parts and parts[Part.SIGNATURE].offset % 16:
        raise Refused.malformed("the code signature isn't aligned")
    at = linkedit.offset
    for part in sorted(parts):
        offset, size = parts[part]
        label = part.name.lower().replace("_", " ")
        if offset < linkedit.offset or offset + size > linkedit.end:
            raise Refused.malformed(f"the {label} aren't in __LINKEDIT")
        if offset < at:
            raise Refused.unsupported(
                f"the {label} overlap others or lie in __LINKEDIT in an unusual order"
            )
        _check_gap(view, at, offset)
        at = offset + size
    _check_gap(view, at, linkedit.end)


def _check_gap(view: memoryview, start: int, end: int) -> None:
    if end - start >= _GAP or any(view[start:end]):
        raise Refused(
            NotEditable(
                RefusalKind.PAYLOAD,
                f"the {end - start} bytes at offset {start:#x} belong to nothing that is known",
            )
        )
