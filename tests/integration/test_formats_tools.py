"""Other people's tools read what the writers write, and all of them read the same."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slim.formats import FORMATS, format_by_name, read_archive, write_archive
from slim.formats.base import Format, Member, WriteOptions
from slim.formats.directory import read_directory, write_directory
from slim.model.limits import MIB
from slim.model.record import EntryType
from slim.model.settings import Effort, Level
from tests.support.raw_archives import directory, file, hardlink, options, symlink

LONG = "d" * 90 + "/" + "n" * 120
TEXT = b"".join(b"%d %d\n" % (number, number * number) for number in range(200_000))


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} isn't installed")
    return found


def members() -> Iterator[Member]:
    yield directory("")
    yield directory("bin")
    yield file("bin/python", b"\x7fELF" + bytes(range(256)) * 40, mode=0o755)
    yield symlink("bin/python3", "python")
    yield directory("d" * 90)
    yield file(LONG, b"long")
    yield file("caf\u00e9/\u65e5\u672c.txt", "caf\u00e9".encode())
    yield file("empty")
    yield file("text", TEXT)
    yield hardlink("twin", "text")
    yield symlink("outside", "../cpython/bin/python")


Listing = dict[str, tuple[str, int, str]]


def expected() -> Listing:
    """Path to type, mode, and link target or hash."""
    everything = {member.path: member for member in members()}
    found: Listing = {}
    for path, member in everything.items():
        name = f"app/{path}".rstrip("/")
        if member.type is EntryType.SYMLINK:
            found[name] = ("link", 0, member.link_target or "")
        elif member.type is EntryType.DIRECTORY:
            found[name] = ("folder", member.mode, "")
        else:
            original = (
                everything[member.link_target or ""]
                if member.type is EntryType.HARDLINK
                else member
            )
            assert original.content is not None
            found[name] = ("file", member.mode, hashlib.sha256(original.content.view()).hexdigest())
    return found


def unpacked(top: Path) -> Listing:
    """The same of what a tool unpacked. Folders that no member stands for are left out."""
    found: Listing = {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = Path(folder) / name
            status = path.lstat()
            key = path.relative_to(top).as_posix()
            if path.is_symlink():
                found[key] = ("link", 0, str(path.readlink()))
            elif path.is_dir():
                found[key] = ("folder", status.st_mode & 0o777, "")
            else:
                found[key] = (
                    "file",
                    status.st_mode & 0o777,
                    hashlib.sha256(path.read_bytes()).hexdigest(),
                )
    del found["app/caf\u00e9"]
    return found


@pytest.fixture
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    known: Format = request.param
    target = tmp_path / f"layer.{known.name}"
    write_archive(
        known,
        members(),
        "app",
        target,
        WriteOptions(effort=Effort(level=Level.FAST), machine="x86_64"),
    )
    return target


every_format = pytest.mark.parametrize(
    "archive", FORMATS, ids=lambda known: known.name, indirect=True
)
every_tar = pytest.mark.parametrize(
    "archive",
    [known for known in FORMATS if known.name != "zip"],
    ids=lambda known: known.name,
    indirect=True,
)


@every_tar
def test_tar_unpacks(archive: Path, tmp_path: Path) -> None:
    if archive.name.endswith(".zst"):
        tool("zstd")
    top = tmp_path / "out"
    top.mkdir()
    command = [tool("tar"), "--same-permissions", "-xf", str(archive), "-C", str(top)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    assert unpacked(top) == expected()


@every_tar
@pytest.mark.parametrize("arm64", [False, True], ids=["", "arm64-filter"])
def test_bsdtar_and_7zip_unpack(archive: Path, tmp_path: Path, arm64: bool) -> None:
    """Blocks of machine code have a filter of their own: readers must go by each block's header."""
    if arm64:
        if not archive.name.endswith(".xz"):
            pytest.skip("a filter of xz")
        archive.unlink()
        effort = Effort(level=Level.FAST, xz_arm64=True)
        write_archive(
            format_by_name("tar.xz"),
            members(),
            "app",
            archive,
            WriteOptions(effort=effort, machine="aarch64"),
        )
    for number, commands in enumerate(unpackers(archive)):
        top = tmp_path / f"out{number}"
        top.mkdir()
        done = subprocess.run(
            ["sh", "-ec", commands.format(archive=archive)], cwd=top, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert unpacked(top) == expected()


def unpackers(archive: Path) -> Iterator[str]:
    """Shell commands that unpack into the current folder."""
    bsdtar, seven = tool("bsdtar"), shutil.which("7z") or shutil.which("7zz")
    yield f"{bsdtar} -xpf {{archive}}"
    if seven and not archive.name.endswith(
        (".zst", ".tar")
    ):  # 16.02, which Debian has, doesn't know Zstandard
        yield f"{seven} x -so {{archive}} | tar -xpf -"


@every_format
def test_libarchive_lists(archive: Path) -> None:
    libarchive = pytest.importorskip("libarchive", reason="libarchive isn't installed")
    found: Listing = {}
    with libarchive.file_reader(str(archive)) as entries:
        for entry in entries:
            data = b"".join(entry.get_blocks())
            name = entry.pathname.rstrip("/")
            if entry.issym:
                found[name] = ("link", 0, entry.linkpath)
            elif entry.isdir:
                found[name] = ("folder", entry.mode & 0o777, "")
            elif entry.islnk or (entry.linkpath and not data):
                assert entry.linkpath == "app/text"
                found[name] = ("file", entry.mode & 0o777, hashlib.sha256(TEXT).hexdigest())
            else:
                found[name] = ("file", entry.mode & 0o777, hashlib.sha256(data).hexdigest())
            assert int(entry.mtime) == 1_700_000_000
    assert found == expected()


@every_format
def test_python_unpacks(archive: Path, tmp_path: Path) -> None:
    top = tmp_path / "out"
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            assert opened.testzip() is None
            assert {name.rstrip("/") for name in opened.namelist()} == set(expected())
        return
    if archive.suffix == ".zst":
        pytest.skip("Python before 3.14 doesn't read Zstandard")
    with tarfile.open(archive) as opened:
        opened.extractall(top, filter="fully_trusted")
    assert unpacked(top) == expected()


@pytest.mark.parametrize("archive", [format_by_name("zip")], ids=["zip"], indirect=True)
def test_unzip_unpacks(archive: Path, tmp_path: Path) -> None:
    top = tmp_path / "out"
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    subprocess.run([tool("unzip"), "-q", archive, "-d", top], check=True, env=environment)
    assert unpacked(top) == expected()
    assert int((top / "app" / "text").stat().st_mtime) == 1_700_000_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("machine", "filters"), [("x86_64", "--x86"), ("aarch64", "--arm64"), ("riscv64", "--lzma2")]
)
def test_xz_reads_many_blocks(tmp_path: Path, machine: str, filters: str) -> None:
    """Enough data for several blocks, compressed and decompressed in parallel."""
    target = tmp_path / "layer.tar.xz"
    large = [
        file(f"f{number}", b"\x7fELF" + bytes([number]) * (12 * MIB) + TEXT[:100_000])
        for number in range(5)
    ]
    with ThreadPoolExecutor(2) as executor:
        effort = Effort(level=Level.FAST, xz_arm64=True)
        settings = WriteOptions(executor=executor, workers=2, machine=machine, effort=effort)
        write_archive(format_by_name("tar.xz"), iter(large), "app", target, settings)
    subprocess.run([tool("xz"), "-t", target], check=True)
    listing = subprocess.run(
        [tool("xz"), "-lvv", target], check=True, capture_output=True, text=True
    ).stdout
    assert "CRC32" in listing
    assert filters in listing
    assert ("--x86" in listing or "--arm64" in listing) is (machine != "riscv64")
    parallel = subprocess.run(
        [tool("xz"), "-dc", "-T2", target], check=True, capture_output=True
    ).stdout
    plain = tmp_path / "layer.tar"
    write_archive(format_by_name("tar"), iter(large), "app", plain, WriteOptions())
    assert parallel == plain.read_bytes()
    with read_archive(target, options(tmp_path)) as tree:
        assert len(tree.members) == 5


@pytest.mark.parametrize("archive", [format_by_name("tar")], ids=["tar"], indirect=True)
def test_what_gnu_tar_packs_is_read(archive: Path, tmp_path: Path) -> None:
    """GNU tar, in its own format and in pax, over what it unpacked itself."""
    tar = tool("tar")
    top = tmp_path / "out"
    top.mkdir()
    subprocess.run([tar, "-xf", archive, "-C", top], check=True)
    for style in ("gnu", "pax", "posix"):
        again = tmp_path / f"{style}.tar"
        subprocess.run(
            [tar, f"--format={style}", "--sort=name", "-cf", again, "-C", top, "app"], check=True
        )
        with read_archive(again, options(tmp_path)) as tree:
            found = {f"app/{path}" for path in tree.members} - {"app/caf\u00e9"}
            assert found == set(expected()) - {"app"}
            assert tree.members["twin"].link_target == "text"
            assert bytes(tree.members["text"].content.view()) == TEXT  # type: ignore[union-attr]


def test_an_exported_folder_is_the_archive(tmp_path: Path) -> None:
    target = tmp_path / "app"
    write_directory(members(), target)
    assert unpacked(tmp_path) == expected()
    with read_directory(target, options(tmp_path)) as tree:
        assert LONG in tree.members
