"""Backups of originals: the index of a backup, and summaries for reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from slim.model.record import EntryType
from slim.model.stack import Layer, LayerKind, Platform

INDEX_NAME = "slim-removed.json"
"""First member of a backup: the index, which describes all others."""


class BackupAction(StrEnum):
    """Action that a run took on a file. The values are stable.

    ``EMPTIED`` is a folder that went because nothing was left in it, ``LINKED`` a file that became
    a symbolic link to an equal one.
    """

    REMOVED = "removed"
    REWRITTEN = "rewritten"
    LINKED = "linked"
    EMPTIED = "emptied"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFile:
    """Entry of one original in the index: enough to put it back, and to check that it is right.

    ``path`` is relative to the layer. ``size`` (bytes) and ``sha256`` are those of the content, for
    a hard link of its target's; they are 0 and empty for symbolic links and folders. The file in
    the slimmed stack has ``size_after`` and ``sha256_after`` if it was rewritten, and is a link to
    ``link_after`` if it became one.
    """

    path: str
    type: EntryType
    """Type of the original."""
    action: BackupAction
    """What was done to it."""
    rule: str
    """Id of the rule that did it."""
    pass_name: str
    """Name of the pass that proposed it."""
    mode: int
    """Its nine permission bits."""
    mtime: int
    """Its time of modification, in whole seconds since the epoch."""
    evidence: tuple[str, ...] = ()
    """Why it was done: sentences for people."""
    size: int = 0
    sha256: str = ""
    link_target: str | None = None
    """Target of a link, None for anything else."""
    size_after: int = 0
    sha256_after: str = ""
    link_after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupLayer:
    """Entry of one layer in the index, with its originals.

    ``tree_before`` and ``tree_after`` are its tree digests. ``hard_links`` are those of the
    original by path, which formats other than tar lose. ``note`` is what the original's entry in
    the manifest said about an earlier run.
    """

    name: str
    """Install target of the layer."""
    layer_name: str
    """Its name without a version."""
    kind: LayerKind
    """The layer's place in its stack."""
    tree_before: str
    tree_after: str
    site_dirs: tuple[str, ...] = ()
    """Its folders of installed packages, relative to the layer."""
    stdlib_dir: str | None = None
    """Folder of the standard library, relative to the layer; None without one."""
    hard_links: Mapping[str, str] = field(default_factory=dict)
    note: Mapping[str, object] | None = None
    files: tuple[BackupFile, ...] = ()
    """Its originals."""
    added: tuple[str, ...] = ()
    """Paths of what the run added to the layer: its guard."""

    def as_layer(self, platform: Platform) -> Layer:
        """Return the layer as far as globs depend on it."""
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
    """Entry of one stack (a manifest) in the index.

    ``folder`` is the folder of its layers in the backup, empty unless there are several stacks.
    """

    platform: Platform
    """Platform of the stack."""
    manifest: str | None
    """File name of its manifest, None without one."""
    folder: str
    layers: tuple[BackupLayer, ...]
    """Its layers."""

    def layer(self, name: str) -> BackupLayer | None:
        """Return the layer with that install target, or None."""
        return next((layer for layer in self.layers if layer.name == name), None)

    def member_of(self, layer: BackupLayer, file: BackupFile) -> str:
        """Return the name of an original in the backup."""
        return "/".join(part for part in (self.folder, layer.name, file.path) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupIndex:
    """Index of a backup. ``slim_version`` is the version that wrote it."""

    slim_version: str
    stacks: tuple[BackupStack, ...]
    """The stacks of the run."""

    def __iter__(self) -> Iterator[tuple[BackupStack, BackupLayer, BackupFile]]:
        for stack in self.stacks:
            for layer in stack.layers:
                for file in layer.files:
                    yield stack, layer, file


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSummary:
    """Summary of a backup in the report of a run.

    ``files`` is the number of originals of this stack, ``size`` their bytes. ``archive_size``
    (bytes) and ``archive_sha256`` are of the file, which holds the originals of all stacks of the
    run.
    """

    file: str
    """Path of the backup."""
    files: int
    size: int
    archive_size: int
    archive_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOriginal:
    """One original in a backup."""

    place: str
    """Name there: the path below the folder that layers are unpacked into, after a folder for its
    platform where the backup has several."""
    file: BackupFile
    """All that is known about it."""
    document: Mapping[str, object]
    """The same, as JSON in the index of the backup."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractedOriginals:
    """Originals that were written into a folder."""

    folder: str
    """The folder; files are at ``LAYER/path`` in it."""
    originals: tuple[StoredOriginal, ...]
    """Those that were written."""
    left_out: tuple[str, ...]
    """Symbolic links that lead out of the folder, by their names in the backup."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredLayer:
    """Result of ``slim restore`` for one layer.

    ``files`` originals of ``size`` bytes came back; ``left`` files are still as the run left them.
    ``tree_sha256`` is the layer's tree digest now; ``whole`` says that it is the original's.
    Archive sizes are bytes, 0 for folders.
    """

    name: str
    """Install target of the layer."""
    files: int
    size: int
    left: int
    whole: bool
    tree_sha256: str
    archive_before: int = 0
    """Bytes of the archive that was read."""
    archive_after: int = 0
    """Bytes of the archive that was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """Result of ``slim restore`` for one stack."""

    source: str
    """Path of the slimmed stack."""
    platform: str
    """Tag of its platform."""
    output: str
    """Folder that the restored stack was written to."""
    layers: tuple[RestoredLayer, ...]
    """Results by layer."""
    warnings: tuple[str, ...] = ()
    """Sentences for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolFile:
    """Symbols of one native file, for debuggers.

    ``format`` is ``elf``, ``mach-o``, ``dsym`` or ``pdb``. ``identity`` is the build ID, the UUID
    or the GUID and age, empty if there is none. ``file`` is the path in the folder of symbols,
    ``size`` the bytes there. ``stripped_sha256`` is that of the published file, empty if nothing is
    published.
    """

    format: str
    platform: str
    """Tag of the stack's platform."""
    layer: str
    """Install target of the layer."""
    path: str
    """Path of the native file in the layer."""
    identity: str
    file: str
    size: int
    original_size: int
    """Bytes of the file before it was stripped."""
    original_sha256: str
    """SHA-256 of the file before it was stripped, in hexadecimal."""
    stripped_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolsSummary:
    """Summary of a folder of symbols in the report of a run.

    ``files`` is the number of files of this stack in it, ``size`` their bytes.
    """

    folder: str
    """Path of the folder."""
    files: int
    size: int
