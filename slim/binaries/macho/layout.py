"""Which Mach-O images slim dares to edit: 64-bit programs and libraries laid out as every linker lays them out.

Whatever is unusual is left alone. A refusal costs a few kilobytes, a wrong edit costs a user their
application.

Source: Apple's ``mach-o/loader.h``; dyld's own checks (``MachOFile::validLoadCommands``,
``validSegments``, ``validLinkedit``); the order of the parts of ``__LINKEDIT`` from cctools
(``libstuff/checkout.c``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple

from slim.binaries.refusal import NotEditable, RefusalKind, Refused

MAGIC_64 = b"\xcf\xfa\xed\xfe"
HEADER = struct.Struct("<8I")
COMMAND = struct.Struct("<2I")
SEGMENT = struct.Struct("<2I16s4Q4I")
SECTION = struct.Struct("<16s16s2Q8I")
SYMTAB = struct.Struct("<6I")
DYSYMTAB = struct.Struct("<20I")
DYLD_INFO = struct.Struct("<12I")
LINKEDIT_DATA = struct.Struct("<4I")
SYMBOL_SIZE = 16
INDIRECT_SIZE = 4

CPU_X86_64 = 0x0100_0007
CPU_ARM64 = 0x0100_000C
PAGE_SIZES = {CPU_X86_64: 0x1000, CPU_ARM64: 0x4000}
"""Bytes of a page of memory, to which segments are rounded. Slim edits images for these machines and no others."""

_OBJECT = 1
_IMAGES = frozenset({2, 6, 8})  # MH_EXECUTE, MH_DYLIB, MH_BUNDLE
_IN_SHARED_CACHE = 0x8000_0000

DEBUG_SEGMENT = b"__DWARF"

LC_SYMTAB = 0x2
LC_DYSYMTAB = 0xB
LC_SEGMENT_64 = 0x19
LC_CODE_SIGNATURE = 0x1D
LC_DYLD_INFO = (0x22, 0x8000_0022)
_LC_ENCRYPTION = (0x21, 0x2C)

# Commands that hold no offsets into the file. First those of which an image has one at most:
# LC_UNIXTHREAD, LC_ID_DYLIB, LC_LOAD_DYLINKER, LC_SUB_FRAMEWORK, LC_ROUTINES_64, LC_UUID,
# LC_SOURCE_VERSION, LC_MAIN. Then LC_LOAD_DYLIB and its weak, re-exporting, lazy and upward kinds,
# LC_SUB_UMBRELLA, _CLIENT and _LIBRARY, LC_RPATH, LC_VERSION_MIN_MACOSX, LC_DYLD_ENVIRONMENT,
# LC_BUILD_VERSION.
_SINGLE = frozenset({0x5, 0xD, 0xE, 0x12, 0x1A, 0x1B, 0x2A, 0x8000_0028})
_SEVERAL = frozenset(
    {
        0xC,
        0x13,
        0x14,
        0x15,
        0x20,
        0x24,
        0x27,
        0x32,
        0x8000_0018,
        0x8000_001C,
        0x8000_001F,
        0x8000_0023,
    }
)

_ZERO_FILL = frozenset({0x1, 0xC, 0x12})
_POINTERS = frozenset({0x6, 0x7, 0x10})  # sections of pointers that the indirect symbol table names
_STUBS = 0x8
_GAP = 16


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


_DYLD_INFO_PARTS = (Part.REBASE, Part.BIND, Part.WEAK_BIND, Part.LAZY_BIND, Part.EXPORT)
DATA_COMMANDS = {
    LC_CODE_SIGNATURE: Part.SIGNATURE,
    0x1E: Part.SPLIT_INFO,
    0x26: Part.FUNCTION_STARTS,
    0x29: Part.DATA_IN_CODE,
    0x2B: Part.CODE_SIGN_DRS,
    0x2E: Part.OPTIMIZATION_HINT,
    0x8000_0033: Part.EXPORTS_TRIE,
    0x8000_0034: Part.CHAINED_FIXUPS,
}


class Command(NamedTuple):
    """A load command: its kind, where it is in the image, and its bytes."""

    kind: int
    offset: int
    size: int


class Segment(NamedTuple):
    """``segment_command_64``, and where its load command is. Sizes and offsets in bytes."""

    command: int
    name: bytes
    vmaddr: int
    vmsize: int
    offset: int
    size: int
    sections: int

    @property
    def end(self) -> int:
        """The byte after the last one in the file."""
        return self.offset + self.size


class Span(NamedTuple):
    """Bytes of ``__LINKEDIT``, as offset into the image and size."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """The byte after the last one."""
        return self.offset + self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class MachoImage:
    """The headers of an image that may be edited.

    ``view`` are the bytes of the image (of one slice). ``parts`` are the parts of ``__LINKEDIT``,
    ``commands`` the offset of each load command of which there is one at most. ``local``,
    ``defined`` and ``undefined`` count symbols. ``page`` is the size of a page of memory.
    """

    view: memoryview
    page: int
    commands_end: int
    commands: dict[int, int]
    segments: tuple[Segment, ...]
    linkedit: Segment
    parts: dict[Part, Span]
    local: int
    defined: int
    undefined: int

    @property
    def symbols(self) -> int:
        """The number of symbols."""
        return self.local + self.defined + self.undefined


def read_image(view: memoryview) -> MachoImage | NotEditable:
    """Read and check all headers of a thin image. Reads nothing but headers and the gaps in ``__LINKEDIT``."""
    try:
        return _read(view)
    except Refused as refused:
        return refused.refusal


def _read(view: memoryview) -> MachoImage:
    cpu, commands_end, all_commands = _read_commands(view)
    commands = _index(all_commands)
    if LC_SYMTAB not in commands or LC_DYSYMTAB not in commands:
        raise Refused(NotEditable(RefusalKind.NOTHING_GAINED, "there is no symbol table"))
    segments = tuple(_read_segments(view, all_commands))
    linkedit = _check_segments(view, segments, commands_end, PAGE_SIZES[cpu])
    dynamic = DYSYMTAB.unpack_from(view, commands[LC_DYSYMTAB])[2:]
    parts = dict(_read_parts(view, commands, dynamic))
    _check_parts(view, linkedit, parts)
    local, defined, undefined = _partition(dynamic, parts[Part.SYMBOLS].size // SYMBOL_SIZE)
    for segment in segments:
        _check_sections(view, segment, commands_end, dynamic[13])
    return MachoImage(
        view=view,
        page=PAGE_SIZES[cpu],
        commands_end=commands_end,
        commands=commands,
        segments=segments,
        linkedit=linkedit,
        parts=parts,
        local=local,
        defined=defined,
        undefined=undefined,
    )


def _read_commands(view: memoryview) -> tuple[int, int, list[Command]]:
    """The CPU type, the end of the load commands, and the load commands."""
    if len(view) < HEADER.size or bytes(view[:4]) != MAGIC_64:
        raise Refused.unsupported(
            "not a 64-bit little-endian Mach-O image, or its header is cut short"
        )
    _, cpu, _, filetype, count, size, flags, _ = HEADER.unpack_from(view)
    if cpu not in PAGE_SIZES:
        raise Refused.unsupported(f"slim doesn't edit images for CPU type {cpu:#x}")
    if filetype == _OBJECT:
        raise Refused(
            NotEditable(RefusalKind.OBJECT_FILE, "an object file needs its symbols to be linked")
        )
    if filetype not in _IMAGES:
        raise Refused.unsupported(
            f"neither a program nor a library nor a bundle (filetype {filetype})"
        )
    if flags & _IN_SHARED_CACHE:
        raise Refused.unsupported("an image out of the dyld shared cache")
    at, end = HEADER.size, HEADER.size + size
    if end > len(view) or count > size // COMMAND.size:
        raise Refused.malformed("the load commands don't lie in the file")
    commands = []
    for number in range(count):
        if at + COMMAND.size > end:
            raise Refused.malformed(f"load command {number} is cut short")
        kind, length = COMMAND.unpack_from(view, at)
        if length < COMMAND.size or length % 8 or at + length > end:
            raise Refused.malformed(
                f"load command {number} has an impossible size of {length} bytes"
            )
        commands.append(Command(kind, at, length))
        at += length
    if at != end:
        raise Refused.malformed(
            f"the load commands are followed by {end - at} bytes that belong to none"
        )
    return cpu, end, commands


_SIZES = {
    LC_SYMTAB: SYMTAB.size,
    LC_DYSYMTAB: DYSYMTAB.size,
    **dict.fromkeys(LC_DYLD_INFO, DYLD_INFO.size),
    **dict.fromkeys(DATA_COMMANDS, LINKEDIT_DATA.size),
}


def _index(commands: list[Command]) -> dict[int, int]:
    """Where the commands are of which there is one at most; refuses those that slim doesn't know."""
    found: dict[int, int] = {}
    for kind, offset, size in commands:
        if kind in _LC_ENCRYPTION:
            raise Refused.unsupported("the image is encrypted")
        if kind == LC_SEGMENT_64 or kind in _SEVERAL:
            continue
        if kind not in _SINGLE and kind not in _SIZES:
            raise Refused.unsupported(
                f"load command {kind:#x} at offset {offset:#x}, which slim doesn't know"
            )
        if kind in found or (
            kind in LC_DYLD_INFO and any(other in found for other in LC_DYLD_INFO)
        ):
            raise Refused.malformed(f"two load commands of kind {kind:#x}")
        if kind in _SIZES and size != _SIZES[kind]:
            raise Refused.malformed(f"the load command at offset {offset:#x} is {size} bytes long")
        found[kind] = offset
    return found


