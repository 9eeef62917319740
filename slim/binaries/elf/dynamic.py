"""Requests of an ELF file to the dynamic loader, and what it offers, read with pyelftools.

Source: System V gABI, chapter 5 ("Dynamic Linking"); ld.so(8); PEP 489 (names of module
initialisers).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from slim.binaries.base import Buffer, ImageKind
from slim.binaries.elf.layout import (
    ET_DYN,
    ET_EXEC,
    ET_REL,
    PT_DYNAMIC,
    PT_INTERP,
    SHN_LORESERVE,
    SHT_DYNSYM,
    ElfHeader,
    ElfStructs,
    Section,
    Segment,
    machine_name,
    read_header,
    read_sections,
    read_segments,
)
from slim.binaries.elf.stream import BoundedStream
from slim.model.record import NativeFormat

if TYPE_CHECKING:
    from elftools.elf.dynamic import DynamicSegment

# Bounds within which pyelftools works in milliseconds. It follows whatever the headers say, so a
# crafted file could keep it busy for hours; real files stay far below (libtorch: 12 segments, 60
# tags).
_MAX_SEGMENTS = 256
_MAX_DYNAMIC = 1 << 20
_MAX_STRING = 1 << 16

_DT_NULL, _DF_1_PIE = 0, 0x0800_0000
_STB_LOCAL = 0
_INIT_NAME = re.compile(rb"PyInit[A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfDynamic:
    """The dynamic section of an ELF file.

    ``rpath`` and ``runpath`` are split at colons, ``$ORIGIN`` as it stands. ``machine`` is
    normalised as in :class:`slim.model.stack.Platform`. ``kind`` is ``executable``, ``shared``,
    ``relocatable`` or ``other`` (a static position-independent program is an executable).
    ``python_inits`` are the defined global symbols that begin with ``PyInit``: what makes a library
    an extension module.
    """

    format: ClassVar[NativeFormat] = NativeFormat.ELF

    soname: str | None
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]
    interpreter: str | None
    machine: str
    bits: int
    little: bool
    kind: str
    python_inits: frozenset[str]


def read_dynamic(data: Buffer) -> ElfDynamic | None:
    """Read the dynamic section of an ELF file.

    Returns None for a file without one (statically linked, an object file), and for one whose
    headers can't be followed: it raises nothing, whatever the bytes are.
    """
    view = memoryview(data)
    try:
        found = read_header(view)
        if found is None:
            return None
        structs, header = found
        segments = read_segments(view, structs, header)
        if segments is None or not _within_bounds(view, structs, segments):
            return None
        tags, interpreter = _read_tags(view, segments)
        sections = read_sections(view, structs, header) or ()
        return ElfDynamic(
            soname=next(iter(tags["DT_SONAME"]), None),
            needed=tuple(tags["DT_NEEDED"]),
            rpath=_split(tags["DT_RPATH"]),
            runpath=_split(tags["DT_RUNPATH"]),
            interpreter=interpreter,
            machine=machine_name(header, structs),
            bits=structs.bits,
            little=structs.little,
            kind=_kind(header, interpreter, tags),
            python_inits=_python_inits(view, structs, sections),
        )
    except Exception:
        # On malformed files pyelftools raises ELFError, but also OSError, KeyError, AssertionError,
        # UnicodeDecodeError and more, by accident rather than by contract. All of them say the
        # same: there is nothing to be read here.
        return None


def _within_bounds(view: memoryview, structs: ElfStructs, segments: tuple[Segment, ...]) -> bool:
    """True if there is one dynamic segment, which ends, and nothing keeps pyelftools busy."""
    dynamic = [segment for segment in segments if segment.type == PT_DYNAMIC]
    if len(dynamic) != 1 or len(segments) > _MAX_SEGMENTS:
        return False
    start, size = dynamic[0].offset, dynamic[0].filesz
    if size > _MAX_DYNAMIC or start + size > len(view):
        return False
    whole = size - size % structs.dynamic.size
    return any(
        tag == _DT_NULL for tag, _ in structs.dynamic.iter_unpack(view[start : start + whole])
    )


def _read_tags(
    view: memoryview, segments: tuple[Segment, ...]
) -> tuple[dict[str, list[str]], str | None]:
    """The strings of the dynamic section by tag, and the interpreter.

    The tag ``PIE`` is there where DF_1_PIE is set.
    """
    from elftools.elf.elffile import ELFFile  # late: many a command meets no such file

    # pyelftools asks for a stream and uses only these three methods of it.
    elf: Any = ELFFile(cast(Any, BoundedStream(view)))
    tags: dict[str, list[str]] = {
        tag: [] for tag in ("DT_SONAME", "DT_NEEDED", "DT_RPATH", "DT_RUNPATH", "PIE")
    }
    interpreter: str | None = None
    for index, segment in enumerate(segments):
        if segment.type == PT_INTERP:
            text = bytes(view[segment.offset : segment.offset + min(segment.filesz, _MAX_STRING)])
            interpreter = text.partition(b"\0")[0].decode("utf-8", "surrogateescape") or None
        elif segment.type == PT_DYNAMIC:
            dynamic: DynamicSegment = elf.get_segment(index)
            for tag in dynamic.iter_tags():
                name = tag.entry.d_tag
                if name == "DT_FLAGS_1" and tag.entry.d_val & _DF_1_PIE:
                    tags["PIE"].append("")
                elif name in tags:
                    tags[name].append(getattr(tag, name.removeprefix("DT_").lower())[:_MAX_STRING])
    return tags, interpreter


def _split(paths: list[str]) -> tuple[str, ...]:
    return tuple(part for path in paths for part in path.split(":") if part)


def _kind(header: ElfHeader, interpreter: str | None, tags: dict[str, list[str]]) -> str:
    if header.type == ET_DYN:
        # Old linkers don't set DF_1_PIE; a few libraries (libc itself) name an interpreter, but
        # they have a soname.
        program = bool(tags["PIE"]) or (interpreter is not None and not tags["DT_SONAME"])
        return ImageKind.EXECUTABLE if program else ImageKind.SHARED
    return {ET_EXEC: ImageKind.EXECUTABLE, ET_REL: ImageKind.RELOCATABLE}.get(
        header.type, ImageKind.OTHER
    )


def _python_inits(
    view: memoryview, structs: ElfStructs, sections: tuple[Section, ...]
) -> frozenset[str]:
    """The defined global names that begin with ``PyInit``.

    Reads the symbols as numbers and only those names that matter, because a big library has 100,000
    symbols. Without a section header table nothing says how many symbols there are; such a file
    counts as having none.
    """
    table = next((section for section in sections if section.type == SHT_DYNSYM), None)
    if table is None or not 0 < table.link < len(sections):
        return frozenset()
    strings = sections[table.link]
    text = view[strings.offset : strings.offset + strings.size]
    names = {match.start(): match.group() for match in _INIT_NAME.finditer(text)}
    if not names:
        return frozenset()
    size = structs.symbol.size
    count = max(0, min(table.offset + table.size, len(view)) - table.offset) // size
    found: set[str] = set()
    for row in structs.symbol.iter_unpack(view[table.offset : table.offset + count * size]):
        name, info, shndx = (
            (row[0], row[1], row[3]) if structs.bits == 64 else (row[0], row[3], row[5])
        )
        if name in names and shndx != 0 and shndx < SHN_LORESERVE and info >> 4 != _STB_LOCAL:
            found.add(names[name].decode("ascii"))
    return frozenset(found)
