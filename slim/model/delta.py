"""Deltas between two stacks, and results of making or applying one. Sizes are bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from slim.model.cache import CacheUse


class DeltaAction(StrEnum):
    """Ways from an old layer to a new one. The values are part of the format of a delta."""

    UNCHANGED = "unchanged"
    PATCH = "patch"
    FULL = "full"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFile:
    """A file by name, with its size and SHA-256 in hexadecimal."""

    name: str
    """Its name."""
    size: int
    """Its bytes."""
    sha256: str
    """Its SHA-256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerState:
    """One side of a layer: the old one, or the new one.

    ``tree_sha256`` is its tree digest, ``root`` the folder that an archive's members lie under,
    ``size`` the bytes of all contents. ``archive`` and its ``format`` are None where the layer is a
    folder.
    """

    tree_sha256: str
    root: str
    size: int
    archive: NamedFile | None = None
    format: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerDelta:
    """Entry of one layer in a delta.

    ``file`` is the patch or the whole archive. Of a patch, ``table`` is the size of its first frame
    in bytes, packed and not, and ``method`` the way in which it was made.
    """

    name: str
    """Install target of the layer."""
    action: DeltaAction
    """The way from old to new."""
    old: LayerState | None
    """The layer before, None where it is new."""
    new: LayerState | None
    """The layer after, None where it is removed."""
    file: NamedFile | None = None
    table: tuple[int, int] | None = None
    method: str | None = None

    @property
    def download(self) -> int:
        """Bytes that a client which has the old layer downloads."""
        return self.file.size if self.file is not None else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StackDelta:
    """All layers of one platform.

    ``kind`` is that of the new stack; ``manifest`` and ``metadata`` are copies of its files in
    ``__venvstacks__``, by their path in the delta.
    """

    platform: str
    """Tag of the platform."""
    kind: str
    layers: tuple[LayerDelta, ...]
    """The layers of both stacks."""
    manifest: NamedFile | None = None
    metadata: Mapping[str, NamedFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A whole delta, as ``slim-delta.json`` tells it."""

    stacks: tuple[StackDelta, ...]
    """One entry a platform."""
    slim_version: str
    """Version of slim that made it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerMade:
    """A layer's delta, and the ways that were tried to make it."""

    delta: LayerDelta
    """The entry in the delta."""
    tried: Mapping[str, int] = field(default_factory=dict)
    """Bytes of the download by method."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Reasons why a method wasn't tried, by method."""
    elapsed: float = 0.0
    """Seconds that it took."""
    cached: bool = False
    """True if it was taken from a cache of results."""


@dataclass(frozen=True, kw_only=True)
class DeltaMade:
    """Result of ``slim delta make`` for one platform."""

    platform: str
    """Tag of the platform."""
    old_source: str
    """Path of the old stack."""
    new_source: str
    """Path of the new stack."""
    layers: tuple[LayerMade, ...]
    """Results by layer."""
    slim_version: str
    """Version of slim that made it."""
    output: str = ""
    """Folder that the delta was written to."""
    cache: CacheUse | None = None
    """Use of a cache of results, where one was given."""

    @property
    def download(self) -> int:
        """Bytes of all patches and archives in the delta."""
        return sum(layer.delta.download for layer in self.layers)

    @property
    def full(self) -> int:
        """Bytes of all archives of the new stack.

        That is the download without a delta and without an old stack.
        """
        return sum(archive_size(layer.delta.new) for layer in self.layers)


def archive_size(state: LayerState | None) -> int:
    """Return the bytes of a layer's archive; 0 where there is none."""
    return state.archive.size if state is not None and state.archive is not None else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRestored:
    """A layer that was written again.

    ``identical`` says whether the archive has the published bytes; None where no archive was
    written or none was published.
    """

    name: str
    """Install target of the layer."""
    action: DeltaAction
    """The way from old to new."""
    place: str
    """Name of the archive or folder that was written."""
    size: int
    """Bytes of the archive, or of the contents of the folder."""
    identical: bool | None
    elapsed: float = 0.0
    """Seconds that it took."""


@dataclass(frozen=True, kw_only=True)
class DeltaApplied:
    """Result of ``slim delta apply`` for one platform."""

    platform: str
    """Tag of the platform."""
    layers: tuple[LayerRestored, ...]
    """Results by layer."""
    output: str
    """Folder that the new stack was written to."""
    slim_version: str
    """Version of slim that applied it."""
