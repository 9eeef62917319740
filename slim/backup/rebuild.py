"""Rebuilds the original of a slimmed stack from a backup, and plans what stays slimmed of it.

The original is rebuilt whole, and has to have the tree digests that the index of the backup states.
So no change on either side goes unnoticed. What is to stay slimmed is then a plan over that
original like any other; RECORDs, folders and hard links follow from it as they did in the run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from slim.backup.reader import Backup, Original
from slim.errors import IntegrityError
from slim.formats.assemble import reassemble
from slim.formats.base import Member, Tree
from slim.formats.digests import digest_of
from slim.formats.names import display
from slim.inventory.load import LoadedStack
from slim.inventory.read import read_options
from slim.model.backup import BackupAction, BackupFile, BackupLayer
from slim.model.finding import EditSpec
from slim.model.plan import LINK_EDITOR, Action, Plan, Remove, Rewrite
from slim.model.record import EntryType, FileKey
from slim.model.stack import Layer
from slim.plan.apply import RECORD_PASS, Edited
from slim.plan.planned import Addition, PlannedStack

DONE_EDITOR = "kept"
"""Editor of rewrites that the run did already: their results are in the slimmed stack."""

_HINT = (
    "restore the very stack that was written together with the file, "
    "before it is signed or changed otherwise"
)


@dataclass(frozen=True, kw_only=True)
class LayerBackup:
    """Backup of one layer: its entry in the index, and its originals by path."""

    layer: BackupLayer
    files: dict[str, Original] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _GivenAdditions:
    """Members that the run added to layers that stay slimmed."""

    added: Mapping[str, Addition]

    def files(self, planned: PlannedStack) -> Mapping[str, Addition]:
        """Return what is added, by layer."""
        return self.added


@dataclass(frozen=True, kw_only=True)
class OriginalStack:
    """Stack as it was before the run."""

    loaded: LoadedStack
    """The original, rebuilt."""
    layers: Mapping[str, BackupLayer]
    """Entries in the index of the layers that the backup knows, by their names in the stack."""
    originals: Mapping[FileKey, Original]
    """Originals of those layers."""
    slimmed: frozenset[FileKey]
    """Originals that aren't in the stack that was given. RECORDs are never among them, because
    they follow from the rest."""
    given: Mapping[str, Tree]
    """Layers as they were given, by name."""

    @cached_property
    def changed_records(self) -> frozenset[FileKey]:
        """RECORDs of the stack that was given that aren't the original ones."""
        return frozenset(
            key
            for key, original in self.originals.items()
            if original.file.pass_name == RECORD_PASS
            and _sha256(self.given[key[0]].members[key[1]]) != original.file.sha256
        )

    def leaving(self, stay: Collection[FileKey], untouched: Iterable[str] = ()) -> PlannedStack:
        """Return the stack with a plan that leaves ``stay`` slimmed, and nothing else.

        Every RECORD is true, except that layers that are ``untouched`` keep the ones they have.
        """
        actions: dict[FileKey, Action] = {}
        edited: dict[FileKey, Edited] = {}
        same = set(untouched)
        records = {
            key
            for key, original in self.originals.items()
            if original.file.pass_name == RECORD_PASS and key[0] in same
        }
        for key in sorted({*stay, *records}):
            now = self.given[key[0]].members.get(key[1])
            if (
                self.originals[key].file.action is BackupAction.REWRITTEN
                and now is not None
                and now.content is not None
            ):
                edited[key] = Edited(content=now.content, digest=digest_of(now.content))
            actions[key] = self._action(key, now)
        layers = tuple(sorted({key[0] for key in actions} - same))
        plan = Plan(actions=actions)
        return PlannedStack(
            loaded=self.loaded,
            plan=plan,
            edited=edited,
            layers=layers,
            additions=_GivenAdditions(self._added({key[0] for key in stay})),
        ).with_records()

    def _added(self, layers: Iterable[str]) -> dict[str, Addition]:
        """Return what the run added to these layers, as far as it is there."""
        found = {name: self.layers[name].added for name in layers}
        return {
            name: Addition(
                members=tuple(
                    self.given[name].members[path]
                    for path in paths
                    if path in self.given[name].members
                )
            )
            for name, paths in sorted(found.items())
            if paths
        }

    def _action(self, key: FileKey, now: Member | None) -> Action:
        file = self.originals[key].file
        record = self.loaded.inventory.records[key[0]][key[1]]
        if file.action is BackupAction.REMOVED:
            return Remove(record=record, pass_name=file.pass_name, rule=file.rule)
        edit = EditSpec(editor=DONE_EDITOR)
        if file.link_after is not None:
            edit = EditSpec(editor=LINK_EDITOR, options={"target": file.link_after})
        return Rewrite(
            record=record,
            pass_name=file.pass_name,
            rule=file.rule,
            edit=edit,
            size_after=now.size if now else 0,
        )


