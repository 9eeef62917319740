"""Builders of tar and zip files, byte by byte: tests can state what no honest tool would write."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import zstandard

from slim.formats.base import BytesContent, Member, ReadOptions
from slim.model.limits import Limits
from slim.model.record import EntryType
from slim.model.stack import Platform

BLOCK = 512
END = bytes(2 * BLOCK)

LINUX = Platform.parse("linux_x86_64")
MACOS = Platform.parse("macosx_arm64")
WINDOWS = Platform.parse("win_amd64")


def options(
    folder: Path,
    *,
    platform: Platform | None = LINUX,
    siblings: bool = True,
    limits: Limits | None = None,
) -> ReadOptions:
    """Options with which the tests read."""
    return ReadOptions(
        spool_dir=folder, platform=platform, siblings=siblings, limits=limits or Limits()
    )


# Members, for writers


def directory(path: str, *, mode: int = 0o755, mtime: int = 1_700_000_000) -> Member:
    return Member(path=path, type=EntryType.DIRECTORY, mode=mode, mtime=mtime)


def file(path: str, data: bytes = b"", *, mode: int = 0o644, mtime: int = 1_700_000_000) -> Member:
    return Member(
        path=path,
        type=EntryType.FILE,
        mode=mode,
        mtime=mtime,
        size=len(data),
        content=BytesContent(data),
    )


def symlink(path: str, target: str, *, mtime: int = 1_700_000_000) -> Member:
    return Member(path=path, type=EntryType.SYMLINK, mode=0o777, mtime=mtime, link_target=target)


def hardlink(path: str, target: str, *, mtime: int = 1_700_000_000) -> Member:
    return Member(path=path, type=EntryType.HARDLINK, mode=0o644, mtime=mtime, link_target=target)


# Tar


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def entry(
    name: str | bytes,
    data: bytes = b"",
    *,
    kind: str | bytes = "0",
    link: str | bytes = b"",
    mode: int = 0o644,
    mtime: bytes = b"00000000000\0",
    size: bytes | None = None,
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    checksum: bytes | None = None,
) -> bytes:
    """One member: a header block and its padded content.

    ``size``, ``mtime`` and ``checksum`` are raw fields.
    """
    block = b"".join(
        (
            _bytes(name).ljust(100, b"\0"),
            b"%07o\0" % mode,
            b"0000000\0" * 2,
            b"%011o\0" % len(data) if size is None else size,
            mtime,
            b" " * 8,
            _bytes(kind),
            _bytes(link).ljust(100, b"\0"),
            magic,
            b"root".ljust(32, b"\0") * 2,
            bytes(16),
            prefix.ljust(155, b"\0"),
            bytes(12),
        )
    )
    assert len(block) == BLOCK, "a field is too long"
    total = b"%06o\0 " % sum(block) if checksum is None else checksum
    return block[:148] + total + block[156:] + _padded(data)


def folder(name: str | bytes) -> bytes:
    return entry(name, kind="5", mode=0o755)


def sym(name: str | bytes, target: str | bytes) -> bytes:
    return entry(name, kind="2", link=target, mode=0o777)


def hard(name: str | bytes, target: str | bytes) -> bytes:
    return entry(name, kind="1", link=target)


def record(key: str | bytes, value: str | bytes) -> bytes:
    """One pax record."""
    rest = b" " + _bytes(key) + b"=" + _bytes(value) + b"\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def pax(*records: bytes, kind: str = "x") -> bytes:
    """An extended header."""
    return entry("././@PaxHeader", b"".join(records), kind=kind)


def gnu_long(kind: str, text: str | bytes) -> bytes:
    """A GNU long name (``L``) or long link (``K``)."""
    return entry("././@LongLink", _bytes(text) + b"\0", kind=kind, magic=b"ustar  \0")


def tar(*parts: bytes, end: bytes = END) -> bytes:
    return b"".join(parts) + end


# Compression

PACK: dict[str, Callable[[bytes], bytes]] = {
    "tar.xz": lzma.compress,
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}


def zstd_frame(descriptor: int, *fields: bytes) -> bytes:
    """A Zstandard frame with a header of one's own (RFC 8878 3.1.1) and one empty block."""
    return b"\x28\xb5\x2f\xfd" + bytes((descriptor,)) + b"".join(fields) + b"\x01\0\0"


def xz_with_dictionary(code: int) -> bytes:
    """An xz stream that asks for a dictionary by its code (5.3.1): 37 is 1.5 GiB, 39 is 3 GiB."""
    packed = bytearray(lzma.compress(tar(entry("a/b", b"content" * 100))))
    # The block header: size, flags, filter id, size of properties, dictionary size.
    assert packed[12:17] == b"\x02\x00\x21\x01\x16"
    packed[16] = code
    packed[20:24] = zlib.crc32(packed[12:20]).to_bytes(4, "little")
    return bytes(packed)


# Zip


@dataclass(frozen=True, kw_only=True)
class ZipMember:
    """One member, with a place to lie at every field."""

    name: str | bytes
    data: bytes = b""
    method: int = 8
    local_name: str | bytes | None = None
    mode: int = 0o100644
    system: int = 3
    flags: int = 0
    crc: int | None = None
    size: int | None = None
    local_size: int | None = None
    packed: bytes | None = None
    extra: bytes = b""
    offset: int | None = None
    descriptor: bool = False


def zip_file(
    *members: ZipMember,
    prefix: bytes = b"",
    suffix: bytes = b"",
    before_directory: bytes = b"",
    before_end: bytes = b"",
    comment: bytes = b"",
    count: int | None = None,
    shift: int = 0,
) -> bytes:
    """A zip file. ``prefix`` isn't counted in the offsets unless ``shift`` says so."""
    body = bytearray()
    central = bytearray()
    for member in members:
        packed = member.packed
        if packed is None:
            stream = zlib.compressobj(9, zlib.DEFLATED, -15)
            packed = (
                stream.compress(member.data) + stream.flush() if member.method == 8 else member.data
            )
        crc = zlib.crc32(member.data) if member.crc is None else member.crc
        size = len(member.data) if member.size is None else member.size
        offset = len(body) + shift if member.offset is None else member.offset
        name = _bytes(member.name)
        local_name = name if member.local_name is None else _bytes(member.local_name)
        flags = member.flags | (8 if member.descriptor else 0)
        local_size = size if member.local_size is None else member.local_size
        stated = (0, 0, 0) if member.descriptor else (crc, len(packed), local_size)
        head = (20, flags, member.method, 0, 0x21)
        body += struct.pack(
            "<4s5H3I2H", b"PK\3\4", *head, *stated, len(local_name), len(member.extra)
        )
        body += local_name + member.extra + packed
        if member.descriptor:
            body += struct.pack("<4s3I", b"PK\7\x08", crc, len(packed), size)
        central += struct.pack(
            "<4s6H3I5H2I",
            b"PK\1\2",
            member.system << 8 | 20,
            *head,
            crc,
            len(packed),
            size,
            len(name),
            len(member.extra),
            0,
            0,
            0,
            member.mode << 16,
            offset,
        )
        central += name + member.extra
    body += before_directory
    end = zip_end(
        len(members) if count is None else count, len(central), len(body) + shift, comment
    )
    return prefix + bytes(body) + bytes(central) + before_end + end + suffix


def zip_end(count: int, size: int, offset: int, comment: bytes = b"") -> bytes:
    """The end record."""
    return (
        struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, offset, len(comment)) + comment
    )
