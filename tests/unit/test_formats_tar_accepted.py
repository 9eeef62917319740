"""Tar archives that are unusual and fine: what becomes of them, and what is warned about."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from slim.formats import read_archive
from slim.formats.base import Tree
from slim.model.record import EntryType
from slim.model.stack import Platform
from tests.support.raw_archives import (
    LINUX,
    MACOS,
    entry,
    folder,
    gnu_long,
    hard,
    options,
    pax,
    record,
    sym,
    tar,
)


def read(folder_: Path, data: bytes, platform: Platform | None = LINUX) -> Tree:
    archive = folder_ / "layer.tar"
    archive.write_bytes(data)
    return read_archive(archive, options(folder_, platform=platform))


def test_link_into_a_sibling_layer(tmp_path: Path) -> None:
    with read(
        tmp_path, tar(folder("app"), sym("app/bin/python", "../../cpython/bin/python3"))
    ) as tree:
        assert tree.root == "app"
        assert tree.members["bin/python"].link_target == "../../cpython/bin/python3"
        assert tree.warnings == []


@pytest.mark.parametrize(
    "target",
    ["x", "./x", "../b/x", "../../app/b/x", "../l2", "../l2/x", "../b/../b/x", ".."],
)
def test_links_inside_the_layer(tmp_path: Path, target: str) -> None:
    parts = [
        folder("app/b"),
        entry("app/b/x"),
        entry("app/a/x"),
        sym("app/l2", "b"),
        sym("app/a/l", target),
    ]
    with read(tmp_path, tar(*parts)) as tree:
        assert tree.warnings == []


def test_a_link_in_another_case_is_found_on_macos(tmp_path: Path) -> None:
    data = tar(entry("app/Lib/x"), sym("app/l", "../APP/lib/X"))
    with read(tmp_path, data, MACOS) as tree:
        assert tree.warnings == []


def test_a_dangling_link_is_kept_with_a_warning(tmp_path: Path) -> None:
    with read(tmp_path, tar(folder("app"), sym("app/l", "missing"))) as tree:
        assert tree.members["l"].link_target == "missing"
        assert tree.warnings == ["symbolic link to nothing: l -> missing"]


def test_a_chain_of_forty_links(tmp_path: Path) -> None:
    links = [sym(f"a/l{i}", f"l{i + 1}") for i in range(40)]
    with read(tmp_path, tar(*links, entry("a/l40"))) as tree:
        assert len(tree.members) == 41
        assert tree.warnings == []


def test_modes_are_masked(tmp_path: Path) -> None:
    parts = [entry(f"a/{mode:o}", mode=mode) for mode in (0o6755, 0o777, 0o1644, 0)]
    with read(tmp_path, tar(*parts)) as tree:
        assert {path: member.mode for path, member in tree.members.items()} == {
            "6755": 0o755,
            "777": 0o777,
            "1644": 0o644,
            "0": 0,
        }
        assert tree.warnings == ["setuid, setgid or sticky bit dropped: 6755, 1644"]


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    with read(tmp_path, tar(entry(b"a/\xff"))) as tree:
        assert list(tree.members) == ["\udcff"]


def test_extended_attributes_are_dropped(tmp_path: Path) -> None:
    records = [
        record("SCHILY.xattr.user.x", b"\0\n=1"),
        record("VENDOR.thing", "1"),
        record("atime", "1.5"),
    ]
    with read(tmp_path, tar(*(pax(*records) + entry(f"a/{i}") for i in range(5)))) as tree:
        assert tree.warnings == [
            "extended attributes dropped: a/0, a/1, a/2 and 2 more",
            "pax keyword VENDOR.thing dropped: a/0, a/1, a/2 and 2 more",
        ]


def test_names_that_mean_something_elsewhere(tmp_path: Path) -> None:
    names = ["venvstacks.json", "__venvstacks__/x", "aux.py", "a:b"]
    with read(tmp_path, tar(*map(entry, names))) as tree:
        assert tree.root == ""
        assert list(tree.members) == names


@pytest.mark.parametrize("dot", [".", "./"])
def test_a_dot_root_member(tmp_path: Path, dot: str) -> None:
    with read(tmp_path, tar(folder(dot), entry("./a"), entry("./b/c"))) as tree:
        assert (tree.root, list(tree.members)) == ("", ["a", "b/c"])
        assert tree.root_member is not None
        assert tree.root_member.mode == 0o755


def test_the_common_folder_is_found(tmp_path: Path) -> None:
    with read(tmp_path, tar(folder("app/"), folder("app/b"), entry("app/b/c"))) as tree:
        assert (tree.root, list(tree.members)) == ("app", ["b", "b/c"])
        assert tree.root_member is not None
        assert tree.root_member.path == ""


@pytest.mark.parametrize(
    ("data", "root"), [(tar(entry("a")), ""), (tar(entry("a/b")), "a"), (tar(folder("a")), "a")]
)
def test_roots_of_tiny_archives(tmp_path: Path, data: bytes, root: str) -> None:
    with read(tmp_path, data) as tree:
        assert tree.root == root


def test_a_hard_link_names_an_earlier_file(tmp_path: Path) -> None:
    with read(tmp_path, tar(folder("a"), entry("a/f", b"content"), hard("a/d/h", "a/f"))) as tree:
        link = tree.members["d/h"]
        assert (link.type, link.link_target, link.size, link.content) == (
            EntryType.HARDLINK,
            "f",
            0,
            None,
        )


def test_long_names_both_ways(tmp_path: Path) -> None:
    long, target = "a/" + "n" * 150, "t" * 150
    data = tar(
        gnu_long("L", long),
        entry(long[:100], b"gnu"),
        gnu_long("L", long + "l"),
        gnu_long("K", target),
        sym(long[:100], target[:100]),
        pax(record("path", long + "p")),
        entry("x", b"pax"),
        entry("u" * 100, b"ustar", prefix=b"a"),
        pax(record("comment", "no harm"), kind="g"),
        entry("a/z"),
    )
    with read(tmp_path, data) as tree:
        assert {
            path: bytes(member.content.view())
            for path, member in tree.members.items()
            if member.content
        } == {
            "n" * 150: b"gnu",
            "n" * 150 + "p": b"pax",
            "u" * 100: b"ustar",
            "z": b"",
        }
        assert tree.members["n" * 150 + "l"].link_target == target


def test_contents_outlive_the_tree(tmp_path: Path) -> None:
    with read(tmp_path, tar(entry("a/b", b"content"))) as tree:
        content = tree.members["b"].content
        assert content is not None
        view = content.view()
        assert not list(tmp_path.glob("*.spool"))
    assert bytes(view) == b"content"


@pytest.mark.parametrize("style", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_listing_equals_tarfile(tmp_path: Path, style: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=style) as archive:
        names = ["r", "r/a", "r/" + "d" * 90 + "/" + "n" * 50]
        if style != tarfile.USTAR_FORMAT:
            names += ["r/caf\u00e9", "r/\udcff", "r/" + "x" * 200 + "/" + "y" * 200]
        for name in names:
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if name == "r" else tarfile.REGTYPE
            info.size = 0 if name == "r" else 3
            info.mtime = 1_700_000_000.25 if style == tarfile.PAX_FORMAT else 1_700_000_000
            info.uid = 1 << 20
            archive.addfile(info, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("r/link")
        link.type, link.linkname = tarfile.SYMTYPE, "a"
        archive.addfile(link)
    with (
        read(tmp_path, buffer.getvalue()) as tree,
        tarfile.open(fileobj=io.BytesIO(buffer.getvalue())) as archive,
    ):
        expected = [
            (info.name, info.size, info.mode, int(info.mtime))
            for info in archive
            if info.name != "r"
        ]
        found = [
            (f"r/{member.path}", member.size, member.mode, member.mtime)
            for member in tree.members.values()
        ]
        assert found == expected
