"""Facts of a Mach-O file as LIEF reads them, as far as dyld and the kernel look at it.

Local symbols and the order of the tables in ``__LINKEDIT`` aren't for the loader, and nothing of
``__DWARF`` is. Signatures are judged by :mod:`slim.verification.native.macho_signature`.

Source: Apple's ``mach-o/loader.h`` and ``mach-o/nlist.h``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lief

from slim.verification.second_opinion.facts import LAYOUT, Facts, Images, digest

_EXTERNAL, _STAB, _TYPE, _ALIAS = 0x01, 0xE0, 0x0E, 0x0A
_SUBTYPE = 0xFF_FFFF  # the rest of the word are capabilities, which lipo sets or not
_HEADER = 32
_REWRITTEN = ("__LINKEDIT", "__DWARF")
_SEGMENT = 0x19
# The load commands whose content says where tables lie: LC_SYMTAB, LC_DYSYMTAB, LC_DYLD_INFO(_ONLY)
# and those of linkedit_data_command. What is in the tables is compared instead.
_PLACES = {
    0x2,
    0xB,
    0x22,
    0x8000_0022,
    0x1D,
    0x1E,
    0x26,
    0x29,
    0x2B,
    0x2E,
    0x8000_0033,
    0x8000_0034,
}


def read(data: bytes) -> Images | None:
    """Read the facts of each image; None where LIEF can't."""
    config = lief.MachO.ParserConfig()
    config.parse_dyld_exports = True
    config.parse_dyld_bindings = True
    config.parse_dyld_rebases = False  # their opcodes are compared; each would be an object
    binary = lief.MachO.parse(data, config)
    if binary is None or not len(binary):
        return None
    return {_machine(image.header): _facts(image) for image in binary}


def _machine(header: Any) -> str:
    return f"{header.cpu_type.name} {header.cpu_subtype & _SUBTYPE}"


def _facts(image: Any) -> Facts:
    header = image.header
    return {
        "header fields": [
            header.cpu_subtype & _SUBTYPE,
            int(header.file_type),
            int(header.flags),
            header.nb_cmds,
            header.sizeof_cmds,
        ],
        "libraries": [
            (int(one.command), one.name, one.current_version, one.compatibility_version)
            for one in image.commands
            if isinstance(one, lief.MachO.DylibCommand)
        ],
        "run paths": [one.path for one in image.rpaths],
        "segments": list(_segments(image)),
        "sections": list(_sections(image)),
        "fixups": list(_fixups(image)),
        "imports": list(_bindings(image)),
        "exports": list(_exports(image)),
        "symbols": [
            _symbol(one)
            for one in image.symbols
            if one.origin == lief.MachO.Symbol.ORIGIN.SYMTAB
            and one.raw_type & _EXTERNAL
            and not one.raw_type & _STAB
        ],
        "indirect symbols": list(_indirect(image)),
        "tables": list(_tables(image)),
        "load commands": list(_commands(image)),
        LAYOUT: list(_layout(image)),
    }


def _symbol(one: Any) -> tuple[object, ...]:
    """Row of a symbol: name, type, section, description, value; None for the value of an alias.

    That is a place in the table of names, which is written anew.
    """
    value = None if one.raw_type & _TYPE == _ALIAS else one.value
    return one.name, one.raw_type, one.numberof_sections, one.description, value


def _commands(image: Any) -> Iterator[tuple[object, ...]]:
    """List the load commands, whole where they don't tell a place that may have changed."""
    for one in image.commands:
        kind = int(one.command)
        whole = kind not in _PLACES and not (kind == _SEGMENT and one.name in _REWRITTEN)
        yield kind, one.size, digest(one.data) if whole else ""


def _segments(image: Any) -> Iterator[tuple[object, ...]]:
    """List the segments with their bytes, but for the load commands, which have their own rows."""
    commands = image.header.sizeof_cmds + _HEADER
    for one in image.segments:
        whole: tuple[object, ...] = ()
        if one.name not in _REWRITTEN:
            masked = [(0, commands)] if one.file_size and not one.file_offset else []
            whole = (one.virtual_size, one.file_size, one.flags, digest(one.content, masked))
        yield (
            one.name,
            one.virtual_address,
            int(one.init_protection),
            int(one.max_protection),
            *whole,
        )


def _sections(image: Any) -> Iterator[tuple[object, ...]]:
    for segment in image.segments:
        if segment.name in _REWRITTEN:
            continue
        for one in segment.sections:
            yield (
                segment.name,
                one.name,
                one.virtual_address,
                one.size,
                one.alignment,
                int(one.type),
                int(one.flags),
                one.offset - segment.file_offset if one.offset else 0,
                (one.reserved1, one.reserved2, one.reserved3),
            )


def _fixups(image: Any) -> Iterator[tuple[str, str]]:
    """List what dyld writes into the image, as it is encoded."""
    info, chained = image.dyld_info, image.dyld_chained_fixups
    if info is not None:
        yield "rebases", digest(info.rebase_opcodes)
        yield "binds", digest(info.bind_opcodes)
        yield "weak binds", digest(info.weak_bind_opcodes)
        yield "lazy binds", digest(info.lazy_bind_opcodes)
    if chained is not None:
        yield "chained fixups", digest(chained.payload)


def _bindings(image: Any) -> Iterator[tuple[object, ...]]:
    """List what dyld looks up, and where it writes the address."""
    for table in (image.dyld_info, image.dyld_chained_fixups):
        for one in () if table is None else table.bindings:
            name = one.symbol.name if one.has_symbol else ""
            yield name, one.library_ordinal, one.address, one.addend, one.weak_import


def _exports(image: Any) -> Iterator[tuple[object, ...]]:
    for table in (image.dyld_info, image.dyld_exports_trie):
        for one in () if table is None else table.exports:
            name = one.symbol.name if one.has_symbol else ""
            yield name, one.address, int(one.flags), int(one.kind)


def _indirect(image: Any) -> Iterator[str]:
    command = image.dynamic_symbol_command
    if command is not None:
        yield from (one.name for one in command.indirect_symbols)


def _tables(image: Any) -> Iterator[tuple[str, str]]:
    """List the tables that only the image itself and debuggers read, as they are encoded."""
    for name, one in (
        ("function starts", image.function_starts),
        ("data in code", image.data_in_code),
        ("split info", image.segment_split_info),
    ):
        if one is not None:
            yield name, digest(one.content)


def _layout(image: Any) -> Iterator[str]:
    """Tell what is wrong with the layout, as dyld and codesign see it; nothing if all is well."""
    good, problem = lief.MachO.check_layout(image)
    if not good:
        yield problem
