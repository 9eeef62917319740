"""Writes the backup of a run: an archive of the files that it removes or rewrites, with an index.

A run may go over several stacks, and closes each before it reads the next one. So originals are
copied into a spool file, each content once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from slim import __version__
from slim.backup.index import render_index
from slim.errors import ConfigError, StorageError
from slim.formats import format_by_name, write_archive
from slim.formats.base import BytesContent, Content, Member, WriteOptions
from slim.formats.digests import sha256_of
from slim.formats.spool import SliceContent, Spool
from slim.model.backup import (
    INDEX_NAME,
    BackupAction,
    BackupFile,
    BackupIndex,
    BackupLayer,
    BackupStack,
    BackupSummary,
)
from slim.model.outcome import LayerOutcome
from slim.model.plan import Remove
from slim.model.record import EntryType
from slim.plan.planned import Change, PlannedStack
from slim.publish.notes import SLIM_KEY

FORMAT = format_by_name("tar.zst")
"""Format of a backup."""
EMPTIED_RULE = "emptied-folder"
"""Pseudo rule of folders that went because nothing was left in them."""

_EMPTIED_PASS = "apply"
_INDEX_MODE = 0o644


class BackupWriter:
    """Collects the originals of one run in ``spool``, and writes them into a backup."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._places: dict[str, tuple[int, int]] = {}
        self._stacks: list[BackupStack] = []

    def add(self, planned: PlannedStack, outcomes: Iterable[LayerOutcome]) -> None:
        """Take over the originals of what a plan removes and rewrites.

        ``outcomes`` have the tree digests of the new layers. Raises StorageError.
        """
        stack = planned.loaded.stack
        self._stacks.append(
            BackupStack(
                platform=stack.platform,
                manifest=stack.manifest_name,
                folder="",
                layers=tuple(self._layer(planned, outcome) for outcome in outcomes),
            )
        )

    def _layer(self, planned: PlannedStack, outcome: LayerOutcome) -> BackupLayer:
        layer, loaded = outcome.layer, planned.loaded
        files = [self._file(change) for change in planned.changes(layer.name)]
        files += _emptied_folders(planned, layer.name)
        note = layer.entry.get(SLIM_KEY)
        return BackupLayer(
            name=layer.name,
            layer_name=layer.layer_name,
            kind=layer.kind,
            tree_before=loaded.tree_digest(layer.name),
            tree_after=outcome.tree_sha256,
            site_dirs=layer.site_dirs,
            stdlib_dir=layer.stdlib_dir,
            hard_links={
                member.path: member.link_target or ""
                for member in loaded.trees[layer.name].members.values()
                if member.type is EntryType.HARDLINK
            },
            note=note if isinstance(note, dict) else None,
            files=tuple(sorted(files, key=lambda file: file.path)),
            added=tuple(sorted(member.path for member in planned.added.get(layer.name, ()))),
        )

    def _file(self, change: Change) -> BackupFile:
        if change.content is not None:
            self._store(change.content, change.sha256)
        member, action = change.member, change.action
        file = BackupFile(
            path=member.path,
            type=member.type,
            action=BackupAction.REMOVED,
            rule=action.rule,
            pass_name=action.pass_name,
            mode=member.mode,
            mtime=member.mtime,
            evidence=tuple(str(evidence) for evidence in action.evidence),
            size=change.content.size if change.content else 0,
            sha256=change.sha256,
            link_target=member.link_target,
        )
        if isinstance(action, Remove):
            return file
        if action.link_target is not None:
            return replace(file, action=BackupAction.LINKED, link_after=action.link_target)
        file = replace(file, action=BackupAction.REWRITTEN)
        if change.edited is None:
            return file
        return replace(
            file,
            size_after=change.edited.content.size,
            sha256_after=change.edited.digest.hex(),
        )

    def _store(self, content: Content, sha256: str) -> None:
        if sha256 in self._places:
            return
        start = self._spool.size
        for chunk in content.chunks():
            self._spool.write(chunk)
        self._places[sha256] = (start, self._spool.size)

    def write(self, target: Path, options: WriteOptions) -> tuple[BackupSummary, ...]:
        """Write the backup to ``target``, which mustn't exist yet, and flush it to the disk.

        Returns a summary of each stack, in the order in which they were added. Raises StorageError,
        and ConfigError if two stacks would have the same folder in the backup.
        """
        stacks = _in_folders(self._stacks)
        index = BackupIndex(slim_version=__version__, stacks=stacks)
        write_archive(FORMAT, self._members(index), "", target, options)
        sha256 = sha256_of(target)
        try:
            size = target.stat().st_size
        except OSError as error:
            raise StorageError.from_os_error(error, file=target) from None
        archive = BackupSummary(
            file=target.name, files=0, size=0, archive_size=size, archive_sha256=sha256
        )
        return tuple(_summary(stack, archive) for stack in stacks)

    def _members(self, index: BackupIndex) -> Iterator[Member]:
        text = render_index(index)
        newest = max((file.mtime for _, _, file in index), default=0)
        yield Member(
            path=INDEX_NAME,
            type=EntryType.FILE,
            mode=_INDEX_MODE,
            mtime=newest,
            size=len(text),
            content=BytesContent(text),
        )
        view = self._spool.view()
        for stack, layer, file in index:
            content = None
            if file.sha256:
                start, end = self._places[file.sha256]
                content = SliceContent(view[start:end])
            # A hard link is written as a file: its target need not be in the backup.
            is_hard_link = file.type is EntryType.HARDLINK
            yield Member(
                path=stack.member_of(layer, file),
                type=EntryType.FILE if is_hard_link else file.type,
                mode=file.mode,
                mtime=file.mtime,
                size=file.size,
                link_target=None if is_hard_link else file.link_target,
                content=content,
            )


def _emptied_folders(planned: PlannedStack, layer: str) -> Iterator[BackupFile]:
    """Folders that no action is about, but that go because nothing is left in them."""
    stay = {member.path for member in planned.members_of(layer)}
    for path, member in planned.loaded.trees[layer].members.items():
        if (
            member.type is EntryType.DIRECTORY
            and path not in stay
            and (layer, path) not in planned.plan.actions
        ):
            yield BackupFile(
                path=path,
                type=member.type,
                action=BackupAction.EMPTIED,
                rule=EMPTIED_RULE,
                pass_name=_EMPTIED_PASS,
                mode=member.mode,
                mtime=member.mtime,
                evidence=("nothing is left in it",),
            )


def _summary(stack: BackupStack, archive: BackupSummary) -> BackupSummary:
    """Summary of one stack in the archive. Emptied folders aren't counted."""
    files = [
        file
        for layer in stack.layers
        for file in layer.files
        if file.action is not BackupAction.EMPTIED
    ]
    return replace(archive, files=len(files), size=sum(file.size for file in files))


def _in_folders(stacks: Sequence[BackupStack]) -> tuple[BackupStack, ...]:
    """Give each of several stacks a folder: its platform, or the name of its manifest.

    Raises ConfigError if neither tells them apart.
    """
    if len(stacks) < 2:
        return tuple(stacks)
    folders = [stack.platform.tag for stack in stacks]
    if len(set(folders)) < len(stacks):
        folders = [(stack.manifest or "").removesuffix(".json") for stack in stacks]
    if len(set(folders)) < len(stacks) or not all(folders):
        raise ConfigError(
            "the originals of several manifests can't be told apart",
            hint="run slim on one --platform at a time",
        )
    return tuple(
        replace(stack, folder=folder) for stack, folder in zip(stacks, folders, strict=True)
    )
