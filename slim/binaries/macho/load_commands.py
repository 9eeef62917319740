"""The load commands of Mach-O images, thin and universal, read with macholib.

macholib is written for files that one trusts: it follows whatever the headers say, and raises what
comes along. So it is given no more than an image's header and load commands, below fixed bounds,
and whatever it raises says that the file is malformed.

Source: Apple's ``mach-o/loader.h`` and ``mach-o/fat.h``.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from macholib import mach_o
from macholib.MachO import MachOHeader

from slim.binaries.macho.identify import FAT_MAGICS, MAX_SLICES, THIN_MAGICS

# Real files stay far below: the largest programs of Xcode have 200 commands of 20 kB.
_MOST_COMMANDS = 1 << 13
_MOST_BYTES = 1 << 18
"""Bytes of all load commands of all images of a file."""

_LOADS = frozenset(
    {
        mach_o.LC_LOAD_DYLIB,
        mach_o.LC_LOAD_WEAK_DYLIB,
        mach_o.LC_REEXPORT_DYLIB,
        mach_o.LC_LAZY_LOAD_DYLIB,
        mach_o.LC_LOAD_UPWARD_DYLIB,
    }
)
_HEADERS = {
    32: (mach_o.mach_header, mach_o.MH_MAGIC),
    64: (mach_o.mach_header_64, mach_o.MH_MAGIC_64),
}
_FAT_ARCHS = {mach_o.FAT_MAGIC: mach_o.fat_arch, mach_o.FAT_MAGIC_64: mach_o.fat_arch64}

_SIZEOFCMDS = 20
"""The offset of ``sizeofcmds`` in either header."""


class Malformed(ValueError):
    """The headers can't be followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image by its header and load commands.

    ``libraries`` are the names of those that it loads, in order, and ``weak`` those of them that
    may be missing; ``install_name`` is its own. ``symbol_names`` are the bytes of the string table.
    ``minimum`` is the oldest macOS that the image says it runs on, as numbers (11, 0, 0), and
    ``minimum_from`` the name of the load command that says so.
    """

    cpu: int
    filetype: int
    install_name: str | None
    libraries: tuple[str, ...]
    weak: frozenset[str]
    rpaths: tuple[str, ...]
    symbol_names: memoryview
    minimum: tuple[int, ...] | None
    minimum_from: str


class _CommandStream:
    """The header and load commands of an image as a stream that ends after them.

    macholib reads commands one after another, and in between, for each section, the section's
    content, which nobody asked for and which may be gigabytes. So only what follows on what was
    read last has any bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._next = 0

    def seek(self, offset: int) -> int:
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at

    def read(self, size: int) -> bytes:
        if self._at != self._next:
            return b""
        data = self._data[self._at : self._at + size]
        self._at = self._next = self._at + len(data)
        return data


def read_images(view: memoryview) -> Iterator[Image]:
    """The images of a file, thin or universal; slices that are no images are left out.

    Raises :class:`Malformed` for headers that can't be followed.
    """
    left = _MOST_BYTES
    for part in _parts(view):
        image, size = _read_image(part, left)
        left -= size
        yield image


def _parts(view: memoryview) -> Iterator[memoryview]:
    """The bytes of each image."""
    magic = bytes(view[:4])
    if magic in THIN_MAGICS:
        yield view
    elif magic in FAT_MAGICS:
        header = mach_o.fat_header
        arch = _FAT_ARCHS[int.from_bytes(magic, "big")]
        count = int.from_bytes(view[4 : header._size_], "big")
        end = header._size_ + count * arch._size_
        if not 0 < count < MAX_SLICES or end > len(view):
            raise Malformed("the universal header isn't in the file")
        for at in range(header._size_, end, arch._size_):
            place = arch.from_str(bytes(view[at : at + arch._size_]))
            part = view[place.offset : place.offset + place.size]
            if bytes(part[:4]) in THIN_MAGICS:
                yield part


