"""Tar archives, plain or compressed: bytes to tree, and members to bytes."""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import zstandard

from slim.errors import UnsafeInputError
from slim.formats import decompress
from slim.formats.assemble import Assembler, RawMember
from slim.formats.base import Member, Reader, ReadOptions, Tree, WriteOptions, Writer
from slim.formats.decompress import Decompress
from slim.formats.effort import xz_settings, zstd_parameters
from slim.formats.names import display
from slim.formats.output import write_file
from slim.formats.spool import Meter, SliceContent, Spool
from slim.formats.tar.headers import HINT, Header, TarParser
from slim.formats.tar.stream import Section, tar_sections
from slim.formats.xz.container import xz_stream
from slim.model.record import EntryType
from slim.model.settings import Level

Compress = Callable[[Iterable[Section], WriteOptions], Iterator[bytes | memoryview]]

_TYPES = {
    "0": EntryType.FILE,
    "1": EntryType.HARDLINK,
    "2": EntryType.SYMLINK,
    "5": EntryType.DIRECTORY,
}


# Reading


def tar_reader(name: str, unpack: Decompress) -> Reader:
    """The reader of the format ``name`` whose bytes ``unpack`` decompresses."""

    def read(source: Path, options: ReadOptions) -> Tree:
        with ExitStack() as stack:
            spool = stack.enter_context(Spool(options.spool_dir))
            decompress.to_spool(source, unpack, Meter(source, options.limits), spool)
            tree = parse_tar(spool.view(), source, options, format_name=name)
            tree.resources.push(stack.pop_all())
            tree.forget = spool.forget
            return tree

    return read


def parse_tar(data: memoryview, source: object, options: ReadOptions, *, format_name: str) -> Tree:
    """The tree of an uncompressed tar stream. Contents are slices of ``data``."""
    assembler = Assembler(source, options)
    for header in TarParser(data, source, skip_special=options.skip_special).headers():
        if header.kind not in _TYPES:
            assembler.warnings.add("device or FIFO left out", display(header.name))
            continue
        assembler.add(_raw_member(header, data, source))
        for keyword in header.dropped:
            assembler.warnings.add(f"{keyword} dropped", display(header.name))
    return assembler.finish(format_name=format_name, resources=ExitStack())


def _raw_member(header: Header, data: memoryview, source: object) -> RawMember:
    kind = _TYPES[header.kind]
    if kind in (EntryType.SYMLINK, EntryType.HARDLINK) and not header.link:
        raise UnsafeInputError(
            "a link has an empty target", file=source, place=display(header.name), hint=HINT
        )
    is_file = kind is EntryType.FILE
    return RawMember(
        name=header.name,
        type=kind,
        mode=header.mode,
        mtime=header.mtime,
        size=header.size if is_file else 0,
        link=header.link or None,
        content=SliceContent(data[header.data : header.data + header.size]) if is_file else None,
    )


# Writing


class _Compressor(Protocol):
    def compress(self, data: bytes | memoryview, /) -> bytes: ...

    def flush(self) -> bytes: ...


def tar_writer(pack: Compress) -> Writer:
    """The writer of tar files that ``pack`` compresses."""

    def write(members: Iterator[Member], root: str, target: Path, options: WriteOptions) -> None:
        write_file(target, pack(tar_sections(members, root), options))

    return write


def _plain(sections: Iterable[Section]) -> Iterator[bytes | memoryview]:
    return (piece for section in sections for piece in section.pieces)


def _through(compressor: _Compressor, sections: Iterable[Section]) -> Iterator[bytes]:
    for piece in _plain(sections):
        out = compressor.compress(piece)
        if out:
            yield out
    yield compressor.flush()


def pack_none(sections: Iterable[Section], options: WriteOptions) -> Iterator[bytes | memoryview]:
    """Not compressed."""
    del options
    yield from _plain(sections)


def pack_xz(sections: Iterable[Section], options: WriteOptions) -> Iterator[bytes]:
    """One .xz stream of blocks that are compressed in parallel; those with machine code have a filter of their own."""
    settings = {
        native: xz_settings(options.effort, options.machine, native=native)
        for native in (False, True)
    }
    blocks = ((settings[section.native], section.pieces) for section in sections)
    yield from xz_stream(blocks, options.executor, options.workers)


def pack_gz(sections: Iterable[Section], options: WriteOptions) -> Iterator[bytes]:
    """One gzip member without a name and with time 0, which is what zlib writes by itself (RFC 1952 2.3)."""
    level = 1 if options.effort.level is Level.FAST else 9
    yield from _through(zlib.compressobj(level, zlib.DEFLATED, 16 + zlib.MAX_WBITS), sections)


def pack_bz2(sections: Iterable[Section], options: WriteOptions) -> Iterator[bytes]:
    """One bzip2 stream, blocks of 900 kB (smaller blocks are no faster)."""
    del options
    yield from _through(bz2.BZ2Compressor(9), sections)


def pack_zst(sections: Iterable[Section], options: WriteOptions) -> Iterator[bytes]:
    """One Zstandard frame with a checksum, compressed by libzstd's own threads."""
    compressor = zstandard.ZstdCompressor(
        compression_params=zstd_parameters(options.effort, options.threads)
    )
    yield from _through(compressor.compressobj(), sections)
