"""The order in which writers put their members, and the root folder before them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from itertools import chain

from slim.formats.base import Member
from slim.model.record import EntryType


def with_root(members: Iterable[Member], root: str) -> Iterator[Member]:
    """The members, with the root folder first where the archive has one.

    A root folder that the caller hands over is kept. Without one it gets mode 0755 and the time of
    the first member (venvstacks clamps all times to the same one). Without a ``root`` name there is
    no folder to write.
    """
    rest = iter(members)
    first = next(rest, None)
    if not root:
        return rest if first is None or first.path == "" else chain((first,), rest)
    if first is not None and first.path == "":
        return chain((first,), rest)
    folder = Member(
        path="", type=EntryType.DIRECTORY, mode=0o755, mtime=first.mtime if first else 0
    )
    return chain((folder,), () if first is None else (first,), rest)


def is_native(member: Member) -> bool:
    """True if a member begins like a file with machine code.

    Only compression depends on it, so that a wrong guess does no harm.
    """
    from slim.binaries import may_be_native  # late: who only reads archives needs none of it

    if member.content is None or member.size < 4:
        return False
    return may_be_native(next(iter(member.content.chunks()), b""))


def for_compression(members: Iterable[Member]) -> Iterator[tuple[bool, Member]]:
    """Members in the order that compresses best, each with whether it :func:`is_native`.

    Folders come first, so that unpacking never has to invent one; then files, by ending and name;
    then files with machine code, by name; then links, when all that they may lead to is there. A
    member's place depends on nothing but itself, so that a set that is written twice is written the
    same. What comes first (the root folder) stays first.
    """
    ranked = ((_rank(member, is_native(member)), member) for member in members)
    for rank, member in sorted(ranked, key=lambda one: one[0]):
        yield rank[0] == _RANK_NATIVE, member


_RANK_FOLDER, _RANK_FILE, _RANK_NATIVE, _RANK_LINK = range(4)


def _rank(member: Member, native: bool) -> tuple[int, str, str]:
    if member.type is EntryType.DIRECTORY:
        return _RANK_FOLDER, "", member.path
    if member.type is not EntryType.FILE:
        return _RANK_LINK, "", member.path
    if native:
        return _RANK_NATIVE, "", member.path
    return _RANK_FILE, posixpath.splitext(member.path)[1].lower(), member.path
