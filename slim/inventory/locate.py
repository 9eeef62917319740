"""Finds out what the user pointed at: a published stack, an exported one, an archive, a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from slim.errors import ConfigError, StorageError, UnsafeInputError
from slim.formats import detect, is_archive_name
from slim.formats.digests import sha256_of
from slim.inventory.deployed import locate_deployed
from slim.inventory.located import Located
from slim.inventory.manifest import (
    ENV_METADATA,
    FOLDER,
    json_files,
    layers_from_manifest,
    manifest_files,
    read_json,
    without_archive,
    without_archives,
)
from slim.model.stack import (
    UNKNOWN_PLATFORM,
    ArchiveInfo,
    Layer,
    LayerKind,
    Platform,
    Stack,
    StackKind,
    StaleArchive,
)

_LAST_BUILD = ".last-build.json"
_REBUILD = "build and publish the layer again"


def locate(
    source: Path,
    *,
    platforms: Iterable[str] = (),
    deployed: bool = False,
    any_archive: bool = False,
) -> tuple[Located, ...]:
    """Return the stacks at ``source``: one for each manifest, of ``platforms`` where given.

    With ``deployed``, layers that an installer has unpacked beside each other are a stack, too,
    whatever its platform; with ``any_archive``, any file that is an archive by its content (a
    wheel).

    Raises StorageError where nothing is there, ConfigError where no manifest fits the platforms,
    and UnsafeInputError for malformed manifests.
    """
    if deployed and (unpacked := locate_deployed(source)) is not None:
        return (unpacked,)
    if any_archive and _is_unnamed(source):
        return (_lone_archive(source),)
    wanted = tuple(platforms)
    if not source.exists():
        raise StorageError("no such file or folder", file=source)
    if source.is_file():
        if source.suffix == ".json":
            folder = source.parent.parent if source.parent.name == FOLDER else source.parent
            stacks: tuple[Located, ...] = (_from_manifest(folder, source, [source]),)
        elif is_archive_name(source.name):
            stacks = (_single(source, StackKind.ARCHIVE),)
        else:
            raise ConfigError(
                "neither a manifest (.json), nor an archive that slim reads, nor a folder",
                file=source,
                hint="give the folder that `venvstacks publish` wrote",
            )
    else:
        stacks = _in_folder(source)
    if not wanted:
        return _complete(stacks, len(stacks) - 1)
    chosen = tuple(located for located in stacks if located.stack.platform.tag in wanted)
    missing = sorted(set(wanted) - {located.stack.platform.tag for located in stacks})
    if missing:
        known = ", ".join(sorted({located.stack.platform.tag for located in stacks}))
        raise ConfigError(
            f"no manifest for platform {', '.join(missing)}", file=source, hint=f"there is: {known}"
        )
    return _complete(chosen, 0)


def _complete(stacks: tuple[Located, ...], others: int) -> tuple[Located, ...]:
    """The stacks, each of which has all its layers."""
    for located in stacks:
        if located.stack.manifest_name is not None:
            _check_places(located, others)
    return stacks


def _is_unnamed(source: Path) -> bool:
    """True for a file whose name doesn't say that it is a manifest or an archive."""
    return source.is_file() and source.suffix != ".json" and not is_archive_name(source.name)


def _lone_archive(source: Path) -> Located:
    try:
        detect(source)
    except UnsafeInputError as error:
        raise ConfigError(
            "neither a manifest (.json), nor an archive, nor a folder",
            file=source,
            hint=error.hint,
        ) from None
    return _single(source, StackKind.ARCHIVE)


def _in_folder(source: Path) -> tuple[Located, ...]:
    metadata = source / FOLDER
    if metadata.is_dir():
        manifests = manifest_files(metadata)
        if manifests:
            return tuple(_from_manifest(source, path, manifests) for path in manifests)
    elif source.name == FOLDER and json_files(source):
        raise ConfigError(
            "this is the folder of a stack's manifests, not a stack",
            file=source,
            hint=f"give the folder that holds it: {source.parent}",
        )
    builds = [path for path in json_files(source) if path.name.endswith(_LAST_BUILD)]
    if builds:
        return (_from_build(source, builds),)
    for inner in ("_artifacts", "_export", "_build"):
        if (source / inner).is_dir() and (source / "venvstacks.toml").is_file():
            raise ConfigError(
                "this is the folder of a stack's definition, not a stack",
                file=source,
                hint=f"give its output folder: {source / inner}",
            )
    return (_single(source, StackKind.FOLDER),)


def _from_manifest(folder: Path, path: Path, all_manifests: list[Path]) -> Located:
    manifest = read_json(path)
    layers = layers_from_manifest(path, manifest)
    if _is_unpacked(folder, layers):
        manifest = without_archives(manifest)
        layers = layers_from_manifest(path, manifest)
    archived = any(layer.archive is not None for layer in layers)
    kind = StackKind.PUBLISHED if archived else StackKind.EXPORT
    platform = platform_of(layers)
    stack = Stack(
        kind=kind,
        source=str(folder),
        platform=platform,
        layers=layers,
        manifest_name=path.name,
        manifest=manifest,
        metadata_names=_metadata_names(path.parent / ENV_METADATA, layers),
        stale=_stale(folder, all_manifests) if kind is StackKind.PUBLISHED else (),
    )
    places = {
        layer.name: folder / (layer.archive.name if layer.archive else layer.name)
        for layer in layers
    }
    return Located(stack=stack, places=places)


