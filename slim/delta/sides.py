"""Reading a layer of either side: where it lies, its tree, its digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slim.delta.patch import Side
from slim.errors import ConfigError, IntegrityError, StorageError, UnsafeInputError
from slim.formats import detect
from slim.formats.base import Tree
from slim.formats.digests import digests_of, sha256_of, tree_digest
from slim.formats.directory import FORMAT_NAME
from slim.inventory.locate import locate
from slim.inventory.manifest import FOLDER
from slim.model.delta import LayerState, NamedFile, StackDelta
from slim.model.stack import UNKNOWN_PLATFORM, ArchiveInfo, Layer, StackKind


def side_of(tree: Tree) -> Side:
    """The tree with the hashes of its files."""
    return Side(tree=tree, digests=digests_of(tree))


def digest_of_side(side: Side) -> str:
    """The tree digest."""
    return tree_digest(side.tree.members.values(), side.digests)


def state_of(side: Side, layer: Layer) -> LayerState:
    """What a delta says of one side of a layer."""
    folder = side.tree.format == FORMAT_NAME
    return LayerState(
        tree_sha256=digest_of_side(side),
        root=side.tree.root,
        size=side.size,
        archive=None if folder or layer.archive is None else named(layer.archive),
        format=None if folder or layer.archive is None else side.tree.format,
    )


def named(archive: ArchiveInfo) -> NamedFile:
    """An archive as a file of a delta."""
    return NamedFile(name=archive.name, size=archive.size, sha256=archive.sha256)


def file_of(path: Path, name: str | None = None) -> NamedFile:
    """A file with its size and hash. Raises StorageError."""
    try:
        return NamedFile(name=name or path.name, size=path.stat().st_size, sha256=sha256_of(path))
    except OSError as error:
        raise StorageError.from_os_error(error, file=path) from None


def regular(path: Path, message: str) -> Path:
    """A file of a delta: a plain one, for a link leads elsewhere, and nobody may ever write to a pipe.

    Raises StorageError with ``message`` where there is none, UnsafeInputError where it is something
    else.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UnsafeInputError(
            "isn't a regular file", file=path, hint="download or make the delta again"
        )
    if not path.exists():
        raise StorageError(message, file=path, hint="download the delta again")
    return path


def same_members(old: Side, new: Side) -> bool:
    """Whether two equal trees are equal in their times and their order, too, so that nothing has to be told."""
    times = {path: member.mtime for path, member in old.tree.members.items()}
    return list(times.items()) == [
        (path, member.mtime) for path, member in new.tree.members.items()
    ]


@dataclass(frozen=True, kw_only=True)
class OldStack:
    """Where the old layers lie that a delta is applied to. ``folders``: they are folders; ``plain``: just one, of the
    user's own; ``format`` is that of old archives."""

    places: Mapping[str, Path]
    folders: bool
    plain: bool = False
    has_manifest: bool = False
    format: str | None = None


def old_stack(source: Path, stack: StackDelta, *, alone: bool) -> OldStack:
    """The layers of one platform at ``source``: by its manifest, or folders called like them, or the one thing that
    ``source`` is. ``alone`` says that the delta is for one platform only.

    Raises StorageError, ConfigError, UnsafeInputError for a malformed manifest, IntegrityError for
    another platform.
    """
    wanted = [layer.name for layer in stack.layers if layer.old is not None]
    if source.is_dir() and not (source / FOLDER).is_dir():
        there = {name: source / name for name in wanted if (source / name).is_dir()}
        if there or len(wanted) != 1:
            return OldStack(places=there, folders=True)
        return OldStack(places={wanted[0]: source}, folders=True, plain=True)
    found = {one.stack.platform.tag: one for one in locate(source)}
    one = found.get(stack.platform) or (
        next(iter(found.values())) if alone and len(found) == 1 else None
    )
    if one is None:
        there_are = ", ".join(found)
        raise ConfigError(
            f"no stack for {stack.platform}", file=source, hint=f"there is: {there_are}"
        )
    tags = {stack.platform, one.stack.platform.tag} - {UNKNOWN_PLATFORM.tag}
    if one.stack.manifest_name is not None and len(tags) > 1:
        message = f"is for {one.stack.platform.tag}, and the delta for {stack.platform}"
        raise IntegrityError(message, file=source, hint="download the delta for this platform")
    if len(one.places) == 1 and len(wanted) == 1:
        places = {wanted[0]: next(iter(one.places.values()))}
    else:
        places = {name: place for name, place in one.places.items() if name in wanted}
    archive = next((place for place in places.values() if place.is_file()), None)
    return OldStack(
        places=places,
        folders=one.kind not in (StackKind.PUBLISHED, StackKind.ARCHIVE),
        has_manifest=one.stack.manifest_name is not None,
        format=None if archive is None else detect(archive).name,
    )
