"""Compressed tar files that are bombs, damaged, or more than one stream; formats by their magic."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

from slim.errors import LimitError, StorageError, UnsafeInputError
from slim.formats import detect, format_by_name, is_archive_name, read_archive
from slim.model.limits import MIB, Limits
from tests.support.raw_archives import PACK, entry, options, tar, xz_with_dictionary, zstd_frame

TAR = tar(entry("a/b", b"content" * 100))

COMPRESSED = sorted(PACK)


def refused(
    folder: Path,
    name: str,
    data: bytes,
    error: type[Exception],
    word: str,
    limits: Limits | None = None,
) -> None:
    archive = folder / name
    archive.write_bytes(data)
    with pytest.raises(error, match=word) as caught:
        read_archive(archive, options(folder, limits=limits)).close()
    assert type(caught.value) is error
    assert list(folder.iterdir()) == [archive]


@pytest.mark.parametrize("name", COMPRESSED)
def test_honest_archives_are_read(tmp_path: Path, name: str) -> None:
    archive = tmp_path / f"layer.{name}"
    archive.write_bytes(PACK[name](TAR))
    with read_archive(archive, options(tmp_path)) as tree:
        assert tree.format == name
        assert tree.members["b"].size == 700


@pytest.mark.parametrize("name", COMPRESSED)
def test_bytes_after_the_end(tmp_path: Path, name: str) -> None:
    for tail in (b"x", b"garbage" * 1000, bytes(4)):
        refused(
            tmp_path, f"layer.{name}", PACK[name](TAR) + tail, UnsafeInputError, "after the end"
        )


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_tail_beyond_the_first_read(tmp_path: Path, name: str) -> None:
    packed = PACK[name](TAR)
    refused(tmp_path, f"layer.{name}", packed + bytes(3 * MIB), UnsafeInputError, "after the end")


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_second_stream(tmp_path: Path, name: str) -> None:
    refused(
        tmp_path,
        f"layer.{name}",
        PACK[name](TAR) + PACK[name](TAR),
        UnsafeInputError,
        "after the end",
    )


@pytest.mark.parametrize("name", COMPRESSED)
def test_every_truncation(tmp_path: Path, name: str) -> None:
    packed = PACK[name](TAR)
    for length in range(6, len(packed)):
        refused(tmp_path, f"layer.{name}", packed[:length], UnsafeInputError, "truncated|damaged")


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_flipped_bit_in_the_middle(tmp_path: Path, name: str) -> None:
    packed = bytearray(PACK[name](TAR))
    packed[len(packed) // 2] ^= 0x10
    archive = tmp_path / f"layer.{name}"
    archive.write_bytes(packed)
    with pytest.raises(UnsafeInputError):
        read_archive(archive, options(tmp_path))


@pytest.mark.parametrize("name", COMPRESSED)
def test_64_mib_of_zeros(tmp_path: Path, name: str) -> None:
    refused(tmp_path, f"layer.{name}", PACK[name](bytes(64 * MIB)), LimitError, "200 times")


@pytest.mark.parametrize("name", COMPRESSED)
def test_the_total_is_capped(tmp_path: Path, name: str) -> None:
    limits = Limits(total=1000)
    refused(tmp_path, f"layer.{name}", PACK[name](TAR), LimitError, "1000 bytes", limits)


def test_xz_with_a_huge_dictionary(tmp_path: Path) -> None:
    refused(tmp_path, "layer.tar.xz", xz_with_dictionary(37), LimitError, "dictionary")


def test_xz_without_a_check(tmp_path: Path) -> None:
    packed = lzma.compress(TAR, check=lzma.CHECK_NONE)
    refused(tmp_path, "layer.tar.xz", packed, UnsafeInputError, "no integrity check")


@pytest.mark.parametrize("check", [lzma.CHECK_CRC32, lzma.CHECK_CRC64, lzma.CHECK_SHA256])
def test_xz_checks(tmp_path: Path, check: int) -> None:
    archive = tmp_path / "layer.tar.xz"
    archive.write_bytes(lzma.compress(TAR, check=check))
    read_archive(archive, options(tmp_path)).close()


def test_zstd_window_of_2_gib(tmp_path: Path) -> None:
    # RFC 8878 3.1.1.1.2: exponent 21 means 2^31.
    refused(
        tmp_path,
        "layer.tar.zst",
        zstd_frame(0, bytes((21 << 3,))) + bytes(16),
        LimitError,
        "window",
    )


def test_zstd_content_of_a_petabyte(tmp_path: Path) -> None:
    frame = zstd_frame(0xC0, bytes((10 << 3,)), (1 << 50).to_bytes(8, "little"))
    refused(tmp_path, "layer.tar.zst", frame + bytes(16), LimitError, "declares")


def test_zstd_skippable_frame(tmp_path: Path) -> None:
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    frame = PACK["tar.zst"](TAR)
    refused(tmp_path, "layer.tar.zst", frame + skippable, UnsafeInputError, "after the end")
    refused(tmp_path, "layer.tar.zst", skippable + frame, UnsafeInputError, "known format")


def test_zstd_dictionary(tmp_path: Path) -> None:
    frame = zstd_frame(0x01, bytes((10 << 3,)), b"\x07")
    refused(tmp_path, "layer.tar.zst", frame + bytes(16), UnsafeInputError, "dictionary")


# Telling formats


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_compressed_file_that_is_no_tar(tmp_path: Path, name: str) -> None:
    refused(tmp_path, f"layer.{name}", PACK[name](b"hello" * 1000), UnsafeInputError, "tar stream")


def test_a_zip_named_tar_xz(tmp_path: Path) -> None:
    refused(
        tmp_path,
        "layer.tar.xz",
        b"PK\3\4" + bytes(100),
        UnsafeInputError,
        "content is zip, although",
    )


def test_a_gzip_named_tar(tmp_path: Path) -> None:
    refused(
        tmp_path, "layer.tar", gzip.compress(TAR), UnsafeInputError, "content is tar.gz, although"
    )


def test_the_name_need_not_say_anything(tmp_path: Path) -> None:
    archive = tmp_path / "download"
    archive.write_bytes(lzma.compress(TAR))
    assert detect(archive) is format_by_name("tar.xz")


@pytest.mark.parametrize("data", [b"", b"PK", b"\0" * 2000, b"hello"])
def test_no_archive_at_all(tmp_path: Path, data: bytes) -> None:
    refused(tmp_path, "layer.tar", data, UnsafeInputError, "known format")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        detect(tmp_path / "missing.tar.xz")
    with pytest.raises(UnsafeInputError, match="folder"):
        detect(tmp_path)


def test_names_of_archives() -> None:
    assert is_archive_name("app-server-macosx_arm64-3.tar.xz")
    assert is_archive_name("APP.ZIP")
    assert not is_archive_name("venvstacks.json")
    assert not is_archive_name("layer.xz")
