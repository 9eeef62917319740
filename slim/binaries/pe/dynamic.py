"""Requests of a PE file to the Windows loader, and what it offers.

Imports, late imports, forwarders and module initialisers.

Source: Microsoft, "PE Format" (import directory table, delay-load import tables, export directory
table, attribute certificate table).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from slim.binaries.base import Buffer, ImageKind
from slim.binaries.pe.headers import CERTIFICATE, DELAY_IMPORT, EXPORT, IMPORT, PeHeaders
from slim.binaries.pe.identify import describe_pe
from slim.model.record import NativeFormat

_IMPORT = struct.Struct("<5I")
_DELAYED = struct.Struct("<8I")
_EXPORTS = struct.Struct("<10I")
_BY_ADDRESS = 0x1
"""The attribute of a table of late imports that holds relative addresses. Old ones don't."""
# Bounds on what is read; real files stay far below (torch_cpu.dll: 40 libraries, 65,000 exports).
_MOST_LIBRARIES = 4096
_MOST_EXPORTS = 1 << 18


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
        image = PeHeaders(view)
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
        signed=image.directory(CERTIFICATE)[1] > 0,
    )


def _imports(image: PeHeaders) -> Iterator[str]:
    """A row for each library; the table ends with a row whose name is zero."""
    address, _ = image.directory(IMPORT)
    for number in range(_MOST_LIBRARIES if address else 0):
        _, _, _, name, _ = _IMPORT.unpack_from(
            image.at(address + number * _IMPORT.size, _IMPORT.size)
        )
        if not name:
            return
        yield image.name(name)


def _delayed(image: PeHeaders) -> Iterator[str]:
    """The same for libraries that are loaded on the first call.

    Old tables hold addresses with the base in them.
    """
    address, _ = image.directory(DELAY_IMPORT)
    for number in range(_MOST_LIBRARIES if address else 0):
        attributes, name, *_ = _DELAYED.unpack_from(
            image.at(address + number * _DELAYED.size, _DELAYED.size)
        )
        if not name:
            return
        yield image.name(name if attributes & _BY_ADDRESS else name - image.base)


def _exports(image: PeHeaders) -> tuple[frozenset[str], tuple[str, ...]]:
    """Exported names that begin with ``PyInit``, and libraries that exports are forwarded to.

    An export whose address lies in the export directory itself is a string instead,
    ``LIBRARY.name``: python3.dll is made of such.
    """
    start, size = image.directory(EXPORT)
    if not start:
        return frozenset(), ()
    *_, functions, names, function_table, name_table, _ = _EXPORTS.unpack_from(
        image.at(start, _EXPORTS.size)
    )
    if functions > _MOST_EXPORTS or names > _MOST_EXPORTS:
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


def _table(image: PeHeaders, address: int, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f"<{count}I", image.at(address, 4 * count)) if count else ()
