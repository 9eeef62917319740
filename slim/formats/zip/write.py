"""Zip archives: members to bytes.

Deflate only, sizes and checksums in the local headers (no data descriptors), no extra fields unless
zip64 is needed, Unix modes and symbolic links in the external attributes, DOS times in UTC. Hard
links become copies: zip has none.

Source: PKWARE APPNOTE.TXT 6.3.10.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from slim.errors import UnsafeInputError
from slim.formats.base import Content, Member, WriteOptions
from slim.formats.compression import deflate
from slim.formats.files import write_file
from slim.formats.names import display
from slim.formats.order import with_root
from slim.formats.zip.dos_times import unix_to_dos
from slim.model.limits import MIB
from slim.model.record import EntryType

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_MAX16, _MAX32 = 0xFFFF, 0xFFFFFFFF
_UTF8 = 0x0800
_DOS_FOLDER = 0x10
_LOOK_AHEAD = 64 * MIB

_KINDS = {
    EntryType.FILE: stat.S_IFREG,
    EntryType.DIRECTORY: stat.S_IFDIR,
    EntryType.SYMLINK: stat.S_IFLNK,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packed:
    """A member's content, compressed: method 8, or 0 where that isn't smaller."""

    method: int
    crc: int
    size: int
    data: bytes


def write_zip(members: Iterator[Member], root: str, target: Path, options: WriteOptions) -> None:
    """Write a zip file; see :class:`slim.formats.base.Writer`.

    Raises UnsafeInputError for a name that zip files can't hold.
    """
    write_file(target, _zip_stream(members, root, options))


def pack_member(data: bytes, level: int) -> _Packed:
    """Compress one member's content. A function of its arguments alone."""
    stream = zlib.compressobj(level, zlib.DEFLATED, deflate.RAW)
    packed = stream.compress(data) + stream.flush()
    method = 8 if len(packed) < len(data) else 0
    return _Packed(
        method=method, crc=zlib.crc32(data), size=len(data), data=packed if method else data
    )


def _zip_stream(members: Iterator[Member], root: str, options: WriteOptions) -> Iterator[bytes]:
    central: list[bytes] = []
    offset = 0
    for member, packed in _packed(_with_copies(with_root(members, root)), options):
        name = _archive_name(member, root)
        local = _local_header(name, member, packed)
        yield local
        yield packed.data
        central.append(_central_header(name, member, packed, offset))
        offset += len(local) + len(packed.data)
    yield from central
    size = sum(map(len, central))
    yield _end_records(len(central), size, offset)


def _with_copies(members: Iterable[Member]) -> Iterator[tuple[Member, Content | None]]:
    """Each member with the content to write: a hard link's is that of the file it names."""
    contents: dict[str, Content | None] = {}
    for member in members:
        if member.type is EntryType.FILE:
            contents[member.path] = member.content
        content = (
            contents[member.link_target or ""]
            if member.type is EntryType.HARDLINK
            else member.content
        )
        yield member, content


def _packed(
    members: Iterable[tuple[Member, Content | None]], options: WriteOptions
) -> Iterator[tuple[Member, _Packed]]:
    """Compress on the executor, with a bounded number of bytes in flight, and keep the order."""
    level = deflate.level(options.effort)
    pending: deque[tuple[Member, int, Future[_Packed]]] = deque()
    waiting = 0
    try:
        for member, content in members:
            data = b"".join(content.chunks()) if content else _target(member)
            if options.executor is None:
                yield member, pack_member(data, level)
                continue
            pending.append((member, len(data), options.executor.submit(pack_member, data, level)))
            waiting += len(data)
            while (len(pending) > 1 and waiting > _LOOK_AHEAD) or len(pending) > 256:
                first, size, future = pending.popleft()
                waiting -= size
                yield first, future.result()
        while pending:
            first, _, future = pending.popleft()
            yield first, future.result()
    finally:
        for _, _, future in pending:
            future.cancel()


def _target(member: Member) -> bytes:
    if member.type is EntryType.SYMLINK:
        return (member.link_target or "").encode("utf-8", "surrogateescape")
    return b""


def _archive_name(member: Member, root: str) -> bytes:
    name = f"{root}/{member.path}" if root and member.path else root or member.path or "."
    if member.type is EntryType.DIRECTORY:
        name += "/"
    if "\\" in name or name[1:2] == ":":
        raise UnsafeInputError(
            "a zip file can't hold a name with a backslash or drive letter",
            place=display(name),
            hint="choose a tar format",
        )
    try:
        return name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UnsafeInputError(
            "a zip file can't hold a name that isn't UTF-8",
            place=display(name),
            hint="choose a tar format",
        ) from error


def _common(name: bytes, member: Member, packed: _Packed) -> tuple[int, ...]:
    """The fields that local and central header share, from the flags to the CRC."""
    time, date = unix_to_dos(member.mtime)
    return (0 if name.isascii() else _UTF8, packed.method, time, date, packed.crc)


def _version(*values: int) -> int:
    return 45 if any(value >= _MAX32 for value in values) else 20


def _local_header(name: bytes, member: Member, packed: _Packed) -> bytes:
    sizes = (len(packed.data), packed.size)
    # A local zip64 field has to hold both sizes (4.5.3).
    wide = any(size >= _MAX32 for size in sizes)
    extra = struct.pack("<2H2Q", 1, 16, packed.size, len(packed.data)) if wide else b""
    shown = (_MAX32, _MAX32) if wide else sizes
    fields = _common(name, member, packed)
    return (
        _LOCAL.pack(b"PK\3\4", _version(*sizes), *fields, *shown, len(name), len(extra))
        + name
        + extra
    )


def _central_header(name: bytes, member: Member, packed: _Packed, offset: int) -> bytes:
    values = (packed.size, len(packed.data), offset)
    # Both sizes or neither, so that local and central header look the same.
    wide_sizes = max(values[:2]) >= _MAX32
    wide = (values[:2] if wide_sizes else ()) + (values[2:] if offset >= _MAX32 else ())
    size, length = (_MAX32, _MAX32) if wide_sizes else values[:2]
    extra = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    kind = _KINDS.get(member.type, stat.S_IFREG)
    attributes = (kind | member.mode) << 16 | (
        _DOS_FOLDER if member.type is EntryType.DIRECTORY else 0
    )
    version = _version(*values)
    return (
        _CENTRAL.pack(
            b"PK\1\2",
            3 << 8 | version,
            version,
            *_common(name, member, packed),
            length,
            size,
            len(name),
            len(extra),
            0,
            0,
            0,
            attributes,
            min(offset, _MAX32),
        )
        + name
        + extra
    )


def _end_records(count: int, size: int, offset: int) -> bytes:
    out = b""
    if count >= _MAX16 or size >= _MAX32 or offset >= _MAX32:
        out = struct.pack(
            "<4sQ2H2I4Q", b"PK\6\6", 44, 3 << 8 | 45, 45, 0, 0, count, count, size, offset
        )
        out += struct.pack("<4sIQI", b"PK\6\7", 0, offset + size, 1)
    short = min(count, _MAX16)
    return out + struct.pack(
        "<4s4H2IH", b"PK\5\6", 0, 0, short, short, min(size, _MAX32), min(offset, _MAX32), 0
    )
