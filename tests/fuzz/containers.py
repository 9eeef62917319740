"""Tar, zip and compressed streams.

Whatever is accepted, the standard library has to read the same way.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import lzma
import tarfile
import tempfile
import zipfile
from pathlib import Path

import zstandard

from slim.errors import LimitError, SlimError, UnsafeInputError
from slim.formats.base import Member, ReadOptions, Tree, WriteOptions
from slim.formats.compression.bzip2 import BZIP2
from slim.formats.compression.gzip import GZIP
from slim.formats.compression.meter import Meter
from slim.formats.compression.xz import XZ
from slim.formats.compression.zstd import ZSTD
from slim.formats.order import for_compression
from slim.formats.tar.parse import BLOCK
from slim.formats.tar.read import parse_tar
from slim.formats.tar.write import tar_stream
from slim.formats.zip.parse import ZipParser
from slim.formats.zip.read import read_zip
from slim.formats.zip.write import write_zip
from slim.model.limits import MIB, Limits
from slim.model.record import EntryType
from tests.support.raw_archives import LINUX

LIMITS = Limits(members=50, total=8 * MIB, ratio_floor=MIB)
_REFUSALS = (UnsafeInputError, LimitError)


@functools.cache
def work() -> Path:
    """A folder of this process's own, for parsers that want files; in memory where there is one."""
    shared = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="slim-fuzz-", dir=shared if shared.is_dir() else None))


def as_file(data: bytes, name: str) -> Path:
    """The bytes as a file, the same one every time."""
    path = work() / name
    path.write_bytes(data)
    return path


def flat(member: Member) -> tuple[object, ...]:
    """A member as a tuple that can be compared, its content included."""
    data = bytes(member.content.view()) if member.content else None
    return (
        member.path,
        member.type,
        member.mode,
        member.mtime,
        member.size,
        member.link_target,
        data,
    )


def with_checksums(data: bytes) -> bytes:
    """The same with right checksums in all tar headers, so that more than the checksum is tried."""
    fixed = bytearray(data)
    for start in range(0, len(fixed) - BLOCK + 1, BLOCK):
        block = fixed[start : start + BLOCK]
        if block[257:262] == b"ustar":
            total = sum(block[:148]) + 8 * 32 + sum(block[156:])
            fixed[start + 148 : start + 156] = b"%06o\0 " % total
    return bytes(fixed)


# Tar


def tar(data: bytes) -> None:
    """The target: the first byte says whether checksums are made right first."""
    hold_tar(with_checksums(data[1:]) if data[:1] > b"\x40" else data[1:])


def hold_tar(data: bytes) -> bool:
    """True if accepted: :mod:`tarfile` lists the same, and it is the same once written again."""
    try:
        tree = _tar_tree(data)
    except _REFUSALS:
        return False
    _same_as_tarfile(tree, data)
    root = [] if tree.root_member is None else [tree.root_member]
    again = _tar_tree(b"".join(tar_stream([*root, *tree.members.values()], tree.root)))
    ordered = [member for _, member in for_compression(tree.members.values())]
    assert [flat(member) for member in again.members.values()] == [
        flat(member) for member in ordered
    ]
    assert not tree.members or again.root == tree.root
    return True


def _tar_tree(data: bytes) -> Tree:
    options = ReadOptions(spool_dir=work(), platform=LINUX, limits=LIMITS)
    return parse_tar(memoryview(data), "fuzz", options, format_name="tar")


def _same_as_tarfile(tree: Tree, data: bytes) -> None:
    listed = {}
    with tarfile.open(
        fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for info in archive:
            name = info.name
            while name.startswith("./"):
                name = name[2:]
            if name.rstrip("/") not in ("", ".", tree.root):
                kind = tarfile.REGTYPE if info.type == tarfile.AREGTYPE else info.type
                listed[name.rstrip("/")] = (info.size, info.mode & 0o777, kind)
    prefix = f"{tree.root}/" if tree.root else ""
    found = {
        prefix + member.path: (member.size, member.mode, _FLAGS[member.type])
        for member in tree.members.values()
    }
    assert found == listed


_FLAGS = {
    EntryType.FILE: tarfile.REGTYPE,
    EntryType.HARDLINK: tarfile.LNKTYPE,
    EntryType.SYMLINK: tarfile.SYMTYPE,
    EntryType.DIRECTORY: tarfile.DIRTYPE,
}


# Zip


def zip_(data: bytes) -> None:
    """The target."""
    hold_zip(data)


def hold_zip(data: bytes) -> bool:
    """True if accepted: :mod:`zipfile` reads the same, and it is the same once written again."""
    try:
        ZipParser(memoryview(data), "fuzz", members=LIMITS.members).records()
        tree = _zip_tree(as_file(data, "fuzz.zip"))
    except _REFUSALS:
        return False
    with tree, zipfile.ZipFile(io.BytesIO(data)) as archive:
        prefix = f"{tree.root}/" if tree.root else ""
        names = {name.removeprefix("./").rstrip("/") for name in archive.namelist()} - {
            tree.root,
            ".",
            "",
        }
        assert {prefix + path for path in tree.members} == names
        for info in archive.infolist():
            member = tree.members.get(
                info.filename.removeprefix("./").rstrip("/").removeprefix(prefix)
            )
            if member is None:
                continue
            assert info.is_dir() == (member.type is EntryType.DIRECTORY)
            if member.content:
                assert archive.read(info) == bytes(member.content.view())
        _same_once_written(tree)
    return True


def _zip_tree(path: Path) -> Tree:
    return read_zip(path, ReadOptions(spool_dir=work(), platform=LINUX, limits=LIMITS))


def _same_once_written(tree: Tree) -> None:
    target = work() / "again.zip"
    target.unlink(missing_ok=True)
    root = [] if tree.root_member is None else [tree.root_member]
    write_zip(iter([*root, *tree.members.values()]), tree.root, target, WriteOptions())
    with _zip_tree(target) as again:
        assert [flat(member) for member in again.members.values()] == [
            flat(member) for member in tree.members.values()
        ]


# Compression

_STREAMS = {
    "tar.xz": (XZ.decompress, lzma.decompress),
    "tar.gz": (GZIP.decompress, gzip.decompress),
    "tar.bz2": (BZIP2.decompress, bz2.decompress),
    "tar.zst": (
        ZSTD.decompress,
        lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    ),
}


def compression(data: bytes) -> None:
    """The target: the first byte chooses the format.

    The output is bounded, and the same as others make of it.
    """
    ours, theirs = list(_STREAMS.values())[(data[0] if data else 0) % len(_STREAMS)]
    path = as_file(data[1:], "fuzz.stream")
    meter = Meter(path, LIMITS)
    try:
        out = b"".join(ours(path, meter))
    except SlimError as error:
        assert isinstance(error, _REFUSALS)
        assert meter.produced <= LIMITS.total + 64 * MIB
        return
    assert len(out) <= LIMITS.total
    assert out == theirs(data[1:])
