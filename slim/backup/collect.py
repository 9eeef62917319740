"""Collects the originals of what a run removes or rewrites, and writes them into one archive with an index.

A run may go over several stacks, each of which is closed before the next one is read: so what is
kept is copied into a spool file, each content once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from slim import __version__
from slim.backup.index import render_index
from slim.errors import ConfigError, StorageError
from slim.formats import format_by_name, write_archive
from slim.formats.base import BytesContent, Content, Member, Tree, WriteOptions
from slim.formats.digests import sha256_of, tree_digest
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
from slim.model.finding import Evidence
from slim.model.outcome import LayerOutcome
from slim.model.plan import Remove
from slim.model.record import EntryType
from slim.model.stack import Layer
from slim.plan.planned import PlannedStack
from slim.publish.notes import SLIM_KEY

FORMAT = "tar.zst"
"""The format of a store."""
EMPTIED_RULE = "emptied-folder"
"""Pseudo rule of folders that went because nothing was left in them."""

_EMPTIED_PASS = "apply"
_MODE = 0o644


class Originals:
    """The originals of one run. Close it (it is a context manager) to free the spool file in ``spool_dir``."""

    def __init__(self, spool_dir: Path) -> None:
        self._resources = ExitStack()
        self._spool = self._resources.enter_context(Spool(spool_dir))
        self._places: dict[str, tuple[int, int]] = {}
        self._stacks: list[BackupStack] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resources.close()

    def add(self, planned: PlannedStack, layers: Iterable[LayerOutcome]) -> None:
        """Take over what a plan removes and rewrites, as it was. ``layers`` tell the digests of the new trees.

        Raises StorageError.
        """
        kept = []
        for outcome in layers:
            layer = outcome.layer
            tree = planned.loaded.trees[layer.name]
            digests = planned.loaded.digests(layer.name)
            files = tuple(self._files(planned, layer.name, tree, digests))
            kept.append(_layer(layer, tree, digests, files, outcome.tree_sha256))
        stack = planned.loaded.stack
        self._stacks.append(
            BackupStack(
                platform=stack.platform, manifest=stack.manifest_name, folder="", layers=tuple(kept)
            )
        )

    def _files(
        self, planned: PlannedStack, layer: str, tree: Tree, digests: Mapping[str, str]
    ) -> Iterator[BackupFile]:
        plan, edited = planned.plan, planned.edited
        stay = {member.path for member in planned.members_of(layer)}
        for path in sorted(tree.members):
            member = tree.members[path]
            action = plan.actions.get((layer, path))
            if action is None:
                if member.type is EntryType.DIRECTORY and path not in stay:
                    yield _kept(
                        member,
                        BackupAction.EMPTIED,
                        EMPTIED_RULE,
                        _EMPTIED_PASS,
                        ("nothing is left in it",),
                    )
                continue
            content = _content(member, tree)
            sha256 = digests.get(
                member.link_target or "" if member.type is EntryType.HARDLINK else path, ""
            )
            if content is not None:
                self._store(content, sha256)
            new = edited.get((layer, path))
            link = plan.link_target((layer, path))
            what = BackupAction.REMOVED if isinstance(action, Remove) else BackupAction.REWRITTEN
            file = _kept(member, what, action.rule, action.pass_name, _told(action.evidence))
            file = replace(file, size=content.size if content else 0, sha256=sha256)
            if link is not None:
                file = replace(file, action=BackupAction.LINKED, link_after=link)
            elif new is not None:
                file = replace(file, size_after=new.content.size, sha256_after=new.digest.hex())
            yield file

    def _store(self, content: Content, sha256: str) -> None:
        if sha256 in self._places:
            return
        start = self._spool.size
        for chunk in content.chunks():
            self._spool.write(chunk)
        self._places[sha256] = (start, self._spool.size)

    def write(self, target: Path, options: WriteOptions) -> tuple[BackupSummary, ...]:
        """Write the store to ``target``, which mustn't exist yet; it is complete and on the disk then. What is told is
        told for each stack, in the order in which they were added.

        Raises StorageError, and ConfigError where two manifests can't be told apart.
        """
        stacks = _apart(self._stacks)
        index = BackupIndex(slim_version=__version__, stacks=stacks)
        write_archive(format_by_name(FORMAT), self._members(index), "", target, options)
        sha256 = sha256_of(target)
        try:
            size = target.stat().st_size
        except OSError as error:
            raise StorageError.from_os_error(error, file=target) from None
        found = []
        for stack in stacks:
            files = [
                file
                for layer in stack.layers
                for file in layer.files
                if file.action is not BackupAction.EMPTIED
            ]
            total = sum(file.size for file in files)
            found.append(
                BackupSummary(
                    file=target.name,
                    files=len(files),
                    size=total,
                    archive_size=size,
                    archive_sha256=sha256,
                )
            )
        return tuple(found)

    def _members(self, index: BackupIndex) -> Iterator[Member]:
        text = render_index(index)
        newest = max((file.mtime for _, _, file in index), default=0)
        yield Member(
            path=INDEX_NAME,
            type=EntryType.FILE,
            mode=_MODE,
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
            hard = (
                file.type is EntryType.HARDLINK
            )  # its target may not be in the store: the content is
            yield Member(
                path=stack.member_of(layer, file),
                type=EntryType.FILE if hard else file.type,
                mode=file.mode,
                mtime=file.mtime,
                size=file.size,
                link_target=None if hard else file.link_target,
                content=content,
            )


def _kept(
    member: Member, action: BackupAction, rule: str, pass_name: str, evidence: tuple[str, ...]
) -> BackupFile:
    return BackupFile(
        path=member.path,
        type=member.type,
        action=action,
        rule=rule,
        pass_name=pass_name,
        mode=member.mode,
        mtime=member.mtime,
        evidence=evidence,
        link_target=member.link_target,
    )


def _told(evidence: Sequence[Evidence]) -> tuple[str, ...]:
    return tuple(str(item) for item in evidence)


def _content(member: Member, tree: Tree) -> Content | None:
    if member.type is EntryType.HARDLINK:
        return tree.members[member.link_target or ""].content
    return member.content


def _layer(
    layer: Layer,
    tree: Tree,
    digests: Mapping[str, str],
    files: tuple[BackupFile, ...],
    tree_after: str,
) -> BackupLayer:
    note = layer.entry.get(SLIM_KEY)
    return BackupLayer(
        name=layer.name,
        layer_name=layer.layer_name,
        kind=layer.kind,
        tree_before=tree_digest(tree.members.values(), digests),
        tree_after=tree_after,
        site_dirs=layer.site_dirs,
        stdlib_dir=layer.stdlib_dir,
        hard_links={
            member.path: member.link_target or ""
            for member in tree.members.values()
            if member.type is EntryType.HARDLINK
        },
        note=note if isinstance(note, dict) else None,
        files=files,
    )


def _apart(stacks: Sequence[BackupStack]) -> tuple[BackupStack, ...]:
    """With a folder for each stack where there are several: its platform, or the name of its manifest."""
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
