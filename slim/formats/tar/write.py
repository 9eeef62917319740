"""Tar archives, plain or compressed: members to bytes.

The stream is the one that venvstacks itself would have written: pax, uid and gid 0, owner ``root``,
whole seconds. The headers are the ones that ``tarfile`` writes for ``PAX_FORMAT`` since Python 3.8,
kept here so that the bytes don't depend on the Python that slim runs on.

Source: POSIX.1-2017, "pax" (ustar Interchange Format, Extended Header).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from slim.errors import SlimError
from slim.formats.base import LikelyBlock, Member, WriteOptions, Writer
from slim.formats.compression.base import Compress, Section, joined
from slim.formats.files import write_file
from slim.formats.order import for_compression, with_root
from slim.formats.tar.parse import BLOCK, MAX_OCTAL
from slim.model.record import EntryType

RECORD = 20 * BLOCK
"""The stream is padded to a multiple of this (GNU tar's default blocking factor)."""

_TYPES = {
    EntryType.FILE: b"0",
    EntryType.HARDLINK: b"1",
    EntryType.SYMLINK: b"2",
    EntryType.DIRECTORY: b"5",
}


def tar_writer(compress: Compress) -> Writer:
    """The writer of tar files that ``compress`` compresses."""

    def write(members: Iterator[Member], root: str, target: Path, options: WriteOptions) -> None:
        write_file(target, compress(tar_sections(members, root), options))

    return write


def likely_blocks(
    blocks_of: Callable[[Iterable[Section], WriteOptions], Iterator[LikelyBlock]],
) -> Callable[[Iterable[Member], str, WriteOptions], Iterator[LikelyBlock]]:
    """Return what gives the blocks with machine code of an archive, by these members alone."""

    def likely(
        members: Iterable[Member], root: str, options: WriteOptions
    ) -> Iterator[LikelyBlock]:
        sections = (section for section in tar_sections(members, root) if section.native)
        return blocks_of(sections, options)

    return likely


def tar_sections(members: Iterable[Member], root: str) -> Iterator[Section]:
    """The whole uncompressed tar file, the members in the order that compresses best."""
    written = 0

    def pieces(group: Iterable[tuple[bool, Member]]) -> Iterator[bytes | memoryview]:
        nonlocal written
        for _, member in group:
            for piece in _member_pieces(member, root):
                written += len(piece)
                yield piece

    for native, group in groupby(for_compression(with_root(members, root)), key=itemgetter(0)):
        yield Section(native, pieces(group))
    end = written + 2 * BLOCK
    yield Section(native=False, pieces=(bytes(2 * BLOCK + -end % RECORD),))


def tar_stream(members: Iterable[Member], root: str) -> Iterator[bytes | memoryview]:
    """The same in one stretch, in pieces of any size."""
    return joined(tar_sections(members, root))


def _member_pieces(member: Member, root: str) -> Iterator[bytes | memoryview]:
    yield member_header(member, root)
    if member.content is None:
        return
    size = 0
    for piece in member.content.chunks():
        size += len(piece)
        yield piece
    if size != member.size:
        raise SlimError(
            f"{size} bytes of content where {member.size} were announced",
            file=root,
            place=member.path,
        )
    yield bytes(-size % BLOCK)


def member_header(member: Member, root: str) -> bytes:
    """The header blocks of one member, an extended header included where the name needs one."""
    name = _archive_name(member.path, root)
    link = member.link_target or ""
    if member.type is EntryType.DIRECTORY:
        name += "/"
    elif member.type is EntryType.HARDLINK:
        link = _archive_name(link, root)
    records: list[tuple[str, str]] = []
    if not name.isascii() or len(name) > 100:
        records.append(("path", name))
    if not link.isascii() or len(link) > 100:
        records.append(("linkpath", link))
    size = member.size
    if size > MAX_OCTAL:
        records.append(("size", str(size)))
        size = 0
    header = _header(
        name, member.mode, size, member.mtime, _TYPES[member.type], link, owner=b"root"
    )
    return _extended(records) + header if records else header


def _archive_name(path: str, root: str) -> str:
    if root and path:
        return f"{root}/{path}"
    return root or path or "."


def _extended(records: list[tuple[str, str]]) -> bytes:
    """A pax extended header. Names that aren't UTF-8 make it say so (POSIX: ``hdrcharset``)."""
    encoded = [(key, value.encode("utf-8", "surrogateescape")) for key, value in records]
    body = b""
    if any("\udc80" <= char <= "\udcff" for _, value in records for char in value):
        body = _record("hdrcharset", b"BINARY")
    body += b"".join(_record(key, value) for key, value in encoded)
    header = _header("././@PaxHeader", 0, len(body), 0, b"x", "", owner=b"")
    return header + body + bytes(-len(body) % BLOCK)


def _record(key: str, value: bytes) -> bytes:
    """``length key=value`` and a newline, where the length counts its own digits too."""
    rest = b" " + key.encode("ascii") + b"=" + value + b"\n"
    length = len(rest)
    while len(rest) + len(str(length)) != length:
        length = len(rest) + len(str(length))
    return str(length).encode("ascii") + rest


def _header(
    name: str, mode: int, size: int, mtime: int, kind: bytes, link: str, *, owner: bytes
) -> bytes:
    block = b"".join(
        (
            _field(name, 100),
            b"%07o\0" % mode,
            b"0000000\0" * 2,
            b"%011o\0" % size,
            b"%011o\0" % mtime,
            b" " * 8,
            kind,
            _field(link, 100),
            b"ustar\x0000",
            owner.ljust(32, b"\0") * 2,
            bytes(BLOCK - 329),
        )
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _field(text: str, length: int) -> bytes:
    return text.encode("ascii", "replace")[:length].ljust(length, b"\0")
