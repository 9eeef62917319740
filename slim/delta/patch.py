"""Makes the patch from one layer to the next with the better of two methods.

The method *files* copies members that didn't change, and packs a changed file with the old file
that it most likely was as dictionary; a native file with the references that its parts have after
they moved (see :mod:`slim.delta.moves`), where that pays. The method *stream* packs all contents in
one stream with those of the whole old layer as dictionary, which finds what moved between files of
unrelated names. Patches of both have the same form (see :mod:`slim.delta.table`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from slim.binaries import may_be_native
from slim.delta.frames import DICTIONARY, FRAME, joined, pack, part
from slim.delta.moves import is_first_form, moved
from slim.delta.moves import parse as parse_moves
from slim.delta.pairing import pair
from slim.delta.places import Follower
from slim.delta.prediction import LARGEST, worthwhile_moves
from slim.delta.sides import Side
from slim.delta.table import CopiedRun, Frame, NewMember, Piece, Table, entry_of, render, runs
from slim.formats.base import Content, Member, Tree
from slim.formats.spool import SliceContent, Spool
from slim.model.record import EntryType
from slim.system.closing import Closing

OWN_FRAME = 1 << 20
"""Bytes from which on a file has a frame of its own; smaller files share frames."""
GROUP = 8 << 20
"""Most bytes of content in a frame that small files share."""


class Method(StrEnum):
    """Method that a patch was made with."""

    FILES = "files"
    STREAM = "stream"


@dataclass(frozen=True, kw_only=True)
class Patch(Closing):
    """Patch before it is written.

    ``table`` is packed, ``table_unpacked`` is its size in bytes before; ``frames`` are in a file,
    since they are as large as what changed. ``tried`` has the size of the patch by each method,
    ``skipped`` the reason why there is none by the others.
    """

    method: Method
    table: bytes
    table_unpacked: int
    frames: Spool
    tried: Mapping[str, int]
    skipped: Mapping[str, str]

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Yield the bytes of the patch file."""
        yield self.table
        yield from SliceContent(self.frames.view()).chunks()

    @property
    def size(self) -> int:
        """Size of the patch file in bytes."""
        return len(self.table) + self.frames.size

    def close(self) -> None:
        """Free the file of the frames."""
        self.frames.close()


def make_patch(old: Side | None, new: Side, spool_dir: Path) -> Patch:
    """Make the smaller patch that turns ``old`` into ``new``. ``old`` is None for a new layer.

    Its frames are spooled in ``spool_dir`` until it is closed. Raises StorageError.
    """
    candidates = {Method.FILES: _by_files(old, new, spool_dir)}
    skipped: dict[str, str] = {}
    if old is None:
        skipped[Method.STREAM.value] = "there is no old layer"
    elif old.size > DICTIONARY or new.size > DICTIONARY:
        skipped[Method.STREAM.value] = (
            f"would take more memory than a layer of {DICTIONARY >> 20} MiB does"
        )
    elif old.digests == new.digests:
        skipped[Method.STREAM.value] = "no content changed"
    else:
        candidates[Method.STREAM] = _by_stream(old, new, spool_dir)
    sizes = {method: len(table) + frames.size for method, (table, _, frames) in candidates.items()}
    method = min(candidates, key=lambda candidate: sizes[candidate])
    table, unpacked, frames = candidates.pop(method)
    for _, _, others in candidates.values():
        others.close()
    return Patch(
        method=method,
        table=table,
        table_unpacked=unpacked,
        frames=frames,
        tried={method.value: size for method, size in sizes.items()},
        skipped=skipped,
    )


_Packed = tuple[bytes, int, Spool]


@dataclass(frozen=True, kw_only=True)
class _Job:
    """Frame to make: parts (path, offset, length) of new files, and of old ones as dictionary."""

    new: list[tuple[str, int, int]]
    old: list[tuple[str, int, int]]