def _read_segments(view: memoryview, commands: list[Command]) -> Iterator[Segment]:
    for kind, offset, size in commands:
        if kind != LC_SEGMENT_64:
            continue
        if size < SEGMENT.size:
            raise Refused.malformed(f"the segment command at offset {offset:#x} is cut short")
        _, _, name, vmaddr, vmsize, start, length, _, _, sections, _ = SEGMENT.unpack_from(
            view, offset
        )
        if size != SEGMENT.size + sections * SECTION.size:
            raise Refused.malformed(
                f"the segment command at offset {offset:#x} doesn't hold {sections} sections"
            )
        yield Segment(offset, name.rstrip(b"\0"), vmaddr, vmsize, start, length, sections)


def _check_segments(
    view: memoryview, segments: tuple[Segment, ...], commands_end: int, page: int
) -> Segment:
    """Segments lie in the file, apart from each other, ``__LINKEDIT`` last of all; gives the latter."""
    if len({segment.name for segment in segments}) != len(segments):
        raise Refused.malformed("two segments have the same name")
    for segment in segments:
        name = segment.name.decode("ascii", "backslashreplace")
        # Debugging information may be in the file alone.
        mapped = segment.vmsize or segment.name != DEBUG_SEGMENT
        if (mapped and segment.size > segment.vmsize) or (segment.vmaddr + segment.vmsize) >> 64:
            raise Refused.malformed(f"segment {name} doesn't fit into memory")
        # Zig doesn't round the size in memory; whoever maps it does.
        if segment.vmaddr % page or segment.offset % page:
            raise Refused.malformed(f"segment {name} isn't aligned to pages")
        if segment.end > len(view):
            raise Refused.malformed(f"segment {name} ends after the end of the file")
    in_file = sorted(
        (segment for segment in segments if segment.size), key=lambda segment: segment.offset
    )
    in_memory = sorted(
        (segment for segment in segments if segment.vmsize), key=lambda segment: segment.vmaddr
    )
    if any(first.end > second.offset for first, second in pairwise(in_file)):
        raise Refused.malformed("segments overlap in the file")
    if any(first.vmaddr + first.vmsize > second.vmaddr for first, second in pairwise(in_memory)):
        raise Refused.malformed("segments overlap in memory")
    if not in_file or in_file[0].offset != 0 or in_file[0].size < commands_end:
        raise Refused.malformed("no segment holds the load commands")
    linkedit = in_file[-1]
    # Where Go merges in what dsymutil made, it comes to lie after all others.
    last = next(segment for segment in reversed(in_memory) if segment.name != DEBUG_SEGMENT)
    if (
        linkedit.name != b"__LINKEDIT"
        or linkedit is not last
        or linkedit.sections
        or linkedit is in_file[0]
    ):
        raise Refused.unsupported("__LINKEDIT isn't the last segment, or it has sections")
    if linkedit.end != len(view):
        extra = len(view) - linkedit.end
        raise Refused(
            NotEditable(RefusalKind.PAYLOAD, f"{extra} bytes follow after the last segment")
        )
    return linkedit