def rebuild(
    backup: Backup, given: LoadedStack, backups: Mapping[str, LayerBackup]
) -> OriginalStack:
    """Rebuild the original of the stack that was given. ``backups`` are by names in the stack.

    Raises IntegrityError if the stack isn't what the run left or the backup isn't what it wrote,
    and UnsafeInputError if the original couldn't be read as a layer.
    """
    progress = given.context.progress
    total = sum(len(layer_backup.files) for layer_backup in backups.values())
    progress.stage("Putting originals back", total=total)
    trees: dict[str, Tree] = dict(given.trees)
    originals: dict[FileKey, Original] = {}
    slimmed: set[FileKey] = set()
    for layer in given.stack:
        if layer.name not in backups:
            continue
        tree = given.trees[layer.name]
        for path, original in backups[layer.name].files.items():
            backup.check_content(original)
            originals[(layer.name, path)] = original
            if _is_slimmed(original.file, tree, f"{layer.name}/{path}"):
                slimmed.add((layer.name, path))
            progress.advance()
        trees[layer.name] = _rebuilt_tree(given, layer, backups[layer.name])
    stack = OriginalStack(
        loaded=given.with_trees(trees),
        layers={name: layer_backup.layer for name, layer_backup in backups.items()},
        originals=originals,
        slimmed=frozenset(slimmed),
        given=given.trees,
    )
    _check_trees(stack)
    _check_records(stack)
    return stack


def _rebuilt_tree(given: LoadedStack, layer: Layer, backup: LayerBackup) -> Tree:
    tree, place = given.trees[layer.name], given.places[layer.name]
    rebuilt = reassemble(
        tree,
        _members(tree, backup),
        place,
        read_options(given.stack.kind, layer, given.context),
        top=place.resolve().name if place.is_dir() else None,
    )
    rebuilt.forget = tree.forget
    return rebuilt


def _is_slimmed(file: BackupFile, tree: Tree, place: str) -> bool:
    """True if the layer has what the run left of this original, False if it has the original.

    Folders and RECORDs follow from the rest, and are False; RECORDs are compared once everything
    else is known. Raises IntegrityError if the layer has neither.
    """
    if file.action is BackupAction.EMPTIED or file.pass_name == RECORD_PASS:
        return False
    now = tree.members.get(file.path)
    if now is not None and _is_original(file, now, tree):
        return False
    if not _is_left(file, now):
        what = (
            "is there, although the run removed it"
            if file.action is BackupAction.REMOVED
            else "isn't what the run left"
        )
        raise IntegrityError(what, file=display(place), hint=_HINT)
    return True


def _is_left(file: BackupFile, now: Member | None) -> bool:
    """True if a member is what the run left of this original. None means that there is none."""
    if now is None or file.action is BackupAction.REMOVED:
        return now is None and file.action is BackupAction.REMOVED
    if file.action is BackupAction.LINKED:
        return now.type is EntryType.SYMLINK and now.link_target == file.link_after
    return now.type is EntryType.FILE and _sha256(now) == file.sha256_after


def _is_original(file: BackupFile, now: Member, tree: Tree) -> bool:
    """True if a member is this original."""
    if file.type is EntryType.SYMLINK or now.type is EntryType.SYMLINK:
        return now.type is file.type and now.link_target == file.link_target
    if now.type is EntryType.HARDLINK and file.type is EntryType.HARDLINK:
        return now.link_target == file.link_target
    if now.type is not EntryType.FILE:
        return False
    # A format without hard links makes a file of one, with what its target has now.
    twin = tree.members.get(file.link_target or "") if file.type is EntryType.HARDLINK else None
    return _sha256(now) == file.sha256 or (twin is not None and _sha256(now) == _sha256(twin))


def _sha256(member: Member) -> str:
    return digest_of(member.content).hex() if member.content is not None else ""


def _members(tree: Tree, backup: LayerBackup) -> list[Member]:
    """Members of the original: folders before what is in them, hard links last."""
    added = frozenset(backup.layer.added)
    members = {path: member for path, member in tree.members.items() if path not in added}
    for path, original in backup.files.items():
        file = original.file
        is_hard_link = file.type is EntryType.HARDLINK
        members[path] = replace(
            original.member,
            path=path,
            type=file.type,
            size=0 if is_hard_link else file.size,
            link_target=file.link_target,
            content=None if is_hard_link else original.member.content,
        )
    for path, target in backup.layer.hard_links.items():
        member, twin = members.get(path), tree.members.get(target)
        if (
            path in backup.files
            or member is None
            or twin is None
            or member.type is not EntryType.FILE
        ):
            continue
        if _sha256(member) == _sha256(twin):  # a format without hard links made a file of it
            members[path] = replace(
                member, type=EntryType.HARDLINK, size=0, content=None, link_target=target
            )
    return sorted(
        members.values(), key=lambda member: (member.type is EntryType.HARDLINK, member.path)
    )


def _check_trees(stack: OriginalStack) -> None:
    """Raise IntegrityError for a layer that doesn't have the tree digest of the original."""
    for name, layer in stack.layers.items():
        digest = stack.loaded.tree_digest(name)
        if digest != layer.tree_before:
            raise IntegrityError(
                "isn't the layer that the originals were taken from: with all of them put back, "
                f"its tree's digest is {digest[:16]}… instead of {layer.tree_before[:16]}…",
                file=name,
                hint=_HINT,
            )


def _check_records(stack: OriginalStack) -> None:
    """Raise IntegrityError for a RECORD that is neither what the run wrote nor true."""
    edited = stack.leaving(stack.slimmed).edited
    for key, original in stack.originals.items():
        if original.file.pass_name != RECORD_PASS:
            continue
        now = stack.given[key[0]].members.get(key[1])
        true = edited[key].digest.hex() if key in edited else original.file.sha256
        if now is None or _sha256(now) not in (original.file.sha256_after, true):
            raise IntegrityError("isn't what the run left", file=display("/".join(key)), hint=_HINT)
