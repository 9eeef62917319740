"""Archives that would do harm, or that two tools would read differently: a table a container."""

from __future__ import annotations

import lzma
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from slim.errors import LimitError, SlimError, UnsafeInputError
from slim.model.limits import MIB
from slim.model.stack import Platform
from tests.support.raw_archives import (
    BLOCK,
    END,
    LINUX,
    MACOS,
    PACK,
    WINDOWS,
    ZipMember,
    entry,
    folder,
    gnu_long,
    hard,
    pax,
    record,
    sym,
    tar,
    xz_with_dictionary,
    zip_end,
    zip_file,
    zstd_frame,
)

KEPT = "kept as it is"
LEFT_OUT = "device or FIFO left out"


@dataclass(frozen=True)
class Case:
    """One archive.

    ``word`` is part of the error's message; ``seen`` of the warning of an audit, which reads it.
    ``root`` is the folder that the members lie under, where that is ever looked at.
    """

    name: str
    data: bytes | Callable[[], bytes]
    word: str
    platform: Platform | None = LINUX
    error: type[SlimError] = UnsafeInputError
    file: str = "layer.tar"
    seen: str | None = None
    root: str = "a"

    @property
    def bytes(self) -> bytes:
        """The archive."""
        return self.data if isinstance(self.data, bytes) else self.data()


def _long_name_chain() -> bytes:
    """CVE-2025-4517: links whose expansion outgrows PATH_MAX, so that realpath() stops looking."""
    long = "d" * 247
    letters = "abcdefghijklmnop"
    parts = []
    real = "app"
    for letter in letters:
        parts.append(pax(record("path", f"{real}/{long}/")) + folder("x"))
        parts.append(
            pax(record("path", f"{real}/{letter}"), record("linkpath", long)) + sym("x", "x")
        )
        real = f"{real}/{long}"
    links = "app/" + "/".join(letters)
    parts.append(
        pax(record("path", f"{links}/{'l' * 254}"), record("linkpath", "../" * 16)) + sym("x", "x")
    )
    parts.append(
        pax(record("path", "app/escape"), record("linkpath", f"{links}/{'l' * 254}/../../etc"))
        + sym("x", "x")
    )
    return tar(*parts)


def _chain(length: int) -> bytes:
    links = [sym(f"a/l{i}", f"l{i + 1}") for i in range(length)]
    return tar(folder("a"), *links, entry(f"a/l{length}"))


NFC, NFD = "caf\u00e9".encode(), "cafe\u0301".encode()

