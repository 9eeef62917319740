"""For any two layers, the patch from one to the other gives the other, bit for bit."""

from __future__ import annotations

import base64
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slim.delta import patch as patches
from slim.delta import rebuild as restoring
from slim.delta.frames import joined, unpack
from slim.delta.patch import Method, make_patch
from slim.delta.rebuild import PatchFile, Wanted, check_old, read_table, rebuild_layer
from slim.delta.sides import Side
from slim.delta.table import parse, render
from slim.errors import SlimError
from slim.formats import format_by_name, read_archive, write_archive
from slim.formats.base import Member, Tree, WriteOptions
from slim.formats.digests import digests_of, tree_digest
from slim.formats.directory import read_directory, write_directory
from slim.model.limits import Limits
from slim.model.record import EntryType
from tests.property.test_formats_roundtrip import RELAXED, TIMES, trees
from tests.support.moving_natives import ARM64, X86_64, library
from tests.support.raw_archives import file, options

ROOT = "layer"


def read(members: list[Member], folder: Path, name: str) -> Tree:
    """The members as they come out of an archive."""
    path = folder / f"{name}.tar"
    write_archive(format_by_name("tar"), iter(members), ROOT, path, WriteOptions())
    return read_archive(path, options(folder))


def facts(tree: Tree) -> list[tuple[object, ...]]:
    root = [] if tree.root_member is None else [tree.root_member]
    return [
        (
            m.path,
            m.type,
            m.mode,
            m.mtime,
            m.link_target,
            bytes(m.content.view()) if m.content else None,
        )
        for m in (*root, *tree.members.values())
    ]


def wanted_for(old: Side | None, new: Side) -> Wanted:
    return Wanted(
        layer=ROOT,
        old_tree=None if old is None else tree_digest(old.tree.members.values(), old.digests),
        new_tree=tree_digest(new.tree.members.values(), new.digests),
        root=new.tree.root,
        size=new.size,
        is_folder=False,
    )


def through(
    folder: Path,
    old: Tree | None,
    new: Tree,
    source: Tree | None = None,
    *,
    is_folder: bool = False,
) -> Tree:
    """Make a patch, write it, and restore the new tree with it."""
    left = None if old is None else Side(tree=old, digests=digests_of(old))
    right = Side(tree=new, digests=digests_of(new))
    place = folder / "a.patch"
    with make_patch(left, right, folder) as made:
        place.write_bytes(b"".join(made.pieces()))
    file = PatchFile(
        path=place,
        size=place.stat().st_size,
        table_size=len(made.table),
        table_unpacked=made.table_unpacked,
    )
    assert file.size == made.size == made.tried[made.method.value]
    table = read_table(file, options(folder))
    wanted = wanted_for(left, right)
    known = None if old is None else check_old(table, source or old, wanted, folder=is_folder)
    restored, digests = rebuild_layer(file, table, known, wanted, options(folder))
    assert digests == right.digests
    return restored


@st.composite
def two_trees(draw: st.DrawFn) -> tuple[list[Member], list[Member]]:
    """Two trees: members of the first are kept, changed or moved in the second, others added."""
    old, new = draw(trees()), draw(trees())
    time = draw(TIMES)
    taken = {member.path for member in new} | {part for m in new for part in _parents(m.path)}
    kept = []
    for member in old:
        clash = member.path in taken or any(
            parent in {m.path for m in new} for parent in _parents(member.path)
        )
        if clash or member.type is EntryType.HARDLINK or not draw(st.booleans()):
            continue
        kept.append(replace(member, mtime=draw(st.sampled_from([member.mtime, time]))))
    folders = {member.path for member in kept if member.type is EntryType.DIRECTORY}
    whole = [
        member for member in kept if all(parent in folders for parent in _parents(member.path))
    ]
    return old, [*whole, *new]


def _parents(path: str) -> list[str]:
    return ["/".join(path.split("/")[:n]) for n in range(1, path.count("/") + 1)]


