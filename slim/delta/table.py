"""Table of a patch: the members of the new layer, and where the content of each comes from.

It is text, a fact a line, so that ordinary tools can show it (``zstd -dc`` on the first frame of a
patch). Lines are UTF-8 with surrogate escapes. Names of members hold neither newlines nor NUL.
Every line begins with a letter:

====  =====================  =======================================================================
line  fields                 meaning
====  =====================  =======================================================================
o     TYPE MODE SHARED REST  member of the old layer, in order; they are numbered from 0
z     PACKED UNPACKED        Zstandard frame of the payload, in order
u     OLD OFFSET LENGTH      piece of an old file that is part of the dictionary of the frame above
v     OFFSET LENGTH          moves of the piece above (see :mod:`slim.delta.moves`): a slice of what
                             the first frame gives
r     MODE TIME              root folder of the new layer
t     TIME                   modification time of the members below (until the next one)
k     OLD COUNT              COUNT old members, from number OLD on, unchanged but for their time
n     TYPE MODE SHARED REST  new member; the line below says where a file's content is
c     OLD                    it is that of an old file
s     OFFSET LENGTH          it is a slice of what the frames give
====  =====================  =======================================================================

``SHARED`` is how many characters the path has in common with the path before it, ``REST`` what
follows, and, after a NUL, the target of a link. ``MODE`` is octal, everything else decimal. The
first line is ``slim-patch 1``, or ``slim-patch 2`` if there are moves, or ``slim-patch 3`` if these
are moves of another file than ELF for x86-64.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import takewhile

from slim.delta.hints import GET_AGAIN
from slim.errors import LimitError, UnsafeInputError
from slim.formats.base import Member
from slim.formats.tar.parse import MAX_OCTAL
from slim.model.limits import Limits
from slim.model.record import EntryType

MAGIC = "slim-patch 1"
MAGIC_MOVES = "slim-patch 2"
"""First line of a table that has moves."""
MAGIC_MORE_MOVES = "slim-patch 3"
"""First line of a table that has moves which the first form of them couldn't tell."""
_TYPES = {
    "f": EntryType.FILE,
    "d": EntryType.DIRECTORY,
    "l": EntryType.SYMLINK,
    "h": EntryType.HARDLINK,
}
_LETTERS = {entry: letter for letter, entry in _TYPES.items()}
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z", re.ASCII)
_MODE = re.compile(r"[0-7]{1,4}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Piece:
    """Piece of ``length`` bytes of the old file number ``old``, from ``offset`` on.

    ``moves`` is a slice (offset and length) of what the first frame gives: how the piece is changed
    before it is a dictionary.
    """

    old: int
    offset: int
    length: int
    moves: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """Frame of the payload: its bytes packed and unpacked, and the pieces of its dictionary."""

    packed: int
    unpacked: int
    pieces: list[Piece] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Entry:
    """Member of the old or the new layer, as a patch states it. No name in it has been checked."""

    path: str
    type: EntryType
    mode: int
    link: str | None = None


@dataclass(frozen=True, slots=True)
class CopiedRun:
    """Run of ``count`` old members from number ``old`` on, all with the time ``mtime``."""

    old: int
    count: int
    mtime: int


@dataclass(frozen=True, slots=True)
class NewMember:
    """Member of the new layer.

    A file has the content of the old file number ``source``, or the ``slice`` (offset and length)
    of the payload.
    """

    entry: Entry
    mtime: int
    source: int | None = None
    slice: tuple[int, int] | None = None


@dataclass(kw_only=True)
class Table:
    """Table of a patch. ``root`` has mode and time of the root folder.

    ``has_more_moves`` is true if there are moves which :data:`MAGIC_MOVES` doesn't announce.
    """

    old: list[Entry] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    root: tuple[int, int] | None = None
    new: list[CopiedRun | NewMember] = field(default_factory=list)
    has_more_moves: bool = False

    @property
    def unpacked(self) -> int:
        """Bytes that all frames give together."""
        return sum(frame.unpacked for frame in self.frames)

    @property
    def has_moves(self) -> bool:
        """True if a piece of a dictionary has moves."""
        return any(piece.moves is not None for frame in self.frames for piece in frame.pieces)


def entry_of(member: Member) -> Entry:
    """Return the entry of a member in a table."""
    return Entry(path=member.path, type=member.type, mode=member.mode, link=member.link_target)


# Writing


def render(table: Table) -> bytes:
    """Render a table as text."""
    return "".join(f"{line}\n" for line in _lines(table)).encode("utf-8", "surrogateescape")


def _lines(table: Table) -> Iterator[str]:
    with_moves = MAGIC_MORE_MOVES if table.has_more_moves else MAGIC_MOVES
    yield with_moves if table.has_moves else MAGIC
    previous = ""
    for entry in table.old:
        yield f"o {_entry(entry, previous)}"
        previous = entry.path
    for frame in table.frames:
        yield f"z {frame.packed} {frame.unpacked}"
        for piece in frame.pieces:
            yield f"u {piece.old} {piece.offset} {piece.length}"
            if piece.moves is not None:
                yield f"v {piece.moves[0]} {piece.moves[1]}"
    if table.root is not None:
        yield f"r {table.root[0]:o} {table.root[1]}"
    previous, time = "", None
    for new in table.new:
        if new.mtime != time:
            yield f"t {new.mtime}"
            time = new.mtime
        if isinstance(new, CopiedRun):
            yield f"k {new.old} {new.count}"
            continue
        yield f"n {_entry(new.entry, previous)}"
        previous = new.entry.path
        if new.source is not None:
            yield f"c {new.source}"
        elif new.slice is not None:
            yield f"s {new.slice[0]} {new.slice[1]}"


def _entry(entry: Entry, previous: str) -> str:
    equal = takewhile(lambda pair: pair[0] == pair[1], zip(entry.path, previous, strict=False))
    shared = sum(1 for _ in equal)
    target = "" if entry.link is None else f"\0{entry.link}"
    return f"{_LETTERS[entry.type]} {entry.mode:o} {shared} {entry.path[shared:]}{target}"


# Reading


def parse(text: bytes, *, source: object, limits: Limits) -> Table:
    """Read the text of a table. References by number are checked here, names and targets are not.

    Raises UnsafeInputError for anything that :func:`render` doesn't write, and LimitError for too
    many members.
    """
    return _Parser(source, limits).parse(text)


class _Parser:
    def __init__(self, source: object, limits: Limits) -> None:
        self.source = source
        self.limits = limits
        self.table = Table()
        self.number = 0
        self.members = 0
        self.unpacked = 0
        self.used: set[int] = set()
        self.moved: set[int] = set()
        self.may_move = False
        self.previous = ""
        self.time: int | None = None
        self.stage = 0

    def parse(self, text: bytes) -> Table:
        if not text.endswith(b"\n"):
            raise self.wrong("the last line has no end")
        lines = (line[:-1].decode("utf-8", "surrogateescape") for line in io.BytesIO(text))
        magic = next(lines)
        if magic not in (MAGIC, MAGIC_MOVES, MAGIC_MORE_MOVES):
            known = f"{MAGIC!r}, {MAGIC_MOVES!r} or {MAGIC_MORE_MOVES!r}"
            raise self.wrong(f"the table doesn't begin with {known}")
        self.may_move = magic != MAGIC
        self.table.has_more_moves = magic == MAGIC_MORE_MOVES
        readers = {
            "o": (0, self.old),
            "z": (1, self.frame),
            "u": (1, self.piece),
            "v": (1, self.moves),
            "r": (2, self.root),
            "t": (3, self.when),
            "k": (3, self.copied),
            "n": (3, self.new_member),
            "c": (3, self.content),
            "s": (3, self.slice),
        }
        for self.number, line in enumerate(lines, start=2):
            stage, read = readers.get(line[:1], (-1, self.root))
            if stage < self.stage or line[1:2] != " ":
                raise self.wrong("a line that can't stand here")
            if stage > self.stage:
                self.stage, self.previous = stage, ""
            read(line[2:])
        self._complete()
        return self.table

    def wrong(self, message: str) -> UnsafeInputError:
        place = f"table, line {self.number}" if self.number else "table"
        return UnsafeInputError(message, file=self.source, place=place, hint=GET_AGAIN)

    def numbers(self, text: str, count: int) -> list[int]:
        parts = text.split(" ")
        if len(parts) != count or not all(_NUMBER.match(part) for part in parts):
            raise self.wrong(f"must be {count} whole numbers")
        return [int(part) for part in parts]

    def entry(self, text: str) -> Entry:
        parts = text.split(" ", 3)
        if (
            len(parts) != 4
            or parts[0] not in _TYPES
            or not _MODE.match(parts[1])
            or not _NUMBER.match(parts[2])
        ):
            raise self.wrong("must be a type, a mode, a number and a name")
        shared = int(parts[2])
        rest, has_link, link = parts[3].partition("\0")
        kind = _TYPES[parts[0]]
        if shared > len(self.previous) or "\0" in link:
            raise self.wrong("the name can't be read")
        if bool(has_link) != (kind in (EntryType.SYMLINK, EntryType.HARDLINK)):
            raise self.wrong("links have a target, and nothing else has")
        path = self.previous[:shared] + rest
        if len(path) > self.limits.name_length:
            raise self.wrong(f"a name of more than {self.limits.name_length} characters")
        self.previous = path
        self.count(1)
        return Entry(path=path, type=kind, mode=int(parts[1], 8), link=link if has_link else None)

    def count(self, more: int) -> None:
        self.members += more
        if self.members > 2 * self.limits.members:
            raise LimitError(
                f"more than {self.limits.members} members",
                file=self.source,
                hint="raise the limit on members",
            )

    def old(self, text: str) -> None:
        self.table.old.append(self.entry(text))

    def frame(self, text: str) -> None:
        packed, unpacked = self.numbers(text, 2)
        self.count(1)
        self.unpacked += unpacked
        self.used.clear()
        self.table.frames.append(Frame(packed, unpacked))

    def piece(self, text: str) -> None:
        if not self.table.frames:
            raise self.wrong("no frame to be a dictionary of")
        old, offset, length = self.numbers(text, 3)
        piece = Piece(old, offset, length)
        self.file(piece.old)
        if piece.old in self.used:
            raise self.wrong("an old file that is in this dictionary already")
        self.used.add(piece.old)
        self.table.frames[-1].pieces.append(piece)

    def moves(self, text: str) -> None:
        offset, length = self.numbers(text, 2)
        if len(self.table.frames) < 2 or not self.table.frames[-1].pieces or not self.may_move:
            raise self.wrong("no piece whose moves the first frame could have")
        if offset + length > self.table.frames[0].unpacked:
            raise self.wrong("reaches beyond the first frame")
        piece = self.table.frames[-1].pieces[-1]
        # Every move takes time: a file is changed once.
        if piece.old in self.moved:
            raise self.wrong("an old file that is moved already")
        self.moved.add(piece.old)
        self.table.frames[-1].pieces[-1] = replace(piece, moves=(offset, length))

    def root(self, text: str) -> None:
        mode, _, time = text.partition(" ")
        if self.table.root is not None or not _MODE.match(mode):
            raise self.wrong("must be one mode and a time")
        self.table.root = (int(mode, 8), self.seconds(time))

    def when(self, text: str) -> None:
        self.time = self.seconds(text)

    def seconds(self, text: str) -> int:
        (time,) = self.numbers(text, 1)
        if time > MAX_OCTAL:
            raise self.wrong("a time that no archive can hold")
        return time

    def copied(self, text: str) -> None:
        self._complete()
        old, count = self.numbers(text, 2)
        if not count or old + count > len(self.table.old):
            raise self.wrong("names old members that aren't there")
        self.count(count)
        self.table.new.append(CopiedRun(old, count, self._time()))

    def new_member(self, text: str) -> None:
        self._complete()
        self.table.new.append(NewMember(self.entry(text), self._time()))

    def content(self, text: str) -> None:
        (old,) = self.numbers(text, 1)
        self.file(old)
        self._fill(old, None)

    def slice(self, text: str) -> None:
        offset, length = self.numbers(text, 2)
        if offset + length > self.unpacked:
            raise self.wrong("reaches beyond the payload")
        self._fill(None, (offset, length))

    def file(self, old: int) -> None:
        if old >= len(self.table.old) or self.table.old[old].type is not EntryType.FILE:
            raise self.wrong("names an old file that isn't there")

    def _fill(self, source: int | None, cut: tuple[int, int] | None) -> None:
        last = self.table.new[-1] if self.table.new else None
        if (
            not isinstance(last, NewMember)
            or last.entry.type is not EntryType.FILE
            or not _is_open(last)
        ):
            raise self.wrong("no new file that it could be the content of")
        self.table.new[-1] = NewMember(last.entry, last.mtime, source, cut)

    def _complete(self) -> None:
        last = self.table.new[-1] if self.table.new else None
        if isinstance(last, NewMember) and last.entry.type is EntryType.FILE and _is_open(last):
            raise self.wrong("the new file above has no content")

    def _time(self) -> int:
        if self.time is None:
            raise self.wrong("no time is told yet")
        return self.time


def _is_open(member: NewMember) -> bool:
    return member.source is None and member.slice is None


def expand(table: Table) -> Iterator[NewMember]:
    """Yield every member of the new layer in order, those of copied runs one by one."""
    for new in table.new:
        if isinstance(new, NewMember):
            yield new
            continue
        for number in range(new.old, new.old + new.count):
            entry = table.old[number]
            source = number if entry.type is EntryType.FILE else None
            yield NewMember(entry, new.mtime, source=source)


def runs(members: Iterable[tuple[Member, int | None]]) -> Iterator[CopiedRun | Member]:
    """Fold members that have the number of an equal old one into runs; yield the others as is."""
    run: CopiedRun | None = None
    for member, old in members:
        if run is not None and old == run.old + run.count and member.mtime == run.mtime:
            run = CopiedRun(run.old, run.count + 1, run.mtime)
            continue
        if run is not None:
            yield run
        run = None if old is None else CopiedRun(old, 1, member.mtime)
        if old is None:
            yield member
    if run is not None:
        yield run
