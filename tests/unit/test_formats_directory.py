"""Folders: what is read from them, what is refused, and what is written."""

from __future__ import annotations

import os
import socket
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from slim.errors import IntegrityError, LimitError, StorageError, UnsafeInputError
from slim.formats.directory import read_directory, write_directory
from slim.model.limits import Limits
from slim.model.record import EntryType
from tests.support.raw_archives import MACOS, directory, file, hardlink, options, symlink

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="modes, links and special files are POSIX's"
)


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """A deployed layer with its sibling."""
    top = tmp_path / "deployed" / "app"
    (top / "lib" / "pkg").mkdir(parents=True)
    (top / "lib" / "pkg" / "a.py").write_bytes(b"print()\n")
    (top / "lib" / "b").write_bytes(b"")
    (top / "lib" / "b").chmod(0o755)
    (top / "lib64").symlink_to("lib")
    (tmp_path / "deployed" / "cpython" / "bin").mkdir(parents=True)
    (top / "python").symlink_to("../cpython/bin/python")
    return top


def test_reading(layer: Path, tmp_path: Path) -> None:
    os.utime(layer / "lib" / "b", (1_700_000_000.9, 1_700_000_000.9))
    with read_directory(layer, options(tmp_path)) as tree:
        assert (tree.root, tree.format, tree.warnings) == ("", "directory", [])
        assert [(path, str(member.type)) for path, member in tree.members.items()] == [
            ("lib", "directory"),
            ("lib/b", "file"),
            ("lib/pkg", "directory"),
            ("lib/pkg/a.py", "file"),
            ("lib64", "symlink"),
            ("python", "symlink"),
        ]
        assert tree.members["lib/b"].mode == 0o755
        assert tree.members["lib/b"].mtime == 1_700_000_000
        content = tree.members["lib/pkg/a.py"].content
        assert content is not None
        assert bytes(content.view()) == b"print()\n"
        assert tree.members["lib64"].link_target == "lib"


def test_links_to_siblings_can_be_refused(layer: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsafeInputError, match="leads outside") as caught:
        read_directory(layer, options(tmp_path, siblings=False))
    assert caught.value.place == "python"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "../..", ".."])
def test_links_that_escape(layer: Path, tmp_path: Path, target: str) -> None:
    (layer / "escape").symlink_to(target)
    with pytest.raises(UnsafeInputError):
        read_directory(layer, options(tmp_path))


@pytest.mark.parametrize("target", ["/usr/bin/python3", "../../x", "escape"])
def test_links_of_a_folder_of_the_users_own_may_lead_anywhere(
    layer: Path, tmp_path: Path, target: str
) -> None:
    (layer / "escape").symlink_to(target)
    with read_directory(layer, replace(options(tmp_path), anywhere=True)) as tree:
        assert tree.members["escape"].link_target == target
        assert tree.warnings == [
            f"symbolic link that leads outside or in circles, kept as it is: escape -> {target}"
        ]


def test_a_linked_folder_is_not_entered(layer: Path, tmp_path: Path) -> None:
    (layer / "again").symlink_to(".")
    with read_directory(layer, options(tmp_path)) as tree:
        assert tree.members["again"].type is EntryType.SYMLINK
        assert not [path for path in tree.members if path.startswith("again/")]


def test_a_fifo_is_refused_without_being_opened(layer: Path, tmp_path: Path) -> None:
    os.mkfifo(layer / "fifo")
    with pytest.raises(UnsafeInputError, match="FIFO"):
        read_directory(layer, options(tmp_path))


def test_a_socket_is_refused(tmp_path: Path) -> None:
    top = tmp_path / "t"
    top.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(top)  # the path of a socket is limited to about 100 bytes
        try:
            server.bind("s")
        finally:
            os.chdir(here)
    with pytest.raises(UnsafeInputError, match="socket"):
        read_directory(top, options(tmp_path))


def test_names_that_collide_on_the_target(tmp_path: Path) -> None:
    top = tmp_path / "t"
    top.mkdir()
    for name in ("A", "a"):
        (top / name).write_bytes(b"")
    if len(list(top.iterdir())) == 1:
        pytest.skip("this file system folds names itself")
    read_directory(top, options(tmp_path)).close()
    with pytest.raises(UnsafeInputError, match="same as"):
        read_directory(top, options(tmp_path, platform=MACOS))


