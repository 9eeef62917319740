"""Stages of ``slim restore``: read backup and stack, rebuild, write, read back, publish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from slim.backup.reader import Backup, Original, open_backup
from slim.backup.rebuild import LayerBackup, OriginalStack, rebuild
from slim.errors import ConfigError, IntegrityError, RefusedError
from slim.formats.names import display
from slim.inventory.load import load
from slim.inventory.locate import locate
from slim.inventory.located import Located
from slim.inventory.unchanged import unchanged
from slim.model.backup import BackupStack, Restored, RestoredLayer
from slim.model.context import RunContext
from slim.model.limits import Limits
from slim.model.progress import Progress, Silent
from slim.model.record import FileKey
from slim.model.settings import Effort
from slim.model.stack import Stack, StackKind
from slim.publish.layers import NextLayer, next_layer, read_back, together, true_records
from slim.publish.notes import SLIM_KEY, compression_note
from slim.publish.publisher import Publisher, WrittenLayer
from slim.publish.staging import check_target, publish, staging
from slim.sources.fetch import fetched


@dataclass(frozen=True, kw_only=True)
class RestoreRequest:
    """Request to put originals of a backup back into a slimmed stack."""

    backup: Path
    """The file of ``slim run --keep-removed``."""
    source: Path
    """The slimmed stack."""
    output: Path
    """The place of the result."""
    globs: tuple[str, ...] = ()
    """The originals that come back; all of them if there is no glob."""
    platforms: tuple[str, ...] = ()
    """The platforms of the stacks that are restored; all of them if empty."""
    limits: Limits = field(default_factory=Limits)
    workers: int = 1
    """Number of threads that read and compress; it never influences a byte of the result."""
    effort: Effort = field(default_factory=Effort)
    """Effort of compression."""
    force: bool = False
    """True if the output may be replaced."""


def restore(request: RestoreRequest, progress: Progress | None = None) -> tuple[Restored, ...]:
    """Put originals back into a slimmed stack, and publish it. One result for each manifest.

    Raises the errors of :mod:`slim.errors`; when it does, nothing was published.
    """
    with fetched(request.source) as source:
        return _restore(replace(request, source=source), progress or Silent())


def _restore(request: RestoreRequest, progress: Progress) -> tuple[Restored, ...]:
    located = locate(request.source, platforms=request.platforms)
    check_target(request.output, request.source, force=request.force)
    if request.output.resolve() in request.backup.resolve().parents:
        raise ConfigError("the file with the originals lies inside the output", file=request.output)
    with staging(request.output) as folder:
        spool = folder / "spool"
        spool.mkdir()
        publisher = Publisher(
            request.output, folder / "set", format_name=None, effort=request.effort
        )
        context = RunContext(
            spool_dir=spool, limits=request.limits, workers=request.workers, progress=progress
        )
        with unchanged(*located), open_backup(request.backup, context) as backup:
            selected = backup.select(request.globs, request.platforms)
            restoration = _Restoration(request, backup, selected, publisher, context)
            alone = len(located) == 1
            results = tuple(restoration.restore(stack, alone=alone) for stack in located)
        progress.stage("Publishing")
        publish(publisher.staged(), request.output, force=request.force)
    return results


@dataclass(frozen=True, slots=True)
class _Restoration:
    """Restoration of all stacks of a request. ``selected`` are the originals that come back."""

    request: RestoreRequest
    backup: Backup
    selected: Sequence[Original]
    publisher: Publisher
    context: RunContext

    def restore(self, located: Located, *, alone: bool) -> Restored:
        """Restore one stack. ``alone`` says that it is the only one."""
        with load(located, self.context) as given:
            backup_stack = _stack_in(self.backup, given.stack, alone=alone)
            backups = _layer_backups(self.backup, backup_stack, given.stack)
            self._check_layers(backup_stack, backups, given.stack)
            original = rebuild(self.backup, given, backups)
            return self._write(original, self._parts(original))

    def _check_layers(
        self, backup_stack: BackupStack, backups: Mapping[str, LayerBackup], stack: Stack
    ) -> None:
        """Raise ConfigError if the stack lacks a layer to restore into.

        A lone archive is one layer of several, and isn't asked for the others.
        """
        there = {backup.layer.name for backup in backups.values()}
        wanted = {one.layer.name for one in self.selected if one.stack is backup_stack}
        missing = sorted(wanted - there)
        if missing and (self.request.globs or stack.kind is not StackKind.ARCHIVE):
            raise ConfigError(
                f"the stack has no layer {', '.join(map(display, missing))} to restore into",
                file=stack.source,
            )

    def _parts(self, original: OriginalStack) -> _Parts:
        wanted = {selected.place for selected in self.selected}
        back = frozenset(key for key in original.slimmed if original.originals[key].place in wanted)
        stay = original.slimmed - back
        touched = {key[0] for key in back}
        if not self.request.globs:
            touched |= {key[0] for key in original.changed_records}
        changing = touched if self.request.globs else original.layers.keys()
        whole = {name for name in changing if not any(key[0] == name for key in stay)}
        return _Parts(back=back, stay=stay, touched=frozenset(touched), whole=frozenset(whole))

    def _write(self, original: OriginalStack, parts: _Parts) -> Restored:
        stack = original.loaded.stack
        planned = original.leaving(parts.stay, original.layers.keys() - parts.touched)
        coming = [
            _carried(next_layer(planned, layer), carry=layer.name not in parts.touched)
            for layer in stack
        ]
        # A layer that is the original again has the original's RECORDs, with whatever they say.
        partly = parts.touched - parts.whole
        records = true_records(
            [layer for layer in coming if layer.new.layer.name in partly],
            original.loaded.inventory,
        )
        if not records.passed:
            file, _, problem = records.failures[0].partition(": ")
            raise IntegrityError(
                f"wouldn't be true of what is put back: {problem}",
                file=file,
                hint="put everything back, without globs: the originals have RECORDs of their own",
            )
        written = self.publisher.write_layers(stack, [layer.new for layer in coming], self.context)
        check = together(read_back(written, coming, self.context))
        if not check.passed:
            raise RefusedError(
                f"what was written isn't what was planned: {check.failures[0]}",
                hint="nothing was published",
            )
        pairs = list(zip(coming, written, strict=True))
        notes = {
            layer.new.layer.name: _partial_note(layer, done, self.request.effort)
            for layer, done in pairs
            if layer.new.layer.name in partly
        }
        self.publisher.write_manifest(
            _with_original_notes(stack, original, parts.whole),
            written,
            {name: note for name, note in notes.items() if note is not None},
        )
        return Restored(
            source=stack.source,
            platform=stack.platform.tag,
            output=str(self.request.output),
            layers=tuple(_restored_layer(original, parts, layer, done) for layer, done in pairs),
            warnings=original.loaded.warnings,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """Originals of one stack that come ``back``, and those that ``stay`` slimmed.

    ``touched`` are names of the layers that change, ``whole`` of those that are the original again.
    """

    back: frozenset[FileKey]
    stay: frozenset[FileKey]
    touched: frozenset[str]
    whole: frozenset[str]


def _stack_in(backup: Backup, stack: Stack, *, alone: bool) -> BackupStack:
    """Find a stack in the backup by its manifest, platform and layers. Raises ConfigError."""
    names = {layer.name for layer in stack}
    stacks = backup.index.stacks
    if len(stacks) == 1 and alone and _is_plain(stack):
        return stacks[0]
    fitting = [one for one in stacks if names & {layer.name for layer in one.layers}]
    on_platform = [one for one in fitting if one.platform.tag == stack.platform.tag]
    of_manifest = [one for one in on_platform if one.manifest == stack.manifest_name]
    for candidates in (of_manifest, on_platform):
        if len(candidates) == 1:
            return candidates[0]
    if len(fitting) == 1 and alone:
        return fitting[0]
    raise ConfigError(
        f"{backup.source.name} holds no originals of this stack",
        file=stack.source,
        hint="give the stack that was written together with the file; "
        "slim restore FILE --list tells what it has",
    )


def _is_plain(stack: Stack) -> bool:
    return stack.kind is StackKind.FOLDER


def _layer_backups(
    backup: Backup, backup_stack: BackupStack, stack: Stack
) -> dict[str, LayerBackup]:
    """Backups of the layers that the stack has, by their names in it.

    A plain folder may have another name by now.
    """
    names = {layer.name: layer.name for layer in backup_stack.layers}
    if _is_plain(stack) and len(backup_stack.layers) == 1:
        names = {backup_stack.layers[0].name: stack.layers[0].name}
    there = {layer.name for layer in stack}
    backups = {
        names[layer.name]: LayerBackup(layer=layer)
        for layer in backup_stack.layers
        if names[layer.name] in there
    }
    for original in backup.originals:
        if original.stack is backup_stack and names[original.layer.name] in backups:
            backups[names[original.layer.name]].files[original.file.path] = original
    return backups


def _carried(layer: NextLayer, *, carry: bool) -> NextLayer:
    return replace(layer, new=replace(layer.new, carry=carry))


def _partial_note(
    layer: NextLayer, written: WrittenLayer, effort: Effort
) -> dict[str, object] | None:
    """Note in the manifest about a layer that got back a part of its originals.

    None if the slimmed layer had no note.
    """
    note = layer.new.layer.entry.get(SLIM_KEY)
    if not isinstance(note, dict):
        return None
    archive = written.archive
    changed: dict[str, object] = {
        **deepcopy(note),
        **compression_note(archive.name if archive else None, effort),
        "tree_sha256": layer.tree_sha256,
    }
    sizes = {
        "archive_size": archive.size if archive else 0,
        "unpacked_size": layer.after.unpacked,
        "deployed_size_estimate": layer.after.deployed,
    }
    for key, size in sizes.items():
        old = changed.get(key)
        changed[key] = {**(old if isinstance(old, dict) else {}), "after": size}
    return changed


def _with_original_notes(stack: Stack, original: OriginalStack, whole: frozenset[str]) -> Stack:
    """Return the stack with a manifest whose notes about whole layers are the original's."""
    if stack.manifest_name is None:
        return stack
    manifest = deepcopy(dict(stack.manifest))
    sections = cast("dict[str, list[dict[str, Any]]]", manifest["layers"]).values()
    for entry in (entry for section in sections if isinstance(section, list) for entry in section):
        name = entry.get("install_target")
        if name in whole:
            entry.pop(SLIM_KEY, None)
            note = original.layers[name].note
            if note is not None:
                entry[SLIM_KEY] = dict(note)
    return replace(stack, manifest=manifest)


def _restored_layer(
    original: OriginalStack, parts: _Parts, layer: NextLayer, written: WrittenLayer
) -> RestoredLayer:
    name, before = layer.new.layer.name, layer.new.layer.archive
    known = original.layers.get(name)
    whole = known is None or known.tree_before == layer.tree_sha256
    back = {key for key in parts.back if key[0] == name}
    if whole and not layer.new.carry:
        back |= {key for key in original.changed_records if key[0] == name}
    return RestoredLayer(
        name=name,
        files=len(back),
        size=sum(original.originals[key].file.size for key in back),
        left=sum(key[0] == name for key in parts.stay),
        whole=whole,
        tree_sha256=layer.tree_sha256,
        archive_before=before.size if before else 0,
        archive_after=written.archive.size if written.archive else 0,
    )
