"""ELF files for tests, built from a description in text, and tools that build and judge real ones.

A description has one directive a line, in file order:

    elf 64 little x86_64 shared     class, byte order, machine, and type (shared, executable,
                                    relocatable, core)
    load 0x10000 align 0x1000       a loaded segment begins, at this address (the first one holds
                                    the headers)
    end                             ... and ends
    section NAME TYPE SIZE [alloc] [align N] [link NAME] [info NAME]
    names                           the section name table (otherwise after the last section)
    table                           the section header table (otherwise at the end)
    bytes SIZE [zero]               bytes that no header knows

Sections are filled with a pattern that depends on their name and has no zeros; ``.comment`` with
a compiler's name.
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

MACHINES = {
    "i686": 3,
    "s390x": 22,
    "arm": 40,
    "x86_64": 62,
    "aarch64": 183,
    "riscv": 243,
    "ppc64": 21,
}
TYPES = {"relocatable": 1, "executable": 2, "shared": 3, "core": 4}
SECTION_TYPES = {
    "progbits": 1,
    "symtab": 2,
    "strtab": 3,
    "rela": 4,
    "note": 7,
    "nobits": 8,
    "dynsym": 11,
    "symtab_shndx": 18,
}


@dataclass
class Row:
    """A section header in the making."""

    name: str
    type: int
    size: int
    flags: int = 0
    align: int = 1
    link: str = ""
    info: str = ""
    offset: int = 0
    addr: int = 0


@dataclass
class Load:
    """A program header in the making."""

    vaddr: int
    align: int
    offset: int
    end: int = 0


@dataclass
class _Builder:
    bits: int = 64
    order: str = "<"
    machine: int = 62
    type: int = 3
    loads: list[Load] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    table: int = 0
    names: Row | None = None


def pattern(name: str, size: int) -> bytes:
    """Bytes without a zero, different for each name; for ``.comment`` what a compiler writes."""
    if name == ".comment":
        return b"GCC: (GNU) 14.2.0 ".ljust(size, b"x")[:size]
    return random.Random(name).randbytes(size).replace(b"\0", b"\1")


def build(text: str) -> bytes:
    """Build the file that a description asks for."""
    lines = [words for line in text.splitlines() if (words := line.split("#")[0].split())]
    _, bits, order, machine, kind = lines[0]
    made = _Builder(int(bits), {"little": "<", "big": ">"}[order], MACHINES[machine], TYPES[kind])
    for order_of_table in (["names"], ["table"]):
        if order_of_table not in lines:
            lines.append(order_of_table)
    count = 2 + sum(words[0] == "section" for words in lines)
    loads = sum(words[0] == "load" for words in lines)
    made.body += bytes(_header(made).size + 16 + loads * _program(made).size)
    all_names = [".shstrtab", *(words[1] for words in lines if words[0] == "section")]
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in all_names)
    for words in lines[1:]:
        _directive(made, words, strings, count)
    return _finish(made, strings)


def _header(made: _Builder) -> struct.Struct:
    return struct.Struct(made.order + ("HHIQQQIHHHHHH" if made.bits == 64 else "HHIIIIIHHHHHH"))


def _program(made: _Builder) -> struct.Struct:
    return struct.Struct(made.order + ("IIQQQQQQ" if made.bits == 64 else "IIIIIIII"))


def _section(made: _Builder) -> struct.Struct:
    return struct.Struct(made.order + ("IIQQQQIIQQ" if made.bits == 64 else "IIIIIIIIII"))


def _directive(made: _Builder, words: list[str], strings: bytes, count: int) -> None:
    match words:
        case ["load", address, "align", align]:
            vaddr, step = int(address, 0), int(align, 0)
            offset = len(made.body) if made.loads else 0
            vaddr += offset % step
            made.loads.append(Load(vaddr, step, offset))
        case ["end"]:
            made.loads[-1].end = len(made.body)
        case ["section", name, kind, size, *options]:
            row = Row(name, SECTION_TYPES[kind], int(size, 0))
            options = list(options)
            if "alloc" in options:
                options.remove("alloc")
                row.flags = 2
            for key, value in zip(options[::2], options[1::2], strict=True):
                setattr(row, key, int(value, 0) if key == "align" else value)
            _place(made, row, b"" if kind == "nobits" else pattern(name, row.size))
        case ["names"]:
            made.names = Row(".shstrtab", 3, len(strings))
            _place(made, made.names, strings)
        case ["table"]:
            made.body += bytes(-len(made.body) % 8)
            made.table = len(made.body)
            made.body += bytes(count * _section(made).size)
        case ["bytes", size, *zero]:
            made.body += bytes(int(size, 0)) if zero else pattern("payload", int(size, 0))
        case _:
            raise AssertionError(words)


def _place(made: _Builder, row: Row, content: bytes) -> None:
    made.body += bytes(-len(made.body) % row.align)
    row.offset = len(made.body)
    if row.flags:
        row.addr = made.loads[-1].vaddr + row.offset - made.loads[-1].offset
    made.body += content
    made.rows.append(row)


def _finish(made: _Builder, strings: bytes) -> bytes:
    numbers = {row.name: index for index, row in enumerate(made.rows, start=1)} | {"": 0}
    header, program, section = _header(made), _program(made), _section(made)
    ident = b"\x7fELF" + bytes([made.bits // 32, 1 if made.order == "<" else 2, 1]) + bytes(9)
    fields = (made.type, made.machine, 1, 0, 16 + header.size, made.table, 0, 16 + header.size)
    counts = (program.size, len(made.loads), section.size, len(made.rows) + 1, numbers[".shstrtab"])
    made.body[: 16 + header.size] = ident + header.pack(*fields, *counts)
    at = 16 + header.size
    for load in made.loads:
        size = load.end - load.offset
        values = (load.offset, load.vaddr, load.vaddr, size, size)
        row = (1, 5, *values, load.align) if made.bits == 64 else (1, *values, 5, load.align)
        program.pack_into(made.body, at, *row)
        at += program.size
    for index, one in enumerate(made.rows, start=1):
        name = strings.index(b"\0" + one.name.encode() + b"\0") + 1
        links = (numbers[one.link], numbers[one.info])
        entry = {2: 24, 11: 24, 4: 24}.get(one.type, 0)
        values_ = (
            name,
            one.type,
            one.flags,
            one.addr,
            one.offset,
            one.size,
            *links,
            one.align,
            entry,
        )
        section.pack_into(made.body, made.table + index * section.size, *values_)
    return bytes(made.body)


def field_at(data: bytes, name: str) -> tuple[int, str]:
    """Offset and struct format of a field of the ELF header, by its name in elf(5)."""
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    names = [
        "e_type",
        "e_machine",
        "e_version",
        "e_entry",
        "e_phoff",
        "e_shoff",
        "e_flags",
        "e_ehsize",
    ]
    names += ["e_phentsize", "e_phnum", "e_shentsize", "e_shnum", "e_shstrndx"]
    layout = "HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"
    index = names.index(name)
    return 16 + struct.calcsize(order + layout[:index]), order + layout[index]


def get(data: bytes, name: str) -> int:
    """A field of the ELF header."""
    at, layout = field_at(data, name)
    return int(struct.unpack_from(layout, data, at)[0])


def put(data: bytes, name: str, value: int) -> bytes:
    """The file with another value in a field of the ELF header."""
    at, layout = field_at(data, name)
    changed = bytearray(data)
    struct.pack_into(layout, changed, at, value)
    return bytes(changed)


def tool(name: str) -> str:
    """The path of a program, from PATH or next to this Python; skips the test without one."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip(f"{name} isn't installed")
    return found


def compile_c(folder: Path, name: str, source: str, *flags: str) -> Path:
    """Compile C with gcc; skips the test without gcc, or where it can't build for these flags."""
    code, target = folder / f"{name}.c", folder / name
    code.write_text(source)
    command = [tool("gcc"), *flags, str(code), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(
            f"gcc can't build with {' '.join(flags)}: {done.stderr.strip().splitlines()[-1]}"
        )
    return target


def patchelf_three_times(library: Path) -> None:
    """Do what auditwheel does to a library, so often that headers end up in odd places."""
    for turn in range(3):
        name = f"lib{'grafted-' * (turn + 2) * 8}{turn}.so"
        rpath = ":".join(f"$ORIGIN/{'../' * turn}{'long-' * 40}{part}" for part in range(turn + 3))
        for change in (["--set-soname", name], ["--force-rpath", "--set-rpath", rpath]):
            subprocess.run(
                [tool("patchelf"), *change, str(library)], check=True, capture_output=True
            )
