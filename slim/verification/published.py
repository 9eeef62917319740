"""Compare what was written with what was planned: it is read again, member by member."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from slim.errors import SlimError, StorageError
from slim.formats import read_archive
from slim.formats.base import Member, ReadOptions, Tree
from slim.formats.digests import digest_of
from slim.formats.directory import read_directory
from slim.model.record import EntryType

MAX_SHOWN = 20
"""Failures of one kind that are told; a broken archive would otherwise list every file."""


def compare(
    place: Path,
    expected: Sequence[Member],
    digests: Mapping[str, str],
    options: ReadOptions,
    *,
    times: bool,
) -> tuple[int, tuple[str, ...]]:
    """Read what was written at ``place``; compare names, types, modes, targets, sizes and SHA-256.

    ``digests`` are hexadecimal, by path. ``times`` says that modification times are compared, too
    (zip can't hold all of them). Raises StorageError. Returns how many members were compared, and
    the differences in words.
    """
    try:
        tree = read_directory(place, options) if place.is_dir() else read_archive(place, options)
    except StorageError:
        raise  # a full disk, say, and no fault of what was written
    except SlimError as error:
        return 0, (f"{place.name}: can't be read back: {error.message}",)
    with tree:
        differences = list(
            _differences(tree, {member.path: member for member in expected}, digests, times)
        )
    return len(expected), tuple(f"{place.name}: {text}" for text in differences[:MAX_SHOWN])


def _differences(
    tree: Tree, expected: Mapping[str, Member], digests: Mapping[str, str], times: bool
) -> Iterator[str]:
    found = {path: member for path, member in tree.members.items() if path}
    wanted = {path: member for path, member in expected.items() if path}
    for path in sorted(wanted.keys() - found.keys()):
        yield f"{path} is missing"
    for path in sorted(found.keys() - wanted.keys()):
        yield f"{path} wasn't planned"
    for path in sorted(found.keys() & wanted.keys()):
        have, want = found[path], wanted[path]
        if _type(have) is not _type(want):
            yield f"{path} is a {have.type.value} instead of a {want.type.value}"
        elif have.type is EntryType.SYMLINK and have.link_target != want.link_target:
            yield f"{path} points at {have.link_target!r} instead of {want.link_target!r}"
        elif have.type is not EntryType.SYMLINK and have.mode != want.mode:
            yield f"{path} has mode {have.mode:o} instead of {want.mode:o}"
        elif times and have.type is EntryType.FILE and have.mtime != want.mtime:
            yield f"{path} has time {have.mtime} instead of {want.mtime}"
        elif (
            have.content is not None
            and path in digests
            and digest_of(have.content).hex() != digests[path]
        ):
            yield f"{path} has other content than was planned"


def _type(member: Member) -> EntryType:
    """Hard links may be written as files where the format has none."""
    return EntryType.FILE if member.type is EntryType.HARDLINK else member.type
