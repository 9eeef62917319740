"""The stages of ``slim restore``: read the store, read the stack, rebuild, write, read back, publish."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from slim.backup.rebuild import Rebuilt, rebuild
from slim.backup.store import Original, Store, check_content, chosen, open_store
from slim.errors import ConfigError, RefusedError, UnsafeInputError
from slim.formats.base import Member
from slim.formats.digests import digest_of
from slim.formats.directory import write_directory
from slim.formats.links import LinkResolver
from slim.formats.names import display
from slim.inventory.load import load
from slim.inventory.locate import locate
from slim.inventory.located import Located
from slim.inventory.unchanged import unchanged
from slim.model.backup import BackupLayer, BackupStack, Restored, RestoredLayer
from slim.model.context import RunContext
from slim.model.limits import Limits
from slim.model.progress import Progress, Silent
from slim.model.record import EntryType, FileKey
from slim.model.settings import Effort
from slim.model.stack import Layer, Stack, StackKind
from slim.plan.apply import RECORD_PASS
from slim.plan.planned import PlannedStack
from slim.publish.layers import NextLayer, next_layer, read_back, true_records
from slim.publish.notes import SLIM_KEY, compression_note
from slim.publish.publisher import Publisher, WrittenLayer
from slim.publish.staging import check_target, publish, staging
from slim.sources.fetch import fetched
from slim.system.cpus import available_cpus
from slim.system.workspace import workspace

__all__ = ["RestoreRequest", "look", "restore", "write_out"]


@dataclass(frozen=True, kw_only=True)
class RestoreRequest:
    """What to restore: the store, the slimmed stack, where the result goes, and globs for what comes back (none: all
    of it). ``jobs`` is the number of worker threads, None for one a processor; ``effort``: how hard
    to compress."""

    store: Path
    source: Path
    output: Path
    globs: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    jobs: int | None = None
    effort: Effort = field(default_factory=Effort)
    force: bool = False

    @property
    def workers(self) -> int:
        """How many threads read and compress; never influences a byte of the result."""
        return self.jobs or available_cpus()


def look(
    store: Path, globs: Iterable[str], platforms: Iterable[str], limits: Limits
) -> tuple[Original, ...]:
    """What a store has, or what of it the globs select. Members that are told can't be read afterwards."""
    with workspace() as spool, open_store(store, spool_dir=spool, limits=limits) as opened:
        return chosen(_of_platforms(opened, platforms), globs)


def _of_platforms(store: Store, platforms: Iterable[str]) -> list[Original]:
    wanted = set(platforms)
    there = {stack.platform.tag for stack in store.index.stacks}
    if wanted - there:
        raise ConfigError(
            f"nothing was kept of platform {', '.join(sorted(wanted - there))}",
            file=store.source,
            hint=f"there is: {', '.join(sorted(there))}",
        )
    return [one for one in store.originals if not wanted or one.stack.platform.tag in wanted]


# Files to look at


