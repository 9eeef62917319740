"""Archives and folders: bytes to trees, and members to bytes. One table, no discovery."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from slim.errors import UnsafeInputError
from slim.formats import compressors, decompress, tar
from slim.formats.base import Format, Member, ReadOptions, Tree, WriteOptions
from slim.formats.spool import file_chunks
from slim.formats.zip import read_zip
from slim.formats.zip.write import write_zip

__all__ = [
    "FORMATS",
    "archive_stem",
    "compressor",
    "detect",
    "format_by_name",
    "is_archive_name",
    "read_archive",
    "write_archive",
]

FORMATS: tuple[Format, ...] = (
    Format(
        name="tar.xz",
        suffixes=(".tar.xz", ".txz"),
        magic=((0, b"\xfd7zXZ\0"),),
        read=tar.tar_reader("tar.xz", decompress.xz),
        write=tar.tar_writer(tar.pack_xz),
        compressor=compressors.liblzma,
    ),
    Format(
        name="tar.gz",
        suffixes=(".tar.gz", ".tgz"),
        magic=((0, b"\x1f\x8b"),),
        read=tar.tar_reader("tar.gz", decompress.gz),
        write=tar.tar_writer(tar.pack_gz),
        compressor=compressors.zlib_,
    ),
    Format(
        name="tar.bz2",
        suffixes=(".tar.bz2", ".tbz2"),
        magic=((0, b"BZh"),),
        read=tar.tar_reader("tar.bz2", decompress.bz2_),
        write=tar.tar_writer(tar.pack_bz2),
        compressor=compressors.libbz2,
    ),
    Format(
        name="tar.zst",
        suffixes=(".tar.zst", ".tzst"),
        magic=((0, b"\x28\xb5\x2f\xfd"),),
        read=tar.tar_reader("tar.zst", decompress.zst),
        write=tar.tar_writer(tar.pack_zst),
        compressor=compressors.libzstd,
    ),
    Format(
        name="zip",
        suffixes=(".zip",),
        magic=((0, b"PK\3\4"), (0, b"PK\5\6")),
        read=read_zip,
        write=write_zip,
        compressor=compressors.zlib_,
    ),
    Format(
        name="tar",
        suffixes=(".tar",),
        magic=((257, b"ustar"),),
        read=tar.tar_reader("tar", decompress.stored),
        write=tar.tar_writer(tar.pack_none),
    ),
)
"""Every archive format. The last one has its magic far into the file, where compressed bytes may hold anything."""

_MAGIC_LENGTH = 512


def format_by_name(name: str) -> Format:
    """The format called ``name``; :class:`KeyError` where there is none."""
    for candidate in FORMATS:
        if candidate.name == name:
            return candidate
    raise KeyError(name)


def _format_by_suffix(name: str) -> Format | None:
    lower = name.lower()
    return next((found for found in FORMATS if lower.endswith(found.suffixes)), None)


def compressor(name: str) -> str | None:
    """The library that an archive of such a name is compressed with, and its version. None where there is none."""
    found = _format_by_suffix(name)
    return found.compressor() if found is not None and found.compressor is not None else None


def is_archive_name(name: str) -> bool:
    """Whether a file name ends like an archive's."""
    return _format_by_suffix(name) is not None


def archive_stem(name: str) -> str:
    """An archive's name without what says its format."""
    known = sorted(
        (suffix for known in FORMATS for suffix in known.suffixes), key=len, reverse=True
    )
    return next((name[: -len(suffix)] for suffix in known if name.lower().endswith(suffix)), name)


def detect(path: Path) -> Format:
    """The format of a file, by its magic. Raises UnsafeInputError where there is none or the file's name contradicts
    it, and StorageError where the file can't be read."""
    head = next(file_chunks(path, _MAGIC_LENGTH), b"")
    found = next(
        (
            known
            for known in FORMATS
            if any(head[at : at + len(magic)] == magic for at, magic in known.magic)
        ),
        None,
    )
    if found is None:
        known_names = ", ".join(known.name for known in FORMATS)
        raise UnsafeInputError(
            "not an archive of a known format", file=path, hint=f"slim reads {known_names}"
        )
    named = _format_by_suffix(path.name)
    if named is not None and named is not found:
        raise UnsafeInputError(
            f"the content is {found.name}, although the name says {named.name}",
            file=path,
            hint="rename the file",
        )
    return found


def read_archive(path: Path, options: ReadOptions) -> Tree:
    """Read an archive of any format. The tree has to be closed. Raises UnsafeInputError, LimitError, StorageError."""
    return detect(path).read(path, options)


def write_archive(
    archive_format: Format,
    members: Iterator[Member],
    root: str,
    target: Path,
    options: WriteOptions,
) -> None:
    """Write an archive to ``target``, which mustn't exist yet; see :class:`slim.formats.base.Writer`."""
    archive_format.write(members, root, target, options)
