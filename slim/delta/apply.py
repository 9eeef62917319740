"""``slim delta apply``: the new stack, bit for bit, from the old one and a delta.

The delta is untrusted. Nothing appears at the output unless every layer has the digest that the
delta promises, and the old layers are never written to.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from slim import __version__
from slim.delta import document
from slim.delta.manifests import Written, noted_efforts, write_manifests
from slim.delta.rebuild import PatchFile, Wanted, check_old, read_table, restore
from slim.delta.sides import OldStack, digest_of_side, file_of, old_stack, regular, side_of
from slim.errors import ConfigError, IntegrityError, RefusedError, StorageError
from slim.formats import archive_stem, format_by_name, read_archive, write_archive
from slim.formats.base import Format, Member, ReadOptions, Tree, WriteOptions
from slim.formats.directory import read_directory, write_directory
from slim.formats.effort import encoders
from slim.formats.output import copy_file
from slim.inventory.deployed import as_published
from slim.model.delta import (
    DeltaAction,
    DeltaApplied,
    LayerDelta,
    LayerRestored,
    LayerState,
    NamedFile,
    StackDelta,
)
from slim.model.limits import Limits
from slim.model.progress import Progress, Silent
from slim.model.record import EntryType
from slim.model.settings import Effort
from slim.model.stack import UNKNOWN_PLATFORM, Platform, StackKind
from slim.publish.notes import compression_note
from slim.publish.staging import check_target, publish, staging
from slim.sources.fetch import fetched
from slim.verification.published import compare

_AGAIN = "download or make the delta again"
FOLDERS = "folder"
"""What ``--format`` calls layers as folders."""


@dataclass(frozen=True, kw_only=True)
class ApplyRequest:
    """What to restore. ``format`` is a format of archives or :data:`FOLDERS`; None for what the old stack is.
    ``effort`` is how hard to compress; None: as hard as the manifest of the new stack says that its
    archives were, so that they get the published bytes."""

    old: Path
    delta: Path
    output: Path
    limits: Limits = field(default_factory=Limits)
    format: str | None = None
    platforms: tuple[str, ...] = ()
    force: bool = False
    workers: int = 1
    effort: Effort | None = None


def apply(request: ApplyRequest, progress: Progress | None = None) -> tuple[DeltaApplied, ...]:
    """Write the new stack; one result a platform.

    Raises IntegrityError where the old stack isn't the one that the delta was made from,
    UnsafeInputError and LimitError for a malformed delta; then nothing was published.
    """
    with fetched(request.old) as old:
        return _apply(replace(request, old=old), progress or Silent())


def _apply(request: ApplyRequest, watch: Progress) -> tuple[DeltaApplied, ...]:
    if not (request.delta / document.NAME).exists():
        raise StorageError(
            f"no {document.NAME} there",
            file=request.delta,
            hint="give the folder of slim delta make",
        )
    regular(request.delta / document.NAME, "isn't there")
    for source in (request.old, request.delta):
        check_target(request.output, source, force=request.force)
    delta = document.read(request.delta)
    stacks = [
        one for one in delta.stacks if not request.platforms or one.platform in request.platforms
    ]
    if not stacks:
        there = ", ".join(one.platform for one in delta.stacks)
        raise ConfigError(
            "the delta isn't for these platforms", file=request.delta, hint=f"there is: {there}"
        )
    workers = max(1, request.workers)
    with staging(request.output) as folder, ThreadPoolExecutor(max_workers=workers) as executor:
        place = folder / "set"
        place.mkdir()
        results = []
        for stack in stacks:
            one = _Restoring(
                request=request,
                stack=stack,
                old=old_stack(request.old, stack, alone=len(delta.stacks) == 1),
                place=place,
                spool=folder,
                write=WriteOptions(
                    executor=executor, workers=workers, machine=_platform(stack).machine
                ),
                efforts=noted_efforts(request.delta, stack),
                watch=watch,
            )
            results.append(one.run())
        watch.stage("Publishing")
        publish(_published(place, request, results), request.output, force=request.force)
    return tuple(results)


def _published(place: Path, request: ApplyRequest, results: list[DeltaApplied]) -> Path:
    """What becomes the output: a lone plain folder or archive is that itself, where the old one was, too."""
    names = [layer.place for result in results for layer in result.layers]
    whole = sorted(path.name for path in place.iterdir())
    if (
        len(names) == 1
        and whole == names
        and (request.old.is_file() or (place / names[0]).is_dir())
    ):
        single = place / names[0]
        return single if single.is_dir() or single.suffix == request.output.suffix else place
    return place


def _platform(stack: StackDelta) -> Platform:
    return Platform.parse(stack.platform)


@dataclass(frozen=True, kw_only=True)
class _Restoring:
    request: ApplyRequest
    stack: StackDelta
    old: OldStack
    place: Path
    spool: Path
    write: WriteOptions
    efforts: Mapping[str, Effort]
    watch: Progress

    def run(self) -> DeltaApplied:
        self.watch.stage("Restoring layers", total=len(self.stack.layers))
        layers: list[LayerRestored] = []
        archives: dict[str, Written] = {}
        for layer in self.stack.layers:
            if layer.action is not DeltaAction.REMOVED:
                started = time.monotonic()
                assert layer.new is not None
                place = self._layer(layer, layer.new)
                archive = file_of(place) if place.is_file() else None
                done = _told(layer, layer.new, place, archive, time.monotonic() - started)
                if archive is not None:
                    note = (
                        {}
                        if done.identical
                        else compression_note(archive.name, self._effort(layer.name))
                    )
                    archives[layer.name] = Written(file=archive, compression=note)
                layers.append(done)
            self.watch.advance()
        if archives or self.old.has_manifest:
            write_manifests(self.request.delta, self.stack, self.place, archives)
        return DeltaApplied(
            platform=self.stack.platform,
            layers=tuple(layers),
            output=str(self.request.output),
            slim_version=__version__,
        )

    def _layer(self, layer: LayerDelta, new: LayerState) -> Path:
        target = self._target(layer, new)
        source = self._same_bytes(layer, new)
        if source is not None and target.name == (new.archive.name if new.archive else ""):
            copy_file(source, target)
            _check(file_of(target, source.name), new.archive, source)
            if layer.action is DeltaAction.FULL:
                with ExitStack() as resources:  # nobody has read it yet
                    self._tree(resources, layer, new, source)
            return target
        with ExitStack() as resources:
            tree, digests = self._tree(resources, layer, new, source)
            members = [*([tree.root_member] if tree.root_member else []), *tree.members.values()]
            if target.suffix == "" or self._format(new) is None:
                write_directory(members, target)
            else:
                archive_format = self._format(new)
                assert archive_format is not None
                options = self._compressing(layer.name, archive_format)
                write_archive(
                    archive_format, iter(members), new.root or layer.name, target, options
                )
                if new.archive is not None and file_of(target).sha256 == new.archive.sha256:
                    return target  # the published bytes: nothing is left to compare
            self._read_back(target, members, digests)
        return target

    def _compressing(self, layer: str, archive_format: Format) -> WriteOptions:
        """As hard as was asked for, or as it was done before; on as many threads as have room."""
        effort = self._effort(layer)
        room = encoders(self.write.workers, effort, archive_format.name)
        return replace(self.write, workers=room, threads=room, effort=effort)

    def _effort(self, layer: str) -> Effort:
        return self.request.effort or self.efforts.get(layer) or Effort()

    def _same_bytes(self, layer: LayerDelta, new: LayerState) -> Path | None:
        """An archive that is the new layer's, byte for byte: in the delta, or among the old ones. Checked."""
        if layer.action is DeltaAction.FULL:
            assert layer.file is not None
            path = self.request.delta / layer.file.name
            _check_file(path, layer.file)
            return path
        place = self.old.places.get(layer.name)
        if (
            layer.action is DeltaAction.UNCHANGED
            and new.archive is not None
            and place is not None
            and place.is_file()
        ):
            _check(file_of(place), new.archive, place)
            return place
        return None

    def _tree(
        self, resources: ExitStack, layer: LayerDelta, new: LayerState, source: Path | None
    ) -> tuple[Tree, Mapping[str, str]]:
        if source is not None:
            side = side_of(resources.enter_context(read_archive(source, self._options())))
            if digest_of_side(side) != new.tree_sha256 or side.tree.root != new.root:
                raise IntegrityError(
                    "isn't the layer that the delta promises", file=source, hint=_AGAIN
                )
            return side.tree, side.digests
        old = None if layer.old is None else self._old_tree(resources, layer)
        if layer.action is DeltaAction.UNCHANGED:
            assert old is not None
            return self._unchanged(old, layer, new)
        assert layer.file is not None and layer.table is not None
        path = self.request.delta / layer.file.name
        _check_file(path, layer.file)
        patch = PatchFile(
            path=path,
            size=layer.file.size,
            table_size=layer.table[0],
            table_unpacked=layer.table[1],
        )
        wanted = Wanted(
            layer=layer.name,
            old_tree=None if layer.old is None else layer.old.tree_sha256,
            new_tree=new.tree_sha256,
            root=new.root,
            size=new.size,
            is_folder=new.archive is None,
        )
        table = read_table(patch, self._options())
        known = (
            None
            if old is None
            else check_old(table, old, wanted, folder=self.old.places[layer.name].is_dir())
        )
        tree, digests = restore(patch, table, known, wanted, self._options())
        return resources.enter_context(tree), digests

    def _old_tree(self, resources: ExitStack, layer: LayerDelta) -> Tree:
        place = self.old.places.get(layer.name)
        if place is None:
            raise IntegrityError(
                f"the layer {layer.name!r} isn't there",
                file=self.request.old,
                hint="the delta needs it",
            )
        if place.is_dir():
            return resources.enter_context(
                read_directory(place, self._options(anywhere=True, skip_special=True))
            )
        return resources.enter_context(read_archive(place, self._options()))

    def _unchanged(
        self, old: Tree, layer: LayerDelta, new: LayerState
    ) -> tuple[Tree, Mapping[str, str]]:
        """The old tree as it is, or without what installing made: the one that has the digest."""
        for tree in (old, as_published(old)):
            side = side_of(tree)
            if digest_of_side(side) == new.tree_sha256:
                return tree, side.digests
        raise IntegrityError(
            "isn't the layer that the delta was made from",
            file=self.old.places[layer.name],
            hint="what was added to or changed in the folder since has to go, or download the layer whole",
        )

    def _options(self, *, anywhere: bool = False, skip_special: bool = False) -> ReadOptions:
        platform = _platform(self.stack)
        plain = self.stack.kind == StackKind.FOLDER.value and self.old.plain
        return ReadOptions(
            spool_dir=self.spool,
            limits=self.request.limits,
            platform=None if platform.tag == UNKNOWN_PLATFORM.tag else platform,
            siblings=self.stack.kind != StackKind.FOLDER.value,
            anywhere=anywhere or plain,
            skip_special=skip_special,
        )

    def _format(self, new: LayerState) -> Format | None:
        """What the layer is written as; None for a folder."""
        wanted = self.request.format
        if wanted is None:
            wanted = FOLDERS if self.old.folders else (new.format or self.old.format or FOLDERS)
        return None if wanted == FOLDERS else format_by_name(wanted)

    def _target(self, layer: LayerDelta, new: LayerState) -> Path:
        archive_format = self._format(new)
        if archive_format is None:
            return self._free(layer.name)
        if new.archive is not None and new.format == archive_format.name:
            return self._free(new.archive.name)
        stem = archive_stem(new.archive.name) if new.archive is not None else layer.name
        return self._free(f"{stem}{archive_format.suffixes[0]}")

    def _free(self, name: str) -> Path:
        target = self.place / name
        if target.exists() or target.is_symlink():
            raise ConfigError(
                f"two layers are both written to {name!r}",
                file=self.request.delta,
                hint="apply the delta for one --platform at a time",
            )
        return target

    def _read_back(self, target: Path, members: list[Member], digests: Mapping[str, str]) -> None:
        expected = [member for member in members if member.path]
        _, failures = compare(
            target,
            expected,
            dict(_digests(expected, digests)),
            self._options(anywhere=target.is_dir()),
            times=not target.name.endswith(".zip"),
        )
        if failures:
            raise RefusedError(
                f"what was written isn't what was restored: {failures[0]}", file=target.name
            )


def _digests(members: list[Member], digests: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Hard links may be read back as files."""
    for member in members:
        path = (member.link_target or "") if member.type is EntryType.HARDLINK else member.path
        if path in digests:
            yield member.path, digests[path]


def _check_file(path: Path, wanted: NamedFile) -> None:
    _check(file_of(regular(path, "the delta's file is missing")), wanted, path)


def _check(found: NamedFile, wanted: NamedFile | None, place: Path) -> None:
    if wanted is None or (found.size, found.sha256) == (wanted.size, wanted.sha256):
        return
    raise IntegrityError(
        f"has {found.size} bytes and SHA-256 {found.sha256}, the delta says {wanted.size} and {wanted.sha256}",
        file=place,
        hint="the delta belongs to another stack, or the file was changed or cut",
    )


def _told(
    layer: LayerDelta, new: LayerState, place: Path, archive: NamedFile | None, elapsed: float
) -> LayerRestored:
    identical = (
        None if archive is None or new.archive is None else archive.sha256 == new.archive.sha256
    )
    return LayerRestored(
        name=layer.name,
        action=layer.action,
        place=place.name,
        size=archive.size if archive is not None else new.size,
        identical=identical,
        elapsed=elapsed,
    )