TAR = [
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
    Case("link-absolute", tar(folder("a"), sym("a/l", "/v")), "absolute", seen=KEPT),
    Case(
        "link-leaves-parent",
        tar(folder("a"), sym("a/l", "../../v")),
        "leaves the folder",
        seen=KEPT,
    ),
    Case(
        "link-to-parent-itself", tar(folder("a"), sym("a/l", "..")), "leaves the folder", seen=KEPT
    ),
    Case(
        "link-outside-without-root", tar(sym("l", "../v"), entry("b")), "leads outside", seen=KEPT
    ),
    Case(
        "member-below-link", tar(folder("a"), sym("a/l", "../v"), entry("a/l/w")), "members below"
    ),
    Case(
        "link-replaces-folder", tar(folder("a/d"), sym("a/d", "/v"), entry("a/d/w")), "two members"
    ),
    Case(
        "member-below-later-link",
        tar(folder("a"), entry("a/l/w"), sym("a/l", "b")),
        "members below",
    ),
    Case(
        "link-through-link",
        tar(folder("a/b/c"), sym("a/l", "b/c"), sym("a/m", "l/../../../../x")),
        "leaves the folder",
        seen=KEPT,
    ),
    Case(
        "link-up-through-sibling",
        tar(folder("a"), sym("a/l", "../b/c/../../../x")),
        "through a sibling",
        seen=KEPT,
    ),
    Case(
        "link-up-through-sibling-link",
        tar(folder("a"), sym("a/l", "../b/c"), sym("a/m", "l/../../../x")),
        "through a sibling",
        seen=KEPT,
    ),
    Case(
        "link-self-name-outside",
        tar(folder("a"), sym("a/l", "../a/../a/../..")),
        "leaves the folder",
        seen=KEPT,
    ),
    Case("link-empty", tar(folder("a"), sym("a/l", "")), "empty target"),
    Case("link-newline", tar(folder("a"), sym("a/l", "x\ny")), "character", seen=KEPT),
    Case("cve-2025-4517", _long_name_chain(), "members below"),
    Case(
        "pax-empty-path",
        tar(pax(record("path", ""), record("linkpath", "..")), sym("a", "x")),
        "empty",
    ),
    Case("pax-empty-link", tar(pax(record("linkpath", "")), sym("a", "x")), "empty"),
    Case("loop", tar(sym("d/a", "b"), sym("d/b", "a")), "loop", seen=KEPT, root="d"),
    Case("loop-self", tar(sym("d/a", "a")), "loop", seen=KEPT, root="d"),
    Case(
        "loop-through-folder",
        tar(folder("d"), sym("d/a", "b/x"), sym("d/b", "a/y")),
        "loop",
        seen=KEPT,
        root="d",
    ),
    Case("chain-60", _chain(60), "links", seen=KEPT),
    Case(
        "windows-link-backslash",
        tar(folder("a"), sym("a/l", "..\\..\\x")),
        "Windows",
        WINDOWS,
        seen=KEPT,
    ),
    Case("windows-link-drive", tar(folder("a"), sym("a/l", "C:x")), "Windows", WINDOWS, seen=KEPT),
    Case(
        "macos-link-other-case",
        tar(folder("a"), sym("a/l", "../A/../../x")),
        "leaves the folder",
        MACOS,
        seen=KEPT,
    ),
    # Hard links
    Case("hard-absolute", tar(hard("a", "/v/flag")), "absolute"),
    Case("hard-then-file", tar(hard("a", "/v/flag"), entry("a")), "two members"),
    Case("hard-to-link", tar(folder("a"), sym("a/s", "x"), hard("a/h", "a/s")), "regular file"),
    Case(
        "hard-to-later-link", tar(folder("a"), hard("a/h", "a/s"), sym("a/s", "x")), "regular file"
    ),
    Case("hard-to-later-file", tar(folder("a"), hard("a/h", "a/s"), entry("a/s")), "regular file"),
    Case("hard-to-folder", tar(folder("a"), folder("a/d"), hard("a/h", "a/d")), "regular file"),
    Case("hard-to-itself", tar(folder("a"), hard("a/h", "a/h")), "regular file"),
    Case("hard-to-parent", tar(folder("a"), hard("a/h", "../x")), "'..'"),
    Case("hard-empty", tar(folder("a"), hard("a/h", "")), "empty target"),
    # Types
    Case("fifo", tar(entry("a/f", kind="6")), "FIFO", seen=LEFT_OUT),
    Case("character-device", tar(entry("a/c", kind="3")), "character device", seen=LEFT_OUT),
    Case("block-device", tar(entry("a/c", kind="4")), "block device", seen=LEFT_OUT),
    Case("contiguous", tar(entry("a/c", kind="7")), "contiguous"),
    Case("type-Z", tar(entry("a/c", kind="Z")), "type b'Z' is unknown"),
    Case(
        "sparse-gnu",
        tar(entry("a/s", kind="S", size=b"\x80" + (1 << 40).to_bytes(11, "big"))),
        "sparse",
    ),
    Case(
        "sparse-pax", tar(pax(record("GNU.sparse.realsize", str(1 << 40))), entry("a/s")), "sparse"
    ),
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
    # The layer's own top folder is something else
    Case("top-is-a-link", tar(sym("a", "../victim"), entry("a/w")), "members below"),
    Case("top-is-a-later-link", tar(entry("a/w"), sym("a", "../victim")), "members below"),
    Case("top-is-a-file", tar(entry("a"), entry("a/b")), "members below"),
    Case("top-is-a-hard-link", tar(entry("b"), hard("a", "b"), entry("a/w")), "members below"),
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
    Case(
        "too-many-components", tar(pax(record("path", "d/" * 300 + "f")), entry("x")), "components"
    ),
    Case("long-component", tar(pax(record("path", "d/" + "n" * 256)), entry("x")), "255 bytes"),
    # Extended headers
    Case(
        "pax-over-long-name",
        tar(pax(record("size", "1024")), gnu_long("L", "a/b"), entry("a/c")),
        "together with",
    ),
    Case(
        "long-name-under-pax",
        tar(gnu_long("L", "a/b"), pax(record("path", "a/d")), entry("a/c")),
        "over another",
    ),
    Case(
        "pax-twice",
        tar(pax(record("path", "a/b")), pax(record("path", "a/c")), entry("a/d")),
        "over another",
    ),
    Case("long-name-twice", tar(gnu_long("L", "a/b"), gnu_long("L", "a/c"), entry("a/d")), "twice"),
    Case("long-name-unterminated", tar(entry("x", b"a/b", kind="L"), entry("a/d")), "zero byte"),
    Case(
        "pax-duplicate-key",
        tar(pax(record("path", "a/b"), record("path", "a/c")), entry("a/d")),
        "twice",
    ),
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
    Case(
        "pax-charset",
        tar(pax(record("hdrcharset", "ISO-IR 8859 1 1998")), entry("a/d")),
        "character set",
    ),
    Case("pax-before-end", tar(entry("a/d"), pax(record("path", "a/b"))), "isn't followed"),
    Case(
        "pax-too-long",
        tar(pax(record("SCHILY.xattr.user.x", "v" * (1 << 20))), entry("a/d")),
        "longer than",
    ),
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


# Zip

A = ZipMember(name="r/a", data=b"content")
B = ZipMember(name="r/b", data=b"other content")
LINK = ZipMember(name="r/l", data=b"a", mode=0o120777)


def _quoted_overlap() -> bytes:
    """CVE-2024-0450: the first member's data contains the second member, and both are listed."""
    inner = zip_file(B)[: 30 + len("r/b") + 15]
    outer = ZipMember(name="r/a", data=inner, method=0)
    return zip_file(outer, replace(B, offset=30 + len("r/a")))


def zip64(
    *, position: int | None = None, count: int = 1, version_of_truth: int | None = None
) -> bytes:
    plain = zip_file(A)
    end = len(plain) - 22
    offset = struct.unpack_from("<I", plain, end + 16)[0]
    size = end - offset
    record = struct.pack(
        "<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, version_of_truth or offset
    )
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end if position is None else position, 1)
    return plain[:end] + record + locator + plain[end:]


