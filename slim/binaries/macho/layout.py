"""Mach-O images that slim edits: 64-bit programs and libraries laid out as linkers lay them out.

Whatever is unusual is left alone. A refusal costs a few kilobytes, a wrong edit costs a user their
application.

Source: Apple's ``mach-o/loader.h``; dyld's own checks (``MachOFile::validLoadCommands``,
``validSegments``, ``validLinkedit``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from macholib import mach_o

from slim.binaries.macho.linkedit import (
    DATA_COMMANDS,
    DYLD_INFO_COMMANDS,
    Part,
    Span,
    check_parts,
    read_parts,
)
from slim.binaries.macho.names import CPU_TYPE_ARM64, CPU_TYPE_X86_64, MH_DYLIB_IN_CACHE
from slim.binaries.macho.structs import (
    COMMAND,
    DEBUG_SEGMENT,
    DYLD_INFO,
    DYSYMTAB,
    ENCRYPTION,
    HEADER,
    LINKEDIT_DATA,
    LINKEDIT_SEGMENT,
    MAGIC_64,
    SECTION,
    SEGMENT,
    SYMBOL_SIZE,
    SYMTAB,
)
from slim.binaries.refusal import NotEditable, RefusalKind, Refused

PAGE_SIZES = {CPU_TYPE_X86_64: 0x1000, CPU_TYPE_ARM64: 0x4000}
"""Bytes of a page of memory, to which segments are rounded, by CPU type.

