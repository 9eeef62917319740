"""Zip archives: bytes to tree."""

from __future__ import annotations

import datetime
import stat
import zlib
from contextlib import ExitStack
from pathlib import Path

from slim.errors import UnsafeInputError
from slim.formats.assemble import Assembler, RawMember
from slim.formats.base import ReadOptions, Tree
from slim.formats.decompress import stored, to_spool
from slim.formats.names import decode, display
from slim.formats.spool import CHUNK, Meter, SliceContent, Spool
from slim.formats.zip.records import STORED, ZipParser, ZipRecord
from slim.model.record import EntryType

_UNIX = 3
_DOS_SYSTEMS = frozenset([0, 10, 11, 14])  # APPNOTE 4.4.2: FAT, NTFS, MVS, VFAT
_MAX_TARGET = 4096
_HINT = "build the archive again with a plain zip tool"
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def read_zip(source: Path, options: ReadOptions) -> Tree:
    """Parse a zip file; its members are inflated into the spool, each checked against its size and CRC."""
    with ExitStack() as stack:
        archive = stack.enter_context(Spool(options.spool_dir))
        to_spool(source, stored, Meter(source, options.limits), archive)
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
    packed = data[record.data : record.data + record.packed]
    stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        for start in range(0, len(packed), CHUNK):
            pending: bytes | memoryview = packed[start : start + CHUNK]
            meter.count(len(pending), 0)
            while True:
                out = (
                    bytes(pending) if record.method == STORED else stream.decompress(pending, CHUNK)
                )
                pending = b"" if record.method == STORED else stream.unconsumed_tail
                meter.count(0, len(out))
                produced += len(out)
                if produced > record.size:
                    raise _refuse("the content is longer than stated", source, record)
                crc = zlib.crc32(out, crc)
                spool.write(out)
                if not pending and (record.method == STORED or len(out) < CHUNK):
                    break
            if stream.unused_data:
                raise _refuse(
                    "there are bytes after the end of the compressed content", source, record
                )
    except zlib.error as error:
        raise _refuse(f"the compressed content is damaged: {error}", source, record) from error
    if record.method != STORED and not stream.eof:
        raise _refuse("the compressed content is truncated", source, record)
    if produced != record.size:
        raise _refuse("the content is shorter than stated", source, record)
    if crc != record.crc:
        raise _refuse("the content doesn't match its CRC", source, record)


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


def dos_to_unix(date: int, time: int) -> int:
    """A DOS date and time, taken as UTC (venvstacks writes it so), in seconds; 1980-01-01 where it is no date."""
    try:
        moment = datetime.datetime(
            1980 + (date >> 9),
            date >> 5 & 15,
            date & 31,
            time >> 11,
            time >> 5 & 63,
            (time & 31) * 2,
            tzinfo=datetime.UTC,
        )
    except ValueError:
        moment = datetime.datetime(1980, 1, 1, tzinfo=datetime.UTC)
    return int((moment - _EPOCH).total_seconds())


def _refuse(message: str, source: Path, record: ZipRecord) -> UnsafeInputError:
    return UnsafeInputError(message, file=source, place=display(record.name), hint=_HINT)
