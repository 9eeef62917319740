"""What every writer does with its members before it writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from slim.formats.base import Member
from slim.model.record import EntryType


def with_root(members: Iterable[Member], root: str) -> Iterator[Member]:
    """The members, with the root folder first where the archive has one.

    A root folder that the caller hands over is kept. Without one it gets mode 0755 and the time of the first member
    (venvstacks clamps all times to the same one). Without a ``root`` name there is no folder to write.
    """
    rest = iter(members)
    first = next(rest, None)
    if not root:
        return rest if first is None or first.path == "" else chain((first,), rest)
    if first is not None and first.path == "":
        return chain((first,), rest)
    folder = Member(path="", type=EntryType.DIRECTORY, mode=0o755, mtime=first.mtime if first else 0)
    return chain((folder,), () if first is None else (first,), rest)
