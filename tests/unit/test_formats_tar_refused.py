"""Tar archives that would do harm, or that two tools would read differently: each is refused, with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from slim.errors import LimitError, SlimError, UnsafeInputError
from slim.formats import read_archive
from slim.model.limits import Limits
from slim.model.stack import Platform
from tests.tarballs import (
    BLOCK,
    END,
    LINUX,
    MACOS,
    WINDOWS,
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


@dataclass(frozen=True)
class Case:
    name: str
    data: bytes
    word: str
    platform: Platform | None = LINUX
    error: type[SlimError] = UnsafeInputError


def _long_name_chain() -> bytes:
    """CVE-2025-4517: links whose expansion outgrows PATH_MAX, so that realpath() stops looking."""
    long = "d" * 247
    letters = "abcdefghijklmnop"
    parts = []
    real = "app"
    for letter in letters:
        parts.append(pax(record("path", f"{real}/{long}/")) + folder("x"))
        parts.append(pax(record("path", f"{real}/{letter}"), record("linkpath", long)) + sym("x", "x"))
        real = f"{real}/{long}"
    links = "app/" + "/".join(letters)
    parts.append(pax(record("path", f"{links}/{'l' * 254}"), record("linkpath", "../" * 16)) + sym("x", "x"))
    parts.append(
        pax(record("path", "app/escape"), record("linkpath", f"{links}/{'l' * 254}/../../etc")) + sym("x", "x")
    )
    return tar(*parts)


def _chain(length: int) -> bytes:
    links = [sym(f"a/l{i}", f"l{i + 1}") for i in range(length)]
    return tar(folder("a"), *links, entry(f"a/l{length}"))


NFC, NFD = "caf\u00e9".encode(), "cafe\u0301".encode()

CASES = [
    # Names that lead outside
    Case("parent", tar(entry("../v/w")), "'..'"),
    Case("absolute", tar(entry("/v/w")), "absolute"),
    Case("parent-inside", tar(entry("a/../../v/w")), "'..'"),
    Case("parent-that-stays", tar(entry("a/../b")), "'..'"),
    Case("pax-path-parent", tar(pax(record("path", "../w")), entry("a/b")), "'..'"),
    Case("gnu-name-parent", tar(gnu_long("L", "../w"), entry("a/b")), "'..'"),
    Case("prefix-absolute", tar(entry("w", prefix=b"/v")), "absolute"),
    Case("double-slash", tar(entry("a//b")), "empty"),
    Case("inner-dot", tar(entry("a/./b")), "'.'"),
    Case("empty-name", tar(entry("")), "empty name"),
    # Symbolic links
    Case("link-absolute", tar(folder("a"), sym("a/l", "/v")), "absolute"),
    Case("link-leaves-parent", tar(folder("a"), sym("a/l", "../../v")), "leaves the folder"),
    Case("link-to-parent-itself", tar(folder("a"), sym("a/l", "..")), "leaves the folder"),
    Case("link-outside-without-root", tar(sym("l", "../v"), entry("b")), "leads outside"),
    Case("member-below-link", tar(folder("a"), sym("a/l", "../v"), entry("a/l/w")), "members below"),
    Case("link-replaces-folder", tar(folder("a/d"), sym("a/d", "/v"), entry("a/d/w")), "two members"),
    Case("member-below-later-link", tar(folder("a"), entry("a/l/w"), sym("a/l", "b")), "members below"),
    Case(
        "link-through-link", tar(folder("a/b/c"), sym("a/l", "b/c"), sym("a/m", "l/../../../../x")), "leaves the folder"
    ),
    Case("link-up-through-sibling", tar(folder("a"), sym("a/l", "../b/c/../../../x")), "through a sibling"),
    Case(
        "link-up-through-sibling-link",
        tar(folder("a"), sym("a/l", "../b/c"), sym("a/m", "l/../../../x")),
        "through a sibling",
    ),
    Case("link-self-name-outside", tar(folder("a"), sym("a/l", "../a/../a/../..")), "leaves the folder"),
    Case("link-empty", tar(folder("a"), sym("a/l", "")), "empty target"),
    Case("link-newline", tar(folder("a"), sym("a/l", "x\ny")), "character"),
    Case("cve-2025-4517", _long_name_chain(), "members below"),
    Case("pax-empty-path", tar(pax(record("path", ""), record("linkpath", "..")), sym("a", "x")), "empty"),
    Case("pax-empty-link", tar(pax(record("linkpath", "")), sym("a", "x")), "empty"),
    Case("loop", tar(sym("d/a", "b"), sym("d/b", "a")), "loop"),
    Case("loop-self", tar(sym("d/a", "a")), "loop"),
    Case("loop-through-folder", tar(folder("d"), sym("d/a", "b/x"), sym("d/b", "a/y")), "loop"),
    Case("chain-60", _chain(60), "links"),
    Case("windows-link-backslash", tar(folder("a"), sym("a/l", "..\\..\\x")), "Windows", WINDOWS),
    Case("windows-link-drive", tar(folder("a"), sym("a/l", "C:x")), "Windows", WINDOWS),
    Case("macos-link-other-case", tar(folder("a"), sym("a/l", "../A/../../x")), "leaves the folder", MACOS),
    # Hard links
    Case("hard-absolute", tar(hard("a", "/v/flag")), "absolute"),
    Case("hard-then-file", tar(hard("a", "/v/flag"), entry("a")), "two members"),
    Case("hard-to-link", tar(folder("a"), sym("a/s", "x"), hard("a/h", "a/s")), "regular file"),
    Case("hard-to-later-link", tar(folder("a"), hard("a/h", "a/s"), sym("a/s", "x")), "regular file"),
    Case("hard-to-later-file", tar(folder("a"), hard("a/h", "a/s"), entry("a/s")), "regular file"),
    Case("hard-to-folder", tar(folder("a"), folder("a/d"), hard("a/h", "a/d")), "regular file"),
    Case("hard-to-itself", tar(folder("a"), hard("a/h", "a/h")), "regular file"),
    Case("hard-to-parent", tar(folder("a"), hard("a/h", "../x")), "'..'"),
    Case("hard-empty", tar(folder("a"), hard("a/h", "")), "empty target"),
    # Types
    Case("fifo", tar(entry("a/f", kind="6")), "FIFO"),
    Case("character-device", tar(entry("a/c", kind="3")), "character device"),
    Case("block-device", tar(entry("a/c", kind="4")), "block device"),
    Case("contiguous", tar(entry("a/c", kind="7")), "contiguous"),
    Case("type-Z", tar(entry("a/c", kind="Z")), "type b'Z' is unknown"),
    Case("sparse-gnu", tar(entry("a/s", kind="S", size=b"\x80" + (1 << 40).to_bytes(11, "big"))), "sparse"),
    Case("sparse-pax", tar(pax(record("GNU.sparse.realsize", str(1 << 40))), entry("a/s")), "sparse"),
    Case("link-with-content", tar(entry("a/l", b"x", kind="2", link="b")), "with content"),
    Case("folder-with-content", tar(entry("a/l", b"x", kind="5")), "with content"),
    Case("file-with-link", tar(entry("a/l", link="b")), "isn't a link"),
    Case("slash-on-file", tar(entry("a/b/")), "name of a folder"),
    Case("slash-on-old-file", tar(entry("a/b/", kind=b"\0")), "name of a folder"),
    Case("root-is-a-file", tar(entry(".")), "root"),
    # Names that collide, or don't exist on the target
    Case("duplicate", tar(entry("a/b"), entry("a/b")), "two members"),
    Case("duplicate-folder", tar(folder("a/"), folder("a")), "two members"),
    Case("duplicate-dot", tar(entry("a/b"), entry("./a/b")), "two members"),
    Case("file-and-folder", tar(entry("r/a"), entry("r/a/b")), "members below"),
    Case("case-macos", tar(entry("d/A.py"), entry("d/a.py")), "same as", MACOS),
    Case("case-windows", tar(entry("d/A.py"), entry("d/a.py")), "same as", WINDOWS),
    Case("case-of-folders", tar(entry("d/B/x"), entry("d/b/y")), "same as", MACOS),
    Case("normalisation-macos", tar(entry(b"d/" + NFC), entry(b"d/" + NFD)), "same as", MACOS),
    Case("normalisation-windows", tar(entry(b"d/" + NFC), entry(b"d/" + NFD)), "same as", WINDOWS),
    Case("reserved-name", tar(entry("d/aux.py")), "device", WINDOWS),
    Case("reserved-folder", tar(entry("CON/x")), "device", WINDOWS),
    Case("reserved-superscript", tar(entry("d/com\u00b9.txt")), "device", WINDOWS),
    Case("stream", tar(entry("d/a:b")), "contains ':'", WINDOWS),
    Case("trailing-space", tar(entry("d/x. ")), "dot or space", WINDOWS),
    Case("trailing-dot", tar(entry("d./x")), "dot or space", WINDOWS),
    Case("backslash", tar(entry("d/c\\..\\d")), "contains", WINDOWS),
    Case("not-utf8-macos", tar(entry(b"d/\xff")), "UTF-8", MACOS),
    # Names that lie to the reader of a listing
    Case("newline", tar(entry("d/a\nb")), r"character '\n'"),
    Case("escape-sequence", tar(entry("d/\x1b[2Jb")), r"'\x1b'"),
    Case("right-to-left-override", tar(entry("d/a\u202egpj.py")), r"'\u202e'"),
    Case("zero-in-pax-path", tar(pax(record("path", "a\0b")), entry("x")), "zero byte"),
    Case("zero-hides-bytes", tar(entry(b"a\0b")), "hidden bytes"),
    Case("too-deep", tar(pax(record("path", "d/" * 2500 + "f")), entry("x")), "longer than"),
    Case("too-many-components", tar(pax(record("path", "d/" * 300 + "f")), entry("x")), "components"),
    Case("long-component", tar(pax(record("path", "d/" + "n" * 256)), entry("x")), "255 bytes"),
    # Extended headers
    Case("pax-over-long-name", tar(pax(record("size", "1024")), gnu_long("L", "a/b"), entry("a/c")), "together with"),
    Case("long-name-under-pax", tar(gnu_long("L", "a/b"), pax(record("path", "a/d")), entry("a/c")), "over another"),
    Case("pax-twice", tar(pax(record("path", "a/b")), pax(record("path", "a/c")), entry("a/d")), "over another"),
    Case("long-name-twice", tar(gnu_long("L", "a/b"), gnu_long("L", "a/c"), entry("a/d")), "twice"),
    Case("long-name-unterminated", tar(entry("x", b"a/b", kind="L"), entry("a/d")), "zero byte"),
    Case("pax-duplicate-key", tar(pax(record("path", "a/b"), record("path", "a/c")), entry("a/d")), "twice"),
    Case("pax-length-zero", tar(pax(b"0 path=x\n"), entry("a/d")), "malformed"),
    Case("pax-length-too-long", tar(pax(b"99 path=x\n"), entry("a/d")), "malformed"),
    Case("pax-length-too-short", tar(pax(b"5 path=x\n"), entry("a/d")), "malformed"),
    Case("pax-length-padded", tar(pax(b"010 path=x\n"), entry("a/d")), "malformed"),
    Case("pax-without-equals", tar(pax(b"7 path\n"), entry("a/d")), "malformed"),
    Case("pax-global-path", tar(pax(record("path", "a/b"), kind="g"), entry("a/d")), "global"),
    Case("pax-global-size", tar(pax(record("size", "512"), kind="g"), entry("a/d")), "global"),
    Case("pax-size-contradicts", tar(pax(record("size", "1")), entry("a/d", b"xy")), "contradicts"),
    Case("pax-size-word", tar(pax(record("size", "-1")), entry("a/d")), "number"),
    Case("pax-time-nan", tar(pax(record("mtime", "nan")), entry("a/d")), "time"),
    Case("pax-time-negative", tar(pax(record("mtime", "-1")), entry("a/d")), "time"),
    Case("pax-charset", tar(pax(record("hdrcharset", "ISO-IR 8859 1 1998")), entry("a/d")), "character set"),
    Case("pax-before-end", tar(entry("a/d"), pax(record("path", "a/b"))), "isn't followed"),
    Case("pax-too-long", tar(pax(record("SCHILY.xattr.user.x", "v" * (1 << 20))), entry("a/d")), "longer than"),
    # Numbers
    Case("size-all-ones", tar(entry("a/b", size=b"\xff" * 12)), "number"),
    Case("size-2-62", tar(entry("a/b", size=b"\x80" + (1 << 62).to_bytes(11, "big"))), "don't fit"),
    Case("size-past-end", tar(entry("a/b", size=b"00000010000\0")), "don't fit"),
    Case("size-word", tar(entry("a/b", size=b"12345x78901\0")), "number"),
    Case("time-2242", tar(entry("a/b", mtime=b"\x80" + (1 << 40).to_bytes(11, "big"))), "2242"),
    # Blocks
    Case("checksum", tar(entry("a/b", checksum=b"000001\0 ")), "checksum"),
    Case("no-magic", tar(entry("a/a"), entry("a/b", magic=bytes(8))), "neither"),
    Case("gnu-incremental", tar(entry("a/b", magic=b"ustar  \0", prefix=b"12345")), "incremental"),
    Case("truncated-content", tar(entry("a/b", bytes(2000)))[:1536], "don't fit"),
    Case("truncated-block", tar(entry("a/b"))[:-1], "whole number"),
    Case("no-end", tar(entry("a/b"), end=b""), "zero blocks"),
    Case("half-an-end", tar(entry("a/b"), end=bytes(BLOCK)), "zero blocks"),
    Case("zero-block-inside", tar(entry("a/b"), bytes(BLOCK), entry("a/c")), "single zero block"),
    Case("second-tar", tar(entry("a/b")) + tar(entry("a/c")), "after the end"),
    Case("garbage-after-end", tar(entry("a/b")) + bytes(3 * BLOCK) + b"x" * BLOCK, "after the end"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused(case: Case, tmp_path: Path) -> None:
    archive = tmp_path / "layer.tar"
    archive.write_bytes(case.data)
    with pytest.raises(case.error) as caught:
        read_archive(archive, options(tmp_path, platform=case.platform)).close()
    assert type(caught.value) is case.error
    assert caught.value.file == str(archive)
    assert case.word in caught.value.message
    assert all(char.isprintable() for char in caught.value.where)
    assert list(tmp_path.iterdir()) == [archive], "a spool file was left behind"


def test_links_to_siblings_are_refused_where_there_are_none(tmp_path: Path) -> None:
    archive = tmp_path / "layer.tar"
    archive.write_bytes(tar(folder("app"), sym("app/l", "../cpython/bin/python")))
    with pytest.raises(UnsafeInputError, match="leads outside"):
        read_archive(archive, options(tmp_path, siblings=False))


def test_more_members_than_the_limit(tmp_path: Path) -> None:
    archive = tmp_path / "layer.tar"
    archive.write_bytes(tar(*(entry(f"a/{i}") for i in range(11))))
    with pytest.raises(LimitError, match="more than 10 members"):
        read_archive(archive, options(tmp_path, limits=Limits(members=10)))
    read_archive(archive, options(tmp_path, limits=Limits(members=11))).close()


@pytest.mark.slow
def test_200_000_members(tmp_path: Path) -> None:
    archive = tmp_path / "layer.tar"
    block = entry("a/0000000")
    with archive.open("wb") as stream:
        for number in range(200_000):
            name = b"a/%07d" % number
            changed = sum(name) - sum(block[:9])
            total = b"%06o\0 " % (int(block[148:154], 8) + changed)
            stream.write(name + block[9:148] + total + block[156:])
        stream.write(END)
    with pytest.raises(LimitError, match="150000 members"):
        read_archive(archive, options(tmp_path))


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    whole = tar(folder("a"), pax(record("path", "a/" + "n" * 120)), entry("a/n", b"x" * 700), sym("a/l", "n"))
    archive = tmp_path / "layer.tar"
    for length in range(512, len(whole), 256):
        archive.write_bytes(whole[:length])
        with pytest.raises(UnsafeInputError):
            read_archive(archive, options(tmp_path))