def _check_sections(view: memoryview, segment: Segment, commands_end: int, indirect: int) -> None:
    for number in range(segment.sections):
        row = SECTION.unpack_from(view, segment.command + SEGMENT.size + number * SECTION.size)
        (
            name,
            _,
            address,
            size,
            offset,
            _,
            relocations,
            relocation_count,
            flags,
            first,
            stub_size,
            _,
        ) = row
        label = name.rstrip(b"\0").decode("ascii", "backslashreplace")
        kind = flags & 0xFF
        if relocations or relocation_count:
            raise Refused.unsupported(f"section {label} has relocations")
        if segment.name == DEBUG_SEGMENT and not segment.vmsize:
            if size and not segment.offset <= offset <= offset + size <= segment.end:
                raise Refused.malformed(f"section {label} isn't in its segment")
            continue
        if address < segment.vmaddr or address + size > segment.vmaddr + segment.vmsize:
            raise Refused.malformed(f"section {label} isn't in its segment")
        if size and kind not in _ZERO_FILL:
            start = segment.offset + address - segment.vmaddr
            if offset != start or start + size > segment.end or start < commands_end:
                raise Refused.malformed(f"section {label} isn't in the file where its address says")
        if kind in _POINTERS or kind == _STUBS:
            step = stub_size if kind == _STUBS else 8
            if step == 0 or size % step or first + size // step > indirect:
                raise Refused.malformed(
                    f"section {label} has no place in the indirect symbol table"
                )


