"""Finds the layers that a delta is applied to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slim.errors import ConfigError, IntegrityError
from slim.formats import detect
from slim.inventory.locate import locate
from slim.inventory.located import Located
from slim.inventory.manifest import FOLDER
from slim.model.delta import StackDelta
from slim.model.stack import UNKNOWN_PLATFORM, StackKind


@dataclass(frozen=True, kw_only=True)
class OldLayers:
    """Layers of one stack that a delta is applied to."""

    source: Path
    """The place that the user named."""
    places: Mapping[str, Path]
    """The archive or folder of each layer, by its name."""
    folders: bool
    """True if the layers are folders."""
    plain: bool = False
    """True for a single folder of the user's own."""
    has_manifest: bool = False
    """True if the stack has a manifest."""
    format: str | None = None
    """Format of the archives, None for folders."""


def find_old_layers(source: Path, stack: StackDelta, *, alone: bool) -> OldLayers:
    """Find the old layers of one platform at ``source``.

    They are those of its manifest, or folders with their names, or the one file or folder that
    ``source`` is. ``alone`` says that the delta is for one platform only.

    Raises StorageError, ConfigError, UnsafeInputError for a malformed manifest, IntegrityError for
    another platform.
    """
    wanted = [layer.name for layer in stack.layers if layer.old is not None]
    if source.is_dir() and not (source / FOLDER).is_dir():
        folders = {name: source / name for name in wanted if (source / name).is_dir()}
        if folders or len(wanted) != 1:
            return OldLayers(source=source, places=folders, folders=True)
        return OldLayers(source=source, places={wanted[0]: source}, folders=True, plain=True)
    located = _located(source, stack, alone=alone)
    if len(located.places) == 1 and len(wanted) == 1:
        places = {wanted[0]: next(iter(located.places.values()))}
    else:
        places = {name: place for name, place in located.places.items() if name in wanted}
    archive = next((place for place in places.values() if place.is_file()), None)
    return OldLayers(
        source=source,
        places=places,
        folders=located.kind not in (StackKind.PUBLISHED, StackKind.ARCHIVE),
        has_manifest=located.stack.manifest_name is not None,
        format=None if archive is None else detect(archive).name,
    )


def _located(source: Path, stack: StackDelta, *, alone: bool) -> Located:
    """Locate the stack of the delta's platform; a lone one may not say what it is for."""
    by_platform = {located.stack.platform.tag: located for located in locate(source)}
    located = by_platform.get(stack.platform)
    if located is None and alone and len(by_platform) == 1:
        (located,) = by_platform.values()
    if located is None:
        raise ConfigError(
            f"no stack for {stack.platform}",
            file=source,
            hint=f"there is: {', '.join(by_platform)}",
        )
    tags = {stack.platform, located.stack.platform.tag} - {UNKNOWN_PLATFORM.tag}
    if located.stack.manifest_name is not None and len(tags) > 1:
        raise IntegrityError(
            f"is for {located.stack.platform.tag}, and the delta for {stack.platform}",
            file=source,
            hint="download the delta for this platform",
        )
    return located