_ZIP = [
    Case("parent", zip_file(ZipMember(name="../x")), "'..'"),
    Case("absolute", zip_file(ZipMember(name="/x")), "absolute"),
    Case("backslash", zip_file(ZipMember(name="a\\b")), "backslash"),
    Case("drive", zip_file(ZipMember(name="C:x")), "drive"),
    Case("control", zip_file(ZipMember(name="a\nb")), "character"),
    Case("zero", zip_file(ZipMember(name="a\0b")), "character"),
    Case("reserved", zip_file(ZipMember(name="r/nul.txt")), "device", WINDOWS),
    Case("member-below-link", zip_file(LINK, ZipMember(name="r/l/w")), "members below"),
    Case(
        "top-is-a-link",
        zip_file(replace(LINK, name="r", data=b"../victim"), ZipMember(name="r/w")),
        "members below",
    ),
    Case("top-is-a-file", zip_file(ZipMember(name="r"), ZipMember(name="r/b")), "members below"),
    Case(
        "link-outside", zip_file(replace(LINK, data=b"../../x"), A), "leaves the folder", seen=KEPT
    ),
    Case("link-absolute", zip_file(replace(LINK, data=b"/x"), A), "absolute", seen=KEPT),
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
    Case("zip64-locator-lies", zip64(position=0), "locator"),
    Case("zip64-contradicts", zip64(count=2), "contradict"),
    Case("zip64-other-directory", zip64(version_of_truth=1), "contradict"),
    Case("zip64-missing", zip_file(A, count=0xFFFF), "zip64"),
    Case("zip64-field-missing", zip_file(replace(A, size=0xFFFFFFFF)), "zip64"),
    Case("zip64-field-idle", zip_file(replace(A, extra=struct.pack("<2HQ", 1, 8, 7))), "zip64"),
    Case("extra-malformed", zip_file(replace(A, extra=b"\1\0\xff\0")), "extra field"),
    Case(
        "second-name",
        zip_file(replace(A, extra=struct.pack("<2H", 0x7075, 1) + b"x")),
        "second name",
    ),
    Case("encrypted", zip_file(replace(A, flags=1)), "encrypted"),
    Case("strongly-encrypted", zip_file(replace(A, flags=0x40)), "encrypted"),
    Case("unknown-flag", zip_file(replace(A, flags=0x20)), "unknown flags"),
    Case("lzma", zip_file(replace(A, method=14, packed=b"x")), "method 14"),
    Case("cp437", zip_file(replace(A, name=b"r/\x82")), "UTF-8"),
    Case("not-utf8", zip_file(replace(A, name=b"r/\xff", flags=0x800)), "UTF-8"),
    Case("fifo", zip_file(replace(A, mode=0o010644)), "special file"),
    Case(
        "folder-with-content",
        zip_file(ZipMember(name="r/d/", data=b"x", mode=0o040755)),
        "folder with content",
    ),
    Case("folder-that-is-a-file", zip_file(ZipMember(name="r/d/", mode=0o100644)), "contradict"),
    Case("unknown-system", zip_file(replace(A, system=1)), "system"),
    Case(
        "bomb", zip_file(ZipMember(name="z", data=bytes(65 * MIB))), "200 times", error=LimitError
    ),
    Case("truncated", zip_file(A)[:-1], "end of the file"),
    Case("only-the-start", zip_file(A)[:40], "end of the file"),
]
ZIP = [replace(case, file="layer.zip", root="r") for case in _ZIP]


