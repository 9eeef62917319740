"""The writers: venvstacks' tar stream, and containers whose bytes depend on nothing else."""

from __future__ import annotations

import io
import lzma
import os
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard

from slim.errors import SlimError, StorageError
from slim.formats import FORMATS, format_by_name, read_archive, write_archive
from slim.formats.base import Format, Member, WriteOptions
from slim.formats.compression.xz import container
from slim.formats.compression.xz.container import (
    Branch,
    Settings,
    compress_block,
    dictionary_size,
    xz_stream,
)
from slim.formats.compression.xz.settings import settings as xz_settings
from slim.formats.directory import write_directory
from slim.formats.files import copy_file, write_file
from slim.formats.tar.write import tar_stream
from slim.model.limits import MIB
from slim.model.record import EntryType
from slim.model.settings import Effort, Level
from slim.system.atomic import replace_file, write_new
from tests.support.raw_archives import directory, file, hardlink, options, symlink

MTIME = 1_700_000_000
NAMES = [
    "a",
    "b/c",
    "n" * 89,
    "n" * 100,
    "caf\u00e9",
    "\udcff",
    "d/" * 40 + "deep" * 30,
    "l" * 99 + "\u00e9",
]


def members(known: str = "") -> Iterator[Member]:
    """In the order in which they are written."""
    yield directory("", mode=0o755, mtime=MTIME)
    yield directory("b")
    yield directory("longest/" + "f" * 91)
    for number, name in enumerate(sorted(NAMES)):
        if known == "zip" and name == "\udcff":  # not for zip files
            continue
        yield file(name, b"x" * (number * 511), mode=0o755 if number % 2 else 0o644)
    yield hardlink("hard", "n" * 100)
    yield symlink("link", "../sibling/bin/python")
    yield symlink("link-caf\u00e9", "caf\u00e9")
    yield symlink("link-long", "t" * 101)


def tarfile_stream(root: str) -> bytes:
    """The same members through the standard library, as venvstacks does it."""
    kinds = {
        EntryType.FILE: tarfile.REGTYPE,
        EntryType.DIRECTORY: tarfile.DIRTYPE,
        EntryType.SYMLINK: tarfile.SYMTYPE,
        EntryType.HARDLINK: tarfile.LNKTYPE,
    }
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8"
    ) as archive:
        for member in members():
            info = tarfile.TarInfo(f"{root}/{member.path}".rstrip("/"))
            info.type, info.mode, info.mtime = kinds[member.type], member.mode, member.mtime
            info.uname = info.gname = "root"
            info.linkname = member.link_target or ""
            if member.type is EntryType.HARDLINK:
                info.linkname = f"{root}/{info.linkname}"
            info.size = member.size
            archive.addfile(info, io.BytesIO(member.content.view()) if member.content else None)
    return buffer.getvalue()


def test_the_stream_is_the_one_that_tarfile_writes() -> None:
    assert b"".join(tar_stream(members(), "app")) == tarfile_stream("app")


def test_reading_and_writing_gives_the_same_bytes(tmp_path: Path) -> None:
    source, target = tmp_path / "a.tar", tmp_path / "b.tar"
    source.write_bytes(tarfile_stream("app"))
    with read_archive(source, options(tmp_path)) as tree:
        assert tree.root_member is not None
        everything = iter([tree.root_member, *tree.members.values()])
        write_archive(format_by_name("tar"), everything, tree.root, target, WriteOptions())
    assert target.read_bytes() == source.read_bytes()


def test_a_root_folder_is_made_up_where_there_is_none() -> None:
    stream = b"".join(tar_stream(iter([file("a", mtime=MTIME)]), "app"))
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        root = archive.getmembers()[0]
        assert (root.name, root.isdir(), root.mode, root.mtime) == ("app", True, 0o755, MTIME)


def test_no_root_folder_without_a_root() -> None:
    stream = b"".join(tar_stream(iter([file("a")]), ""))
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        assert archive.getnames() == ["a"]


def test_no_members_at_all() -> None:
    assert b"".join(tar_stream(iter([]), "")) == bytes(10240)


def test_a_file_larger_than_the_header_can_say() -> None:
    class Huge:
        size = 8**11

        def chunks(self) -> Iterator[bytes]:
            yield b"only the header is looked at"

    huge = replace(file("a"), size=8**11, content=Huge())  # type: ignore[arg-type]
    stream = tar_stream(iter([directory(""), huge]), "r")
    next(stream)
    header = bytes(next(stream))
    assert b"19 size=8589934592\n" in header
    assert tarfile.TarInfo.frombuf(header[1024:], "utf-8", "strict").size == 0


