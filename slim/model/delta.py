"""What a delta between two stacks is made of, and what making or applying one did. Sizes are bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class DeltaAction(StrEnum):
    """What becomes of a layer. The values are part of the format of a delta."""

    UNCHANGED = "unchanged"
    PATCH = "patch"
    FULL = "full"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFile:
    """A file by name, with its size and SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerState:
    """One side of a layer. ``tree_sha256`` is its tree digest, ``root`` the folder that an archive's members lie under,
    ``size`` the bytes of all contents. ``archive`` and its ``format`` are None where the layer is a
    folder."""

    tree_sha256: str
    root: str
    size: int
    archive: NamedFile | None = None
    format: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerDelta:
    """What a delta says about one layer. ``file`` is the patch or the whole archive; of a patch, ``table`` is the size
    of its first frame, packed and not."""

    name: str
    action: DeltaAction
    old: LayerState | None
    new: LayerState | None
    file: NamedFile | None = None
    table: tuple[int, int] | None = None
    method: str | None = None

    @property
    def download(self) -> int:
        """Bytes that a client which has the old layer downloads."""
        return self.file.size if self.file is not None else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StackDelta:
    """All layers of one platform. ``kind`` is that of the new stack; ``manifest`` and ``metadata`` are copies of its
    files in ``__venvstacks__``, by their path in the delta."""

    platform: str
    kind: str
    layers: tuple[LayerDelta, ...]
    manifest: NamedFile | None = None
    metadata: Mapping[str, NamedFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A whole delta, as ``slim-delta.json`` tells it."""

    stacks: tuple[StackDelta, ...]
    slim_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerMade:
    """How a layer's delta came about: sizes by method, why a method wasn't tried, and seconds."""

    delta: LayerDelta
    tried: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    elapsed: float = 0.0


@dataclass(frozen=True, kw_only=True)
class DeltaMade:
    """What ``slim delta make`` did for one platform."""

    platform: str
    old_source: str
    new_source: str
    layers: tuple[LayerMade, ...]
    slim_version: str
    output: str = ""

    @property
    def download(self) -> int:
        """Bytes of all patches and archives in the delta."""
        return sum(layer.delta.download for layer in self.layers)

    @property
    def full(self) -> int:
        """Bytes of all archives of the new stack: the download without a delta and without an old stack."""
        return sum(archive_size(layer.delta.new) for layer in self.layers)


def archive_size(state: LayerState | None) -> int:
    """Bytes of a layer's archive; 0 where there is none."""
    return state.archive.size if state is not None and state.archive is not None else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRestored:
    """A layer that was written again. ``identical`` says whether the archive has the published bytes; None where no
    archive was written or none was published."""

    name: str
    action: DeltaAction
    place: str
    size: int
    identical: bool | None
    elapsed: float = 0.0


@dataclass(frozen=True, kw_only=True)
class DeltaApplied:
    """What ``slim delta apply`` did for one platform."""

    platform: str
    layers: tuple[LayerRestored, ...]
    output: str
    slim_version: str