def write_out(
    store: Path,
    target: Path,
    globs: Iterable[str],
    platforms: Iterable[str],
    limits: Limits,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> tuple[tuple[Original, ...], tuple[str, ...]]:
    """Write originals into a fresh folder, as LAYER/path. Returns them, and the names of links that were left out
    because they lead out of the folder.

    Raises the errors of :mod:`slim.errors`; when it does, there is no folder.
    """
    watch = progress or Silent()
    check_target(target, store, force=force)
    with staging(target) as folder, open_store(store, spool_dir=folder, limits=limits) as opened:
        picked = chosen(_of_platforms(opened, platforms), globs)
        watch.stage("Writing originals", total=len(picked))
        members: dict[str, Member] = {}
        for one in picked:
            check_content(store, one)
            name = one.place
            members[name] = replace(one.member, path=name)
            watch.advance()
        out = set(_leading_out(members, store))
        kept = [members[name] for name in sorted(members) if name not in out]
        write_directory(kept, folder / "files")
        publish(folder / "files", target, force=force)
    return tuple(one for one in picked if one.place not in out), tuple(sorted(out))


def _leading_out(members: Mapping[str, Member], source: Path) -> Iterator[str]:
    """Symbolic links that lead, or could lead, out of the folder that everything is written to."""
    links = {
        name: member.link_target or ""
        for name, member in members.items()
        if member.type is EntryType.SYMLINK
    }
    resolver = LinkResolver(
        source=source,
        links=links,
        exists=members.__contains__,
        key=lambda path: path,
        top=None,
        platform=None,
    )
    for name in links:
        try:
            resolver.resolve(name)
        except UnsafeInputError:
            yield name


# A whole stack


def restore(request: RestoreRequest, progress: Progress | None = None) -> tuple[Restored, ...]:
    """Put originals back into a slimmed stack, and publish the result. One result for each manifest.

    Raises the errors of :mod:`slim.errors`; when it does, nothing was published.
    """
    with fetched(request.source) as source:
        return _restore(replace(request, source=source), progress or Silent())


def _restore(request: RestoreRequest, watch: Progress) -> tuple[Restored, ...]:
    located = locate(request.source, platforms=request.platforms)
    check_target(request.output, request.source, force=request.force)
    if request.output.resolve() in request.store.resolve().parents:
        raise ConfigError("the file with the originals lies inside the output", file=request.output)
    with staging(request.output) as folder:
        spool = folder / "spool"
        spool.mkdir()
        publisher = Publisher(
            request.output, folder / "set", format_name=None, effort=request.effort
        )
        context = RunContext(
            spool_dir=spool, limits=request.limits, workers=request.workers, progress=watch
        )
        with (
            unchanged(*located),
            open_store(request.store, spool_dir=spool, limits=request.limits) as store,
        ):
            picked = chosen(_of_platforms(store, request.platforms), request.globs)
            results = tuple(
                _restore_one(request, store, picked, one, len(located), publisher, context)
                for one in located
            )
        watch.stage("Publishing")
        publish(publisher.staged(), request.output, force=request.force)
    return results


def _restore_one(
    request: RestoreRequest,
    store: Store,
    picked: Sequence[Original],
    one: Located,
    count: int,
    publisher: Publisher,
    context: RunContext,
) -> Restored:
    with load(one, context) as given:
        kept_stack = _stack_of(store, given.stack, count)
        kept = _layers_of(store, kept_stack, given.stack)
        _all_there(request, kept_stack, kept, picked, given.stack)
        rebuilt = rebuild(store.source, given, kept)
        wanted = {original.place for original in picked}
        back = {key for key, original in rebuilt.originals.items() if original.place in wanted}
        return _write(request, rebuilt, back, publisher, context)


def _stack_of(store: Store, stack: Stack, count: int) -> BackupStack:
    """The store's stack that this one is: by manifest, platform and layers."""
    names = {layer.name for layer in stack}
    stacks = store.index.stacks
    if len(stacks) == 1 and count == 1 and _is_plain(stack):
        return stacks[0]
    fitting = [one for one in stacks if names & {layer.name for layer in one.layers}]
    on_platform = [one for one in fitting if one.platform.tag == stack.platform.tag]
    for some in ([one for one in on_platform if one.manifest == stack.manifest_name], on_platform):
        if len(some) == 1:
            return some[0]
    if len(fitting) == 1 and count == 1:
        return fitting[0]
    raise ConfigError(
        f"{store.source.name} holds no originals of this stack",
        file=stack.source,
        hint="give the stack that was written together with the file; slim restore FILE --list tells what it has",
    )


def _is_plain(stack: Stack) -> bool:
    return stack.kind is StackKind.FOLDER


def _layers_of(
    store: Store, kept_stack: BackupStack, stack: Stack
) -> dict[str, tuple[BackupLayer, dict[str, Original]]]:
    """What was kept of each layer of the stack. A plain folder may have another name by now."""
    names = {layer.name: layer.name for layer in kept_stack.layers}
    if _is_plain(stack) and len(kept_stack.layers) == 1:
        names = {kept_stack.layers[0].name: stack.layers[0].name}
    found: dict[str, tuple[BackupLayer, dict[str, Original]]] = {}
    there = {layer.name for layer in stack}
    for layer in kept_stack.layers:
        if names[layer.name] in there:
            found[names[layer.name]] = (layer, {})
    for original in store.originals:
        if original.stack is kept_stack and names[original.layer.name] in found:
            found[names[original.layer.name]][1][original.file.path] = original
    return found


def _all_there(
    request: RestoreRequest,
    kept_stack: BackupStack,
    kept: Mapping[str, tuple[BackupLayer, object]],
    picked: Sequence[Original],
    stack: Stack,
) -> None:
    """Refuse to restore into layers that aren't there. A lone archive is one layer of several."""
    there = {layer.name for layer, _ in kept.values()}
    wanted = {one.layer.name for one in picked if one.stack is kept_stack}
    missing = sorted(wanted - there)
    if missing and (request.globs or stack.kind is not StackKind.ARCHIVE):
        raise ConfigError(
            f"the stack has no layer {', '.join(map(display, missing))} to restore into",
            file=stack.source,
        )


def _write(
    request: RestoreRequest,
    rebuilt: Rebuilt,
    back: set[FileKey],
    publisher: Publisher,
    context: RunContext,
) -> Restored:
    stack = rebuilt.loaded.stack
    stay = rebuilt.slimmed - back
    touched = {key[0] for key in rebuilt.slimmed & back}
    if not request.globs:
        touched |= {
            key[0]
            for key, original in rebuilt.originals.items()
            if _record_differs(rebuilt, key, original)
        }
    planned = rebuilt.leaving(stay, rebuilt.layers.keys() - touched)
    changing = touched if request.globs else rebuilt.layers.keys()
    whole = {name for name in changing if not any(key[0] == name for key in stay)}
    coming = [_next(planned, layer, touched) for layer in stack]
    # A layer that is the original again has the original's RECORDs, with whatever they say.
    records = true_records(
        [item for item in coming if item.new.layer.name in touched - whole],
        rebuilt.loaded.inventory,
    )
    if not records.passed:
        raise RefusedError(
            f"RECORD wouldn't be true: {records.failures[0]}", hint="please report this as a bug"
        )
    written = publisher.write_layers(stack, [item.new for item in coming], context)
    check = read_back(written, coming, context)
    if not check.passed:
        raise RefusedError(
            f"what was written isn't what was planned: {check.failures[0]}",
            hint="nothing was published",
        )
    notes = _notes(coming, written, touched - whole, request.effort)
    publisher.write_manifest(_without_notes(stack, rebuilt, whole), written, notes)
    return Restored(
        source=stack.source,
        platform=stack.platform.tag,
        output=str(request.output),
        layers=tuple(
            _told(rebuilt, back, stay, item, done)
            for item, done in zip(coming, written, strict=True)
        ),
        warnings=rebuilt.loaded.warnings,
    )


def _record_differs(rebuilt: Rebuilt, key: FileKey, original: Original) -> bool:
    if original.file.pass_name != RECORD_PASS:
        return False
    now = rebuilt.trees[key[0]].members[key[1]].content
    return now is not None and digest_of(now).hex() != original.file.sha256


def _next(planned: PlannedStack, layer: Layer, touched: set[str]) -> NextLayer:
    found = next_layer(planned, layer)
    return replace(found, new=replace(found.new, carry=layer.name not in touched))


def _notes(
    coming: Sequence[NextLayer], written: Sequence[WrittenLayer], partly: set[str], effort: Effort
) -> dict[str, dict[str, object]]:
    """What the manifest says from now on about layers that got back a part of what was taken."""
    notes: dict[str, dict[str, object]] = {}
    for item, done in zip(coming, written, strict=True):
        layer = item.new.layer
        note = layer.entry.get(SLIM_KEY)
        if layer.name not in partly or not isinstance(note, dict):
            continue
        compressed = compression_note(done.archive.name if done.archive else None, effort)
        changed: dict[str, object] = {
            **deepcopy(note),
            **compressed,
            "tree_sha256": item.tree_sha256,
        }
        sizes = {
            "archive_size": done.archive.size if done.archive else 0,
            "unpacked_size": item.after.unpacked,
            "deployed_size_estimate": item.after.deployed,
        }
        for key, size in sizes.items():
            old = changed.get(key)
            changed[key] = {**(old if isinstance(old, dict) else {}), "after": size}
        notes[layer.name] = changed
    return notes


def _without_notes(stack: Stack, rebuilt: Rebuilt, whole: set[str]) -> Stack:
    """The stack with a manifest that says about whole layers what the original's did."""
    if stack.manifest_name is None:
        return stack
    manifest = deepcopy(dict(stack.manifest))
    for section in cast(dict[str, list[dict[str, Any]]], manifest["layers"]).values():
        for entry in section if isinstance(section, list) else []:
            name = entry.get("install_target")
            if name in whole:
                entry.pop(SLIM_KEY, None)
                note = rebuilt.layers[name].note
                if note is not None:
                    entry[SLIM_KEY] = dict(note)
    return replace(stack, manifest=manifest)


def _told(
    rebuilt: Rebuilt,
    back: set[FileKey],
    stay: frozenset[FileKey],
    item: NextLayer,
    done: WrittenLayer,
) -> RestoredLayer:
    name = item.new.layer.name
    known = rebuilt.layers.get(name)
    whole = known is None or known.tree_before == item.tree_sha256
    came = {key for key in rebuilt.slimmed & back if key[0] == name}
    if whole and not item.new.carry:
        came |= {
            key
            for key, one in rebuilt.originals.items()
            if key[0] == name and _record_differs(rebuilt, key, one)
        }
    before = item.new.layer.archive
    return RestoredLayer(
        name=name,
        files=len(came),
        size=sum(rebuilt.originals[key].file.size for key in came),
        left=sum(key[0] == name for key in stay),
        whole=whole,
        tree_sha256=item.tree_sha256,
        archive_before=before.size if before else 0,
        archive_after=done.archive.size if done.archive else 0,
    )