def test_files_that_share_an_inode_are_files(layer: Path, tmp_path: Path) -> None:
    os.link(layer / "lib" / "b", layer / "lib" / "c")
    with read_directory(layer, options(tmp_path)) as tree:
        assert tree.members["lib/b"].type is tree.members["lib/c"].type is EntryType.FILE


@pytest.mark.parametrize("change", ["grow", "shrink", "replace", "same-size", "link"])
def test_a_file_that_changes_meanwhile(layer: Path, tmp_path: Path, change: str) -> None:
    victim = layer / "lib" / "pkg" / "a.py"
    os.utime(victim, ns=(1, 1))
    with read_directory(layer, options(tmp_path)) as tree:
        content = tree.members["lib/pkg/a.py"].content
        assert content is not None
        if change == "grow":
            victim.write_bytes(b"print()\n" * 2)
        elif change == "shrink":
            victim.write_bytes(b"")
        elif change == "same-size":
            victim.write_bytes(b"PRINT()\n")
        elif change == "replace":
            other = layer / "other"
            other.write_bytes(b"print()\n")
            os.utime(other, ns=(1, 1))
            other.replace(victim)
        else:
            victim.unlink()
            victim.symlink_to("../b")
        with pytest.raises(IntegrityError):
            content.view()


def test_limits(layer: Path, tmp_path: Path) -> None:
    for limits in (Limits(members=3), Limits(total=7)):
        with pytest.raises(LimitError):
            read_directory(layer, options(tmp_path, limits=limits))


def test_not_a_folder(layer: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        read_directory(tmp_path / "missing", options(tmp_path))
    with pytest.raises(UnsafeInputError):
        read_directory(layer / "lib" / "b", options(tmp_path))


# Writing

MEMBERS = [
    directory("", mode=0o750, mtime=1_600_000_000),
    directory("d", mode=0o555),
    file("d/a", b"content", mode=0o640),
    file("d/implied/x", b"x"),
    hardlink("h", "d/a"),
    symlink("l", "d/a"),
    symlink("outside", "../cpython/bin/python"),
]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_writing(tmp_path: Path, umask: int) -> None:
    target = tmp_path / "out"
    previous = os.umask(umask)
    try:
        write_directory(MEMBERS, target)
    finally:
        os.umask(previous)
    found = {
        path.relative_to(target).as_posix(): path.lstat() for path in [target, *target.rglob("*")]
    }
    modes = {
        path: stat.S_IMODE(status.st_mode)
        for path, status in found.items()
        if not stat.S_ISLNK(status.st_mode)
    }
    assert modes == {
        ".": 0o750,
        "d": 0o555,
        "d/a": 0o640,
        "d/implied": 0o755,
        "d/implied/x": 0o644,
        "h": 0o644,
    }
    times = {path: int(status.st_mtime) for path, status in found.items() if path != "d/implied"}
    assert set(times.values()) == {1_600_000_000, 1_700_000_000}
    assert times["."] == 1_600_000_000
    assert (target / "l").readlink() == Path("d/a")
    assert (target / "h").read_bytes() == b"content"
    assert found["h"].st_nlink == 1


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    target = tmp_path / "out"
    write_directory(MEMBERS, target)
    with read_directory(target, options(tmp_path)) as tree:
        found = {
            path: (member.type, member.mode, member.mtime) for path, member in tree.members.items()
        }
        expected = {
            member.path: (member.type, member.mode, member.mtime)
            for member in MEMBERS
            if member.path
        }
        expected["h"] = (EntryType.FILE, 0o644, 1_700_000_000)
        assert {path: found[path] for path in expected} == expected


def test_an_existing_target_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    with pytest.raises(StorageError):
        write_directory(MEMBERS, target)
    assert list(target.iterdir()) == []


def test_a_full_disk_is_a_storage_error(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(StorageError):
            write_directory([file("a", b"x" * 2000)], tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
