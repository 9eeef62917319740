"""``slim delta make``: what a client of one stack needs to get the next one, layer by layer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from slim import __version__
from slim.delta import document
from slim.delta.patch import Patch, Side, make_patch
from slim.delta.sides import file_of, same_members, side_of, state_of
from slim.errors import ConfigError, StorageError
from slim.formats import archive_stem
from slim.formats.output import copy_file, write_file
from slim.inventory.locate import locate
from slim.inventory.located import Located, check_archives
from slim.inventory.manifest import ENV_METADATA, FOLDER
from slim.inventory.platforms import with_platform
from slim.inventory.read import read_layer
from slim.inventory.unchanged import unchanged
from slim.model.context import RunContext
from slim.model.delta import (
    Delta,
    DeltaAction,
    DeltaMade,
    LayerDelta,
    LayerMade,
    LayerState,
    NamedFile,
    StackDelta,
)
from slim.model.limits import Limits
from slim.model.progress import Progress, Silent
from slim.model.stack import Layer, Platform, StackKind
from slim.publish.staging import check_target, publish, staging
from slim.sources.fetch import fetched


@dataclass(frozen=True, kw_only=True)
class MakeRequest:
    """What to make a delta of. ``platforms`` limits what is compared; empty means all that both sides have."""

    old: Path
    new: Path
    output: Path
    limits: Limits = field(default_factory=Limits)
    platforms: tuple[str, ...] = ()
    force: bool = False


def make(request: MakeRequest, progress: Progress | None = None) -> tuple[DeltaMade, ...]:
    """Write the delta from ``old`` to ``new``, and tell what it holds: one result a platform.

    Raises the errors of :mod:`slim.errors`; when it does, nothing was published.
    """
    with fetched(request.old) as old, fetched(request.new) as new:
        return _make(replace(request, old=old, new=new), progress or Silent())


def _make(request: MakeRequest, watch: Progress) -> tuple[DeltaMade, ...]:
    for source in (request.old, request.new):
        check_target(request.output, source, force=request.force)
    pairs = _pairs(request)
    with staging(request.output) as folder:
        place = folder / "delta"
        place.mkdir()
        context = RunContext(spool_dir=folder, limits=request.limits, progress=watch)
        maker = _Maker(request=request, place=place, context=context, several=len(pairs) > 1)
        with unchanged(*(one for pair in pairs for one in pair)):
            made = [maker.stack(old, new) for old, new in pairs]
        delta = Delta(stacks=tuple(stack for stack, _ in made), slim_version=__version__)
        write_file(place / document.NAME, [document.render(delta).encode("utf-8")])
        watch.stage("Publishing")
        publish(place, request.output, force=request.force)
    return tuple(result for _, result in made)


def _pairs(request: MakeRequest) -> list[tuple[Located, Located]]:
    """Which stack becomes which: those of one platform; a lone one becomes a lone one."""
    old, new = (
        locate(source, platforms=request.platforms, deployed=not request.platforms)
        for source in (request.old, request.new)
    )
    if len(old) == len(new) == 1:
        return [(old[0], new[0])]
    before = {one.stack.platform.tag: one for one in old}
    missing = [one.stack.platform.tag for one in new if one.stack.platform.tag not in before]
    if missing:
        raise ConfigError(
            f"nothing for platform {', '.join(missing)}",
            file=request.old,
            hint="limit the delta to what both have with --platform",
        )
    return [(before[one.stack.platform.tag], one) for one in new]


@dataclass(kw_only=True)
class _Maker:
    request: MakeRequest
    place: Path
    context: RunContext
    several: bool
    used: set[str] = field(default_factory=set)
    detected: Platform | None = None

    def stack(self, old: Located, new: Located) -> tuple[StackDelta, DeltaMade]:
        for one in (old, new):
            check_archives(one, self.context.progress)
        self.context.progress.stage("Comparing layers", total=len(new.stack.layers))
        layers = [self._timed(old, new, before, layer) for before, layer in _same_layers(old, new)]
        platform = (self.detected or new.stack.platform).tag
        manifest, metadata = self._manifests(new)
        stack = StackDelta(
            platform=platform,
            kind=new.kind.value,
            layers=tuple(layer.delta for layer in layers),
            manifest=manifest,
            metadata=metadata,
        )
        result = DeltaMade(
            platform=platform,
            old_source=str(self.request.old),
            new_source=str(self.request.new),
            layers=tuple(layers),
            slim_version=__version__,
            output=str(self.request.output),
        )
        return stack, result

    def _timed(
        self, old: Located, new: Located, before: Layer | None, layer: Layer | None
    ) -> LayerMade:
        started = time.monotonic()
        with ExitStack() as stack:
            made = self._layer(stack, old, new, before, layer)
        self.context.progress.advance()
        return LayerMade(
            delta=made.delta,
            tried=made.tried,
            skipped=made.skipped,
            elapsed=time.monotonic() - started,
        )

    def _layer(
        self,
        stack: ExitStack,
        old: Located,
        new: Located,
        before: Layer | None,
        layer: Layer | None,
    ) -> LayerMade:
        left = right = None
        if before is not None:
            left = side_of(stack.enter_context(read_layer(old, before, self.context)))
        if layer is not None:
            right = side_of(stack.enter_context(read_layer(new, layer, self.context)))
        state = None if left is None or before is None else state_of(left, before)
        if right is None or layer is None:
            assert before is not None
            return LayerMade(
                delta=LayerDelta(name=before.name, action=DeltaAction.REMOVED, old=state, new=None)
            )
        target = state_of(right, layer)
        if (
            len(new.stack.layers) == 1
        ):  # a lone archive or folder: only its files tell what it is for
            self.detected = with_platform(new.stack, {layer.name: right.tree}).platform
        if left is not None and state is not None and _is_same(left, right, state, target):
            return LayerMade(
                delta=LayerDelta(
                    name=layer.name, action=DeltaAction.UNCHANGED, old=state, new=target
                )
            )
        patch = None if left is None and target.archive is not None else make_patch(left, right)
        return self._smaller(new, layer, patch, state, target)

    def _smaller(
        self,
        new: Located,
        layer: Layer,
        patch: Patch | None,
        old: LayerState | None,
        target: LayerState,
    ) -> LayerMade:
        """The patch, or where there is none or it isn't smaller, the new archive as it is."""
        archive = target.archive
        tried, skipped = ({}, {}) if patch is None else (patch.tried, patch.skipped)
        if archive is not None and (patch is None or archive.size <= patch.size):
            name = self._free(archive.name)
            copy_file(new.places[layer.name], self.place / name)
            full = LayerDelta(
                name=layer.name, action=DeltaAction.FULL, old=old, new=target, file=archive
            )
            return LayerMade(delta=full, tried=tried, skipped=skipped)
        assert patch is not None
        stem = archive_stem(archive.name) if archive is not None else layer.name
        tag = f"-{layer.platform.tag}" if archive is None and self.several else ""
        name = self._free(f"{stem}{tag}.patch")
        write_file(self.place / name, patch.pieces())
        delta = LayerDelta(
            name=layer.name,
            action=DeltaAction.PATCH,
            old=old,
            new=target,
            file=file_of(self.place / name),
            table=(len(patch.table), patch.table_unpacked),
            method=patch.method.value,
        )
        return LayerMade(delta=delta, tried=tried, skipped=skipped)

    def _free(self, name: str) -> str:
        if name.lower() in self.used:
            raise ConfigError(
                f"two stacks both have {name!r}",
                file=self.request.new,
                hint="make the delta of one --platform at a time, or publish with --tag-outputs",
            )
        self.used.add(name.lower())
        return name

    def _manifests(self, new: Located) -> tuple[NamedFile | None, Mapping[str, NamedFile]]:
        """Copies of what ``__venvstacks__`` says of the new stack."""
        name = new.stack.manifest_name
        if name is None or new.kind not in (StackKind.PUBLISHED, StackKind.EXPORT):
            return None, {}
        source, target = Path(new.stack.source) / FOLDER, self.place / FOLDER
        try:
            target.mkdir(exist_ok=True)
            copy_file(source / name, target / name)
            metadata: dict[str, NamedFile] = {}
            for layer, file in new.stack.metadata_names.items():
                (target / ENV_METADATA).mkdir(exist_ok=True)
                copy_file(source / ENV_METADATA / file, target / ENV_METADATA / file)
                metadata[layer] = file_of(target / ENV_METADATA / file)
        except OSError as error:
            raise StorageError.from_os_error(error, file=error.filename or target) from None
        return file_of(target / name), metadata


def _is_same(old: Side, new: Side, before: LayerState, after: LayerState) -> bool:
    """Whether a client that has the old layer has the new one: the same bytes; the same tree, times and order."""
    if before.archive is not None and after.archive is not None:
        return before.archive.sha256 == after.archive.sha256
    return before.tree_sha256 == after.tree_sha256 and same_members(old, new)


def _same_layers(old: Located, new: Located) -> Iterable[tuple[Layer | None, Layer | None]]:
    """Layers of one name; a lone layer becomes a lone layer whatever it is called."""
    if len(old.stack.layers) == len(new.stack.layers) == 1:
        return [(old.stack.layers[0], new.stack.layers[0])]
    before = {layer.name: layer for layer in old.stack}
    after = {layer.name for layer in new.stack}
    pairs: list[tuple[Layer | None, Layer | None]] = [
        (before.get(layer.name), layer) for layer in new.stack
    ]
    return [*pairs, *((layer, None) for layer in old.stack if layer.name not in after)]
