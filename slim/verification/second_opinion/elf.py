"""Facts of an ELF file as LIEF reads them, as far as a loader looks at it.

The section header table isn't for the loader, and neither are the static symbols: both may change.
So may the places in the file where segments lie, if they are as well aligned as before.

Source: System V gABI, chapters 4 and 5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import lief

from slim.verification.second_opinion.facts import Facts, Images, digest

_NULL, _LOAD, _OWN_HEADERS = 0, 1, 6
_ALLOC = 2
"""The flag of sections that are loaded (SHF_ALLOC). Others may have an address, and go."""
_NO_BITS = 8
"""The type of sections that take no bytes of the file (SHT_NOBITS), such as .bss."""
_TABLE = 7
"""The dynamic tag of the table of relocations with addends (DT_RELA)."""
_CODE, _WRAPPERS = (".nv_fatbin", "__nv_relfatbin"), ".nvFatBinSegment"
# Of a file with 64 and one with 32 bits: the fields of the ELF header about the section header
# table, and p_offset in a program header.
_ABOUT_SECTIONS = {2: ((0x28, 0x30), (0x3C, 0x40)), 1: ((0x20, 0x24), (0x30, 0x34))}
_OFFSET_FIELD = {2: (8, 16), 1: (4, 8)}
_CLASS = 4
_RELOCATION_TABLES = ((7, 8), (17, 18), (23, 2), (36, 35))
"""The dynamic tags of each table's address and size: DT_RELA, DT_REL, DT_JMPREL, DT_RELR."""


def read(data: bytes) -> Images | None:
    """Read the facts of an ELF file; None where LIEF can't."""
    binary = lief.ELF.parse(data, _config())
    return None if binary is None else {"": _facts(binary)}


def read_headers(data: bytes) -> Images | None:
    """Read the facts of the first bytes of an ELF file: its header and program headers.

    None where LIEF can't.
    """
    config = lief.ELF.ParserConfig()
    config.parse_symtab_symbols = config.parse_dyn_symbols = config.parse_symbol_versions = False
    config.parse_notes = config.parse_overlay = config.parse_relocations = False
    binary = lief.ELF.parse(data, config)
    if binary is None or not len(binary.segments):
        return None
    # LIEF cuts what lies beyond the bytes that it is given, so sizes in the file don't count.
    segments = [(*_fields(one), one.virtual_size, *_place(one)) for one in binary.segments]
    return {"": {"header fields": list(_header(binary.header)), "segments": segments}}


def read_gpu(data: bytes) -> Images | None:
    """Read the facts of an ELF file that an edit of its GPU code leaves as they are.

    Those are what a loader looks at but for the loaded segments and the place of the program
    headers, the other sections' bytes, and the relocations of everything but wrappers of GPU code.
    None where LIEF can't.
    """
    binary = lief.ELF.parse(data, _config())
    return None if binary is None else {"": _facts_without_gpu(binary)}


def _config() -> Any:
    config = lief.ELF.ParserConfig()
    config.parse_symtab_symbols = False
    config.parse_notes = False
    config.parse_overlay = False
    return config


def _facts_without_gpu(binary: Any) -> Facts:
    facts: dict[str, Sequence[object]] = dict(_facts(binary))
    header = binary.header
    facts["header fields"] = [
        *(list(header.identity), int(header.file_type), int(header.machine_type)),
        *(header.processor_flag, header.entrypoint),
    ]
    facts["segments"] = [
        (*_fields(one), one.virtual_size, one.physical_size, *_place(one), digest(one.content))
        for one in binary.segments
        if int(one.type) not in (_NULL, _LOAD, _OWN_HEADERS)
    ]
    wrappers = [
        range(one.virtual_address, one.virtual_address + one.size)
        for one in binary.sections
        if one.name == _WRAPPERS
    ]
    moved = {
        one.address
        for one in binary.dynamic_relocations
        if any(one.address in wrapper for wrapper in wrappers)
    }
    facts["relocations"] = [
        (one.address, int(one.type), one.addend, one.symbol.name if one.has_symbol else "")
        if one.address not in moved
        else (one.address, int(one.type))
        for one in binary.dynamic_relocations
    ]
    tables = {one.value for one in binary.dynamic_entries if int(one.tag) == _TABLE}
    # Of a section without bytes in the file LIEF gives what lies where it would begin.
    facts["sections"] = [
        (
            *(one.name, one.virtual_address, one.size),
            "" if int(one.type) == _NO_BITS else digest(one.content),
        )
        for one in binary.sections
        if int(one.flags) & _ALLOC and one.name not in (*_CODE, _WRAPPERS)
        if one.virtual_address not in tables
    ]
    return facts


