"""SHA-256 of files, contents and whole trees."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from slim.formats.base import Content, Member, Tree
from slim.formats.files import file_chunks
from slim.model.record import EntryType
from slim.system.hashing import sha256_of_pieces


def sha256_of(path: Path) -> str:
    """SHA-256 of a regular file, in hexadecimal.

    Raises StorageError, and UnsafeInputError for anything that isn't a regular file.
    """
    return sha256_of_pieces(file_chunks(path))


def digest_of(content: Content) -> bytes:
    """SHA-256 of a content (the raw digest), streamed."""
    state = hashlib.sha256()
    for chunk in content.chunks():
        state.update(chunk)
    return state.digest()


def digests_of(tree: Tree) -> dict[str, str]:
    """SHA-256 (hexadecimal) of every regular file of a tree, by path."""
    return {
        path: digest_of(member.content).hex()
        for path, member in tree.members.items()
        if member.content is not None
    }


def contents_digest(members: Iterable[Member], digests: Mapping[str, str], *, times: bool) -> str:
    """SHA-256 over all that is compared when a layer is read back; with ``times``, those of files.

    ``digests`` are those of the regular files, by path. Hard links count as files, which is what
    formats without them make of them.
    """
    state = hashlib.sha256()
    for member in sorted(
        (member for member in members if member.path), key=lambda member: member.path
    ):
        is_link = member.type is EntryType.SYMLINK
        mtime = member.mtime if times and member.type is EntryType.FILE else 0
        kind = EntryType.FILE if member.type is EntryType.HARDLINK else member.type
        content = digests.get(member.path, "")
        if member.type is EntryType.HARDLINK:
            content = digests.get(member.link_target or "", "")
        row = (
            *(member.path, kind.value, "0" if is_link else f"{member.mode:o}", str(mtime)),
            *((member.link_target or "") if is_link else "", content),
        )
        state.update("\0".join(row).encode("utf-8", "surrogateescape") + b"\n")
    return state.hexdigest()


def tree_digest(members: Iterable[Member], digests: Mapping[str, str]) -> str:
    """SHA-256 over names, types, modes, link targets and contents: what a deployment sees.

    ``digests`` are those of the regular files, by path. Times don't count, so two builds of the
    same files have the same digest; nor does the root folder, which not every format has.
    """
    state = hashlib.sha256()
    for member in sorted(
        (member for member in members if member.path), key=lambda member: member.path
    ):
        mode = 0 if member.type is EntryType.SYMLINK else member.mode
        target = member.link_target or ""
        row = (member.path, member.type.value, f"{mode:o}", target, digests.get(member.path, ""))
        state.update("\0".join(row).encode("utf-8", "surrogateescape") + b"\n")
    return state.hexdigest()