@RELAXED
@given(two_trees())
def test_any_tree_from_any_other(pair: tuple[list[Member], list[Member]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            old, new = read(pair[0], folder, "old"), read(pair[1], folder, "new")
        except SlimError:
            return  # links of one tree that lead out of the mixture
        with old, new, through(folder, old, new) as restored:
            assert facts(restored) == facts(new)
            assert restored.root == new.root
        with new, through(folder, None, new) as alone:
            assert facts(alone) == facts(new)


@RELAXED
@given(st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 6)), max_size=6))
def test_from_a_folder_that_has_more_in_it(contents: list[tuple[bytes, int]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [file(f"f{number}", data * times) for number, (data, times) in enumerate(contents)]
        old, new = (
            read(files, folder, "old"),
            read([*files[1:], file("new", b"n" * 50)], folder, "new"),
        )
        write_directory(
            [*files, file("__pycache__/f.pyc", b"made"), file("log.txt", b"user")], folder / ROOT
        )
        there = read_directory(folder / ROOT, options(folder))
        with old, new, there, through(folder, old, new, there, is_folder=True) as restored:
            assert facts(restored) == facts(new)


@RELAXED
@given(st.binary(max_size=2000), st.integers(0, 1999), st.integers(0, 255))
def test_damage_never_gives_another_layer(noise: bytes, at: int, value: int) -> None:
    """A patch with a changed byte gives the very layer, or an error of slim's."""
    _damaged(
        [file("a", noise), file("b", b"same")],
        [file("a", noise + b"!"), file("b", b"same"), file("c", noise[::-1])],
        at,
        value,
    )


@RELAXED
@given(st.integers(0, 3999), st.integers(0, 255))
def test_damage_to_moves_never_gives_another_layer(at: int, value: int) -> None:
    _damaged([file("a", library(60))], [file("a", library(60, {7, 30}))], at, value)


def _damaged(before: list[Member], after: list[Member], at: int, value: int) -> None:
    """Change a byte of the patch between two layers, and apply it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old, new = read(before, folder, "old"), read(after, folder, "new")
        with old, new:
            left, right = (
                Side(tree=old, digests=digests_of(old)),
                Side(tree=new, digests=digests_of(new)),
            )
            with make_patch(left, right, folder) as made:
                data = bytearray(b"".join(made.pieces()))
            data[at % len(data)] = value
            place = folder / "a.patch"
            place.write_bytes(data)
            patch = PatchFile(
                path=place,
                size=len(data),
                table_size=len(made.table),
                table_unpacked=made.table_unpacked,
            )
            wanted = wanted_for(left, right)
            try:
                table = read_table(patch, options(folder))
                known = check_old(table, old, wanted, folder=False)
                restored, _ = rebuild_layer(patch, table, known, wanted, options(folder))
            except SlimError:
                return
            with restored:
                assert [fact[:3] for fact in facts(restored)] == [fact[:3] for fact in facts(new)]


@RELAXED
@given(st.text(alphabet="ozurtkncsfdlh 0123456789/ab\n\0", max_size=200))
def test_any_text_is_a_table_or_refused(text: str) -> None:
    data = f"slim-patch 1\n{text}\n".encode()
    try:
        table = parse(data, source="t", limits=Limits())
    except SlimError as error:
        assert error.exit_code in (3, 4)
        return
    assert parse(render(table), source="t", limits=Limits()) == table


@pytest.mark.parametrize(("machine", "form"), [(X86_64, "elf"), (ARM64, "elf"), (ARM64, "macho")])
@pytest.mark.parametrize("more", [0, 1])
def test_native_files_have_moves(tmp_path: Path, more: int, machine: int, form: str) -> None:
    """Two of them, with other files in one frame; or the same, and one that is like nothing.

    A slim that knows ELF files for x86-64 only is told that it can't apply the patch.
    """
    first = library(300, machine=machine, form=form)
    old = read([file("a.so", first), file("b.so", library(200))], tmp_path, "old")
    changed = [
        file("a.so", library(300, range(0, 300, 50), machine=machine, form=form)),
        file("b.so", library(200, {7, 60})),
        *[file("c.so", library(9)[::-1])] * more,
    ]
    new = read(changed, tmp_path, "new")
    with old, new:
        sides = [Side(tree=tree, digests=digests_of(tree)) for tree in (old, new)]
        made = make_patch(*sides, tmp_path)
        made.close()
        text = joined(unpack(memoryview(made.table), made.table_unpacked, source="t"))
        assert made.method is Method.FILES
        version = 2 if (machine, form) == (X86_64, "elf") else 3
        assert text.startswith(b"slim-patch %d\n" % version) and text.count(b"\nv ") == 2
        assert made.size < 0.6 * made.tried["stream"]
        with through(tmp_path, old, new) as restored:
            assert facts(restored) == facts(new)


OLD_PATCH = (
    "D77#BB!-;=0HQ<>5|GaUztMpsk9&6?gDnJc@_lrm1$j4F{r&@O<pl!ujX|$KG`YAq2BXi>cm^t6yp(hH3Hoi_L_>7Y1_u"
    "BDh@NIu?=it(FnQC>nHvQUmEO<pD77#BWMlzt000ndAp!s@F{_G9j=HWFXiFR"
)
"""Patch that slim made before there were moves, in base 85."""


def test_a_patch_of_before_gives_the_layer_of_then(tmp_path: Path) -> None:
    text = b"".join(b"line %d\n" % number for number in range(40))
    old = read([file("a", text), file("b", b"same")], tmp_path, "old")
    new = read([file("a", text + b"!"), file("b", b"same"), file("c", text[9:])], tmp_path, "new")
    place = tmp_path / "a.patch"
    place.write_bytes(base64.b85decode(OLD_PATCH))
    patch = PatchFile(path=place, size=place.stat().st_size, table_size=96, table_unpacked=134)
    with old, new:
        left, right = (Side(tree=tree, digests=digests_of(tree)) for tree in (old, new))
        table = read_table(patch, options(tmp_path))
        wanted = wanted_for(left, right)
        known = check_old(table, old, wanted, folder=False)
        restored, _ = rebuild_layer(patch, table, known, wanted, options(tmp_path))
        with restored:
            assert facts(restored) == facts(new)


@pytest.mark.parametrize("size", [0, 1, 99_999, 100_000, 100_001, 350_000])
def test_large_files_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Frames of a few kB instead of MB take the same ways through the code."""
    monkeypatch.setattr(restoring, "OWN_FRAME", 20_000)
    for module in (patches,):
        monkeypatch.setattr(module, "FRAME", 100_000)
        monkeypatch.setattr(module, "DICTIONARY", 150_000)
        monkeypatch.setattr(module, "OWN_FRAME", 20_000)
        monkeypatch.setattr(module, "GROUP", 30_000)
    data = b"".join(number.to_bytes(3, "big") for number in range(size // 3 + 1))[:size]
    old = read([file("big", data), file("small", data[:9_000])], tmp_path, "old")
    moved = data[40_000:] + b"news" + data[:40_000]
    more = [file(f"s{number}", data[number * 10 : 9_000]) for number in range(12)]
    new = read([file("big", moved), *more, file("twin", moved)], tmp_path, "new")
    with old, new, through(tmp_path, old, new) as restored:
        assert facts(restored) == facts(new)


def test_the_smaller_method_wins(tmp_path: Path) -> None:
    """Content that was copied to a file of another name is found by the stream method only."""
    data = bytes((number * number) % 251 for number in range(60_000))
    old = read([file("a.bin", data)], tmp_path, "old")
    new = read([file("a.bin", data), file("z.dat", data[:50_000] + b"x")], tmp_path, "new")
    sides = [Side(tree=tree, digests=digests_of(tree)) for tree in (old, new)]
    with old, new, make_patch(*sides, tmp_path) as made:
        assert set(made.tried) == {"files", "stream"}
        assert made.size == min(made.tried.values())
        assert made.method is Method(min(made.tried, key=lambda one: made.tried[one]))
        assert b"".join(unpack(memoryview(made.table), made.table_unpacked, source="t")).startswith(
            b"slim-patch 1\n"
        )
