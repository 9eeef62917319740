"""Zip files: what is refused and why, what is accepted, and what the writer writes."""

from __future__ import annotations

import io
import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from slim.errors import LimitError, SlimError, UnsafeInputError
from slim.formats import format_by_name, read_archive, write_archive
from slim.formats.base import WriteOptions
from slim.formats.zip import dos_to_unix
from slim.formats.zip_write import unix_to_dos
from slim.model.limits import MIB
from slim.model.record import EntryType
from slim.model.stack import Platform
from tests.tarballs import LINUX, WINDOWS, ZipMember, directory, file, hardlink, options, symlink, zip_end, zip_file

A = ZipMember(name="r/a", data=b"content")
B = ZipMember(name="r/b", data=b"other content")
LINK = ZipMember(name="r/l", data=b"a", mode=0o120777)


@dataclass(frozen=True)
class Case:
    name: str
    data: bytes
    word: str
    platform: Platform | None = LINUX
    error: type[SlimError] = UnsafeInputError


def _quoted_overlap() -> bytes:
    """CVE-2024-0450: the first member's data contains the second member, and both are in the directory."""
    inner = zip_file(B)[: 30 + len("r/b") + 15]
    outer = ZipMember(name="r/a", data=inner, method=0)
    return zip_file(outer, replace(B, offset=30 + len("r/a")))


def _zip64(*, position: int | None = None, count: int = 1, version_of_truth: int | None = None) -> bytes:
    plain = zip_file(A)
    end = len(plain) - 22
    offset = struct.unpack_from("<I", plain, end + 16)[0]
    size = end - offset
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, version_of_truth or offset)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end if position is None else position, 1)
    return plain[:end] + record + locator + plain[end:]