def test_content_that_isnt_what_was_announced() -> None:
    with pytest.raises(SlimError, match="announced"):
        b"".join(tar_stream(iter([replace(file("a", b"xy"), size=3)]), "r"))


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
def test_workers_change_nothing(tmp_path: Path, known: Format) -> None:
    written = set()
    for workers in (0, 1, 2, 8):
        target = tmp_path / f"{workers}"
        executor = ThreadPoolExecutor(workers) if workers else None
        write_archive(
            known,
            members(known.name),
            "app",
            target,
            WriteOptions(executor=executor, workers=workers, threads=workers),
        )
        written.add(target.read_bytes())
        if executor:
            executor.shutdown()
    assert len(written) == 1


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
def test_levels(tmp_path: Path, known: Format, level: Level) -> None:
    target = tmp_path / "archive"
    write_archive(
        known, members(known.name), "app", target, WriteOptions(effort=Effort(level=level))
    )
    with read_archive(target, options(tmp_path)) as tree:
        assert len(tree.members) == len(list(members(known.name))) - 1


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "a.tar"
    target.write_bytes(b"precious")
    with pytest.raises(StorageError):
        write_archive(format_by_name("tar"), members(), "app", target, WriteOptions())
    assert target.read_bytes() == b"precious"


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        write_archive(
            format_by_name("tar.xz"), members(), "app", tmp_path / "no" / "a.tar.xz", WriteOptions()
        )
    assert caught.value.file == str(tmp_path / "no" / "a.tar.xz")


# The xz container


def some(block_size: int, branch: Branch = Branch.NONE) -> Settings:
    return Settings(block_size=block_size, dictionary=MIB, branch=branch, preset=1)


def compress(data: bytes, settings: Settings, *, piece: int = 1 << 16, workers: int = 0) -> bytes:
    pieces = (data[start : start + piece] for start in range(0, len(data), piece))
    if not workers:
        return b"".join(xz_stream([(settings, pieces)], None, 1))
    with ThreadPoolExecutor(workers) as executor:
        return b"".join(xz_stream([(settings, pieces)], executor, workers))


DATA = b"".join(f"line {number} {number * number}\n".encode() for number in range(20_000))


@pytest.mark.parametrize("block_size", [4096, 100_000, len(DATA), len(DATA) + 1])
@pytest.mark.parametrize("branch", Branch)
def test_any_blocks_give_the_data_back(block_size: int, branch: Branch) -> None:
    packed = compress(DATA, some(block_size, branch))
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ)
    assert decompressor.decompress(packed) == DATA
    assert decompressor.eof
    assert decompressor.unused_data == b""
    assert decompressor.check == lzma.CHECK_CRC32


def test_block_boundaries_depend_on_the_stream_alone() -> None:
    for branch in Branch:
        expected = compress(DATA, some(50_000, branch))
        for piece in (1001, 49_999, len(DATA)):
            for workers in (0, 1, 2, 8):
                assert (
                    compress(DATA, some(50_000, branch), piece=piece, workers=workers) == expected
                )


def test_sections_may_have_filters_of_their_own() -> None:
    sections = [
        (some(30_000), [DATA]),
        (some(70_000, Branch.X86), [DATA, b"x"]),
        (some(9, Branch.ARM64), [b"12345678"]),
    ]
    assert lzma.decompress(b"".join(xz_stream(sections, None, 1))) == DATA + DATA + b"x12345678"


class Blocks:
    """Blocks that streams left, by key; what was refused, and where blocks lie."""

    def __init__(self) -> None:
        self.known: dict[str, bytes] = {}
        self.places: dict[str, tuple[int, int]] = {}
        self.refused: list[str] = []

    def take(self, key: str) -> bytes | None:
        return self.known.get(key)

    def refuse(self, key: str, why: str) -> None:
        self.refused.append(key)

    def made(self, key: str, at: int, length: int) -> None:
        self.places[key] = (at, length)

    def fill(self, stream: bytes) -> None:
        self.known = {key: stream[at : at + size] for key, (at, size) in self.places.items()}


def known_sections(end: bytes) -> list[tuple[Settings, list[bytes]]]:
    return [(some(200_000), [DATA]), (some(70_000, Branch.X86), [DATA, end])]


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> Blocks:
    monkeypatch.setattr(container, "LEAST_KNOWN", 1)
    return Blocks()


