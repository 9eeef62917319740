"""Symbol files of Mach-O images that lose their symbols, as dsymutil writes them.

Such a file (``MH_DSYM``) has the image's UUID, by which debuggers tell that it belongs to it, its
segments and sections without content, its symbol table, and a ``__DWARF`` segment where the image
itself has one.

Source: Apple's ``mach-o/loader.h``; dsymutil(1); lldb's documentation, "Symbols on macOS".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from macholib import mach_o

from slim.binaries.base import Buffer
from slim.binaries.macho.fat import is_fat, read_fat
from slim.binaries.macho.identify import FAT_MAGICS, THIN_MAGICS
from slim.binaries.macho.layout import MachoImage, Segment, read_image
from slim.binaries.macho.linkedit import Part
from slim.binaries.macho.structs import (
    COMMAND,
    DEBUG_SEGMENT,
    HEADER,
    LINKEDIT_SEGMENT,
    MAGIC_64,
    SECTION,
    SEGMENT,
    SYMBOL_SIZE,
    SYMTAB,
)
from slim.binaries.refusal import NotEditable, Refused

_UUID_SIZE = 24
"""Bytes of LC_UUID."""
_CARRIED_OVER = frozenset({mach_o.LC_UUID, mach_o.LC_VERSION_MIN_MACOSX, mach_o.LC_BUILD_VERSION})
_PAGE = 0x1000
_MOST_COMMANDS = 10_000


@dataclass(frozen=True, slots=True)
class ImageSymbols:
    """The file for one image. ``uuid`` is 32 upper-case hexadecimal digits."""

    uuid: str
    data: bytes


def uuid_path(uuid: str) -> str:
    """The path of an image below lldb's ``DBGFileMappedPaths``: ``XXXX/XXXX/.../XXXXXXXXXXXX``."""
    return "/".join([*(uuid[at : at + 4] for at in range(0, 20, 4)), uuid[20:]])


def uuids(view: Buffer) -> tuple[str, ...]:
    """The UUID of each image in a file, thin or universal, whatever it is for.

    What is malformed has none. Raises nothing, whatever the bytes are.
    """
    found = (_uuid(image) for image in _images(memoryview(view)))
    return tuple(uuid for uuid in found if uuid)


def symbol_files(view: Buffer) -> tuple[ImageSymbols, ...]:
    """One file for each image that has a UUID, symbols, and headers that agree with each other.

    Raises nothing, whatever the bytes are.
    """
    files = []
    for slice_view in _images(memoryview(view)):
        image, uuid = read_image(slice_view), _uuid(slice_view)
        if uuid and not isinstance(image, NotEditable):
            files.append(ImageSymbols(uuid, _write(image)))
    return tuple(files)


def _images(view: memoryview) -> list[memoryview]:
    magic = bytes(view[:4])
    if magic in FAT_MAGICS and is_fat(view):
        try:
            return [view[one.offset : one.offset + one.size] for one in read_fat(view)]
        except Refused:
            return []
    return [view] if magic in THIN_MAGICS else []


def _commands(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The load commands of a 64-bit little-endian image, as far as they make sense."""
    if len(view) < HEADER.size or bytes(view[:4]) != MAGIC_64:
        return
    _, _, _, _, count, size, _, _ = HEADER.unpack_from(view)
    at, end = HEADER.size, min(HEADER.size + size, len(view))
    for _ in range(min(count, _MOST_COMMANDS)):
        if at + COMMAND.size > end:
            return
        kind, length = COMMAND.unpack_from(view, at)
        if length < COMMAND.size or at + length > end:
            return
        yield kind, view[at : at + length]
        at += length


def _uuid(view: memoryview) -> str:
    for kind, command in _commands(view):
        if kind == mach_o.LC_UUID and len(command) == _UUID_SIZE:
            return bytes(command[8:]).hex().upper()
    return ""


def _write(image: MachoImage) -> bytes:
    """Header, load commands, symbol table on the next page, ``__DWARF`` where there is one."""
    view = image.view
    symbols = bytes(view[image.parts[Part.SYMBOLS].offset : image.parts[Part.SYMBOLS].end])
    strings = bytes(view[image.parts[Part.STRINGS].offset : image.parts[Part.STRINGS].end])
    commands = [bytes(command) for kind, command in _commands(view) if kind in _CARRIED_OVER]
    size = sum(map(len, commands)) + SYMTAB.size
    size += sum(SEGMENT.size + segment.sections * SECTION.size for segment in image.segments)
    start = _round_up(HEADER.size + size)
    tables = symbols + strings
    dwarf_at = _round_up(start + len(tables))
    count = len(symbols) // SYMBOL_SIZE
    row = (mach_o.LC_SYMTAB, SYMTAB.size, start, count, start + len(symbols), len(strings))
    commands.append(SYMTAB.pack(*row))
    dwarf = b""
    for segment in image.segments:
        if segment.name == LINKEDIT_SEGMENT:
            commands.append(_segment(view, segment, start, len(tables), None))
        elif segment.name == DEBUG_SEGMENT:
            dwarf = bytes(view[segment.offset : segment.end])
            commands.append(
                _segment(view, segment, dwarf_at, len(dwarf), dwarf_at - segment.offset)
            )
        else:
            commands.append(_segment(view, segment, 0, 0, None))
    magic, cpu, subtype, _, _, _, _, reserved = HEADER.unpack_from(view)
    out = HEADER.pack(
        magic, cpu, subtype, mach_o.MH_DSYM, len(commands), size, 0, reserved
    ) + b"".join(commands)
    out = out.ljust(start, b"\0") + tables
    return out.ljust(dwarf_at, b"\0") + dwarf if dwarf else out


def _segment(
    view: memoryview, segment: Segment, offset: int, size: int, moved: int | None
) -> bytes:
    """A segment command with its sections.

    ``moved`` is by how many bytes their content moved, None where it is gone.
    """
    kind, length, name, vmaddr, vmsize, _, _, most, first, sections, flags = SEGMENT.unpack_from(
        view, segment.command
    )
    if name.rstrip(b"\0") == LINKEDIT_SEGMENT:
        vmsize = _round_up(size)
    out = SEGMENT.pack(
        kind, length, name, vmaddr, vmsize, offset, size, most, first, sections, flags
    )
    for number in range(sections):
        row = list(
            SECTION.unpack_from(view, segment.command + SEGMENT.size + number * SECTION.size)
        )
        row[4] = row[4] + moved if moved is not None and row[4] else 0
        out += SECTION.pack(*row)
    return out


def _round_up(size: int) -> int:
    return -(-size // _PAGE) * _PAGE
