"""Puts a slimmed stack and its originals together again, and takes out of it again what isn't to come back.

The original stack is rebuilt whole, and has to have the digests that the store's index states: so
nothing that was changed on either side goes unnoticed. What is to stay slimmed is then a plan over
that original like any other, and RECORDs, folders and hard links follow from it as they did in the
run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from slim.backup.store import Original, check_content
from slim.errors import IntegrityError
from slim.formats.assemble import reassemble
from slim.formats.base import Member, Tree
from slim.formats.digests import digest_of
from slim.formats.names import display
from slim.inventory.load import LoadedStack
from slim.inventory.read import read_options
from slim.model.backup import BackupAction, BackupLayer
from slim.model.finding import EditSpec
from slim.model.plan import LINK_EDITOR, Action, Plan, Remove, Rewrite
from slim.model.record import EntryType, FileKey
from slim.plan.apply import RECORD_PASS, Edited
from slim.plan.planned import PlannedStack

KEPT_EDITOR = "kept"
"""The editor of rewrites whose result is there already: it is in the slimmed stack."""

_HINT = "restore the very stack that was written together with the file, before it is signed or changed otherwise"


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """The stack as it was.

    ``layers`` are those that the store knows, by their names in the stack. ``slimmed`` are the
    originals (by key) that aren't in the stack that was given. RECORDs are never among them,
    because they follow from the rest. ``trees`` are the layers as they were given.
    """

    loaded: LoadedStack
    layers: Mapping[str, BackupLayer]
    originals: Mapping[FileKey, Original]
    slimmed: frozenset[FileKey]
    trees: Mapping[str, Tree]

    def leaving(self, stay: Iterable[FileKey], untouched: Iterable[str] = ()) -> PlannedStack:
        """The stack with a plan that leaves ``stay`` slimmed and nothing else; every RECORD is true.

        Layers that are ``untouched`` keep the RECORDs that they have.
        """
        actions: dict[FileKey, Action] = {}
        edited: dict[FileKey, Edited] = {}
        same = set(untouched)
        records = {
            key
            for key, one in self.originals.items()
            if one.file.pass_name == RECORD_PASS and key[0] in same
        }
        for key in sorted({*stay, *records}):
            now = self.trees[key[0]].members.get(key[1])
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
            loaded=self.loaded, plan=plan, edited=edited, layers=layers
        ).with_records()

    def _action(self, key: FileKey, now: Member | None) -> Action:
        file = self.originals[key].file
        record = self.loaded.inventory.records[key[0]][key[1]]
        if file.action is BackupAction.REMOVED:
            return Remove(record=record, pass_name=file.pass_name, rule=file.rule)
        edit = EditSpec(editor=KEPT_EDITOR)
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
    source: Path,
    given: LoadedStack,
    kept: Mapping[str, tuple[BackupLayer, Mapping[str, Original]]],
) -> Rebuilt:
    """Rebuild the original of an open stack. ``kept`` has the originals by layer (of the stack) and path; ``source``
    is the store that they come from.

    Raises IntegrityError where the stack isn't what the run left or the store isn't what it wrote,
    and UnsafeInputError where what comes out couldn't be a layer.
    """
    progress = given.context.progress
    progress.stage("Putting originals back", total=sum(len(files) for _, files in kept.values()))
    trees: dict[str, Tree] = dict(given.trees)
    originals: dict[FileKey, Original] = {}
    slimmed: set[FileKey] = set()
    for layer in given.stack:
        if layer.name not in kept:
            continue
        known, files = kept[layer.name]
        for path, original in files.items():
            check_content(source, original)
            originals[(layer.name, path)] = original
            if _is_slimmed(original, given.trees[layer.name], f"{layer.name}/{path}"):
                slimmed.add((layer.name, path))
            progress.advance()
        place = given.places[layer.name]
        trees[layer.name] = reassemble(
            given.trees[layer.name],
            _members(given.trees[layer.name], known, files),
            place,
            read_options(given.stack.kind, layer, given.context),
            top=place.resolve().name if place.is_dir() else None,
        )
        trees[layer.name].forget = given.trees[layer.name].forget
    rebuilt = Rebuilt(
        loaded=given.with_trees(trees),
        layers={name: known for name, (known, _) in kept.items()},
        originals=originals,
        slimmed=frozenset(slimmed),
        trees=given.trees,
    )
    _check_trees(rebuilt)
    _check_records(rebuilt)
    return rebuilt


def _is_slimmed(original: Original, tree: Tree, place: str) -> bool:
    """Whether the stack has what the run left instead of this original; False where the original is back already.

    Folders and RECORDs follow from the rest; RECORDs are compared once everything else is known.
    """
    file, now = original.file, tree.members.get(original.file.path)
    if file.action is BackupAction.EMPTIED or file.pass_name == RECORD_PASS:
        return False
    if _is_original(original, now, tree):
        return False
    left: bool
    match file.action:
        case BackupAction.REMOVED:
            left = now is None
        case BackupAction.LINKED:
            left = (
                now is not None
                and now.type is EntryType.SYMLINK
                and now.link_target == file.link_after
            )
        case _:
            left = (
                now is not None and now.type is EntryType.FILE and _sha256(now) == file.sha256_after
            )
    if not left:
        what = (
            "is there, although the run removed it"
            if file.action is BackupAction.REMOVED
            else "isn't what the run left"
        )
        raise IntegrityError(what, file=display(place), hint=_HINT)
    return True


def _is_original(original: Original, now: Member | None, tree: Tree) -> bool:
    file = original.file
    if now is None:
        return False
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


def _members(tree: Tree, kept: BackupLayer, files: Mapping[str, Original]) -> list[Member]:
    """The members of the original, folders before what is in them and hard links after everything else."""
    members = dict(tree.members)
    for path, original in files.items():
        file = original.file
        hard = file.type is EntryType.HARDLINK
        members[path] = replace(
            original.member,
            path=path,
            type=file.type,
            size=0 if hard else file.size,
            link_target=file.link_target,
            content=None if hard else original.member.content,
        )
    for path, target in kept.hard_links.items():
        member, twin = members.get(path), tree.members.get(target)
        if path in files or member is None or twin is None or member.type is not EntryType.FILE:
            continue
        if _sha256(member) == _sha256(twin):  # a format without hard links made a file of it
            members[path] = replace(
                member, type=EntryType.HARDLINK, size=0, content=None, link_target=target
            )
    return sorted(
        members.values(), key=lambda member: (member.type is EntryType.HARDLINK, member.path)
    )


def _check_trees(rebuilt: Rebuilt) -> None:
    for name, known in rebuilt.layers.items():
        digest = rebuilt.loaded.tree_digest(name)
        if digest != known.tree_before:
            raise IntegrityError(
                "isn't the layer that the originals were taken from: with all of them put back, its tree's digest is "
                f"{digest[:16]}… instead of {known.tree_before[:16]}…",
                file=name,
                hint=_HINT,
            )


def _check_records(rebuilt: Rebuilt) -> None:
    """Every RECORD of the stack is the one that the run wrote, or the true one for what is there now."""
    edited = rebuilt.leaving(rebuilt.slimmed).edited
    for key, original in rebuilt.originals.items():
        if original.file.pass_name != RECORD_PASS:
            continue
        now = rebuilt.trees[key[0]].members.get(key[1])
        true = edited[key].digest.hex() if key in edited else original.file.sha256
        if now is None or _sha256(now) not in (original.file.sha256_after, true):
            raise IntegrityError("isn't what the run left", file=display("/".join(key)), hint=_HINT)