Slim edits images for these machines and no others.
"""

_IMAGES = frozenset({mach_o.MH_EXECUTE, mach_o.MH_DYLIB, mach_o.MH_BUNDLE})

# Commands that hold no offsets into the file: those of which an image has one at most, and those of
# which it may have several.
_SINGLE = frozenset(
    {
        mach_o.LC_UNIXTHREAD,
        mach_o.LC_ID_DYLIB,
        mach_o.LC_LOAD_DYLINKER,
        mach_o.LC_SUB_FRAMEWORK,
        mach_o.LC_ROUTINES_64,
        mach_o.LC_UUID,
        mach_o.LC_SOURCE_VERSION,
        mach_o.LC_MAIN,
    }
)
_SEVERAL = frozenset(
    {
        mach_o.LC_LOAD_DYLIB,
        mach_o.LC_LOAD_WEAK_DYLIB,
        mach_o.LC_REEXPORT_DYLIB,
        mach_o.LC_LAZY_LOAD_DYLIB,
        mach_o.LC_LOAD_UPWARD_DYLIB,
        mach_o.LC_SUB_UMBRELLA,
        mach_o.LC_SUB_CLIENT,
        mach_o.LC_SUB_LIBRARY,
        mach_o.LC_RPATH,
        mach_o.LC_VERSION_MIN_MACOSX,
        mach_o.LC_DYLD_ENVIRONMENT,
        mach_o.LC_BUILD_VERSION,
    }
)

_ZERO_FILL = frozenset({mach_o.S_ZEROFILL, mach_o.S_GB_ZEROFILL, mach_o.S_THREAD_LOCAL_ZEROFILL})
_POINTERS = frozenset(
    {
        mach_o.S_NON_LAZY_SYMBOL_POINTERS,
        mach_o.S_LAZY_SYMBOL_POINTERS,
        mach_o.S_LAZY_DYLIB_SYMBOL_POINTERS,
    }
)
"""Types of sections of pointers that the indirect symbol table names."""


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
    """Read and check all headers of a thin image; of the rest only the gaps in ``__LINKEDIT``."""
    try:
        return _read(view)
    except Refused as refused:
        return refused.refusal


def _read(view: memoryview) -> MachoImage:
    cpu, commands_end, all_commands = _read_commands(view)
    commands = _index(all_commands)
    if mach_o.LC_SYMTAB not in commands or mach_o.LC_DYSYMTAB not in commands:
        raise Refused(NotEditable(RefusalKind.NOTHING_GAINED, "there is no symbol table"))
    segments = tuple(_read_segments(view, all_commands))
    linkedit = _check_segments(view, segments, commands_end, PAGE_SIZES[cpu])
    _check_encryption(view, commands, linkedit)
    dynamic = DYSYMTAB.unpack_from(view, commands[mach_o.LC_DYSYMTAB])[2:]
    parts = dict(read_parts(view, commands, dynamic))
    check_parts(view, Span(linkedit.offset, linkedit.size), parts)
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
    if filetype == mach_o.MH_OBJECT:
        raise Refused(
            NotEditable(RefusalKind.OBJECT_FILE, "an object file needs its symbols to be linked")
        )
    if filetype not in _IMAGES:
        raise Refused.unsupported(
            f"neither a program nor a library nor a bundle (filetype {filetype})"
        )
    if flags & MH_DYLIB_IN_CACHE:
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
    mach_o.LC_SYMTAB: SYMTAB.size,
    mach_o.LC_DYSYMTAB: DYSYMTAB.size,
    **dict.fromkeys(DYLD_INFO_COMMANDS, DYLD_INFO.size),
    **dict.fromkeys(DATA_COMMANDS, LINKEDIT_DATA.size),
    mach_o.LC_ENCRYPTION_INFO_64: ENCRYPTION.size,
}


def _index(commands: list[Command]) -> dict[int, int]:
    """Offsets by kind, for commands of which there is one at most; refuses unknown ones."""
    found: dict[int, int] = {}
    for kind, offset, size in commands:
        if kind == mach_o.LC_SEGMENT_64 or kind in _SEVERAL:
            continue
        if kind not in _SINGLE and kind not in _SIZES:
            raise Refused.unsupported(
                f"load command {kind:#x} at offset {offset:#x}, which slim doesn't know"
            )
        if kind in found or (
            kind in DYLD_INFO_COMMANDS and any(other in found for other in DYLD_INFO_COMMANDS)
        ):
            raise Refused.malformed(f"two load commands of kind {kind:#x}")
        if kind in _SIZES and size != _SIZES[kind]:
            raise Refused.malformed(f"the load command at offset {offset:#x} is {size} bytes long")
        found[kind] = offset
    return found


def _check_encryption(view: memoryview, commands: dict[int, int], linkedit: Segment) -> None:
    """Refuse encrypted images. Linkers say of many others where encryption could be, with ID 0."""
    at = commands.get(mach_o.LC_ENCRYPTION_INFO_64)
    if at is None:
        return
    _, _, start, length, encryption, _ = ENCRYPTION.unpack_from(view, at)
    if encryption:
        raise Refused.unsupported("the image is encrypted")
    if start + length > linkedit.offset:
        raise Refused.malformed("what could be encrypted isn't before __LINKEDIT")


def _read_segments(view: memoryview, commands: list[Command]) -> Iterator[Segment]:
    for kind, offset, size in commands:
        if kind != mach_o.LC_SEGMENT_64:
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
    """Return ``__LINKEDIT``, if all segments lie in the file, apart from each other, it last."""
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
        linkedit.name != LINKEDIT_SEGMENT
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
        kind = flags & mach_o.SECTION_TYPE
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
        if kind in _POINTERS or kind == mach_o.S_SYMBOL_STUBS:
            step = stub_size if kind == mach_o.S_SYMBOL_STUBS else 8
            if step == 0 or size % step or first + size // step > indirect:
                raise Refused.malformed(
                    f"section {label} has no place in the indirect symbol table"
                )


def _partition(dynamic: tuple[int, ...], count: int) -> tuple[int, int, int]:
    """Numbers of local, defined and undefined symbols, which lie in that order, with no others."""
    first_local, local, first_defined, defined, first_undefined, undefined = dynamic[:6]
    # Tables of contents, modules, references and relocations: nothing has them any more.
    if any(dynamic[6:12]) or any(dynamic[14:18]):
        raise Refused.unsupported("LC_DYSYMTAB names tables that linkers no longer write")
    in_order = (first_local, first_defined, first_undefined) == (0, local, local + defined)
    if not in_order or local + defined + undefined != count:
        raise Refused.malformed("LC_DYSYMTAB and LC_SYMTAB disagree about the symbols")
    return local, defined, undefined