# Compression

HONEST = tar(folder("a"), entry("a/b", b"content" * 100))


def _bomb(name: str) -> bytes:
    return PACK[name](bytes(64 * MIB))


def _cut(name: str) -> bytes:
    return PACK[name](HONEST)[:-20]


def _flipped_without_check() -> bytes:
    packed = bytearray(lzma.compress(HONEST, check=lzma.CHECK_NONE))
    packed[len(packed) // 2] ^= 1
    return bytes(packed)


def _flipped(name: str) -> bytes:
    packed = bytearray(PACK[name](HONEST))
    packed[len(packed) // 2] ^= 0x10
    return bytes(packed)


COMPRESSED = [
    *(
        Case(f"{name}-bomb", partial(_bomb, name), "200 times", LINUX, LimitError, f"layer.{name}")
        for name in PACK
    ),
    *(Case(f"{name}-cut", _cut(name), "tream", file=f"layer.{name}") for name in PACK),
    *(Case(f"{name}-flipped", _flipped(name), "stream", file=f"layer.{name}") for name in PACK),
    *(
        Case(
            f"{name}-garbage",
            PACK[name](HONEST) + b"garbage",
            "after the end",
            file=f"layer.{name}",
        )
        for name in PACK
    ),
    *(
        Case(f"{name}-second", PACK[name](HONEST) * 2, "after the end", file=f"layer.{name}")
        for name in PACK
    ),
    *(
        Case(f"{name}-no-tar", PACK[name](b"hello" * 1000), "tar stream", file=f"layer.{name}")
        for name in PACK
    ),
    Case("xz-dictionary", xz_with_dictionary(37), "dictionary", LINUX, LimitError, "layer.tar.xz"),
    Case(
        "xz-no-check",
        lzma.compress(HONEST, check=lzma.CHECK_NONE),
        "no integrity check",
        file="layer.tar.xz",
    ),
    Case("xz-no-check-flipped", _flipped_without_check(), "xz stream", file="layer.tar.xz"),
    Case("xz-is-zip", zip_file(A), "content is zip, although", file="layer.tar.xz"),
    Case("xz-is-zst", PACK["tar.zst"](HONEST), "content is tar.zst, although", file="layer.tar.xz"),
    Case(
        "zst-window",
        zstd_frame(0, bytes((21 << 3,))) + bytes(16),
        "window",
        LINUX,
        LimitError,
        "layer.tar.zst",
    ),
    Case(
        "zst-content-size",
        zstd_frame(0xC0, bytes((10 << 3,)), (1 << 50).to_bytes(8, "little")) + bytes(16),
        "declares",
        LINUX,
        LimitError,
        "layer.tar.zst",
    ),
    Case(
        "zst-dictionary",
        zstd_frame(1, bytes((10 << 3,)), b"\x07") + bytes(16),
        "dictionary",
        file="layer.tar.zst",
    ),
    Case(
        "zst-skippable",
        b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + PACK["tar.zst"](HONEST),
        "known",
        file="layer.tar.zst",
    ),
    Case("empty", b"", "known format"),
    Case("text", b"hello", "known format"),
]


# What is unusual and fine


@dataclass(frozen=True)
class Accepted:
    """An archive that is read.

    ``root`` is the layer's folder, ``members`` what comes out again below it (name, type flag,
    mode), ``warned`` part of a warning, or None where there is nothing to warn of.
    """

    name: str
    data: bytes
    root: str
    members: tuple[tuple[str, bytes, int], ...]
    warned: str | None = None


_PYTHON = ("bin/python", b"2", 0o777)

ACCEPTED = [
    Accepted(
        "sibling-link",
        tar(folder("app"), folder("app/bin"), sym("app/bin/python", "../../cpython/bin/python3")),
        "app",
        (("bin", b"5", 0o755), _PYTHON),
    ),
    Accepted(
        "modes",
        tar(
            folder("app"),
            *(entry(f"app/{mode:o}", b"x", mode=mode) for mode in (0o6755, 0o777, 0o1644, 0)),
        ),
        "app",
        (("6755", b"0", 0o755), ("777", b"0", 0o777), ("1644", b"0", 0o644), ("0", b"0", 0)),
        "setuid, setgid or sticky bit dropped: 6755, 1644",
    ),
    Accepted(
        "not-utf8", tar(folder("app"), entry(b"app/\xff", b"x")), "app", (("\udcff", b"0", 0o644),)
    ),
    Accepted(
        "attributes",
        tar(folder("app"), pax(record("SCHILY.xattr.user.x", b"\0\n=1")) + entry("app/f", b"x")),
        "app",
        (("f", b"0", 0o644),),
        "extended attributes dropped: app/f",
    ),
    Accepted(
        "manifest-inside",
        tar(
            folder("app"),
            entry("app/venvstacks.json", b"{}"),
            entry("app/__venvstacks__/venvstacks.json", b"{"),
        ),
        "app",
        (("venvstacks.json", b"0", 0o644), ("__venvstacks__/venvstacks.json", b"0", 0o644)),
    ),
    Accepted(
        "dot-root",
        tar(folder("./"), folder("./app"), entry("./app/f", b"x")),
        "app",
        (("f", b"0", 0o644),),
    ),
    Accepted(
        "chain-40",
        _chain(40),
        "a",
        (*((f"l{n}", b"2", 0o777) for n in range(40)), ("l40", b"0", 0o644)),
    ),
    Accepted(
        "dangling",
        tar(folder("app"), sym("app/l", "missing")),
        "app",
        (("l", b"2", 0o777),),
        "symbolic link to nothing: l -> missing",
    ),
    Accepted(
        "gnu-and-pax",
        tar(
            folder("app"),
            gnu_long("L", "app/" + "n" * 150) + entry("app/n", b"x"),
            pax(record("path", "app/" + "m" * 150), record("mtime", "1.5")) + entry("x", b"y"),
            gnu_long("K", "app/" + "m" * 150) + hard("app/h", "app/m"),
        ),
        "app",
        (("n" * 150, b"0", 0o644), ("m" * 150, b"0", 0o644), ("h", b"1", 0o644)),
    ),
]


def write_many(path: Path, count: int) -> None:
    """A tar file of ``count`` empty members. Written to disk: it takes 512 bytes a member."""
    block = entry("a/0000000")
    with path.open("wb") as stream:
        for number in range(count):
            name = b"a/%07d" % number
            total = b"%06o\0 " % (int(block[148:154], 8) + sum(name) - sum(block[:9]))
            stream.write(name + block[9:148] + total + block[156:])
        stream.write(END)
