"""The headers of an ELF file as numbers: no judgement, no editing.

Source: System V gABI, chapters 4 and 5 ("Object Files", "Program Loading"); elf(5).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from slim.binaries.base import UNKNOWN_MACHINE, Buffer, ImageKind, NativeInfo
from slim.model.record import NativeFormat
from slim.model.stack import System

MAGIC = b"\x7fELF"

ET_REL, ET_EXEC, ET_DYN = 1, 2, 3
PT_NULL, PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_PHDR = 0, 1, 2, 3, 4, 6
PN_XNUM = 0xFFFF
SHN_LORESERVE = 0xFF00
SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_NOTE = 0, 1, 2, 3, 4, 7
SHT_NOBITS, SHT_REL, SHT_DYNSYM = 8, 9, 11
SHT_GNU_VERNEED, SHT_GNU_VERSYM = 0x6FFF_FFFE, 0x6FFF_FFFF
SHF_ALLOC, SHF_INFO_LINK, SHF_COMPRESSED = 0x2, 0x40, 0x800
OSABI_NONE, OSABI_GNU = 0, 3

MACHINES = {
    3: "i686",
    8: "mips",
    20: "ppc",
    21: "ppc64",
    22: "s390x",
    40: "arm",
    62: "x86_64",
    183: "aarch64",
    243: "riscv",
    258: "loongarch",
}
"""``e_machine`` to the machine names of Python's platform tags."""


class ElfHeader(NamedTuple):
    """The fields of ``Elf32_Ehdr``/``Elf64_Ehdr`` after ``e_ident``."""

    type: int
    machine: int
    version: int
    entry: int
    phoff: int
    shoff: int
    flags: int
    ehsize: int
    phentsize: int
    phnum: int
    shentsize: int
    shnum: int
    shstrndx: int


class Segment(NamedTuple):
    """A program header. Offsets and sizes are bytes."""

    type: int
    offset: int
    vaddr: int
    filesz: int
    memsz: int
    align: int


class Section(NamedTuple):
    """A section header. Offsets and sizes are bytes.

    ``name`` is an offset into the section name table.
    """

    name: int
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entsize: int

    @property
    def allocated(self) -> bool:
        """True if the section is part of the loaded image (SHF_ALLOC)."""
        return bool(self.flags & SHF_ALLOC)

    @property
    def file_size(self) -> int:
        """Bytes the section takes in the file: none for SHT_NOBITS and SHT_NULL."""
        return 0 if self.type in (SHT_NOBITS, SHT_NULL) else self.size


@dataclass(frozen=True, slots=True)
class ElfStructs:
    """Layouts of the headers for one class and byte order."""

    header: struct.Struct
    program: struct.Struct
    section: struct.Struct
    dynamic: struct.Struct
    symbol: struct.Struct
    bits: int

    @property
    def little(self) -> bool:
        """True if numbers are little-endian."""
        return self.header.format.startswith("<")


def _structs(order: str, bits: int) -> ElfStructs:
    word, symbol = ("Q", "IBBHQQ") if bits == 64 else ("I", "IIIBBH")
    program = "IIQQQQQQ" if bits == 64 else "IIIIIIII"
    return ElfStructs(
        header=struct.Struct(f"{order}HHI{word * 3}IHHHHHH"),
        program=struct.Struct(order + program),
        section=struct.Struct(f"{order}II{word * 4}II{word * 2}"),
        dynamic=struct.Struct(order + word * 2),
        symbol=struct.Struct(order + symbol),
        bits=bits,
    )


_STRUCTS = {
    (class_, data): _structs(order, bits)
    for class_, bits in ((1, 32), (2, 64))
    for data, order in ((1, "<"), (2, ">"))
}
IDENT_SIZE = 16


def read_header(view: Buffer) -> tuple[ElfStructs, ElfHeader] | None:
    """The ELF header, or None where there is no whole one of a known class and byte order."""
    if len(view) < IDENT_SIZE or bytes(view[:4]) != MAGIC:
        return None
    structs = _STRUCTS.get((view[4], view[5]))
    if structs is None or len(view) < IDENT_SIZE + structs.header.size:
        return None
    return structs, ElfHeader._make(structs.header.unpack_from(view, IDENT_SIZE))


def read_segments(
    view: Buffer, structs: ElfStructs, header: ElfHeader
) -> tuple[Segment, ...] | None:
    """The program headers.

    None where the table isn't wholly in the file, or its entries aren't of the one size.
    """
    size = structs.program.size
    end = header.phoff + header.phnum * size
    if header.phnum == 0:
        return ()
    if header.phentsize != size or end > len(view):
        return None
    rows = structs.program.iter_unpack(view[header.phoff : end])
    if structs.bits == 64:
        return tuple(
            Segment(kind, off, vaddr, fsz, msz, al) for kind, _, off, vaddr, _, fsz, msz, al in rows
        )
    return tuple(
        Segment(kind, off, vaddr, fsz, msz, al) for kind, off, vaddr, _, fsz, msz, _, al in rows
    )


def read_sections(
    view: Buffer, structs: ElfStructs, header: ElfHeader
) -> tuple[Section, ...] | None:
    """The section headers.

    None where the table isn't wholly in the file, or its entries aren't of the one size.
    """
    size = structs.section.size
    end = header.shoff + header.shnum * size
    if header.shoff == 0 and header.shnum == 0:
        return ()
    if header.shentsize != size or end > len(view):
        return None
    return tuple(map(Section._make, structs.section.iter_unpack(view[header.shoff : end])))


def describe_elf(view: Buffer) -> NativeInfo | None:
    """Describe an ELF file by its header and program headers.

    A file cut short is still ELF, of unknown machine. A position-independent program counts as an
    executable if it names an interpreter; only its dynamic section (see
    :func:`slim.binaries.elf.edit.read_dynamic`) tells a static one from a library.
    """
    found = read_header(view)
    if found is None:
        return NativeInfo(format=NativeFormat.ELF, system=System.UNKNOWN)
    structs, header = found
    segments = {segment.type for segment in read_segments(view, structs, header) or ()}
    kinds = {
        ET_REL: ImageKind.RELOCATABLE,
        ET_EXEC: ImageKind.EXECUTABLE,
        ET_DYN: ImageKind.EXECUTABLE if PT_INTERP in segments else ImageKind.SHARED,
    }
    return NativeInfo(
        format=NativeFormat.ELF,
        system=System.LINUX if view[7] in (OSABI_NONE, OSABI_GNU) else System.UNKNOWN,
        machine=machine_name(header, structs),
        bits=structs.bits,
        little=structs.little,
        kind=kinds.get(header.type, ImageKind.OTHER),
        dynamic=PT_DYNAMIC in segments,
    )


def machine_name(header: ElfHeader, structs: ElfStructs) -> str:
    """The machine as Python's platform tags call it."""
    name = MACHINES.get(header.machine, UNKNOWN_MACHINE)
    return (
        {"ppc64": "ppc64le", "riscv": f"riscv{structs.bits}"}.get(name, name)
        if structs.little
        else name
    )
