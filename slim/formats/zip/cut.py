"""Zip files without some of their members, as recipes: nothing is compressed again.

What stays keeps its bytes, local header and all. One member gets new content and is stored as it
is, so that the result depends on no library's version.

Source: PKWARE APPNOTE.TXT 6.3.10.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Sequence

from slim.errors import UnsafeInputError
from slim.formats.zip.parse import STORED, ZipRecord
from slim.model.recipe import Kept, Piece, Recipe

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_OFFSET = _CENTRAL.size - 4
_UTF8 = 0x0800
_PLAIN = 20  # 4.4.3.2: version 2.0 of the format
_MAX32 = 0xFFFFFFFF


def read_member(view: memoryview, record: ZipRecord, most: int) -> bytes:
    """Return the content of a member of at most so many bytes.

    Raises UnsafeInputError where it is longer, or isn't what the zip file says of it.
    """
    if record.size > most:
        raise UnsafeInputError(f"{record.name} has more than {most} bytes")
    content = bytes(view[record.data : record.data + record.packed])
    if record.method != STORED:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = inflater.decompress(content, record.size + 1)
        except zlib.error as error:
            raise UnsafeInputError(f"{record.name} can't be decompressed") from error
        if not inflater.eof or inflater.unused_data:
            raise UnsafeInputError(f"{record.name} isn't as long as stated")
    if len(content) != record.size or zlib.crc32(content) != record.crc:
        raise UnsafeInputError(f"the content of {record.name} doesn't match its CRC")
    return content


def cut_zip(
    view: memoryview,
    records: Sequence[ZipRecord],
    gone: Collection[str],
    changed: str,
    content: bytes,
) -> Recipe:
    """Return the recipe of a zip file without the members ``gone``; ``changed`` gets new content.

    ``records`` are all of its members, as :class:`slim.formats.zip.parse.ZipParser` gives them.
    Raises UnsafeInputError for a zip file with 64-bit fields, or one name for two members.
    """
    if len({record.name for record in records}) != len(records):
        raise UnsafeInputError("two members have one name")
    if max(record.header + record.header_size for record in records) + _END.size != len(view):
        raise UnsafeInputError("it has a zip64 end record")
    size, crc = len(content), zlib.crc32(content)
    left = [record for record in records if record.name not in gone]
    parts: list[Piece] = []
    moved: dict[str, int] = {}
    at = 0
    for record in sorted(left, key=lambda record: record.offset):
        moved[record.name] = at
        last = parts[-1] if parts else None
        piece: Piece = Kept(record.offset, record.end - record.offset)
        if record.name == changed:
            name = record.name.encode()
            stated = (_PLAIN, record.flags & _UTF8, STORED, record.time, record.date)
            header = _LOCAL.pack(b"PK\3\4", *stated, crc, size, size, len(name), 0)
            piece = header + name + content
        elif isinstance(last, Kept) and last.start + last.size == record.offset:
            parts[-1] = Kept(last.start, last.size + len(piece))
            at += len(piece)
            continue
        parts.append(piece)
        at += len(piece)
    directory = b"".join(
        _header(view, record, moved[record.name], (crc, size) if record.name == changed else None)
        for record in left
    )
    end = _END.pack(b"PK\5\6", 0, 0, len(left), len(left), len(directory), at, 0)
    return Recipe((*parts, directory + end))


def _header(
    view: memoryview, record: ZipRecord, offset: int, stored: tuple[int, int] | None
) -> bytes:
    """The member's header in the directory; ``stored``: CRC and bytes of new, stored content."""
    raw = bytes(view[record.header : record.header + record.header_size])
    signature, made, *fields, name_size, _, comment, disk, inside, outside, was = (
        _CENTRAL.unpack_from(raw)
    )
    if _MAX32 in (*fields[-2:], was):
        raise UnsafeInputError(f"{record.name} has 64-bit fields")
    if stored is None:
        return raw[:_OFFSET] + struct.pack("<I", offset) + raw[_CENTRAL.size :]
    crc, size = stored
    stated = (_PLAIN, record.flags & _UTF8, STORED, record.time, record.date, crc, size, size)
    header = _CENTRAL.pack(
        *(signature, made, *stated, name_size, 0), comment, disk, inside, outside, offset
    )
    return header + raw[_CENTRAL.size : _CENTRAL.size + name_size]