def _facts(binary: Any) -> Facts:
    symbols = [_symbol(one) for one in binary.dynamic_symbols]
    return {
        "header fields": list(_header(binary.header)),
        "segments": list(_segments(binary)),
        "dynamic tags": [(int(one.tag), one.value) for one in binary.dynamic_entries],
        "libraries and run paths": list(_names(binary)),
        "interpreters": [binary.interpreter] if binary.has_interpreter else [],
        "imports": [row for row in symbols if not row[-1]],
        "exports": [row for row in symbols if row[-1]],
        "versions": list(_versions(binary)),
        "relocations": list(_relocations(binary)),
    }


def _header(header: Any) -> Iterator[object]:
    yield list(header.identity)
    yield int(header.file_type)
    yield int(header.machine_type)
    yield header.processor_flag
    yield header.entrypoint
    yield header.program_header_offset
    yield header.program_header_size


def _segments(binary: Any) -> Iterator[tuple[object, ...]]:
    """List the segments with their bytes, but for what no loader reads in the mapped file."""
    header = binary.header
    bits = list(header.identity)[_CLASS]
    first, last = _OFFSET_FIELD.get(bits, (0, 0))
    size = header.program_header_size
    free = list(_ABOUT_SECTIONS.get(bits, ()))
    for number in range(header.numberof_segments):
        row = header.program_header_offset + size * number
        free.append((row + first, row + last))
    for one in binary.segments:
        kind = int(one.type)
        if kind == _NULL:
            yield (kind,)
            continue
        start = one.file_offset
        masked = [(begin - start, end - start) for begin, end in free if end > start]
        sizes = one.virtual_size, one.physical_size
        yield (*_fields(one), *sizes, *_place(one), digest(one.content, masked))


def _fields(segment: Any) -> tuple[object, ...]:
    addresses = segment.virtual_address, segment.physical_address
    return int(segment.type), int(segment.flags), *addresses


def _place(segment: Any) -> tuple[int, int]:
    """Return a segment's alignment, and how far its place in the file is from it."""
    off = segment.virtual_address - segment.file_offset
    return segment.alignment, off % max(segment.alignment, 1) if int(segment.type) == _LOAD else 0


def _names(binary: Any) -> Iterator[tuple[str, object]]:
    for one in binary.dynamic_entries:
        match one:
            case lief.ELF.DynamicEntryLibrary():
                yield "needed", one.name
            case lief.ELF.DynamicSharedObject():
                yield "soname", one.name
            case lief.ELF.DynamicEntryRpath():
                yield "rpath", one.rpath
            case lief.ELF.DynamicEntryRunPath():
                yield "runpath", one.runpath


def _symbol(one: Any) -> tuple[Any, ...]:
    """Row of a symbol: name, version, type and binding, visibility, value, size, if defined."""
    version = one.symbol_version
    number = -1 if version is None else version.value
    return one.name, number, one.information, one.other, one.value, one.size, one.shndx != 0


def _relocations(binary: Any) -> Iterator[tuple[object, ...]]:
    """Count the relocations, and give the tables that they are read from.

    One by one they would take more time than everything else: a big library has 100,000.
    """
    yield "count", len(binary.dynamic_relocations), len(binary.pltgot_relocations)
    values = {int(one.tag): one.value for one in binary.dynamic_entries}
    for address, size in _RELOCATION_TABLES:
        if address in values and size in values:
            table = binary.get_content_from_virtual_address(values[address], values[size])
            yield address, len(table), digest(memoryview(table))


def _versions(binary: Any) -> Iterator[tuple[object, ...]]:
    for one in binary.symbols_version_requirement:
        for aux in one.get_auxiliary_symbols():
            yield "needed", one.name, aux.name, aux.hash, aux.flags, aux.other
    for one in binary.symbols_version_definition:
        for aux in one.auxiliary_symbols:
            yield "defined", one.ndx, one.flags, one.hash, aux.name