def _read_parts(
    view: memoryview, commands: dict[int, int], dynamic: tuple[int, ...]
) -> Iterator[tuple[Part, Span]]:
    """Every part of ``__LINKEDIT`` that a load command names, empty ones too if they have an offset."""
    for kind in LC_DYLD_INFO:
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
    _, _, symbols, count, strings, strings_size = SYMTAB.unpack_from(view, commands[LC_SYMTAB])
    yield Part.SYMBOLS, Span(symbols, count * SYMBOL_SIZE)
    yield Part.STRINGS, Span(strings, strings_size)
    if dynamic[12] or dynamic[13]:
        yield Part.INDIRECT, Span(dynamic[12], dynamic[13] * INDIRECT_SIZE)


def _check_parts(view: memoryview, linkedit: Segment, parts: dict[Part, Span]) -> None:
    """The parts fill ``__LINKEDIT``, in the usual order, with nothing but padding between them."""
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


def _partition(dynamic: tuple[int, ...], count: int) -> tuple[int, int, int]:
    """How many symbols are local, defined and undefined: they lie in that order, and there are no others."""
    first_local, local, first_defined, defined, first_undefined, undefined = dynamic[:6]
    # Tables of contents, modules, references and relocations: nothing has them any more.
    if any(dynamic[6:12]) or any(dynamic[14:18]):
        raise Refused.unsupported("LC_DYSYMTAB names tables that linkers no longer write")
    in_order = (first_local, first_defined, first_undefined) == (0, local, local + defined)
    if not in_order or local + defined + undefined != count:
        raise Refused.malformed("LC_DYSYMTAB and LC_SYMTAB disagree about the symbols")
    return local, defined, undefined
