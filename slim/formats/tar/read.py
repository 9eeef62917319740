"""Tar archives, plain or compressed: bytes to tree."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from slim.errors import UnsafeInputError
from slim.formats.assemble import Assembler, RawMember
from slim.formats.base import Reader, ReadOptions, Tree
from slim.formats.compression.base import Decompress
from slim.formats.compression.meter import Meter
from slim.formats.names import display
from slim.formats.spool import SliceContent, Spool
from slim.formats.tar.parse import HINT, Header, TarParser
from slim.model.record import EntryType

_TYPES = {
    "0": EntryType.FILE,
    "1": EntryType.HARDLINK,
    "2": EntryType.SYMLINK,
    "5": EntryType.DIRECTORY,
}


def tar_reader(name: str, decompress: Decompress) -> Reader:
    """The reader of the format ``name`` whose bytes ``decompress`` gives."""

    def read(source: Path, options: ReadOptions) -> Tree:
        with ExitStack() as stack:
            spool = stack.enter_context(Spool(options.spool_dir))
            spool.write_all(decompress(source, Meter(source, options.limits)))
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