def _is_unpacked(folder: Path, layers: Iterable[Layer]) -> bool:
    """True where an installer unpacked all archives beside the manifest, and removed them."""
    return all(
        layer.archive is not None
        and not (folder / layer.archive.name).exists()
        and (folder / layer.name).is_dir()
        for layer in layers
    )


def _check_places(located: Located, others: int) -> None:
    """Raise StorageError for the first layer that isn't where its manifest says.

    ``others`` is the number of stacks beside this one.
    """
    manifest = located.stack.manifest_name
    for layer in located.stack:
        place = located.places[layer.name]
        if not place.exists():
            what = "archive" if layer.archive else "folder"
            again = "publish" if layer.archive else "export"
            hint = f"{manifest} names it; {again} the stack again"
            if others:
                hint += ", or choose the platforms that are there (--platform)"
            raise StorageError(
                f"the {what} of layer {layer.name!r} is missing", file=place, hint=hint
            )


def platform_of(layers: Iterable[Layer]) -> Platform:
    """Return the platform of most layers of a manifest."""
    tags = Counter(layer.platform for layer in layers if layer.platform is not UNKNOWN_PLATFORM)
    return tags.most_common(1)[0][0] if tags else UNKNOWN_PLATFORM


def _metadata_names(folder: Path, layers: Iterable[Layer]) -> dict[str, str]:
    """Return, by layer, the file in ``env_metadata`` that repeats its entry: the equal one."""
    if not folder.is_dir():
        return {}
    contents = {path.name: read_json(path) for path in json_files(folder)}
    return {
        layer.name: name
        for layer in layers
        for name, value in contents.items()
        if value == dict(layer.entry)
        or (
            layer.archive is None
            and isinstance(value, dict)
            and without_archive(value) == layer.entry
        )
    }


def _stale(folder: Path, manifests: list[Path]) -> tuple[StaleArchive, ...]:
    named = {
        layer.archive.name
        for path in manifests
        for layer in layers_from_manifest(path, read_json(path))
        if layer.archive is not None
    }
    return tuple(
        StaleArchive(name=path.name, size=path.stat().st_size)
        for path in sorted(folder.iterdir())
        if path.is_file() and is_archive_name(path.name) and path.name not in named
    )


def _from_build(folder: Path, builds: list[Path]) -> Located:
    """Read what venvstacks built last, from the ``LAYER.last-build.json`` beside each layer."""
    sections: dict[str, list[object]] = {"runtimes": [], "frameworks": [], "applications": []}
    built = [_layer_details(path) for path in builds]
    folders = {
        str(details.get("install_target", "")): _build_folder(folder, details) for details in built
    }
    for details in built:
        if details.get("app_launch_module"):
            section = "applications"
        else:
            own = (None, details.get("layer_name"), details.get("install_target"))
            section = "runtimes" if details.get("runtime_layer") in own else "frameworks"
        place = folders[str(details.get("install_target", ""))]
        if place is not None:
            sections[section].append(_as_built(details, place, folders))
    layers = layers_from_manifest(builds[0], {"layers": sections})
    stack = Stack(
        kind=StackKind.BUILD, source=str(folder), platform=UNKNOWN_PLATFORM, layers=layers
    )
    return Located(
        stack=stack,
        places={layer.name: folder / layer.name for layer in layers},
    )


def _layer_details(path: Path) -> Mapping[str, object]:
    value = read_json(path)
    details = value.get("layer_details") if isinstance(value, dict) else None
    if not isinstance(details, dict):
        raise UnsafeInputError("must be an object", file=path, place="layer_details", hint=_REBUILD)
    return details


def _build_folder(folder: Path, details: Mapping[str, object]) -> str | None:
    """Name of the folder that a layer was built in, or None where there is none.

    A layer with ``versioned = true`` is installed as ``NAME@3``, and built in a folder ``NAME``.
    """
    for key in ("install_target", "layer_name"):
        name = details.get(key)
        if isinstance(name, str) and name and (folder / name).is_dir():
            return name
    return None


def _as_built(
    details: Mapping[str, object], place: str, folders: Mapping[str, str | None]
) -> dict[str, object]:
    """The entry of a layer, with the names that layers have in the build folder."""

    def named(layer: object) -> object:
        return folders.get(layer) or layer if isinstance(layer, str) else layer

    entry = {**details, "install_target": place}
    if "runtime_layer" in entry:
        entry["runtime_layer"] = named(entry["runtime_layer"])
    required = details.get("required_layers")
    if isinstance(required, list):
        entry["required_layers"] = [named(layer) for layer in required]
    return entry


def _single(source: Path, kind: StackKind) -> Located:
    """A lone archive or folder, as a stack of one plain layer."""
    name = source.resolve().name
    layer = Layer(name=name, layer_name=name, kind=LayerKind.PLAIN, platform=UNKNOWN_PLATFORM)
    if kind is StackKind.ARCHIVE:
        layer = replace(
            layer,
            archive=ArchiveInfo(
                name=source.name, size=source.stat().st_size, sha256=sha256_of(source)
            ),
        )
    stack = Stack(kind=kind, source=str(source), platform=UNKNOWN_PLATFORM, layers=(layer,))
    return Located(stack=stack, places={name: source})
