"""``slim delta apply``: the new stack, bit for bit, from the old one and a delta.

Nothing appears at the output unless every layer has the digest that the delta promises.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from slim import __version__
from slim.delta import document
from slim.delta.files import file_of, regular_file
from slim.delta.layers import LayerMaker
from slim.delta.manifests import Written, noted_efforts, write_manifests
from slim.delta.old_layers import find_old_layers
from slim.errors import ConfigError, StorageError
from slim.model.context import RunContext
from slim.model.delta import (
    DeltaApplied,
    LayerDelta,
    LayerRestored,
    LayerState,
    NamedFile,
    StackDelta,
)
from slim.model.limits import Limits
from slim.model.progress import Progress, Silent
from slim.model.settings import Effort
from slim.publish.notes import compression_note
from slim.publish.staging import check_target, publish, staging
from slim.sources.fetch import fetched


@dataclass(frozen=True, kw_only=True)
class ApplyRequest:
    """Request to make the new stack from the old one and a delta."""

    old: Path
    """The old stack."""
    delta: Path
    """Folder of ``slim delta make``."""
    output: Path
    """The place of the new stack."""
    limits: Limits = field(default_factory=Limits)
    format: str | None = None
    """Format of archives, or :data:`slim.delta.layers.FOLDERS`; None for what the old stack has."""
    platforms: tuple[str, ...] = ()
    """The platforms that are made; all of them if empty."""
    force: bool = False
    """True if the output may be replaced."""
    workers: int = 1
    """Threads that compress."""
    effort: Effort | None = None
    """Effort of compression. None for that of the new stack's manifest, so that archives get the
    published bytes."""


def apply(request: ApplyRequest, progress: Progress | None = None) -> tuple[DeltaApplied, ...]:
    """Write the new stack. Returns one result a platform.

    Raises IntegrityError if the old stack isn't the one that the delta was made from,
    UnsafeInputError and LimitError for a malformed delta; then nothing was published.
    """
    with fetched(request.old) as old:
        return _apply(replace(request, old=old), progress or Silent())


def _apply(request: ApplyRequest, progress: Progress) -> tuple[DeltaApplied, ...]:
    if not (request.delta / document.NAME).exists():
        raise StorageError(
            f"no {document.NAME} there",
            file=request.delta,
            hint="give the folder of slim delta make",
        )
    regular_file(request.delta / document.NAME, "isn't there")
    for source in (request.old, request.delta):
        check_target(request.output, source, force=request.force)
    delta = document.read(request.delta)
    platforms = request.platforms or [stack.platform for stack in delta.stacks]
    stacks = [stack for stack in delta.stacks if stack.platform in platforms]
    if not stacks:
        there = ", ".join(stack.platform for stack in delta.stacks)
        raise ConfigError(
            "the delta isn't for these platforms", file=request.delta, hint=f"there is: {there}"
        )
    workers = max(1, request.workers)
    with staging(request.output) as folder, ThreadPoolExecutor(max_workers=workers) as executor:
        place = folder / "set"
        place.mkdir()
        context = RunContext(
            spool_dir=folder, limits=request.limits, workers=workers, progress=progress
        )
        results = []
        for stack in stacks:
            maker = LayerMaker(
                delta=request.delta,
                stack=stack,
                old=find_old_layers(request.old, stack, alone=len(delta.stacks) == 1),
                output=place,
                format=request.format,
                effort=request.effort,
                published_efforts=noted_efforts(request.delta, stack),
                executor=executor,
                context=context,
            )
            results.append(_apply_stack(request, stack, maker))
        progress.stage("Publishing")
        publish(_published(place, request, results), request.output, force=request.force)
    return tuple(results)


def _published(place: Path, request: ApplyRequest, results: Sequence[DeltaApplied]) -> Path:
    """Return the path that becomes the output.

    That is a lone folder or archive if the old stack was one, too; else the folder around all.
    """
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


def _apply_stack(request: ApplyRequest, stack: StackDelta, maker: LayerMaker) -> DeltaApplied:
    progress = maker.context.progress
    progress.stage("Restoring layers", total=len(stack.layers))
    layers: list[LayerRestored] = []
    archives: dict[str, Written] = {}
    for layer in stack.layers:
        if layer.new is not None:
            started = time.monotonic()
            place = maker.make(layer, layer.new)
            archive = file_of(place) if place.is_file() else None
            restored = _restored(layer, layer.new, place, archive)
            if archive is not None:
                effort = maker.effort_of(layer.name)
                note = {} if restored.identical else compression_note(archive.name, effort)
                archives[layer.name] = Written(file=archive, compression=note)
            layers.append(replace(restored, elapsed=time.monotonic() - started))
        progress.advance()
    if archives or maker.old.has_manifest:
        write_manifests(request.delta, stack, maker.output, archives)
    return DeltaApplied(
        platform=stack.platform,
        layers=tuple(layers),
        output=str(request.output),
        slim_version=__version__,
    )


def _restored(
    layer: LayerDelta, new: LayerState, place: Path, archive: NamedFile | None
) -> LayerRestored:
    identical = None
    if archive is not None and new.archive is not None:
        identical = archive.sha256 == new.archive.sha256
    return LayerRestored(
        name=layer.name,
        action=layer.action,
        place=place.name,
        size=archive.size if archive is not None else new.size,
        identical=identical,
    )
