"""Headers of PE images as numbers, and reading by address.

Source: Microsoft, "PE Format" (optional header, data directories, section table).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

LFANEW = 0x3C
"""The offset in the DOS header of the offset of the PE signature."""
PE32, PE32_PLUS = 0x10B, 0x20B
EXPORT, IMPORT, CERTIFICATE, DELAY_IMPORT, CLR = 0, 1, 4, 13, 14
"""Numbers of data directories (``IMAGE_DIRECTORY_ENTRY_*``)."""

_COFF_SIZE = 24
"""Bytes of the signature and the COFF header."""
_SECTION = struct.Struct("<8s4I12xI")
_MOST_SECTIONS = 96
"""As many as the Windows loader takes."""
_LONGEST_NAME = 512


@dataclass(frozen=True, slots=True)
class PeSection:
    """Section: ``size`` bytes at an address, ``length`` of them in the file from ``offset`` on.

    Addresses count from that of the image. ``flags`` are ``IMAGE_SCN_*``.
    """

    name: bytes
    address: int
    size: int
    offset: int
    length: int
    flags: int


class PeHeaders:
    """The headers of an image whose signature has been found already.

    ``base`` is the address that it wants to be loaded to. ``system_version`` and
    ``subsystem_version`` are the versions of Windows that it asks for, as major and minor number.
    ``subsystem`` is one of ``IMAGE_SUBSYSTEM_*``.
    Raises :class:`struct.error` for headers that are cut short.
    """

    def __init__(self, view: memoryview) -> None:
        self.view = view
        at = int.from_bytes(view[LFANEW : LFANEW + 4], "little")
        count, size = (struct.unpack_from("<H", view, at + place)[0] for place in (6, 20))
        start = at + _COFF_SIZE
        (magic,) = struct.unpack_from("<H", view, start)
        wide = magic == PE32_PLUS
        (self.base,) = struct.unpack_from(
            "<Q" if wide else "<I", view, start + (24 if wide else 28)
        )
        self.system_version = struct.unpack_from("<2H", view, start + 40)
        self.subsystem_version = struct.unpack_from("<2H", view, start + 48)
        (self.subsystem,) = struct.unpack_from("<H", view, start + 68)
        tables = start + (112 if wide else 96)
        rows = min(struct.unpack_from("<I", view, tables - 4)[0], (start + size - tables) // 8)
        self._directories = [
            struct.unpack_from("<2I", view, tables + 8 * row) for row in range(max(rows, 0))
        ]
        self.sections = [
            PeSection(name.rstrip(b"\0"), address, in_memory, offset, length, flags)
            for name, in_memory, address, length, offset, flags in (
                _SECTION.unpack_from(view, start + size + number * _SECTION.size)
                for number in range(min(count, _MOST_SECTIONS))
            )
        ]

    def directory(self, number: int) -> tuple[int, int]:
        """Address and size of a data directory; zeros where there is none."""
        if number >= len(self._directories):
            return 0, 0
        address, size = self._directories[number]
        return address, size

    def at(self, address: int, size: int) -> memoryview:
        """Some bytes of the loaded image; fewer where the section ends.

        Raises ValueError for an address that no section holds.
        """
        for section in self.sections:
            inside = address - section.address
            if 0 <= inside < section.length:
                end = section.offset + min(section.length, inside + size)
                return self.view[section.offset + inside : end]
        raise ValueError(f"no section holds the address {address:#x}")

    def name(self, address: int) -> str:
        """A string that ends with a zero byte. Raises ValueError for an empty one."""
        text = bytes(self.at(address, _LONGEST_NAME)).partition(b"\0")[0]
        if not text:
            raise ValueError("a name is empty")
        return text.decode("utf-8", "surrogateescape")
