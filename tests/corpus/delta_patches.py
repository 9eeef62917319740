"""Forged patches of deltas: their bytes, their tables, and the members in them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from slim.delta import document
from slim.delta.frames import pack
from slim.delta.table import CopiedRun, Entry, Frame, NewMember, Piece, Table, render
from slim.errors import IntegrityError, LimitError, SlimError, UnsafeInputError
from slim.model.record import EntryType
from tests.corpus.scene import Scene
from tests.support.delta_packages import forged, layer_of, put_patch, taken_apart

NAME = document.NAME
PATCH = "app.patch"
Change = Callable[[Scene], object]
Row = tuple[str, Change, type[SlimError], tuple[str, ...]]
"""A case: its name, what makes it, how it ends, and what is said."""


# Bytes of a patch


def _bytes(change: Callable[[bytes], bytes], *, true: bool = True) -> Change:
    """Change the patch file; ``true`` says that the document is changed with it."""

    def prepare(made: Scene) -> None:
        data = change((made.delta / PATCH).read_bytes())
        if true:
            put_patch(made.delta, data)
        else:
            (made.delta / PATCH).write_bytes(data)

    return prepare


def _first(frame: Callable[[bytes], bytes], unpacked: int | None = None) -> Change:
    """Another frame for the table, truly described but for its content."""

    def prepare(made: Scene) -> None:
        table, frames = taken_apart(made.delta)
        first = frame(pack(render(table)))
        put_patch(
            made.delta, first + b"".join(frames), (len(first), unpacked or len(render(table)))
        )

    return prepare


def header(content: int, window: int | None = None) -> bytes:
    """Header of a Zstandard frame with a size of its content and a window descriptor.

    Source: RFC 8878, 3.1.1.1.
    """
    if window is None:
        return b"\x28\xb5\x2f\xfd" + struct.pack("<BQ", 0b11100000, content)
    return b"\x28\xb5\x2f\xfd" + struct.pack("<BBQ", 0b11000000, window, content)


def _payload(change: Callable[[Table, list[bytes]], object]) -> Change:
    """Change the table and the frames of the payload; all sizes are true."""

    def prepare(made: Scene) -> None:
        table, frames = taken_apart(made.delta)
        size = _size(made)
        change(table, frames)
        table.frames = [
            replace(one, packed=len(frame))
            for one, frame in zip(table.frames, frames, strict=False)
        ]
        forged(made.delta, table, frames, size=size)

    return prepare


def _size(made: Scene) -> int:
    size: int = layer_of(json.loads((made.delta / NAME).read_text()))["new"]["size"]
    return size


def _set(frames: list[bytes], frame: bytes) -> None:
    frames[0] = frame


def _frame(table: Table, **fields: Any) -> None:
    table.frames[0] = replace(table.frames[0], **fields)


def patches() -> Iterator[Row]:
    yield "cut, and not told", _bytes(lambda data: data[:-9], true=False), IntegrityError, (PATCH,)
    yield (
        "garbage after it, and not told",
        _bytes(lambda data: data + b"x", true=False),
        IntegrityError,
        (PATCH,),
    )
    yield "empty", _bytes(lambda data: b""), UnsafeInputError, (PATCH, "shorter than its table")
    yield "cut", _bytes(lambda data: data[:-9]), UnsafeInputError, (PATCH, "its table speaks of")
    yield (
        "garbage after it",
        _bytes(lambda data: data + b"x"),
        UnsafeInputError,
        (PATCH, "its table speaks of"),
    )
    yield (
        "a frame after it",
        _bytes(lambda data: data + pack(b"x")),
        UnsafeInputError,
        (PATCH, "its table speaks of"),
    )
    yield (
        "no Zstandard",
        _bytes(lambda data: b"\0" * len(data)),
        UnsafeInputError,
        (PATCH, "damaged"),
    )
    second = _first(lambda frame: frame + pack(b"x"))
    yield "table, a second frame", second, UnsafeInputError, (PATCH, "after")
    yield "table, cut", _first(lambda frame: frame[:-4]), UnsafeInputError, (PATCH, "truncated")
    wrong = _first(lambda frame: frame[:-1] + bytes((frame[-1] ^ 1,)))
    yield "table, another checksum", wrong, UnsafeInputError, (PATCH, "damaged")
    yield (
        "table, another size",
        _first(lambda frame: frame, 9),
        UnsafeInputError,
        (PATCH, "another size"),
    )
    yield (
        "table, 1 TiB",
        _first(lambda _: header(1 << 40), 1 << 40),
        LimitError,
        (PATCH, "a frame of more than"),
    )
    yield (
        "table, a window of 1 TiB",
        _first(lambda _: header(100, 0xF0), 100),
        LimitError,
        (PATCH, "a frame of more"),
    )
    yield (
        "table, a dictionary",
        _first(lambda _: b"\x28\xb5\x2f\xfd\x21\x07\x64"),
        UnsafeInputError,
        (PATCH, "size"),
    )
    zeros = _payload(lambda table, frames: _set(frames, pack(bytes(1 << 20))))
    yield "payload, a bomb", zeros, UnsafeInputError, (PATCH, "another size")
    second = _payload(lambda table, frames: _set(frames, frames[0] + pack(b"x")))
    yield "payload, a second frame", second, UnsafeInputError, (PATCH, "after")
    yield (
        "payload, cut",
        _payload(lambda table, frames: _set(frames, frames[0][:-4])),
        UnsafeInputError,
        (PATCH,),
    )
    huge = _payload(
        lambda table, frames: (_set(frames, header(1 << 40)), _frame(table, unpacked=1 << 40))
    )
    yield "payload, 1 TiB", huge, LimitError, (PATCH, "gives 1099511627776 bytes")
    large = _payload(
        lambda table, frames: (_set(frames, header(60 << 20)), _frame(table, unpacked=60 << 20))
    )
    yield "payload, 60 MiB", large, LimitError, (PATCH, "a frame of more than")
    window = _payload(lambda table, frames: _set(frames, header(table.frames[0].unpacked, 0xF0)))
    yield "payload, a window of 1 TiB", window, LimitError, (PATCH, "a frame of more than")
    piece = _payload(lambda table, frames: _frame(table, pieces=[Piece(_file(table), 1 << 40, 1)]))
    yield "dictionary, beyond the old file", piece, UnsafeInputError, (PATCH, "beyond an old file")
    piece = _payload(lambda table, frames: _frame(table, pieces=[Piece(_file(table), 0, 1 << 40)]))
    yield "dictionary, 1 TiB", piece, LimitError, (PATCH, "a dictionary of more than")
    piece = _payload(lambda table, frames: _frame(table, pieces=[Piece(_file(table), 0, 1)] * 2))
    yield (
        "dictionary, one file twice",
        piece,
        UnsafeInputError,
        (PATCH, "in this dictionary already"),
    )
    piece = _payload(lambda table, frames: _frame(table, pieces=[]))
    yield "dictionary, left out", piece, UnsafeInputError, (PATCH,)
    yield "payload, 1,000 empty frames", _payload(_empty_frames), LimitError, (PATCH, "1001 frames")

    for name, form, says in _MOVES:
        yield f"moves, {name}", _payload(_moves(form)), UnsafeInputError, (PATCH, says)
    yield "moves, 40 MiB", _payload(_moves(b"\0" * 4, 40 << 20)), LimitError, (PATCH, "moves of a")


_MOVES = [
    ("empty", b"", "they are cut"),
    ("cut", b"\0\0\x05", "they are cut"),
    ("2,000 regions", b"\0\0\xd0\x0f", "2000 regions"),
    ("a region beyond the old file", b"\0\0\1\1\0\x7f\0\0", "a region that isn't there"),
    ("an unknown kind", b"\0\0\1\x7f\0\0\0\0", "can't be read"),
    ("an endless number", b"\xff" * 64, "too large"),
    ("more than it says", b"\0\0\0\0\0", "they are cut"),
    ("fewer than it says", b"\0\0\0\x09\0", "another number"),
    ("a number of 2 ** 40", b"\0\0\0\x80\x80\x80\x80\x80\x20", "1099511627776 moves"),
]


def _moves(form: bytes, length: int = 1) -> Callable[[Table, list[bytes]], object]:
    """Put these moves before the payload, and have a piece that they are of."""

    def change(table: Table, frames: list[bytes]) -> None:
        piece = Piece(_file(table), 0, length, (0, len(form)))
        _frame(table, pieces=[piece])
        table.frames.insert(0, Frame(1, len(form)))
        frames.insert(0, pack(form))

    return change


def _empty_frames(table: Table, frames: list[bytes]) -> None:
    frames.extend([pack(b"")] * 1000)
    table.frames.extend([Frame(1, 0, [Piece(_file(table), 0, 1)])] * 1000)


def _file(table: Table) -> int:
    return next(number for number, entry in enumerate(table.old) if entry.type is EntryType.FILE)


# The table


def _lines(change: Callable[[list[str]], object]) -> Change:
    """Change the lines of the table."""

    def prepare(made: Scene) -> None:
        table, frames = taken_apart(made.delta)
        lines = render(table).decode().splitlines()
        changed = change(lines)
        text = (
            changed
            if isinstance(changed, bytes)
            else "".join(f"{line}\n" for line in lines).encode()
        )
        forged(made.delta, text, frames, size=_size(made))

    return prepare


def tables() -> Iterator[Row]:
    lines: list[tuple[str, Callable[[list[str]], object], str]] = [
        ("another version", lambda lines: lines.__setitem__(0, "slim-patch 9"), "begin with"),
        ("no end", lambda lines: b"slim-patch 1", "no end"),
        ("copy of nothing", lambda lines: lines.extend(["n f 644 0 zz", "c 99999"]), "isn't there"),
        ("copy of a folder", lambda lines: lines.extend(["n f 644 0 zz", "c 0"]), "isn't there"),
        ("range of nothing", lambda lines: lines.append("k 99999 1"), "aren't there"),
        ("range beyond the end", lambda lines: lines.append("k 0 99999"), "aren't there"),
        (
            "slice beyond the payload",
            lambda lines: lines.extend(["n f 644 0 zz", "s 0 999999999"]),
            "payload",
        ),
        ("no content", lambda lines: lines.append("n f 644 0 zz"), "no content"),
        ("size -1", lambda lines: lines.extend(["n f 644 0 zz", "s 0 -1"]), "whole numbers"),
        ("order", lambda lines: lines.append("o f 644 0 zz"), "can't stand here"),
        ("unknown line", lambda lines: lines.append("x 1"), "can't stand here"),
        ("a time beyond 2242", lambda lines: lines.append("t 9999999999"), "no archive can hold"),
        ("name of 5,000 characters", lambda lines: lines.append(f"n d 755 0 {'d' * 5000}"), "4096"),
    ]  # fmt: skip
    for name, change, says in lines:
        yield f"table, {name}", _lines(change), UnsafeInputError, (PATCH, says)
    many = _lines(lambda lines: lines.extend(["k 0 5"] * 60_001))
    yield "table, 300,005 members", many, LimitError, (PATCH, "members")
    bytes_ = _lines(lambda lines: lines.extend(["n f 644 0 zz", "s 0 1"]))
    yield "table, one byte more", bytes_, UnsafeInputError, (PATCH, "bytes instead of")
    other = _lines(lambda lines: lines.insert(1, "o f 644 0 zz"))
    yield "table, an old file that isn't there", other, IntegrityError, ("app", "zz isn't there")
    twice = _lines(lambda lines: lines.insert(1, lines[1]))
    yield "table, an old member twice", twice, UnsafeInputError, ("app", "one name")


# Members


def _entry(path: str, kind: EntryType = EntryType.FILE, link: str | None = None) -> Entry:
    return Entry(path=path, type=kind, mode=0o755, link=link)


def adds(*entries: Entry) -> Change:
    """More members, empty ones where they are files."""

    def change(table: Table, frames: list[bytes]) -> None:
        for one in entries:
            table.new.append(
                NewMember(one, 1, slice=(0, 0) if one.type is EntryType.FILE else None)
            )

    return _payload(change)


_OUT = [
    ("parent", (_entry("../v/flag"),), "'..'"),
    ("parents", (_entry("lib/../../v/flag"),), "'..'"),
    ("absolute", (_entry("/v/flag"),), PATCH),
    ("empty name", (_entry(""),), PATCH),
    ("zero folder", (_entry("a//b"),), PATCH),
    ("control character", (_entry("a\x1bb"),), "character"),
    ("right-to-left override", (_entry("a\u202egpj.py"),), "character"),
    ("link out", (_entry("l", EntryType.SYMLINK, "../../v"),), "leaves the folder"),
    ("absolute link", (_entry("l", EntryType.SYMLINK, "/v"),), "is absolute"),
    (
        "member through a link",
        (_entry("l", EntryType.SYMLINK, "lib"), _entry("l/flag")),
        "members below",
    ),
    (
        "links in a loop",
        (_entry("a", EntryType.SYMLINK, "b"), _entry("b", EntryType.SYMLINK, "a")),
        "loop",
    ),
    ("hard link out", (_entry("h", EntryType.HARDLINK, "../../v/flag"),), "'..'"),
    ("hard link to nothing", (_entry("h", EntryType.HARDLINK, "nothing"),), PATCH),
    ("hard link to a folder", (_entry("h", EntryType.HARDLINK, "lib"),), PATCH),
    ("a name twice", (_entry("zz"), _entry("zz")), "two members have this name"),
    ("a file and a folder", (_entry("zz"), _entry("zz/f")), "members below"),
    ("301 folders deep", (_entry("d/" * 300 + "f"),), "more than 256 components"),
]
FOLDED = [
    ("case, on macOS", (_entry("ZZ"), _entry("zz")), "is the same as"),
    ("case of folders, on macOS", (_entry("ZZ/a"), _entry("zz/b")), "is the same as"),
    ("normal forms, on macOS", (_entry("caf\u00e9"), _entry("cafe\u0301")), "is the same as"),
]
WINDOWS = [
    ("case, on Windows", (_entry("ZZ"), _entry("zz")), "is the same as"),
    ("device name", (_entry("aux.py"),), "names a device"),
    ("stream", (_entry("a:b"),), "contains ':'"),
    ("drive", (_entry("C:/v"),), PATCH),
    ("trailing dot", (_entry("zz."),), "dot or space"),
    ("backslashes", (_entry("..\\..\\v"),), "contains"),
]


def members() -> Iterator[Row]:
    for name, entries, says in _OUT:
        yield f"member, {name}", adds(*entries), UnsafeInputError, (PATCH, says)
    more = adds(_entry("zz"))
    yield "member, one more", more, IntegrityError, (PATCH, "doesn't give the layer")
    moved = _payload(lambda table, frames: table.new.append(CopiedRun(0, 1, 1)))
    yield "member, an old one twice", moved, UnsafeInputError, (PATCH, "two members have this name")


def again(made: Scene) -> None:
    """The patch that all others are made from, with none of their changes."""
    _payload(lambda table, frames: None)(made)
