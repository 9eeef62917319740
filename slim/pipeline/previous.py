"""Archives that were published before, and can be again: nothing in them changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from slim.errors import ConfigError, IntegrityError, StorageError
from slim.formats import detect, read_archive
from slim.formats.digests import digests_of, sha256_of, tree_digest
from slim.inventory.manifest import FOLDER, layers_from_manifest, manifest_files, read_json
from slim.inventory.read import read_options
from slim.model.context import RunContext
from slim.model.stack import Layer, StackKind
from slim.publish.notes import SLIM_KEY, noted_compression
from slim.publish.publisher import ReusedArchive

_HINT = "--previous takes the folder of an earlier slim run, or a manifest in its __venvstacks__"


@dataclass(frozen=True, kw_only=True)
class PreviousLayer:
    """A layer as it was published."""

    layer: Layer
    place: Path | None
    """Its archive; None where only the manifest is at hand."""
    bring: Callable[[], None] | None = None
    """Brings the archive, which has only its size until then; None where it is here."""


@dataclass(frozen=True, kw_only=True)
class Previous:
    """The layers that were published before, by platform tag and install target."""

    source: Path
    layers: Mapping[tuple[str, str], PreviousLayer]

    def find(self, layer: Layer) -> PreviousLayer | None:
        """The same layer for the same platform."""
        return self.layers.get((layer.platform.tag, layer.name))


_NOTHING: Mapping[Path, Callable[[], None]] = MappingProxyType({})


def read_previous(source: Path, later: Mapping[Path, Callable[[], None]] = _NOTHING) -> Previous:
    """Read the manifests at ``source``: a published folder, or one manifest.

    ``later`` is what brings archives that have only their size there, by their paths.

    Raises StorageError where there is nothing, ConfigError where it isn't a published stack,
    UnsafeInputError for a malformed manifest.
    """
    if not source.exists():
        raise StorageError("no such file or folder", file=source, hint=_HINT)
    if source.is_dir():
        manifests = manifest_files(source / FOLDER)
        folder = source
    else:
        manifests = [source]
        folder = source.parent.parent if source.parent.name == FOLDER else source.parent
    layers: dict[tuple[str, str], PreviousLayer] = {}
    for manifest in manifests:
        for layer in layers_from_manifest(manifest, read_json(manifest)):
            if layer.archive is None:
                continue
            key = (layer.platform.tag, layer.name)
            if key in layers and layers[key].layer.archive != layer.archive:
                raise ConfigError(
                    f"two manifests name a layer {layer.name!r} for {layer.platform.tag}",
                    file=source,
                    hint=_HINT,
                )
            place = folder / layer.archive.name
            layers[key] = PreviousLayer(
                layer=layer,
                place=place if place.is_file() else None,
                bring=later.get(place),
            )
    if not layers:
        raise ConfigError("no manifest with archives there", file=source, hint=_HINT)
    return Previous(source=source, layers=layers)


def reused_archive(
    previous: PreviousLayer | None,
    tree_sha256: str,
    format_name: str,
    context: RunContext,
) -> ReusedArchive | None:
    """The previous archive, where it holds the very tree in the very format that is to be written.

    What slim wrote says so in the manifest; anything else is read. Where only the manifest is at
    hand, what is written will have to have the same bytes. Raises IntegrityError where the archive
    isn't the one that its manifest names.
    """
    if previous is None or previous.layer.archive is None:
        return None
    archive, place = previous.layer.archive, previous.place
    noted = noted_tree(previous.layer)
    if noted is not None and noted != tree_sha256:
        return None
    entry = previous.layer.entry
    reused = ReusedArchive(
        place=place,
        archive=archive,
        build=entry.get("archive_build"),
        compression=noted_compression(entry),
    )
    if place is None:
        return reused
    if previous.bring is not None:
        previous.bring()
    size = place.stat().st_size
    digest = sha256_of(place) if size == archive.size else ""
    if digest != archive.sha256:
        raise IntegrityError(
            f"has {size} bytes{f' and SHA-256 {digest}' if digest else ''}, "
            f"but the manifest says {archive.size} and {archive.sha256}",
            file=place,
            hint="the previous archive was changed or cut after it was published; "
            "leave --previous out, or repair it",
        )
    if detect(place).name != format_name or (
        noted is None and _tree_of(previous, context) != tree_sha256
    ):
        return None
    return reused


def noted_tree(layer: Layer) -> str | None:
    """The tree digest that slim wrote into the manifest; None where it wrote none."""
    note = layer.entry.get(SLIM_KEY)
    noted = note.get("tree_sha256") if isinstance(note, dict) else None
    return noted if isinstance(noted, str) else None


def _tree_of(previous: PreviousLayer, context: RunContext) -> str:
    assert previous.place is not None
    options = read_options(StackKind.PUBLISHED, previous.layer, context)
    with read_archive(previous.place, options) as tree:
        return tree_digest(tree.members.values(), digests_of(tree))
