"""Sections of ELF and PE files by name, those that may hold GPU code.

Source: System V gABI, chapter 4; Microsoft, "PE Format" (section table).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from slim.binaries.elf.layout import MAGIC as ELF_MAGIC
from slim.binaries.elf.layout import read_header, read_sections
from slim.binaries.pe.headers import LFANEW
from slim.binaries.pe.identify import MAGIC as PE_MAGIC
from slim.binaries.pe.identify import SIGNATURE

_COFF_SIZE = 24
_PE_SECTION = struct.Struct("<8s4I16x")
_MOST_PE_SECTIONS = 96
_LONGEST_NAME = 64


class NamedSection(NamedTuple):
    """A section that has bytes in the file. ``offset`` and ``size`` are bytes."""

    name: str
    offset: int
    size: int


def named_sections(view: memoryview) -> Iterator[NamedSection]:
    """Sections that lie in the file, in the order of the table.

    Yields nothing for another format, or where the headers are damaged: it raises nothing.
    """
    start = bytes(view[:4])
    if start == ELF_MAGIC:
        yield from _elf(view)
    elif start.startswith(PE_MAGIC):
        yield from _pe(view)


def _elf(view: memoryview) -> Iterator[NamedSection]:
    found = read_header(view)
    if found is None:
        return
    structs, header = found
    sections = read_sections(view, structs, header)
    if not sections or not 0 < header.shstrndx < len(sections):
        return
    strings = sections[header.shstrndx]
    limit = min(strings.offset + strings.size, len(view))
    for section in sections:
        at = strings.offset + section.name
        text = bytes(view[at : min(at + _LONGEST_NAME, limit)]).partition(b"\0")[0]
        if section.file_size and section.offset + section.file_size <= len(view):
            name = text.decode("ascii", "replace")
            yield NamedSection(name, section.offset, section.file_size)


def _pe(view: memoryview) -> Iterator[NamedSection]:
    """The size is that in memory where it is smaller: the file's is rounded up."""
    at = int.from_bytes(view[LFANEW : LFANEW + 4], "little")
    if bytes(view[at : at + 4]) != SIGNATURE or at + _COFF_SIZE > len(view):
        return
    count, optional = (int.from_bytes(view[at + x : at + x + 2], "little") for x in (6, 20))
    table = at + _COFF_SIZE + optional
    for place in range(min(count, _MOST_PE_SECTIONS)):
        row = table + place * _PE_SECTION.size
        if row + _PE_SECTION.size > len(view):
            return
        raw, in_memory, _, length, offset = _PE_SECTION.unpack_from(view, row)
        size = min(in_memory, length) if in_memory else length
        if size and offset + size <= len(view):
            yield NamedSection(raw.rstrip(b"\0").decode("ascii", "replace"), offset, size)
