"""Zip archives: bytes to tree."""

from __future__ import annotations

import stat
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from slim.errors import UnsafeInputError
from slim.formats.assemble import Assembler, RawMember
from slim.formats.base import ReadOptions, Tree
from slim.formats.compression import deflate
from slim.formats.compression.base import STORED as UNCOMPRESSED
from slim.formats.compression.meter import Meter
from slim.formats.files import CHUNK
from slim.formats.names import decode, display
from slim.formats.spool import SliceContent, Spool
from slim.formats.zip.dos_times import dos_to_unix
from slim.formats.zip.parse import DEFLATED, ZipParser, ZipRecord
from slim.model.record import EntryType

_UNIX = 3
_DOS_SYSTEMS = frozenset([0, 10, 11, 14])  # APPNOTE 4.4.2: FAT, NTFS, MVS, VFAT
_MAX_TARGET = 4096
_HINT = "build the archive again with a plain zip tool"


def read_zip(source: Path, options: ReadOptions) -> Tree:
    """Parse a zip file, and inflate its members into the spool.

    Each is checked against its size and CRC. Raises UnsafeInputError, LimitError or StorageError.
    """
    with ExitStack() as stack:
        archive = stack.enter_context(Spool(options.spool_dir))
        archive.write_all(UNCOMPRESSED.decompress(source, Meter(source, options.limits)))
        spool = stack.enter_context(Spool(options.spool_dir))
        data = archive.view()
        records = ZipParser(data, source, members=options.limits.members).records()
        meter = Meter(source, options.limits)
        places: list[tuple[ZipRecord, int]] = []
        for record in records:
            places.append((record, spool.size))
            _inflate(record, data, source, meter, spool)
        content = spool.view()
        assembler = Assembler(source, options)
        for record, start in places:
            assembler.add(_raw_member(record, content[start : start + record.size], source))
        tree = assembler.finish(format_name="zip", resources=ExitStack())
        tree.resources.push(stack.pop_all())
        tree.forget = spool.forget
        return tree


def _inflate(record: ZipRecord, data: memoryview, source: Path, meter: Meter, spool: Spool) -> None:
    """Put one member's content into the spool."""
    crc = 0
    produced = 0
    for out in _content(record, data, source, meter):
        produced += len(out)
        if produced > record.size:
            raise _refuse("the content is longer than stated", source, record)
        crc = zlib.crc32(out, crc)
        spool.write(out)
    if produced != record.size:
        raise _refuse("the content is shorter than stated", source, record)
    if crc != record.crc:
        raise _refuse("the content doesn't match its CRC", source, record)


def _content(
    record: ZipRecord, data: memoryview, source: Path, meter: Meter
) -> Iterator[bytes | memoryview]:
    packed = data[record.data : record.data + record.packed]
    pieces = (packed[start : start + CHUNK] for start in range(0, len(packed), CHUNK))
    if record.method == DEFLATED:

        def refuse(message: str) -> UnsafeInputError:
            return _refuse(message, source, record)

        yield from deflate.inflate(pieces, deflate.RAW, meter, "the compressed content", refuse)
        return
    for piece in pieces:
        meter.count(len(piece), len(piece))
        yield piece


def _raw_member(record: ZipRecord, content: memoryview, source: Path) -> RawMember:
    name = record.name
    if "\\" in name:
        raise _refuse("the name contains a backslash", source, record)
    if name[1:2] == ":":
        raise _refuse("the name begins with a drive letter", source, record)
    kind, mode = _kind_and_mode(record, source)
    mtime = dos_to_unix(record.date, record.time)
    if kind is EntryType.SYMLINK:
        if record.size > _MAX_TARGET:
            raise _refuse("the link's target is too long", source, record)
        return RawMember(name=name, type=kind, mode=mode, mtime=mtime, link=decode(bytes(content)))
    if kind is EntryType.DIRECTORY:
        if record.size:
            raise _refuse("a folder with content", source, record)
        return RawMember(name=name, type=kind, mode=mode, mtime=mtime)
    return RawMember(
        name=name,
        type=kind,
        mode=mode,
        mtime=mtime,
        size=record.size,
        content=SliceContent(content),
    )


def _kind_and_mode(record: ZipRecord, source: Path) -> tuple[EntryType, int]:
    """The type that Unix mode bits and the trailing slash agree on, and the mode.

    Python writes Unix mode bits on Windows too, with FAT as the system; other tools leave them
    empty.
    """
    is_folder = record.name.endswith("/")
    bits = record.attributes >> 16
    if record.system != _UNIX and record.system not in _DOS_SYSTEMS:
        raise _refuse(
            f"made on a system (number {record.system}) whose attributes aren't known",
            source,
            record,
        )
    kind = stat.S_IFMT(bits)
    if kind == stat.S_IFLNK and not is_folder and record.system == _UNIX:
        return EntryType.SYMLINK, stat.S_IMODE(bits)
    if kind not in (0, stat.S_IFDIR if is_folder else stat.S_IFREG):
        raise _refuse("the attributes contradict the name, or it's a special file", source, record)
    default = 0o755 if is_folder else 0o644
    mode = stat.S_IMODE(bits) if bits else default
    return (EntryType.DIRECTORY if is_folder else EntryType.FILE), mode


def _refuse(message: str, source: Path, record: ZipRecord) -> UnsafeInputError:
    return UnsafeInputError(message, file=source, place=display(record.name), hint=_HINT)