def test_known_blocks_are_taken_and_give_the_same_bytes(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = b"".join(xz_stream(known_sections(b"x"), None, 1, blocks))
    assert first == b"".join(xz_stream(known_sections(b"x"), None, 1))
    blocks.fill(first)
    wanted = b"".join(xz_stream(known_sections(b"other"), None, 1))
    made = []

    def counted(block: Any, settings: Settings) -> Any:
        made.append(block.size)
        return compress_block(block, settings)

    monkeypatch.setattr(container, "compress_block", counted)
    with ThreadPoolExecutor(2) as executor:
        assert b"".join(xz_stream(known_sections(b"other"), executor, 2, blocks)) == wanted
    assert made == [(len(DATA) + 5) % 70_000], "only the last block differs"
    assert not blocks.refused


@pytest.mark.parametrize(
    "harm",
    [
        lambda block, other: b"",
        lambda block, other: block[:-1],
        lambda block, other: block + b"x",
        lambda block, other: other,
        lambda block, other: b"\xff" + block[1:],
        lambda block, other: block[:3] + bytes([block[3] ^ 1]) + block[4:],
        lambda block, other: block[:-4] + other[-4:],
        lambda block, other: bytes(len(block)),
    ],
)
def test_what_is_no_block_of_that_content_is_refused(
    blocks: Blocks, harm: Callable[[bytes, bytes], bytes]
) -> None:
    first = b"".join(xz_stream(known_sections(b"x"), None, 1, blocks))
    blocks.fill(first)
    one, other, *_ = blocks.known
    blocks.known[one] = harm(blocks.known[one], blocks.known[other])
    assert b"".join(xz_stream(known_sections(b"x"), None, 1, blocks)) == first
    assert blocks.refused == [one]


def test_small_blocks_are_not_looked_for() -> None:
    blocks = Blocks()
    list(xz_stream(known_sections(b"x"), None, 1, blocks))
    assert not blocks.places


def test_an_empty_stream_has_no_block() -> None:
    packed = compress(b"", xz_settings(Effort(), "", native=False))
    assert lzma.decompress(packed) == b""
    assert len(packed) == 32


def test_an_abandoned_stream_cancels_its_jobs() -> None:
    with ThreadPoolExecutor(1) as executor:
        stream = xz_stream([(some(10_000), [DATA] * 3)], executor, 2)
        next(stream)
        next(stream)
        stream.close()
        assert executor.submit(lambda: "free").result() == "free"


@pytest.mark.parametrize("length", [1, 4096, 4097, 6144, 6145, 48 * MIB, 64 * MIB])
def test_dictionary_sizes(length: int) -> None:
    size, code = dictionary_size(length)
    assert size >= max(length, 4096)
    assert size < max(2 * length, 4097)
    # The decoder's own formula, 5.3.1.
    assert size == (2 | (code & 1)) << (code // 2 + 11)


def test_zstd_frame_parameters(tmp_path: Path) -> None:
    target = tmp_path / "a.tar.zst"
    write_archive(format_by_name("tar.zst"), members(), "app", target, WriteOptions())
    frame = zstandard.get_frame_parameters(target.read_bytes())
    assert frame.has_checksum
    assert frame.window_size <= 1 << 27


def test_gzip_header_holds_no_time_and_no_name(tmp_path: Path) -> None:
    target = tmp_path / "a.tar.gz"
    write_archive(format_by_name("tar.gz"), members(), "app", target, WriteOptions())
    assert target.read_bytes()[:9] == b"\x1f\x8b\x08\0\0\0\0\0\x02"


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_file(path, [b"x" * 300, memoryview(b"y" * 300)]),
        lambda path: copy_file(Path(__file__), path),
        lambda path: write_directory([file("a", b"x" * 300)], path),
        lambda path: write_new(path, b"x" * 300),
        lambda path: replace_file(path, b"x" * 300),
    ],
)
@pytest.mark.parametrize(
    "lose", [lambda handle: os.ftruncate(handle, 299), lambda handle: os.write(handle, b"-")]
)
def test_what_the_disk_loses_is_found_out(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path], None],
    lose: Callable[[int], object],
) -> None:
    write(tmp_path / "good")
    monkeypatch.setattr(os, "fsync", lose)
    with pytest.raises(StorageError, match="can't be read back") as caught:
        write(tmp_path / "bad")
    assert caught.value.hint