def _read_image(view: memoryview, most: int) -> tuple[Image, int]:
    """An image, and the bytes of its load commands, which may be ``most``."""
    order, bits = THIN_MAGICS[bytes(view[:4])]
    layout, magic = _HEADERS[bits]
    if len(view) < layout._size_:
        raise Malformed("the header is cut short")
    header = layout.from_str(bytes(view[: layout._size_]), _endian_=order)
    end = layout._size_ + header.sizeofcmds
    if header.ncmds > _MOST_COMMANDS or header.sizeofcmds > most or end > len(view):
        raise Malformed("the load commands aren't in the file")
    size = _size_of_commands(view[layout._size_ : end], header.ncmds, order)
    # dyld doesn't mind if there is room behind the last command, macholib does.
    head = bytearray(view[: layout._size_])
    struct.pack_into(f"{order}I", head, _SIZEOFCMDS, size)
    try:
        commands = MachOHeader(
            None,
            _CommandStream(bytes(head) + bytes(view[layout._size_ : layout._size_ + size])),
            offset=0,
            # Sections may lie anywhere: there is nothing to be read of them.
            size=sys.maxsize,
            magic=magic,
            hdr=layout,
            endian=order,
            allow_unknown_load_commands=True,
        ).commands
    except Exception as error:
        # ValueError, struct.error, OSError and others, by accident rather than by contract.
        raise Malformed(str(error)) from None
    return _decode(view, header, commands), header.sizeofcmds


def _size_of_commands(view: memoryview, count: int, order: str) -> int:
    """Bytes of so many load commands. Raises :class:`Malformed` unless all of them are there."""
    at = 0
    for _ in range(count):
        size = struct.unpack_from(f"{order}4xI", view, at)[0] if at + 8 <= len(view) else 0
        if size < 8 or at + size > len(view):
            raise Malformed("a load command isn't in its place")
        at += size
    return at


def _decode(view: memoryview, header: Any, commands: Iterable[tuple[Any, Any, bytes]]) -> Image:
    install_name: str | None = None
    libraries: dict[str, None] = {}
    weak: set[str] = set()
    rpaths: dict[str, None] = {}
    names = view[:0]
    minimum: tuple[int, ...] | None = None
    minimum_from = ""
    for load, fields, data in commands:
        kind = load.cmd
        if kind in _LOADS:
            name = _text(fields, fields.name, data)
            libraries[name] = None
            if kind == mach_o.LC_LOAD_WEAK_DYLIB:
                weak.add(name)
        elif kind == mach_o.LC_ID_DYLIB:
            install_name = _text(fields, fields.name, data)
        elif kind == mach_o.LC_RPATH:
            rpaths[_text(fields, fields.path, data)] = None
        elif kind == mach_o.LC_SYMTAB:
            names = view[fields.stroff : fields.stroff + fields.strsize]
        elif kind == mach_o.LC_VERSION_MIN_MACOSX:
            minimum, minimum_from = _version(fields.version), mach_o.LC_NAMES[kind]
        elif kind == mach_o.LC_BUILD_VERSION and fields.platform == mach_o.PLATFORM_MACOS:
            minimum, minimum_from = _version(fields.minos), mach_o.LC_NAMES[kind]
    return Image(
        cpu=header.cputype,
        filetype=header.filetype,
        install_name=install_name,
        libraries=tuple(libraries),
        weak=frozenset(weak),
        rpaths=tuple(rpaths),
        symbol_names=names,
        minimum=minimum,
        minimum_from=minimum_from,
    )


def _text(fields: Any, offset: int, data: bytes) -> str:
    """The ``lc_str`` at an offset into a load command, up to a zero byte.

    ``data`` are the command's bytes after its ``fields``. Raises :class:`Malformed` for no text.
    """
    start = offset - mach_o.load_command._size_ - fields._size_
    found = data[start:].partition(b"\0")[0] if start >= 0 else b""
    if not found:
        raise Malformed("a library has no name")
    return found.decode("utf-8", "surrogateescape")


def _version(number: int) -> tuple[int, ...]:
    """A version that is packed as ``xxxx.yy.zz``, a nibble a letter."""
    return (number >> 16, number >> 8 & 0xFF, number & 0xFF)