CASES = [
    Case("parent", zip_file(ZipMember(name="../x")), "'..'"),
    Case("absolute", zip_file(ZipMember(name="/x")), "absolute"),
    Case("backslash", zip_file(ZipMember(name="a\\b")), "backslash"),
    Case("drive", zip_file(ZipMember(name="C:x")), "drive"),
    Case("control", zip_file(ZipMember(name="a\nb")), "character"),
    Case("zero", zip_file(ZipMember(name="a\0b")), "character"),
    Case("reserved", zip_file(ZipMember(name="r/nul.txt")), "device", WINDOWS),
    Case("member-below-link", zip_file(LINK, ZipMember(name="r/l/w")), "members below"),
    Case("link-outside", zip_file(replace(LINK, data=b"../../x"), A), "leaves the folder"),
    Case("link-absolute", zip_file(replace(LINK, data=b"/x"), A), "absolute"),
    Case("link-too-long", zip_file(replace(LINK, data=b"x" * 5000), A), "too long"),
    Case("link-made-on-windows", zip_file(replace(LINK, system=0), A), "contradict"),
    Case("duplicates", zip_file(A, A), "two members"),
    Case("case", zip_file(A, replace(B, name="r/A")), "same as", WINDOWS),
    Case("local-name", zip_file(replace(A, local_name="r/x")), "another name"),
    Case("local-size", zip_file(replace(A, local_size=3)), "contradicts"),
    Case("quoted-overlap", _quoted_overlap(), "overlaps"),
    Case("same-data-twice", zip_file(A, replace(B, offset=0)), "overlaps"),
    Case("size-too-small", zip_file(replace(A, size=3)), "longer"),
    Case("size-too-large", zip_file(replace(A, size=30)), "shorter"),
    Case("stored-sizes", zip_file(replace(A, method=0, size=3)), "two different sizes"),
    Case("crc", zip_file(replace(A, crc=1)), "CRC"),
    Case("deflate-damaged", zip_file(replace(A, packed=b"\xff" * 20)), "damaged"),
    Case("deflate-truncated", zip_file(replace(A, packed=b"\x03", size=0, crc=0)), "truncated"),
    Case("deflate-tail", zip_file(replace(A, packed=b"\x03\0xx", size=0, crc=0)), "after the end"),
    Case("prefix", zip_file(A, prefix=b"#!/bin/sh\n"), "known format"),
    Case("prefix-like-a-member", zip_file(A, prefix=b"PK\3\4"), "right before the end"),
    Case("prefix-counted", b"PK\3\4xxxxxx" + zip_file(A, shift=10), "no member"),
    Case("suffix", zip_file(A, suffix=b"\0"), "end of the file"),
    Case("gap", zip_file(A, before_directory=b"hidden"), "before the central directory"),
    Case("gap-before-end", zip_file(A, before_end=b"hidden"), "right before the end"),
    Case("two-end-records", zip_file(A, suffix=zip_end(0, 0, 0)), "central directory"),
    Case("two-end-records-adding-up", zip_file(A) + zip_end(0, 0, len(zip_file(A))), "no member"),
    Case("end-record-in-comment", zip_file(A, comment=zip_end(0, 0, 0)), "central directory"),
    Case("comment", zip_file(A, comment=b"hello"), "end of the file"),
    Case("count", zip_file(A, B, count=1), "announces 1"),
    Case("zip64-locator-lies", _zip64(position=0), "locator"),
    Case("zip64-contradicts", _zip64(count=2), "contradict"),
    Case("zip64-other-directory", _zip64(version_of_truth=1), "contradict"),
    Case("zip64-missing", zip_file(A, count=0xFFFF), "zip64"),
    Case("zip64-field-missing", zip_file(replace(A, size=0xFFFFFFFF)), "zip64"),
    Case("zip64-field-idle", zip_file(replace(A, extra=struct.pack("<2HQ", 1, 8, 7))), "zip64"),
    Case("extra-malformed", zip_file(replace(A, extra=b"\1\0\xff\0")), "extra field"),
    Case("second-name", zip_file(replace(A, extra=struct.pack("<2H", 0x7075, 1) + b"x")), "second name"),
    Case("encrypted", zip_file(replace(A, flags=1)), "encrypted"),
    Case("strongly-encrypted", zip_file(replace(A, flags=0x40)), "encrypted"),
    Case("unknown-flag", zip_file(replace(A, flags=0x20)), "unknown flags"),
    Case("lzma", zip_file(replace(A, method=14, packed=b"x")), "method 14"),
    Case("cp437", zip_file(replace(A, name=b"r/\x82")), "UTF-8"),
    Case("not-utf8", zip_file(replace(A, name=b"r/\xff", flags=0x800)), "UTF-8"),
    Case("fifo", zip_file(replace(A, mode=0o010644)), "special file"),
    Case("folder-with-content", zip_file(ZipMember(name="r/d/", data=b"x", mode=0o040755)), "folder with content"),
    Case("folder-that-is-a-file", zip_file(ZipMember(name="r/d/", mode=0o100644)), "contradict"),
    Case("unknown-system", zip_file(replace(A, system=1)), "system"),
    Case("bomb", zip_file(ZipMember(name="z", data=bytes(65 * MIB))), "200 times", error=LimitError),
    Case("truncated", zip_file(A)[:-1], "end of the file"),
    Case("only-the-start", zip_file(A)[:40], "end of the file"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused(case: Case, tmp_path: Path) -> None:
    archive = tmp_path / "layer.zip"
    archive.write_bytes(case.data)
    with pytest.raises(case.error) as caught:
        read_archive(archive, options(tmp_path, platform=case.platform)).close()
    assert type(caught.value) is case.error
    assert caught.value.file == str(archive)
    assert case.word in caught.value.message
    assert list(tmp_path.iterdir()) == [archive], "a spool file was left behind"


@pytest.mark.parametrize(
    "data",
    [
        zip_file(A, B, LINK),
        zip_file(replace(A, descriptor=True), replace(B, method=0), LINK),
        zip_file(A, B, LINK, shift=0),
    ],
)
def test_accepted(tmp_path: Path, data: bytes) -> None:
    archive = tmp_path / "layer.zip"
    archive.write_bytes(data)
    with read_archive(archive, options(tmp_path)) as tree, zipfile.ZipFile(io.BytesIO(data)) as expected:
        assert tree.root == "r"
        assert [f"r/{path}" for path in tree.members] == expected.namelist()
        for member in tree.members.values():
            if member.content:
                assert bytes(member.content.view()) == expected.read(f"r/{member.path}")
        assert tree.members["l"].type is EntryType.SYMLINK
        assert tree.members["l"].link_target == "a"


def test_zip64_end_record_is_accepted(tmp_path: Path) -> None:
    archive = tmp_path / "layer.zip"
    archive.write_bytes(_zip64())
    read_archive(archive, options(tmp_path)).close()


@pytest.mark.parametrize("system", [0, 3])
def test_what_zipfile_writes(tmp_path: Path, system: int) -> None:
    archive = tmp_path / "layer.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        for name, mode in (("r/", 0o40755), ("r/caf\u00e9", 0o100644), ("r/b", 0o100755)):
            info = zipfile.ZipInfo(name, (2024, 2, 29, 12, 30, 58))
            info.create_system, info.external_attr = system, mode << 16
            made.writestr(info, b"" if name.endswith("/") else b"data")
    with read_archive(archive, options(tmp_path)) as tree:
        assert {path: (member.mode, member.mtime) for path, member in tree.members.items()} == {
            "caf\u00e9": (0o644, 1709209858),
            "b": (0o755, 1709209858),
        }
        assert tree.root_member is not None


def test_modes_that_nobody_set(tmp_path: Path) -> None:
    archive = tmp_path / "layer.zip"
    archive.write_bytes(zip_file(replace(A, mode=0, system=0), ZipMember(name="r/d/", mode=0)))
    with read_archive(archive, options(tmp_path)) as tree:
        assert [member.mode for member in tree.members.values()] == [0o644, 0o755]


MEMBERS = [
    directory("d"),
    file("d/empty"),
    file("d/random", bytes(range(256)), mode=0o755),
    file("d/text", b"text " * 1000, mtime=0),
    hardlink("d/hard", "d/text"),
    symlink("l", "d/text"),
    file("caf\u00e9", b"x", mtime=10**11),
]


def write(folder: Path, name: str, **kwargs: object) -> bytes:
    target = folder / name
    write_archive(format_by_name("zip"), iter(MEMBERS), "r", target, WriteOptions(**kwargs))  # type: ignore[arg-type]
    return target.read_bytes()


def test_zipfile_reads_what_is_written(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(write(tmp_path, "a.zip"))) as made:
        assert made.testzip() is None
        infos = {info.filename: info for info in made.infolist()}
        assert list(infos) == ["r/", "r/d/", "r/d/empty", "r/d/random", "r/d/text", "r/d/hard", "r/l", "r/caf\u00e9"]
        assert {name: info.external_attr >> 16 for name, info in infos.items()} == {
            "r/": 0o40755,
            "r/d/": 0o40755,
            "r/d/empty": 0o100644,
            "r/d/random": 0o100755,
            "r/d/text": 0o100644,
            "r/d/hard": 0o100644,
            "r/l": 0o120777,
            "r/caf\u00e9": 0o100644,
        }
        assert made.read("r/d/hard") == b"text " * 1000
        assert made.read("r/l") == b"d/text"
        assert infos["r/d/random"].compress_type == zipfile.ZIP_STORED, "what doesn't shrink is stored"
        assert infos["r/d/text"].date_time == (1980, 1, 1, 0, 0, 0)
        assert infos["r/caf\u00e9"].date_time == (2107, 12, 31, 23, 59, 58)
        assert infos["r/d/empty"].date_time == (2023, 11, 14, 22, 13, 20)


@pytest.mark.parametrize(("root", "name"), [("", "\udcff"), ("r", "a\\b"), ("", "C:x"), ("C:", "x")])
def test_a_name_that_zip_cannot_hold(tmp_path: Path, root: str, name: str) -> None:
    with pytest.raises(UnsafeInputError, match="a zip file can't hold"):
        write_archive(format_by_name("zip"), iter([file(name)]), root, tmp_path / "a.zip", WriteOptions())


def test_workers_change_nothing(tmp_path: Path) -> None:
    expected = write(tmp_path, "0.zip")
    for workers in (1, 2, 8):
        with ThreadPoolExecutor(workers) as executor:
            assert write(tmp_path, f"{workers}.zip", executor=executor, workers=workers) == expected


def test_dos_times() -> None:
    for moment in (315532800, 1709209858, 4354819198):
        time, date = unix_to_dos(moment)
        assert dos_to_unix(date, time) == moment
    assert dos_to_unix(0, 0) == 315532800


def test_65_536_members_need_zip64(tmp_path: Path) -> None:
    target = tmp_path / "many.zip"
    members = (file(f"{number:05d}") for number in range(65_536))
    write_archive(format_by_name("zip"), members, "r", target, WriteOptions())
    with read_archive(target, options(tmp_path)) as tree:
        assert len(tree.members) == 65_536
    with zipfile.ZipFile(target) as made:
        assert len(made.namelist()) == 65_537
