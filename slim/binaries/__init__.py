"""Native files: what they are, what they need, and what can go out of them.

A new format is a module here and a line in :data:`BINARIES`.
"""

from __future__ import annotations

from slim.binaries import ar
from slim.binaries.base import BinaryFormat, Buffer, NativeInfo
from slim.binaries.elf import layout as elf_layout
from slim.binaries.macho import identify as macho
from slim.binaries.pe import identify as pe
from slim.model.record import NativeFormat

BINARIES: tuple[BinaryFormat, ...] = (
    BinaryFormat(
        format=NativeFormat.ELF, magics=(elf_layout.MAGIC,), describe=elf_layout.describe_elf
    ),
    BinaryFormat(
        format=NativeFormat.MACHO,
        magics=(*macho.THIN_MAGICS, *macho.FAT_MAGICS),
        describe=macho.describe_macho,
    ),
    BinaryFormat(format=NativeFormat.PE, magics=(pe.MAGIC,), describe=pe.describe_pe),
    BinaryFormat(
        format=NativeFormat.ARCHIVE, magics=(ar.MAGIC, ar.THIN_MAGIC), describe=ar.describe_archive
    ),
)
"""Every native format that slim recognises, by the first bytes of the file."""

_LONGEST_MAGIC = max(len(magic) for row in BINARIES for magic in row.magics)
_FIRST_BYTES = frozenset(magic[:2] for row in BINARIES for magic in row.magics)


def identify(view: Buffer) -> NativeFormat | None:
    """The native format of a file, or None. Told by its first bytes and headers, never by its name."""
    info = describe(view)
    return None if info is None else info.format


def may_be_native(start: Buffer) -> bool:
    """Whether a file that begins with these bytes may be a native one. Only :func:`identify` tells for sure: it needs
    the whole file, because some formats have headers far into it."""
    head = bytes(start[:_LONGEST_MAGIC])
    return head[:2] in _FIRST_BYTES and any(head.startswith(row.magics) for row in BINARIES)


def describe(view: Buffer) -> NativeInfo | None:
    """What the headers of a native file say, or None where it isn't one. Raises nothing, whatever the bytes are.

    A file of a known format whose headers are cut short is described as of that format with an
    unknown machine.
    """
    start = bytes(view[:_LONGEST_MAGIC])
    if start[:2] not in _FIRST_BYTES:
        return None  # nearly every file
    for row in BINARIES:
        if start.startswith(row.magics):
            return row.describe(view)
    return None
