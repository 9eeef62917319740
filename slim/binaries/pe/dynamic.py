"""What a PE file asks of the Windows loader and offers to it: imports, late imports, forwarders, module initialisers.

Source: Microsoft, "PE Format" (import directory table, delay-load import tables, export directory
table, attribute certificate table).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from slim.binaries.base import Buffer, ImageKind
from slim.binaries.pe.identify import describe_pe
from slim.model.record import NativeFormat

_LFANEW = 0x3C
_COFF_SIZE = 24  # with the signature before it
_SECTION = struct.Struct("<8s4I16x")
_IMPORT = struct.Struct("<5I")
_DELAYED = struct.Struct("<8I")
_EXPORTS = struct.Struct("<10I")
_EXPORT, _IMPORTS, _CERTIFICATES, _DELAYED_IMPORTS = 0, 1, 4, 13
# Bounds on what is read; real files stay far below (torch_cpu.dll: 40 libraries, 65,000 exports).
_MAX_SECTIONS = 96
"""As many as the Windows loader takes."""
_MAX_LIBRARIES = 4096
_MAX_EXPORTS = 1 << 18
_MAX_NAME = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class PeDynamic:
    """The libraries that a PE image names, and what makes it an extension module.

    ``needed`` are imported libraries in the order of the tables, then those imported late
    (``delayed``), then those that exports are forwarded to; names as they are written. ``kind`` is
    ``executable``, ``shared`` or ``other``. ``signed`` says whether there is a certificate.
    """

    format: ClassVar[NativeFormat] = NativeFormat.PE

    needed: tuple[str, ...]
    delayed: frozenset[str]
    machine: str
    bits: int
    kind: str
    python_inits: frozenset[str]
    signed: bool

    @property
    def soname(self) -> str | None:
        """None: a loaded image answers to the name of its file."""
        return None


@dataclass(frozen=True, slots=True)
class _Section:
    address: int
    size: int
    offset: int
    length: int


class _Image:
    """An image with its sections, to be read by addresses relative to its base."""

    def __init__(self, view: memoryview) -> None:
        self.view = view
        at = int.from_bytes(view[_LFANEW : _LFANEW + 4], "little")
        count, optional = (struct.unpack_from("<H", view, at + place)[0] for place in (6, 20))
        start = at + _COFF_SIZE
        wide = struct.unpack_from("<H", view, start)[0] == 0x20B
        self.base = struct.unpack_from("<Q" if wide else "<I", view, start + (24 if wide else 28))[
            0
        ]
        tables = start + (112 if wide else 96)
        rows = min(struct.unpack_from("<I", view, tables - 4)[0], (start + optional - tables) // 8)
        self.directories = [
            struct.unpack_from("<2I", view, tables + 8 * row) for row in range(max(rows, 0))
        ]
        self.sections = [
            _Section(address, size, offset, length)
            for _, size, address, length, offset in (
                _SECTION.unpack_from(view, start + optional + number * _SECTION.size)
                for number in range(min(count, _MAX_SECTIONS))
            )
        ]

    def directory(self, number: int) -> tuple[int, int]:
        """Address and size of a data directory; zeros where there is none."""
        if number >= len(self.directories):
            return 0, 0
        address, size = self.directories[number]
        return address, size

    def at(self, address: int, size: int) -> memoryview:
        """Some bytes of the loaded image; fewer where the section ends."""
        for section in self.sections:
            inside = address - section.address
            if 0 <= inside < section.length:
                return self.view[
                    section.offset + inside : section.offset + min(section.length, inside + size)
                ]
        raise ValueError(f"no section holds the address {address:#x}")

    def name(self, address: int) -> str:
        """A string that ends with a zero byte."""
        text = bytes(self.at(address, _MAX_NAME)).partition(b"\0")[0]
        if not text:
            raise ValueError("a name is empty")
        return text.decode("utf-8", "surrogateescape")


def read_pe_dynamic(data: Buffer) -> PeDynamic | None:
    """Read what a PE image imports and exports.

    Returns None for what isn't a PE image, and for one whose tables can't be followed: it raises
    nothing, whatever the bytes are.
    """
    view = memoryview(data)
    info = describe_pe(view)
    if info is None or not info.dynamic:
        return None
    try:
        image = _Image(view)
        imported = dict.fromkeys(_imports(image))
        delayed = dict.fromkeys(_delayed(image))
        inits, forwarded = _exports(image)
    except (struct.error, ValueError, IndexError):
        return None
    return PeDynamic(
        needed=tuple(dict.fromkeys((*imported, *delayed, *forwarded))),
        delayed=frozenset(delayed.keys() - imported.keys()),
        machine=info.machine,
        bits=info.bits,
        kind="executable" if info.kind is ImageKind.EXECUTABLE else "shared",
        python_inits=inits,
        signed=image.directory(_CERTIFICATES)[1] > 0,
    )


def _imports(image: _Image) -> Iterator[str]:
    """A row for each library; the table ends with a row whose name is zero."""
    address, _ = image.directory(_IMPORTS)
    for number in range(_MAX_LIBRARIES if address else 0):
        _, _, _, name, _ = _IMPORT.unpack_from(
            image.at(address + number * _IMPORT.size, _IMPORT.size)
        )
        if not name:
            return
        yield image.name(name)


def _delayed(image: _Image) -> Iterator[str]:
    """The same for libraries that are loaded on the first call. Old tables hold addresses with the base in them."""
    address, _ = image.directory(_DELAYED_IMPORTS)
    for number in range(_MAX_LIBRARIES if address else 0):
        attributes, name, *_ = _DELAYED.unpack_from(
            image.at(address + number * _DELAYED.size, _DELAYED.size)
        )
        if not name:
            return
        yield image.name(name if attributes & 1 else name - image.base)


def _exports(image: _Image) -> tuple[frozenset[str], tuple[str, ...]]:
    """The exported names that begin with ``PyInit``, and the libraries that exports are forwarded to.

    An export whose address lies in the export directory itself is a string instead,
    ``LIBRARY.name``: python3.dll is made of such.
    """
    start, size = image.directory(_EXPORT)
    if not start:
        return frozenset(), ()
    *_, functions, names, function_table, name_table, _ = _EXPORTS.unpack_from(
        image.at(start, _EXPORTS.size)
    )
    if functions > _MAX_EXPORTS or names > _MAX_EXPORTS:
        raise ValueError("there are too many exports")
    inits = set()
    for address in _table(image, name_table, names):
        if bytes(image.at(address, 6)) == b"PyInit":
            inits.add(image.name(address))
    forwarded: dict[str, None] = {}
    for address in _table(image, function_table, functions):
        if start <= address < start + size:
            forwarded[image.name(address).rpartition(".")[0] + ".dll"] = None
    return frozenset(inits), tuple(forwarded)


def _table(image: _Image, address: int, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f"<{count}I", image.at(address, 4 * count)) if count else ()
