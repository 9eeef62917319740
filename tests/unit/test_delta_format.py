"""Untrusted parts of a delta: tables, frames, documents. False ones are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import zstandard
from jsonschema import Draft202012Validator

from slim.delta import document
from slim.delta.frames import FRAME, pack, unpack
from slim.delta.pairing import fold, pair
from slim.delta.table import CopiedRun, Entry, Frame, NewMember, Piece, Table, parse, render
from slim.errors import LimitError, SlimError, UnsafeInputError
from slim.model.limits import Limits
from slim.model.record import EntryType
from tests.support.report_schemas import schema

FILE, FOLDER, LINK, HARD = (
    EntryType.FILE,
    EntryType.DIRECTORY,
    EntryType.SYMLINK,
    EntryType.HARDLINK,
)


def table_of(*lines: str) -> Table:
    text = "".join(f"{line}\n" for line in ("slim-patch 1", *lines))
    return parse(text.encode("utf-8", "surrogateescape"), source="p", limits=Limits(members=10))


def test_a_table_is_read_as_it_was_written() -> None:
    table = Table(
        old=[
            Entry("lib", FOLDER, 0o755),
            Entry("lib/a b.py", FILE, 0o644),
            Entry("lib/a c.py", HARD, 0o644, "lib/a b.py"),
            Entry("lib64", LINK, 0o777, "li b"),
            Entry("x\udcff", FILE, 0),
        ],
        frames=[Frame(10, 300, [Piece(1, 0, 7), Piece(4, 3, 0)]), Frame(5, 5)],
        root=(0o700, 0),
        new=[
            CopiedRun(0, 2, 1_700_000_000),
            NewMember(Entry("lib/new", FILE, 0o755), 1_700_000_000, slice=(0, 300)),
            NewMember(Entry("lib/moved", FILE, 0o644), 5, source=4),
            NewMember(Entry("lib/link", LINK, 0o777, "../lib"), 5),
            CopiedRun(4, 1, 5),
        ],
    )
    assert parse(render(table), source="p", limits=Limits()) == table


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), ""),
        (("x 1",), "can't stand here"),
        (("o",), "can't stand here"),
        (("t 1", "o f 644 0 a"), "can't stand here"),
        (("o q 644 0 a",), "must be a type"),
        (("o f 99 0 a",), "must be a type"),
        (("o f 644 1 a",), "can't be read"),
        (("o f 644 0 a\0b",), "links have a target"),
        (("o l 777 0 a",), "links have a target"),
        (("o l 777 0 a\0b\0c",), "can't be read"),
        (("o f 644 0 " + "a" * 5000,), "more than 4096"),
        (("u 0 0 1",), "no frame"),
        (("z 1 -1",), "whole numbers"),
        (("z 1 01",), "whole numbers"),
        (("z 1 \u0661",), "whole numbers"),
        (("z 1 99999999999999999",), "whole numbers"),
        (("o d 755 0 a", "z 1 1", "u 0 0 1"), "isn't there"),
        (("z 1 1", "u 0 0 1"), "isn't there"),
        (("r 755 1", "r 755 1"), "one mode"),
        (("k 0 1",), "old members"),
        (("o f 644 0 a", "t 1", "k 0 2"), "old members"),
        (("o f 644 0 a", "t 1", "k 0 0"), "old members"),
        (("o f 644 0 a", "k 0 1"), "no time"),
        (("t 8589934592",), "no archive can hold"),
        (("t 1", "n f 644 0 a"), "no content"),
        (("t 1", "n f 644 0 a", "n d 755 0 b"), "no content"),
        (("o f 644 0 a", "t 1", "n f 644 0 b", "k 0 1"), "no content"),
        (("t 1", "n d 755 0 a", "s 0 0"), "no new file"),
        (("t 1", "n f 644 0 a", "s 0 1"), "beyond the payload"),
        (("z 1 5", "t 1", "n f 644 0 a", "s 5 1"), "beyond the payload"),
        (("t 1", "n f 644 0 a", "c 0"), "isn't there"),
        (("t 1", "n f 644 0 a", "s 0 0", "s 0 0"), "no new file"),
    ],
)
def test_tables_that_are_refused(lines: tuple[str, ...], message: str) -> None:
    if not lines:
        assert table_of() == Table()
        return
    with pytest.raises(UnsafeInputError, match=message):
        table_of(*lines)


MOVED = ("o f 644 0 a", "z 1 9", "z 1 1", "u 0 0 1")


def table_with_moves(*lines: str, version: int = 2) -> Table:
    text = "".join(f"{line}\n" for line in (f"slim-patch {version}", *lines))
    return parse(text.encode(), source="p", limits=Limits(members=10))


@pytest.mark.parametrize("version", [2, 3])
def test_moves_are_read_as_they_were_written(version: int) -> None:
    table = table_with_moves(*MOVED, "v 4 5", version=version)
    assert table.frames[1].pieces == [Piece(0, 0, 1, (4, 5))]
    assert table.has_moves and table.has_more_moves == (version == 3)
    assert render(table).startswith(b"slim-patch %d\n" % version)
    assert parse(render(table), source="p", limits=Limits()) == table


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("v 0 0",), "no piece"),
        (("z 1 9", "v 0 0"), "no piece"),
        (("z 1 9", "z 1 9", "v 0 0"), "no piece"),
        ((*MOVED[:2], MOVED[3], "v 0 0"), "no piece"),
        ((*MOVED, "v 0"), "whole numbers"),
        ((*MOVED, "v 5 5"), "beyond the first frame"),
        ((*MOVED, "v 0 1", "v 0 1"), "moved already"),
        ((*MOVED, "v 0 1", "z 1 1", "u 0 0 1", "v 0 1"), "moved already"),
        ((*MOVED, "r 755 1", "v 0 1"), "can't stand here"),
    ],
)
def test_moves_that_are_refused(lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(UnsafeInputError, match=message):
        table_with_moves(*lines)


def test_the_first_form_has_no_moves() -> None:
    with pytest.raises(UnsafeInputError, match="no piece"):
        table_of(*MOVED, "v 0 0")


def test_too_many_members() -> None:
    with pytest.raises(LimitError):
        table_of("o f 644 0 a", "t 1", *["k 0 1"] * 20)


@pytest.mark.parametrize("text", [b"", b"slim-patch 1", b"slim-patch 4\n", b"\n"])
def test_what_isnt_a_table(text: bytes) -> None:
    with pytest.raises(UnsafeInputError):
        parse(text, source="p", limits=Limits())


# Frames


def test_a_frame_gives_what_was_packed_and_needs_its_dictionary() -> None:
    old = bytes(range(256)) * 40
    packed = pack(old[100:] + b"end", [old])
    assert len(packed) < 60
    assert (
        b"".join(unpack(memoryview(packed), len(old) - 97, old, source="p")) == old[100:] + b"end"
    )
    with pytest.raises(UnsafeInputError):
        b"".join(unpack(memoryview(packed), len(old) - 97, old[::-1], source="p"))
    with pytest.raises(UnsafeInputError):
        b"".join(unpack(memoryview(packed), len(old) - 97, source="p"))


def _frame(**changes: Any) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, **changes)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(b"x" * 1000)


@pytest.mark.parametrize(
    ("packed", "size", "kind"),
    [
        (b"", 0, UnsafeInputError),
        (b"\x28\xb5\x2f\xfd", 0, UnsafeInputError),
        (b"\x50\x2a\x4d\x18\x04\0\0\0abcd", 0, UnsafeInputError),
        (pack(b"x" * 1000), 999, UnsafeInputError),
        (pack(b"x" * 1000)[:-1], 1000, UnsafeInputError),
        (pack(b"x" * 1000) + b"y", 1000, UnsafeInputError),
        (pack(b"x" * 1000) * 2, 1000, UnsafeInputError),
        (_frame(write_content_size=False), 1000, UnsafeInputError),
        (pack(b"x" * 1000), FRAME + 1, LimitError),
        (b"\x28\xb5\x2f\xfd\x04\xa8" + b"\0" * 12, 1000, LimitError),  # a window of 2^31 bytes
    ],
)
def test_frames_that_are_refused(packed: bytes, size: int, kind: type[SlimError]) -> None:
    with pytest.raises(kind):
        b"".join(unpack(memoryview(packed), size, source="p"))


# Which was which


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("s/foo-1.2.dist-info/RECORD", "s/foo-1.3.1rc2.dist-info/RECORD", True),
        ("x.libs/libscipy_openblas-6cdc3b4a.so", "x.libs/libscipy_openblas-68440149.so", True),
        (
            "x.libs/libgfortran-040039e1-0352e75f.so.5.0.0",
            "x.libs/libgfortran-8f1e9814-12cd75f1.so.5.0.0",
            True,
        ),
        ("lib/libssl.so.1.1", "lib/libssl.so.3", True),
        ("lib/python3.12/os.py", "lib/python3.13/os.py", True),
        ("a.cpython-312-x86_64-linux-gnu.so", "a.cpython-313-x86_64-linux-gnu.so", True),
        ("foo-1.2.dist-info/RECORD", "bar-1.2.dist-info/RECORD", False),
        ("lib/libssl.so.1.1", "lib/libcrypto.so.1.1", False),
    ],
)
def test_versions_are_folded(one: str, other: str, same: bool) -> None:
    assert (fold(one) == fold(other)) is same


def test_pairs() -> None:
    gone = {"a.py": 1, "foo-1.dist-info/RECORD": 1, "lib/x-1.so": 1, "old/x-2.so": 1, "left.txt": 1}
    found, left = pair(
        ["a.py", "foo-2.dist-info/RECORD", "lib/x-3.so", "new/x-4.so", "fresh.md"], gone
    )
    assert found == {
        "a.py": "a.py",
        "foo-2.dist-info/RECORD": "foo-1.dist-info/RECORD",
        "lib/x-3.so": "lib/x-1.so",
        "new/x-4.so": "old/x-2.so",
    }
    assert left == ["left.txt"]


# The document

SHA = "ab" * 32


def state(**changes: Any) -> dict[str, Any]:
    archive = {"name": "app.tar.xz", "size": 9, "sha256": SHA, "format": "tar.xz"}
    return {"tree_sha256": SHA, "root": "app", "size": 5, "archive": archive, **changes}


def layer(**changes: Any) -> dict[str, Any]:
    named = {"root": changes["name"]} if "name" in changes else {}
    return {
        "name": "app",
        "action": "patch",
        "old": state(),
        "new": state(tree_sha256="cd" * 32, **named),
        "file": {"name": "app.patch", "size": 3, "sha256": SHA},
        "table": {"packed": 2, "unpacked": 20},
        "method": "files",
        **changes,
    }


def whole(*layers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    stack = {
        "platform": "linux_x86_64",
        "kind": "published",
        "manifest": None,
        "metadata": {},
        "layers": list(layers),
    }
    return {
        "schema": document.SCHEMA_ID,
        "schema_version": 1,
        "slim_version": "1",
        "stacks": [stack],
        **changes,
    }


def put(folder: Path, value: object) -> Path:
    (folder / document.NAME).write_text(value if isinstance(value, str) else json.dumps(value))
    return folder


def test_a_document_is_read_as_it_was_written(tmp_path: Path) -> None:
    value = whole(
        layer(),
        layer(
            name="same",
            action="unchanged",
            new=state(root="same"),
            file=None,
            table=None,
            method=None,
        ),
        layer(name="gone", action="removed", new=None, file=None, table=None, method=None),
        layer(
            name="all",
            action="full",
            old=None,
            table=None,
            method=None,
            file={"name": "app.tar.xz", "size": 9, "sha256": SHA},
        ),
        layer(name="folder", old=state(archive=None, root=""), new=state(archive=None, root="")),
    )
    Draft202012Validator(schema("delta-v1")).validate(value)
    read = document.read(put(tmp_path, value))
    assert json.loads(document.render(read)) == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[]", "object"),
        ("{", "line 1"),
        (whole(layer(), schema="urn:slim:delta:v2"), "schema"),
        (whole(layer(), schema_version=True), "whole number"),
        (whole(layer(), stacks=[]), "empty"),
        (whole(layer(), stacks={}), "list"),
        (whole(), "empty"),
        (whole(layer(), layer()), "twice"),
        (whole(layer(), layer(name="APP")), "twice"),
        (whole(layer(name="../app")), "plain file name"),
        (whole(layer(name="..")), "plain file name"),
        (whole(layer(name="")), "plain file name"),
        (whole(layer(action="swap")), "one of"),
        (whole(layer(new=None)), "must be there"),
        (whole(layer(file=None)), "must be there"),
        (whole(layer(table=None)), "must be there"),
        (whole(layer(action="removed", file=None, table=None)), "must be there"),
        (whole(layer(action="unchanged", file=None, table=None)), "differs"),
        (whole(layer(action="unchanged", old=None, file=None, table=None)), "must be there"),
        (whole(layer(action="full", table=None)), "archive of the new layer"),
        (whole(layer(file={"name": "../x", "size": 3, "sha256": SHA})), "plain file name"),
        (whole(layer(file={"name": "/etc/passwd", "size": 3, "sha256": SHA})), "plain file name"),
        (whole(layer(file={"name": "x", "size": -3, "sha256": SHA})), "whole number"),
        (whole(layer(file={"name": "x", "size": 3.0, "sha256": SHA})), "whole number"),
        (whole(layer(file={"name": "x", "size": 3, "sha256": "AB" * 32})), "hexadecimal"),
        (whole(layer(new=state(root="a/b"))), "plain file name"),
        (
            whole(
                layer(new=state(archive={"name": "x", "size": 3, "sha256": SHA, "format": "rar"}))
            ),
            "one of",
        ),
        (
            whole(
                layer(), layer(name="b", file={"name": "APP.patch", "size": 3, "sha256": "cd" * 32})
            ),
            "two files",
        ),
    ],
)
def test_documents_that_are_refused(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(UnsafeInputError, match=message):
        document.read(put(tmp_path, value))
