"""Layers on either side of a delta: their trees, digests, and states in its document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slim.delta.files import named_file
from slim.formats import DIRECTORY
from slim.formats.base import Tree
from slim.formats.digests import digests_of, tree_digest
from slim.model.delta import LayerState
from slim.model.stack import Layer


@dataclass(frozen=True, kw_only=True)
class Side:
    """Layer on one side of a delta: its tree, and the SHA-256 of every regular file by path."""

    tree: Tree
    digests: Mapping[str, str]

    @property
    def size(self) -> int:
        """Bytes of all contents together."""
        return sum(member.size for member in self.tree.members.values())

    @property
    def tree_digest(self) -> str:
        """Tree digest of the layer."""
        return tree_digest(self.tree.members.values(), self.digests)


def side_of(tree: Tree) -> Side:
    """Hash the files of a tree."""
    return Side(tree=tree, digests=digests_of(tree))


def state_of(side: Side, layer: Layer) -> LayerState:
    """Return the state of a layer as a delta's document has it."""
    is_folder = side.tree.format == DIRECTORY.name
    archive = None if is_folder else layer.archive
    return LayerState(
        tree_sha256=side.tree_digest,
        root=side.tree.root,
        size=side.size,
        archive=None if archive is None else named_file(archive),
        format=None if archive is None else side.tree.format,
    )


def is_unchanged(old: Side, new: Side, before: LayerState, after: LayerState) -> bool:
    """True if a client that has the old layer has the new one already.

    Its archive has the same bytes; or, where one side is a folder, the trees are equal, times and
    order included.
    """
    if before.archive is not None and after.archive is not None:
        return before.archive.sha256 == after.archive.sha256
    return before.tree_sha256 == after.tree_sha256 and _times(old) == _times(new)


def _times(side: Side) -> list[tuple[str, int]]:
    """Paths and modification times in the order of the members."""
    return [(path, member.mtime) for path, member in side.tree.members.items()]
