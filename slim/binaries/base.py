"""Facts about native files that all formats have.

Formats are told by their magic numbers and never by file names, from the headers alone: this is
asked about every file of a stack.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from slim.model.floor import PlatformFloor
from slim.model.record import NativeFormat
from slim.model.stack import System

Buffer = bytes | memoryview
"""The bytes of a file. Never copied as a whole, so that a memory map stays a memory map."""

UNKNOWN_MACHINE = "unknown"
"""The machine of a file whose header names none that slim knows."""


class ImageKind(StrEnum):
    """The purpose of a native file."""

    EXECUTABLE = "executable"
    SHARED = "shared"
    RELOCATABLE = "relocatable"
    ARCHIVE = "archive"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeInfo:
    """Facts from the headers of a native file.

    ``machine`` is normalised as in :class:`slim.model.stack.Platform` (``x86_64``, ``aarch64``);
    ``machines`` has one for each slice of a universal Mach-O file. ``bits`` is 32, 64, or 0 where
    the header doesn't say. ``dynamic`` says whether the file has a dynamic section (ELF) or names
    libraries (elsewhere the linker always does: True for images). ``signed`` and ``clr`` are about
    PE files: whether there is a certificate, and whether there is a CLR header, which makes the
    file a .NET assembly. Those are PE files on every platform, and .NET runs them on each,
    whatever their header says of system and machine.
    """

    format: NativeFormat
    system: System
    machine: str = UNKNOWN_MACHINE
    machines: tuple[str, ...] = ()
    bits: int = 0
    little: bool = True
    kind: ImageKind = ImageKind.OTHER
    dynamic: bool = False
    signed: bool = False
    clr: bool = False


class Dynamic(Protocol):
    """Requests of a native file to its loader, and what it offers: the part that all formats have.

    Each format's own class says more.
    """

    @property
    def format(self) -> NativeFormat:
        """The format of the file."""
        ...

    @property
    def needed(self) -> tuple[str, ...]:
        """Names of the libraries that are loaded with it, as they are written, in their order."""
        ...

    @property
    def soname(self) -> str | None:
        """The name that the loaded image answers to, if the file says one."""
        ...

    @property
    def kind(self) -> str:
        """One of the values of :class:`ImageKind`."""
        ...

    @property
    def python_inits(self) -> frozenset[str]:
        """Exported names that begin with ``PyInit``: what makes a library an extension module."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryFormat:
    """One row of the table of native formats.

    ``magics`` are the first bytes of such a file. ``title`` is what reports call the format; empty
    for containers of native files. ``describe`` reads its headers, and returns None
    where a file that begins like one isn't (a Java class, a DOS program). ``read_dynamic`` reads
    what the file needs of its loader; it is None for a format that no loader maps, and returns None
    for a file that needs no loader or can't be followed. ``read_floors`` reads the oldest systems
    that the file runs on. None of them raises anything, whatever the bytes are.
    """

    format: NativeFormat
    magics: tuple[bytes, ...]
    title: str = ""
    describe: Callable[[Buffer], NativeInfo | None]
    read_dynamic: Callable[[Buffer], Dynamic | None] | None = None
    read_floors: Callable[[Buffer], tuple[PlatformFloor, ...]] | None = None
