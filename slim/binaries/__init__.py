"""Native files: what they are, what they need, and what can go out of them.

A new format is a folder here and a row in :data:`BINARIES`. Its row brings what reads it: its
headers, and what it needs of its loader. What other rooms add to a format is a row in a table of
theirs: the loader's rules (:data:`slim.analysis.linkage.loaders.LOADERS`), the editors
(:data:`slim.passes.EDITORS`), and the oracle that judges each editor
(:data:`slim.verification.oracles.ORACLES`).
"""

from __future__ import annotations

from collections.abc import Mapping

from slim.binaries import ar
from slim.binaries.base import BinaryFormat, Buffer, Dynamic, NativeInfo
from slim.binaries.elf import layout as elf_layout
from slim.binaries.elf.dynamic import read_dynamic as read_elf_dynamic
from slim.binaries.elf.floors import elf_floors
from slim.binaries.macho import identify as macho
from slim.binaries.macho.dynamic import read_macho_dynamic
from slim.binaries.macho.floors import macho_floors
from slim.binaries.pe import identify as pe
from slim.binaries.pe.dynamic import read_pe_dynamic
from slim.binaries.pe.floors import pe_floors
from slim.model.floor import PlatformFloor
from slim.model.record import NativeFormat

BINARIES: tuple[BinaryFormat, ...] = (
    BinaryFormat(
        format=NativeFormat.ELF,
        title="ELF",
        magics=(elf_layout.MAGIC,),
        describe=elf_layout.describe_elf,
        read_dynamic=read_elf_dynamic,
        read_floors=elf_floors,
    ),
    BinaryFormat(
        format=NativeFormat.MACHO,
        title="Mach-O",
        magics=(*macho.THIN_MAGICS, *macho.FAT_MAGICS),
        describe=macho.describe_macho,
        read_dynamic=read_macho_dynamic,
        read_floors=macho_floors,
    ),
    BinaryFormat(
        format=NativeFormat.PE,
        title="PE",
        magics=(pe.MAGIC,),
        describe=pe.describe_pe,
        read_dynamic=read_pe_dynamic,
        read_floors=pe_floors,
    ),
    BinaryFormat(
        format=NativeFormat.ARCHIVE, magics=(ar.MAGIC, ar.THIN_MAGIC), describe=ar.describe_archive
    ),
)
"""Every native format that slim recognises, by the first bytes of the file."""

TITLES: Mapping[NativeFormat, str] = {row.format: row.title for row in BINARIES if row.title}
"""Names of native formats, as reports write them."""

_LONGEST_MAGIC = max(len(magic) for row in BINARIES for magic in row.magics)
_FIRST_BYTES = frozenset(magic[:2] for row in BINARIES for magic in row.magics)


def identify(view: Buffer) -> NativeFormat | None:
    """The native format of a file, or None: by its first bytes and headers, never by its name."""
    info = describe(view)
    return None if info is None else info.format


def may_be_native(start: Buffer) -> bool:
    """True if a file that begins with these bytes may be a native one.

    Only :func:`identify` tells for sure. It needs the whole file, because some formats have headers
    far into it.
    """
    head = bytes(start[:_LONGEST_MAGIC])
    return head[:2] in _FIRST_BYTES and any(head.startswith(row.magics) for row in BINARIES)


def describe(view: Buffer) -> NativeInfo | None:
    """Describe a native file by its headers; None where it isn't one.

    Raises nothing, whatever the bytes are. A file of a known format whose headers are cut short is
    described as of that format with an unknown machine.
    """
    row = _row(view)
    return None if row is None else row.describe(view)


def read_any_dynamic(data: Buffer) -> Dynamic | None:
    """Read what a native file needs of its loader.

    None where it needs nothing of one, or can't be read. Raises nothing.
    """
    row = _row(data)
    return None if row is None or row.read_dynamic is None else row.read_dynamic(data)


def read_floors(data: Buffer) -> tuple[PlatformFloor, ...]:
    """Read the oldest systems that a native file says it runs on, for each of its machines.

    Empty where it doesn't say, or can't be read. Raises nothing.
    """
    row = _row(data)
    return () if row is None or row.read_floors is None else row.read_floors(data)


def _row(data: Buffer) -> BinaryFormat | None:
    """The row of the table whose magic the file begins with."""
    start = bytes(data[:_LONGEST_MAGIC])
    if start[:2] not in _FIRST_BYTES:
        return None  # nearly every file
    return next((row for row in BINARIES if start.startswith(row.magics)), None)
