"""``slim delta make``: writes what a client of one stack needs to get the next one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from slim import __version__
from slim.delta import document
from slim.delta.files import file_of
from slim.delta.patch import Patch, make_patch
from slim.delta.sides import Side, is_unchanged, side_of, state_of
from slim.errors import ConfigError, StorageError
from slim.formats import archive_stem
from slim.formats.files import copy_file, write_file
from slim.inventory.locate import locate
from slim.inventory.located import Located, check_archives
from slim.inventory.manifest import ENV_METADATA, FOLDER
from slim.inventory.platforms import with_platform
from slim.inventory.read import read_layer
from slim.inventory.unchanged import unchanged
from slim.model.cache import CacheUse
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
from slim.reuse.cache import open_cache
from slim.reuse.deltas import DeltaCache
from slim.sources.fetch import fetched


@dataclass(frozen=True, kw_only=True)
class MakeRequest:
    """Request to make the delta from an old stack to a new one."""

    old: Path
    new: Path
    output: Path
    """The folder of the delta."""
    limits: Limits = field(default_factory=Limits)
    platforms: tuple[str, ...] = ()
    """The platforms that are compared; all that both sides have if empty."""
    force: bool = False
    """True if the output may be replaced."""
    cache: str | None = None
    """Folder or URL of a cache of results."""


def make(request: MakeRequest, progress: Progress | None = None) -> tuple[DeltaMade, ...]:
    """Write the delta from ``old`` to ``new``. Returns one result a platform.

    Raises the errors of :mod:`slim.errors`; when it does, nothing was published.
    """
    with fetched(request.old) as old, fetched(request.new) as new:
        return _make(replace(request, old=old, new=new), progress or Silent())


def _make(request: MakeRequest, progress: Progress) -> tuple[DeltaMade, ...]:
    for source in (request.old, request.new):
        check_target(request.output, source, force=request.force)
    results = None
    if request.cache is not None:
        read = (request.old, request.new)
        results = open_cache(request.cache, inputs=read, output=request.output)
    pairs = _pairs(request)
    with staging(request.output) as folder:
        place = folder / "delta"
        place.mkdir()
        context = RunContext(spool_dir=folder, limits=request.limits, progress=progress)
        maker = _Maker(
            request=request,
            place=place,
            context=context,
            several=len(pairs) > 1,
            cache=None if results is None else DeltaCache(results),
        )
        with unchanged(*(located for pair in pairs for located in pair)):
            made = [maker.stack(old, new) for old, new in pairs]
        delta = Delta(stacks=tuple(stack for stack, _ in made), slim_version=__version__)
        write_file(place / document.NAME, [document.render(delta).encode("utf-8")])
        progress.stage("Publishing")
        publish(place, request.output, force=request.force)
    use = None
    if results is not None:
        use = CacheUse(place=results.store.url, notes=tuple(results.notes))
    return tuple(replace(result, cache=use) for _, result in made)


def _pairs(request: MakeRequest) -> list[tuple[Located, Located]]:
    """Pair the old and new stacks of one platform. A lone stack becomes a lone stack.

    Raises ConfigError for a new stack without an old one.
    """
    old, new = (
        locate(source, platforms=request.platforms, deployed=not request.platforms)
        for source in (request.old, request.new)
    )
    if len(old) == len(new) == 1:
        return [(old[0], new[0])]
    before = {located.stack.platform.tag: located for located in old}
    tags = [located.stack.platform.tag for located in new]
    missing = [tag for tag in tags if tag not in before]
    if missing:
        raise ConfigError(
            f"nothing for platform {', '.join(missing)}",
            file=request.old,
            hint="limit the delta to what both have with --platform",
        )
    return [(before[tag], located) for tag, located in zip(tags, new, strict=True)]


@dataclass(kw_only=True)
class _Maker:
    """Maker of the delta in the folder ``place``."""

    request: MakeRequest
    place: Path
    context: RunContext
    several: bool
    """True if the delta is of several stacks."""
    cache: DeltaCache | None = None
    used: set[str] = field(default_factory=set)
    """Names of files in the delta, in lower case."""
    detected: Platform | None = None
    """Platform of a lone layer, which only its files tell."""

    def stack(self, old: Located, new: Located) -> tuple[StackDelta, DeltaMade]:
        """Make the delta of one stack; return it, and the result for reports."""
        for located in (old, new):
            check_archives(located, self.context.progress)
        self.context.progress.stage("Comparing layers", total=len(new.stack.layers))
        layers = []
        for before, after in _layer_pairs(old, new):
            started = time.monotonic()
            known = self._known(old, new, before, after)
            with ExitStack() as resources:
                made = known or self._layer(resources, old, new, before, after)
            if known is None:
                self._remember(old, new, before, after, made)
            layers.append(replace(made, elapsed=time.monotonic() - started))
            self.context.progress.advance()
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

    def _known(
        self, old: Located, new: Located, before: Layer | None, after: Layer | None
    ) -> LayerMade | None:
        """The update of a layer that is in the cache, with its file in the delta."""
        if self.cache is None or before is None or after is None or not _is_cached(old, new):
            return None
        scratch = self.place.parent / "taken.patch"
        made = self.cache.take(before, after, scratch)
        if made is not None and made.delta.file is not None:
            name = self._claim(made.delta.file.name)
            if made.delta.action is DeltaAction.FULL:
                copy_file(new.places[after.name], self.place / name)
            else:
                scratch.rename(self.place / name)
        return made

    def _remember(
        self,
        old: Located,
        new: Located,
        before: Layer | None,
        after: Layer | None,
        made: LayerMade,
    ) -> None:
        if self.cache is None or before is None or after is None or not _is_cached(old, new):
            return
        self.cache.store(before, after, made, self.place)

    def _read(
        self, resources: ExitStack, located: Located, layer: Layer
    ) -> tuple[Side, LayerState]:
        side = side_of(resources.enter_context(read_layer(located, layer, self.context)))
        return side, state_of(side, layer)

    def _layer(
        self,
        resources: ExitStack,
        old: Located,
        new: Located,
        before: Layer | None,
        after: Layer | None,
    ) -> LayerMade:
        """Make the delta of one layer. ``before`` or ``after`` is None if only one stack has it."""
        old_side = old_state = None
        if before is not None:
            old_side, old_state = self._read(resources, old, before)
        if after is None:
            assert before is not None
            return LayerMade(
                delta=LayerDelta(
                    name=before.name, action=DeltaAction.REMOVED, old=old_state, new=None
                )
            )
        new_side, new_state = self._read(resources, new, after)
        if len(new.stack.layers) == 1:
            self.detected = with_platform(new.stack, {after.name: new_side.tree}).platform
        if (
            old_side is not None
            and old_state is not None
            and is_unchanged(old_side, new_side, old_state, new_state)
        ):
            return LayerMade(
                delta=LayerDelta(
                    name=after.name, action=DeltaAction.UNCHANGED, old=old_state, new=new_state
                )
            )
        patch = None
        if old_side is not None or new_state.archive is None:
            patch = resources.enter_context(make_patch(old_side, new_side, self.context.spool_dir))
        return self._smaller(new, after, patch, old_state, new_state)

    def _smaller(
        self,
        located: Located,
        layer: Layer,
        patch: Patch | None,
        old: LayerState | None,
        new: LayerState,
    ) -> LayerMade:
        """Write the patch; or, if there is none or it isn't smaller, the new archive as it is."""
        archive = new.archive
        tried, skipped = ({}, {}) if patch is None else (patch.tried, patch.skipped)
        if archive is not None and (patch is None or archive.size <= patch.size):
            name = self._claim(archive.name)
            copy_file(located.places[layer.name], self.place / name)
            full = LayerDelta(
                name=layer.name, action=DeltaAction.FULL, old=old, new=new, file=archive
            )
            return LayerMade(delta=full, tried=tried, skipped=skipped)
        assert patch is not None
        stem = archive_stem(archive.name) if archive is not None else layer.name
        tag = f"-{layer.platform.tag}" if archive is None and self.several else ""
        name = self._claim(f"{stem}{tag}.patch")
        write_file(self.place / name, patch.pieces())
        delta = LayerDelta(
            name=layer.name,
            action=DeltaAction.PATCH,
            old=old,
            new=new,
            file=file_of(self.place / name),
            table=(len(patch.table), patch.table_unpacked),
            method=patch.method.value,
        )
        return LayerMade(delta=delta, tried=tried, skipped=skipped)

    def _claim(self, name: str) -> str:
        """Return the name, unless a file of the delta has it. Raises ConfigError."""
        if name.lower() in self.used:
            raise ConfigError(
                f"two stacks both have {name!r}",
                file=self.request.new,
                hint="make the delta of one --platform at a time, or publish with --tag-outputs",
            )
        self.used.add(name.lower())
        return name

    def _manifests(self, new: Located) -> tuple[NamedFile | None, Mapping[str, NamedFile]]:
        """Copy ``__venvstacks__`` of the new stack; return its manifest, and metadata by layer."""
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


def _is_cached(old: Located, new: Located) -> bool:
    """Return whether manifests say, by hashes that were checked, what both archives are."""
    return old.kind is new.kind is StackKind.PUBLISHED


def _layer_pairs(old: Located, new: Located) -> Iterable[tuple[Layer | None, Layer | None]]:
    """Pair layers of one name. A lone layer becomes a lone layer, whatever its name is."""
    if len(old.stack.layers) == len(new.stack.layers) == 1:
        return [(old.stack.layers[0], new.stack.layers[0])]
    before = {layer.name: layer for layer in old.stack}
    after = {layer.name for layer in new.stack}
    pairs: list[tuple[Layer | None, Layer | None]] = [
        (before.get(layer.name), layer) for layer in new.stack
    ]
    return [*pairs, *((layer, None) for layer in old.stack if layer.name not in after)]
