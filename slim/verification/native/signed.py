"""Files without the signature that somebody put into them after slimming.

``codesign`` writes a Mach-O file's signature at its end, and a load command that says where;
``osslsigncode`` and ``signtool`` append certificates to a PE file, say where in the security
directory, and write the checksum anew. Two files that are the same without all that differ in their
signature alone.

Source: Apple's ``mach-o/loader.h``; Microsoft, "PE Format" ("The Attribute Certificate Table").
"""

from __future__ import annotations

import struct

from macholib import mach_o

from slim.binaries.macho.names import CPU_TYPE_X86_64
from slim.model.record import NativeFormat
from slim.verification.native.macho import Slices, slices_of
from slim.verification.native.macho_image import Image, LoadedSegment, Unreadable

_ALIGN = 16
"""Bytes of zeros that a signer may put before the signature of a Mach-O file, at most, and one."""
_CERTIFICATES = 4
"""Number of the data directory of certificates."""
_FAT_ALIGN = 14
_FAT = struct.Struct(">5I")


def unsigned(data: memoryview, native: NativeFormat | None) -> bytes | None:
    """Return a file without its signature; None for one that isn't laid out as signers write it.

    One without a signature comes out as one that had it taken away.
    """
    try:
        if native == NativeFormat.MACHO:
            return _unsigned_macho(slices_of(data))
        return _unsigned_pe(data) if native == NativeFormat.PE else None
    except (Unreadable, struct.error, ValueError):
        return None


def is_signed(data: memoryview, native: NativeFormat | None) -> bool:
    """Return whether a file has a signature, each image of a universal file its own."""
    try:
        if native == NativeFormat.MACHO:
            parts = slices_of(data).values()
            return all(Image(part).tables.get("signature", (0, 0))[1] for part in parts)
        if native == NativeFormat.PE:
            return bool(struct.unpack_from("<2I", data, _pe_layout(data)[1])[1])
    except (Unreadable, struct.error, ValueError):
        pass
    return False


def _unsigned_macho(slices: Slices) -> bytes:
    images = {key: _unsigned_image(part) for key, part in slices.items()}
    if len(images) == 1:
        return next(iter(images.values()))
    header = struct.pack(">2I", 0xCAFEBABE, len(images))
    body = bytearray(1 << _FAT_ALIGN)
    for (cpu, subtype), image in images.items():
        body += bytes(-len(body) % (1 << _FAT_ALIGN))
        header += _FAT.pack(cpu, subtype, len(body), len(image), _FAT_ALIGN)
        body += image
    body[: len(header)] = header
    return bytes(body)


def _unsigned_image(data: memoryview) -> bytes:
    image = Image(data)
    linkedit = image.linkedit
    tables = [(start, size) for name, (start, size) in image.tables.items() if name != "signature"]
    end = max((start + size for start, size in tables if size), default=linkedit.start)
    begin, size = image.tables.get("signature", (len(data), 0))
    if (
        linkedit.name != b"__LINKEDIT"
        or not linkedit.start <= end <= begin
        or begin - end >= _ALIGN
        or any(data[end:begin])
        or (size and begin + size != len(data))
    ):
        raise Unreadable("the signature isn't the last table of the file")
    made = bytearray(data[:end])
    _resize(made, image, linkedit, end - linkedit.start)
    for command in image.commands:
        if command.kind == mach_o.LC_CODE_SIGNATURE:
            length = len(command.data)
            made[command.at : image.head_end] = made[command.at + length : image.head_end] + bytes(
                length
            )
            count, total = struct.unpack_from("<2I", made, 16)
            struct.pack_into("<2I", made, 16, count - 1, total - length)
    return bytes(made)


def _resize(made: bytearray, image: Image, linkedit: LoadedSegment, size: int) -> None:
    page = 0x1000 if image.cpu == CPU_TYPE_X86_64 else 0x4000
    struct.pack_into("<Q", made, linkedit.at + 32, -(-size // page) * page)
    struct.pack_into("<Q", made, linkedit.at + 48, size)


def _pe_layout(data: memoryview) -> tuple[int, int, int]:
    """Return three offsets: the optional header, the certificates' row, the end of sections.

    Raises ValueError for a file without such a row.
    """
    at = struct.unpack_from("<I", data, 0x3C)[0]
    if bytes(data[at : at + 4]) != b"PE\0\0":
        raise ValueError
    sections, size = (struct.unpack_from("<H", data, at + place)[0] for place in (6, 20))
    optional = at + 24
    wide = struct.unpack_from("<H", data, optional)[0] == 0x20B
    tables = optional + (112 if wide else 96)
    row = tables + 8 * _CERTIFICATES
    count = struct.unpack_from("<I", data, tables - 4)[0]
    if count <= _CERTIFICATES or row + 8 > optional + size:
        raise ValueError
    ends = (
        sum(struct.unpack_from("<2I", data, optional + size + 40 * number + 16))
        for number in range(sections)
    )
    return optional, row, max(ends, default=0)


def _unsigned_pe(data: memoryview) -> bytes:
    optional, row, last = _pe_layout(data)
    begin, length = struct.unpack_from("<2I", data, row)
    if length and begin + length != len(data):
        raise ValueError
    made = bytearray(data[: begin if length else len(data)])
    struct.pack_into("<I", made, optional + 64, 0)
    struct.pack_into("<2I", made, row, 0, 0)
    return bytes(made[:last] + made[last:].rstrip(b"\0"))
