"""Contents of a sample layer, from files on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from slim.errors import StorageError
from slim.model.record import EntryType
from slim.sample.contents import LOCKED_AT, LayerContents


def described(contents: LayerContents) -> list[tuple[str, str, str]]:
    """(path, type, link target or content) of every member, in order."""
    found = []
    for member in contents.members():
        content = (
            b"".join(bytes(piece) for piece in member.content.chunks()) if member.content else b""
        )
        found.append((member.path, str(member.type), member.link_target or content.decode()))
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A standard library with links inside, outside, and to nothing, as distributions have them."""
    outside = tmp_path / "etc"
    (outside / "folder").mkdir(parents=True)
    (outside / "config.py").write_text("outside")
    top = tmp_path / "lib"
    (top / "pkg").mkdir(parents=True)
    (top / "os.py").write_text("os")
    (top / "pkg" / "a.py").write_text("a")
    (top / "pkg" / "inside.py").symlink_to("../os.py")
    (top / "alias").symlink_to("pkg")
    (top / "config.py").symlink_to(outside / "config.py")
    (top / "folder").symlink_to(outside / "folder")
    (top / "gone.py").symlink_to("nowhere.py")
    (top / "loop").symlink_to("loop")
    (top / "skipped").mkdir()
    (top / "skipped" / "b.py").write_text("b")
    (top / "pkg" / "skipped").write_text("a file of that name")
    return top


def test_a_tree_keeps_inner_links_and_brings_outer_files_in(tree: Path) -> None:
    contents = LayerContents()
    contents.add_tree("lib/python3", tree, skip=lambda name: name == "skipped")
    assert described(contents) == [
        ("lib", "directory", ""),
        ("lib/python3", "directory", ""),
        ("lib/python3/alias", "symlink", "pkg"),
        ("lib/python3/config.py", "file", "outside"),
        ("lib/python3/os.py", "file", "os"),
        ("lib/python3/pkg", "directory", ""),
        ("lib/python3/pkg/a.py", "file", "a"),
        ("lib/python3/pkg/inside.py", "symlink", "../os.py"),
    ]


def test_folders_come_right_before_what_is_in_them() -> None:
    contents = LayerContents()
    for path in ("a.b", "a/c", "a-b/c", "a/b/c"):
        contents.add_bytes(path, b"")
    contents.add_folder("empty")
    assert [member.path for member in contents.members()] == [
        "a", "a/b", "a/b/c", "a/c", "a-b", "a-b/c", "a.b", "empty",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "stored"), [(0o600, 0o644), (0o666, 0o644), (0o700, 0o755), (0o4755, 0o755)]
)
def test_modes_and_times_do_not_depend_on_the_machine(
    tmp_path: Path, given: int, stored: int
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    file.chmod(given)
    contents = LayerContents()
    contents.add_file("file", file)
    (member,) = contents.members()
    assert (member.mode, member.mtime, member.size) == (stored, int(LOCKED_AT.timestamp()), 1)


def test_the_last_file_under_a_path_wins(tmp_path: Path) -> None:
    contents = LayerContents()
    contents.add_link("x", "y")
    contents.add_bytes("x", b"new", executable=True)
    (member,) = contents.members()
    assert (member.type, member.mode) == (EntryType.FILE, 0o755)
    assert "x" in contents
    assert "y" not in contents


@pytest.mark.parametrize("name", ["missing", "."])
def test_what_is_no_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError) as caught:
        LayerContents().add_file("x", tmp_path / name)
    assert str(tmp_path) in str(caught.value)
