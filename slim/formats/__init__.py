"""Archives and folders: bytes to trees, and members to bytes. One table, no discovery."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from slim.errors import UnsafeInputError
from slim.formats.base import Format, Member, ReadOptions, Tree, WriteOptions
from slim.formats.compression import deflate
from slim.formats.compression.base import STORED, Compression
from slim.formats.compression.bzip2 import BZIP2
from slim.formats.compression.gzip import GZIP
from slim.formats.compression.memory import room_here
from slim.formats.compression.xz import XZ
from slim.formats.compression.zstd import ZSTD
from slim.formats.directory import DIRECTORY
from slim.formats.files import file_chunks
from slim.formats.tar.read import tar_reader
from slim.formats.tar.write import likely_blocks, tar_writer
from slim.formats.zip.read import read_zip
from slim.formats.zip.write import write_zip
from slim.model.settings import Effort

__all__ = [
    "DIRECTORY",
    "FORMATS",
    "archive_stem",
    "compressor",
    "detect",
    "encoders",
    "format_by_name",
    "is_archive_name",
    "read_archive",
    "write_archive",
]


def _tar(
    name: str, short: str, magic: tuple[tuple[int, bytes], ...], compression: Compression
) -> Format:
    return Format(
        name=name,
        suffixes=tuple(dict.fromkeys((f".{name}", short))),
        magic=magic,
        read=tar_reader(name, compression.decompress),
        write=tar_writer(compression.compress),
        compressor=compression.library,
        encoder_memory=compression.memory,
        likely=None if compression.likely is None else likely_blocks(compression.likely),
    )


FORMATS: Final[tuple[Format, ...]] = (
    _tar("tar.xz", ".txz", ((0, b"\xfd7zXZ\0"),), XZ),
    _tar("tar.gz", ".tgz", ((0, b"\x1f\x8b"),), GZIP),
    _tar("tar.bz2", ".tbz2", ((0, b"BZh"),), BZIP2),
    _tar("tar.zst", ".tzst", ((0, b"\x28\xb5\x2f\xfd"),), ZSTD),
    Format(
        name="zip",
        suffixes=(".zip",),
        magic=((0, b"PK\3\4"), (0, b"PK\5\6")),
        read=read_zip,
        write=write_zip,
        holds_times=False,  # two seconds apart, and none before 1980
        compressor=deflate.library,
    ),
    _tar("tar", ".tar", ((257, b"ustar"),), STORED),
)
"""Every archive format.

The last one has its magic far into the file, where compressed bytes may hold anything.
"""

_MAGIC_LENGTH: Final = 512


def format_by_name(name: str) -> Format:
    """The archive format called ``name``, or the directory's. KeyError where there is none."""
    for candidate in (*FORMATS, DIRECTORY):
        if candidate.name == name:
            return candidate
    raise KeyError(name)


def _format_by_suffix(name: str) -> Format | None:
    lower = name.lower()
    return next((known for known in FORMATS if lower.endswith(known.suffixes)), None)


def compressor(name: str) -> str | None:
    """The library, and its version, that an archive of such a name is compressed with, if any."""
    known = _format_by_suffix(name)
    return known.compressor() if known is not None and known.compressor is not None else None


def encoders(workers: int, effort: Effort, archive_format: Format) -> int:
    """Number of threads that may compress at a time: as many of ``workers`` as have room.

    At least one.
    """
    if archive_format.encoder_memory is None:
        return workers
    return max(1, min(workers, room_here(effort) // archive_format.encoder_memory(effort)))


def is_archive_name(name: str) -> bool:
    """True if a file name ends like an archive's."""
    return _format_by_suffix(name) is not None


def archive_stem(name: str) -> str:
    """An archive's name without the ending that gives its format."""
    endings = sorted((end for known in FORMATS for end in known.suffixes), key=len, reverse=True)
    return next((name[: -len(end)] for end in endings if name.lower().endswith(end)), name)


def detect(path: Path) -> Format:
    """The format of a file, by its magic.

    Raises UnsafeInputError where there is none or the file's name contradicts it, and StorageError
    where the file can't be read.
    """
    head = next(file_chunks(path, _MAGIC_LENGTH), b"")
    found = next((known for known in FORMATS if _begins_like(known, head)), None)
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


def _begins_like(archive_format: Format, head: bytes) -> bool:
    return any(head[at : at + len(magic)] == magic for at, magic in archive_format.magic)


def read_archive(path: Path, options: ReadOptions) -> Tree:
    """Read an archive of any format. The tree has to be closed.

    Raises UnsafeInputError, LimitError, StorageError.
    """
    return detect(path).read(path, options)


def write_archive(
    archive_format: Format,
    members: Iterator[Member],
    root: str,
    target: Path,
    options: WriteOptions,
) -> None:
    """Write an archive to ``target``, which mustn't exist yet.

    See :class:`slim.formats.base.Writer`.
    """
    archive_format.write(members, root, target, options)