def _by_files(old: Side | None, new: Side, spool_dir: Path) -> _Packed:
    known = (
        {}
        if old is None
        else {digest: path for path, digest in reversed(list(old.digests.items()))}
    )
    changed = {
        path: new.tree.members[path].size
        for path, digest in new.digests.items()
        if digest not in known
    }
    first: dict[str, str] = {}
    for path in changed:
        first.setdefault(new.digests[path], path)
    wanted = [path for path in changed if first[new.digests[path]] == path and changed[path]]
    still_there = set(new.digests.values())
    gone: dict[str, int] = {}
    if old is not None:
        gone = {
            path: old.tree.members[path].size
            for path, digest in old.digests.items()
            if digest not in still_there
        }
    before, left = pair(wanted, gone)
    jobs = list(_jobs(old, new, wanted, before, gone, left))
    moves = {} if old is None else _moves(old, new, before)
    return _packed(old, new, jobs, spool_dir, known=known, moves=moves)


def _moves(old: Side, new: Side, before: Mapping[str, str]) -> dict[str, bytes]:
    """Return moves of old files, by path, where a patch is smaller with them."""
    found: dict[str, bytes] = {}
    room = FRAME
    for path, source in before.items():
        sizes = old.tree.members[source].size, new.tree.members[path].size
        if max(sizes) > LARGEST or not min(sizes):
            continue
        beginning = next(_parts(old.tree, [(source, 0, sizes[0])]))
        if not may_be_native(beginning):
            continue
        form = worthwhile_moves(
            joined(_parts(old.tree, [(source, 0, sizes[0])])),
            joined(_parts(new.tree, [(path, 0, sizes[1])])),
        )
        if form is not None and len(form) <= room:
            found[source] = form
            room -= len(form)
    return found


def _jobs(
    old: Side | None,
    new: Side,
    wanted: Iterable[str],
    before: Mapping[str, str],
    gone: Mapping[str, int],
    left: Iterable[str],
) -> Iterator[_Job]:
    """Yield frames for changed files: large files alone, and cut if needed; small ones together."""
    group, room = _Job(new=[], old=[]), GROUP
    groups = [group]
    for path in wanted:
        size, source = new.tree.members[path].size, before.get(path)
        if size >= OWN_FRAME:
            known = None if old is None or source is None else _content(old.tree, source)
            yield from _cut(path, _content(new.tree, path), source, known)
            continue
        if size > room:
            group, room = _Job(new=[], old=[]), GROUP
            groups.append(group)
        room -= size
        group.new.append((path, 0, size))
        if source is not None:
            group.old.append((source, 0, gone[source]))
    unpaired = [(path, 0, gone[path]) for path in left if gone[path] < OWN_FRAME]
    for group in groups:
        if group.new:
            yield _Job(
                new=group.new, old=_within(DICTIONARY, [*_within(GROUP, unpaired), *group.old])
            )


def _cut(path: str, content: Content, source: str | None, old: Content | None) -> Iterator[_Job]:
    follower = Follower(old, content) if old is not None and old.size else None
    for offset in range(0, content.size, FRAME):
        length = min(FRAME, content.size - offset)
        parts = []
        if source is not None and follower is not None:
            parts = [(source, *follower.window(offset, length))]
        yield _Job(new=[(path, offset, length)], old=parts)


def _content(tree: Tree, path: str) -> Content:
    content = tree.members[path].content
    assert content is not None, "files have contents"
    return content


