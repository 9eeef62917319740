"""Zip files: what is refused and why, what is accepted, and what the writer writes."""

from __future__ import annotations

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from slim.errors import UnsafeInputError
from slim.formats import format_by_name, read_archive, write_archive
from slim.formats.base import WriteOptions
from slim.formats.zip.dos_times import dos_to_unix, unix_to_dos
from slim.model.record import EntryType
from tests.corpus.archives import LINK, ZIP, A, B, Case, zip64
from tests.support.raw_archives import (
    ZipMember,
    directory,
    file,
    hardlink,
    options,
    symlink,
    zip_file,
)


@pytest.mark.parametrize("case", ZIP, ids=lambda case: case.name)
def test_refused(case: Case, tmp_path: Path) -> None:
    archive = tmp_path / "layer.zip"
    archive.write_bytes(case.bytes)
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
    with (
        read_archive(archive, options(tmp_path)) as tree,
        zipfile.ZipFile(io.BytesIO(data)) as expected,
    ):
        assert tree.root == "r"
        assert [f"r/{path}" for path in tree.members] == expected.namelist()
        for member in tree.members.values():
            if member.content:
                assert bytes(member.content.view()) == expected.read(f"r/{member.path}")
        assert tree.members["l"].type is EntryType.SYMLINK
        assert tree.members["l"].link_target == "a"


def test_zip64_end_record_is_accepted(tmp_path: Path) -> None:
    archive = tmp_path / "layer.zip"
    archive.write_bytes(zip64())
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
        assert list(infos) == [
            "r/",
            "r/d/",
            "r/d/empty",
            "r/d/random",
            "r/d/text",
            "r/d/hard",
            "r/l",
            "r/caf\u00e9",
        ]
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
        assert infos["r/d/random"].compress_type == zipfile.ZIP_STORED, (
            "what doesn't shrink is stored"
        )
        assert infos["r/d/text"].date_time == (1980, 1, 1, 0, 0, 0)
        assert infos["r/caf\u00e9"].date_time == (2107, 12, 31, 23, 59, 58)
        assert infos["r/d/empty"].date_time == (2023, 11, 14, 22, 13, 20)


@pytest.mark.parametrize(
    ("root", "name"), [("", "\udcff"), ("r", "a\\b"), ("", "C:x"), ("C:", "x")]
)
def test_a_name_that_zip_cannot_hold(tmp_path: Path, root: str, name: str) -> None:
    with pytest.raises(UnsafeInputError, match="a zip file can't hold"):
        write_archive(
            format_by_name("zip"), iter([file(name)]), root, tmp_path / "a.zip", WriteOptions()
        )


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
