"""Round trips: what is written is read again, and listed alike by the standard library."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from slim.errors import SlimError, UnsafeInputError
from slim.formats import FORMATS, read_archive, write_archive
from slim.formats.base import BytesContent, Format, Member, Tree, WriteOptions
from slim.formats.directory import read_directory, write_directory
from slim.formats.order import for_compression
from slim.formats.tar.parse import TarParser
from slim.formats.zip.parse import ZipParser
from slim.model.record import EntryType
from slim.model.settings import Effort, Level
from tests.fuzz.containers import flat, hold_tar, hold_zip, with_checksums
from tests.support.examples import examples
from tests.support.raw_archives import (
    ZipMember,
    entry,
    folder,
    gnu_long,
    hard,
    options,
    pax,
    record,
    sym,
    tar,
    zip_file,
)

RELAXED = settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

# U+0000..U+001F, the C1 controls and what deceives the eye are refused, so honest names don't have
# them.
LETTERS = st.characters(
    codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp", "Cs"], exclude_characters="/"
)
COMPONENTS = st.text(LETTERS, min_size=1, max_size=60).filter(lambda part: part not in (".", ".."))
PATHS = st.lists(COMPONENTS, min_size=1, max_size=4).map("/".join)
MODES = st.integers(0, 0o777)
TIMES = st.integers(0, 8**11 - 1)


@st.composite
def trees(draw: st.DrawFn) -> list[Member]:
    """Members in an order that a reader accepts.

    Folders come before what is in them, and hard links after their files.
    """
    found: dict[str, Member] = {}
    folders: set[str] = set()
    for path in draw(st.lists(PATHS, max_size=12, unique=True)):
        parents = ["/".join(path.split("/")[:n]) for n in range(1, path.count("/") + 1)]
        if (
            path in found
            or path in folders
            or any(parent in found for parent in parents if parent not in folders)
        ):
            continue
        for parent in parents:
            folders.add(parent)
            if parent not in found:
                found[parent] = Member(
                    path=parent, type=EntryType.DIRECTORY, mode=0o755, mtime=draw(TIMES)
                )
        common = {"path": path, "mode": draw(MODES), "mtime": draw(TIMES)}
        files = [member.path for member in found.values() if member.type is EntryType.FILE]
        kind = draw(
            st.sampled_from(
                [EntryType.FILE, EntryType.SYMLINK, EntryType.DIRECTORY, EntryType.HARDLINK]
            )
        )
        if kind is EntryType.SYMLINK:
            found[path] = Member(type=kind, link_target=draw(PATHS), **common)  # type: ignore[arg-type]
        elif kind is EntryType.HARDLINK and files:
            found[path] = Member(type=kind, link_target=draw(st.sampled_from(files)), **common)  # type: ignore[arg-type]
        elif kind is EntryType.DIRECTORY:
            folders.add(path)
            found[path] = Member(type=kind, **common)  # type: ignore[arg-type]
        else:
            data = draw(st.binary(max_size=3000))
            found[path] = Member(
                type=EntryType.FILE, size=len(data), content=BytesContent(data), **common
            )  # type: ignore[arg-type]
    return list(found.values())


def as_zip_holds_it(member: Member, files: dict[str, Member]) -> Member:
    """Two seconds, 1980 to 2107, and a copy for a hard link."""
    mtime = min(max(member.mtime, 315532800), 4354819199) // 2 * 2
    if member.type is EntryType.HARDLINK:
        original = files[member.link_target or ""]
        member = replace(
            member,
            type=EntryType.FILE,
            size=original.size,
            content=original.content,
            link_target=None,
        )
    return replace(member, mtime=mtime)


def read_again(known: Format, members: list[Member], work: Path) -> Tree:
    target = work / f"layer.{known.name}"
    root = Member(path="", type=EntryType.DIRECTORY, mode=0o750, mtime=1_000_000_000)
    write_archive(
        known, iter([root, *members]), "root", target, WriteOptions(effort=Effort(level=Level.FAST))
    )
    return read_archive(target, options(work))


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
@RELAXED
@given(members=trees())
def test_archives(known: Format, members: list[Member]) -> None:
    assume(known.name != "zip" or not any("\\" in member.path for member in members))
    with tempfile.TemporaryDirectory() as work:
        try:
            tree = read_again(known, members, Path(work))
        except UnsafeInputError as error:
            assert "loop" in error.message  # links may happen to form one
            assume(False)
            raise
        with tree:
            if known.name == "zip":
                files = {member.path: member for member in members}
                members = [as_zip_holds_it(member, files) for member in members]
            else:
                members = [member for _, member in for_compression(members)]
            assert [flat(member) for member in tree.members.values()] == [
                flat(member) for member in members
            ]
            assert tree.root == "root"
            assert tree.root_member is not None
            assert (tree.root_member.mode, tree.root_member.mtime) == (0o750, 1_000_000_000)


@RELAXED
@given(members=trees())
def test_folders(members: list[Member]) -> None:
    # A process without privileges can't enter folders or read files without permission.
    members = [
        replace(member, mode=member.mode | 0o700, mtime=member.mtime % 2**31) for member in members
    ]
    with tempfile.TemporaryDirectory() as work:
        target = Path(work) / "layer"
        write_directory(members, target)
        try:
            tree = read_directory(target, options(Path(work)))
        except UnsafeInputError as error:
            assert "loop" in error.message
            assume(False)
            raise
        files = {member.path: member for member in members}
        with tree:
            assert set(tree.members) == set(files)
            for path, member in tree.members.items():
                expected = files[path]
                if expected.type is EntryType.HARDLINK:
                    original = files[expected.link_target or ""]
                    expected = replace(
                        expected,
                        type=EntryType.FILE,
                        size=original.size,
                        content=original.content,
                        link_target=None,
                    )
                if expected.type is EntryType.SYMLINK:
                    expected = replace(expected, mode=member.mode)
                assert flat(member) == flat(expected)


# Hostile input: one family of errors, and what is accepted is what the standard library lists

NAMES = st.sampled_from(
    ["a", "a/b", "./a/c", "a/", "../a", "a//b", "/a", "b", "a/b/c", "\u00e9", "x" * 100, ".", "a/l"]
)
PARTS = st.one_of(
    st.builds(entry, NAMES, st.binary(max_size=40)),
    st.builds(entry, NAMES, kind=st.sampled_from("0123456789ASxgLK\0")),
    st.builds(folder, NAMES),
    st.builds(sym, NAMES, NAMES),
    st.builds(hard, NAMES, NAMES),
    st.builds(
        lambda key, value: pax(record(key, value)),
        st.sampled_from(["path", "linkpath", "size", "mtime"]),
        NAMES,
    ),
    st.builds(lambda body: pax(body), st.binary(max_size=30)),
    st.builds(gnu_long, st.sampled_from("LK"), NAMES),
    st.just(bytes(512)),
)


@settings(max_examples=examples(300), deadline=None)
@given(parts=st.lists(PARTS, max_size=6), tail=st.binary(max_size=3))
def test_any_sequence_of_tar_headers(parts: list[bytes], tail: bytes) -> None:
    hold_tar(tar(*parts) + tail)


HONEST = tar(
    folder("r"),
    pax(record("path", "r/" + "n" * 110), record("mtime", "12.5")) + entry("x", b"content" * 90),
    gnu_long("L", "r/" + "m" * 110) + entry("y", b"z"),
    sym("r/l", "y"),
)


@settings(max_examples=examples(300), deadline=None)
@given(at=st.integers(0, len(HONEST) - 1), flip=st.integers(1, 255), fix=st.booleans())
def test_flipped_tar_bytes(at: int, flip: int, fix: bool) -> None:
    data = bytearray(HONEST)
    data[at] ^= flip
    hold_tar(with_checksums(bytes(data)) if fix else bytes(data))


@settings(max_examples=examples(200), deadline=None)
@given(data=st.binary(max_size=2048))
def test_noise_is_refused(data: bytes) -> None:
    for parse in (
        lambda: list(TarParser(memoryview(data), "x").headers()),
        ZipParser(memoryview(data), "x").records,
    ):
        with pytest.raises(SlimError):
            parse()


HONEST_ZIP = zip_file(
    ZipMember(name="r/", mode=0o040755),
    ZipMember(name="r/a", data=b"content" * 20),
    ZipMember(name="r/b", data=b"stored", method=0, descriptor=True),
    ZipMember(name="r/l", data=b"a", mode=0o120777),
)


@settings(max_examples=examples(400), deadline=None)
@given(at=st.integers(0, len(HONEST_ZIP) - 1), flip=st.integers(1, 255))
def test_flipped_zip_bytes(at: int, flip: int) -> None:
    data = bytearray(HONEST_ZIP)
    data[at] ^= flip
    hold_zip(bytes(data))


@settings(max_examples=examples(100), deadline=None)
@given(cut=st.integers(0, len(HONEST_ZIP) - 1), insert=st.binary(max_size=4))
def test_cut_and_stretched_zip_files_are_refused(cut: int, insert: bytes) -> None:
    assert not hold_zip(HONEST_ZIP[:cut])
    if insert:
        assert not hold_zip(HONEST_ZIP + insert)
        assert not hold_zip(insert + HONEST_ZIP)