def _within(most: int, parts: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Return the parts, from the first, that fit into ``most`` bytes; skip those that don't."""
    chosen = []
    for part_of in parts:
        _, _, length = part_of
        if length <= most:
            most -= length
            chosen.append(part_of)
    return chosen


def _by_stream(old: Side, new: Side, spool_dir: Path) -> _Packed:
    """Pack all contents in the order of the members; each frame has the old layer as dictionary."""
    everything = [
        (path, 0, old.tree.members[path].size)
        for path in old.digests
        if old.tree.members[path].size
    ]
    jobs: list[_Job] = []
    room = 0
    for path in new.digests:
        size, offset = new.tree.members[path].size, 0
        while offset < size:
            if not room:
                jobs.append(_Job(new=[], old=everything))
                room = FRAME
            length = min(room, size - offset)
            jobs[-1].new.append((path, offset, length))
            offset, room = offset + length, room - length
    return _packed(old, new, jobs, spool_dir, known={}, moves={})


def _packed(
    old: Side | None,
    new: Side,
    jobs: Sequence[_Job],
    spool_dir: Path,
    *,
    known: Mapping[str, str],
    moves: Mapping[str, bytes],
) -> _Packed:
    """Make the jobs' frames and the table.

    ``known`` has paths of old contents by SHA-256, ``moves`` those of old files by path.
    """
    numbers = {} if old is None else {path: number for number, path in enumerate(old.tree.members)}
    table = Table(
        old=[] if old is None else [entry_of(member) for member in old.tree.members.values()]
    )
    places: dict[str, tuple[int, int]] = {}
    spool = Spool(spool_dir)
    produced = 0
    forms: dict[str, tuple[int, int]] = {}
    if moves:
        for path, form in moves.items():
            assert old is not None, "moves are those of old files"
            size = old.tree.members[path].size
            table.has_more_moves |= not is_first_form(parse_moves(form, size, source=path))
            forms[path] = (produced, len(form))
            produced += len(form)
        packed = pack(joined(moves.values()))
        spool.write(packed)
        table.frames.append(Frame(len(packed), produced))
    for job in jobs:
        content = joined(_parts(new.tree, job.new))
        packed = pack(content, () if old is None else _dictionary(old.tree, job.old, moves))
        spool.write(packed)
        pieces = [
            Piece(numbers[path], offset, length, forms.get(path))
            for path, offset, length in job.old
        ]
        table.frames.append(Frame(len(packed), len(content), pieces))
        for path, offset, length in job.new:
            # A file that is cut comes in order, from its first part on.
            start = places.get(new.digests[path], (produced, 0))[0] if offset else produced
            places[new.digests[path]] = (start, offset + length)
            produced += length
    root = new.tree.root_member
    table.root = None if root is None else (root.mode, root.mtime)
    table.new = list(_new(old, new, numbers, known, places))
    text = render(table)
    return pack(text), len(text), spool


def _parts(tree: Tree, wanted: Iterable[tuple[str, int, int]]) -> Iterator[bytes | memoryview]:
    for path, offset, length in wanted:
        yield from _whole_or_part(_content(tree, path), offset, length)


def _dictionary(
    tree: Tree, wanted: Iterable[tuple[str, int, int]], moves: Mapping[str, bytes]
) -> Iterator[bytes | memoryview]:
    for path, offset, length in wanted:
        pieces = _parts(tree, [(path, offset, length)])
        if path in moves:
            yield moved(joined(pieces), parse_moves(moves[path], length, source=path))
        else:
            yield from pieces


def _whole_or_part(content: Content, offset: int, length: int) -> Iterator[bytes | memoryview]:
    return (
        content.chunks() if (offset, length) == (0, content.size) else part(content, offset, length)
    )


def _new(
    old: Side | None,
    new: Side,
    numbers: Mapping[str, int],
    known: Mapping[str, str],
    places: Mapping[str, tuple[int, int]],
) -> Iterator[CopiedRun | NewMember]:
    def as_before(member: Member) -> int | None:
        """Number of the equal old member, if its content needn't be packed."""
        if old is None or member.path not in old.tree.members:
            return None
        if entry_of(member) != entry_of(old.tree.members[member.path]):
            return None
        digest = new.digests.get(member.path)
        if digest is not None and (digest != old.digests[member.path] or digest in places):
            return None
        return numbers[member.path]

    for new_member in runs((member, as_before(member)) for member in new.tree.members.values()):
        if isinstance(new_member, CopiedRun):
            yield new_member
            continue
        entry, digest = entry_of(new_member), new.digests.get(new_member.path, "")
        if entry.type is not EntryType.FILE:
            yield NewMember(entry, new_member.mtime)
        elif digest in places or not new_member.size:
            yield NewMember(entry, new_member.mtime, slice=places.get(digest, (0, 0)))
        else:
            yield NewMember(entry, new_member.mtime, source=numbers[known[digest]])
