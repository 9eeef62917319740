"""What a run took out of a stack and kept: the index of a store of originals, and what a run says about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from slim.model.record import EntryType
from slim.model.stack import Layer, LayerKind, Platform

INDEX_NAME = "slim-removed.json"
"""The member of a store that describes all others; the first one."""


class BackupAction(StrEnum):
    """What was done to a file. The values are stable.

    ``EMPTIED`` is a folder that went because nothing was left in it; ``LINKED`` a file that became
    a symbolic link to a twin of its.
    """

    REMOVED = "removed"
    REWRITTEN = "rewritten"
    LINKED = "linked"
    EMPTIED = "emptied"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFile:
    """One original: everything that is needed to put it back and to check that it is the right one.

    ``path`` is relative to the layer. ``size`` (bytes) and ``sha256`` are those of the content, for
    a hard link of what it shared; both are 0 and empty for symbolic links and folders. What stands
    in its place now: ``size_after`` and ``sha256_after`` of a rewritten file, ``link_after``, the
    target of a link that it became.
    """

    path: str
    type: EntryType
    action: BackupAction
    rule: str
    pass_name: str
    mode: int
    mtime: int
    evidence: tuple[str, ...] = ()
    size: int = 0
    sha256: str = ""
    link_target: str | None = None
    size_after: int = 0
    sha256_after: str = ""
    link_after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupLayer:
    """The originals of one layer. ``tree_before`` and ``tree_after`` are the digests of its whole tree; ``hard_links``
    are those of the original, which formats other than tar lose; ``note`` is what the original's
    entry in the manifest said about an earlier run."""

    name: str
    layer_name: str
    kind: LayerKind
    tree_before: str
    tree_after: str
    site_dirs: tuple[str, ...] = ()
    stdlib_dir: str | None = None
    hard_links: Mapping[str, str] = field(default_factory=dict)
    note: Mapping[str, object] | None = None
    files: tuple[BackupFile, ...] = ()

    def as_layer(self, platform: Platform) -> Layer:
        """The layer, as far as globs want to know about it."""
        return Layer(
            name=self.name,
            layer_name=self.layer_name,
            kind=self.kind,
            platform=platform,
            site_dirs=self.site_dirs,
            stdlib_dir=self.stdlib_dir,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupStack:
    """The layers of one manifest. ``folder`` is what stands before the layers' names in the store, where it holds the
    originals of several manifests; else empty."""

    platform: Platform
    manifest: str | None
    folder: str
    layers: tuple[BackupLayer, ...]

    def layer(self, name: str) -> BackupLayer | None:
        """The layer with that install target, or None."""
        return next((layer for layer in self.layers if layer.name == name), None)

    def member_of(self, layer: BackupLayer, file: BackupFile) -> str:
        """The name of an original in the store."""
        return "/".join(part for part in (self.folder, layer.name, file.path) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupIndex:
    """Everything that a store holds, and which slim wrote it."""

    slim_version: str
    stacks: tuple[BackupStack, ...]

    def __iter__(self) -> Iterator[tuple[BackupStack, BackupLayer, BackupFile]]:
        for stack in self.stacks:
            for layer in stack.layers:
                for file in layer.files:
                    yield stack, layer, file


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSummary:
    """What a run says about its store: where it is, how many originals of this stack are in it and their bytes, and
    size and SHA-256 of the file itself (of all stacks of the run)."""

    file: str
    files: int
    size: int
    archive_size: int
    archive_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredLayer:
    """What came back into one layer: ``files`` originals of ``size`` bytes; ``left`` are still as the run left them.
    ``tree_sha256`` is the digest of the layer's tree now, ``whole`` says that it is the original's.
    Archive sizes are bytes, 0 where the layer is a folder."""

    name: str
    files: int
    size: int
    left: int
    whole: bool
    tree_sha256: str
    archive_before: int = 0
    archive_after: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What ``slim restore`` did to one stack."""

    source: str
    platform: str
    output: str
    layers: tuple[RestoredLayer, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolFile:
    """What debuggers need of one native file. ``format`` is ``elf``, ``mach-o``, ``dsym`` or ``pdb``; ``identity`` its
    build ID, UUID or GUID and age, empty where it has none. ``file`` is where it is in the folder
    of symbols, ``size`` the bytes there. ``stripped_sha256`` is the digest of what is published
    instead, empty where nothing is."""

    format: str
    platform: str
    layer: str
    path: str
    identity: str
    file: str
    size: int
    original_size: int
    original_sha256: str
    stripped_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolsSummary:
    """What a run says about its folder of symbols: where it is, how many files of this stack it got, and their
    bytes."""

    folder: str
    files: int
    size: int
