"""Finds out what the user pointed at, and opens it as a stack of layers."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from slim.errors import (
    ConfigError,
    IntegrityError,
    LimitError,
    SlimError,
    StorageError,
    UnsafeInputError,
)
from slim.formats import is_archive_name, read_archive
from slim.formats.assemble import check_again
from slim.formats.base import ReadOptions, Tree
from slim.formats.digests import sha256_of
from slim.formats.directory import read_directory
from slim.inventory.manifest import ENV_METADATA, FOLDER, layers_from_manifest, read_json
from slim.inventory.platforms import with_platform
from slim.model.limits import Limits
from slim.model.progress import Progress, Silent
from slim.model.record import EntryType
from slim.model.stack import (
    UNKNOWN_PLATFORM,
    ArchiveInfo,
    Layer,
    LayerKind,
    Stack,
    StackKind,
    StaleArchive,
)
from slim.system.strict_json import parse_json

LAYER_METADATA = "share/venv/metadata/venvstacks_layer.json"
POSTINSTALL = "postinstall.py"
_LAST_BUILD = ".last-build.json"
_REBUILD = "build and publish the layer again"
_METADATA = re.compile(r"\.dist-info/(RECORD|METADATA|entry_points\.txt)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """One stack that was found: its layers by name with the archive or folder each is read from."""

    kind: StackKind
    stack: Stack
    places: Mapping[str, Path]


@dataclass(kw_only=True)
class OpenStack:
    """A stack with its trees, and the archive or folder each was read from, by layer name. Close it (it is a context
    manager) to free the spool files."""

    stack: Stack
    trees: Mapping[str, Tree]
    places: Mapping[str, Path]
    warnings: tuple[str, ...]
    resources: ExitStack

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.resources.close()


def locate(source: Path, *, platforms: Iterable[str] = ()) -> tuple[Located, ...]:
    """Detect what ``source`` is: one stack for each manifest (limited to ``platforms`` where given).

    Raises StorageError where nothing is there, ConfigError where no manifest fits the platforms,
    and UnsafeInputError for malformed manifests.
    """
    wanted = tuple(platforms)
    if not source.exists():
        raise StorageError("no such file or folder", file=source)
    if source.is_file():
        if source.suffix == ".json":
            folder = source.parent.parent if source.parent.name == FOLDER else source.parent
            found: tuple[Located, ...] = (_from_manifest(folder, source, [source]),)
        elif is_archive_name(source.name):
            found = (single(source, StackKind.ARCHIVE),)
        else:
            raise ConfigError(
                "neither a manifest (.json), nor an archive that slim reads, nor a folder",
                file=source,
                hint="give the folder that `venvstacks publish` wrote",
            )
    else:
        found = _in_folder(source)
    if not wanted:
        return found
    chosen = tuple(one for one in found if one.stack.platform.tag in wanted)
    missing = sorted(set(wanted) - {one.stack.platform.tag for one in found})
    if missing:
        there = ", ".join(sorted({one.stack.platform.tag for one in found}))
        raise ConfigError(
            f"no manifest for platform {', '.join(missing)}", file=source, hint=f"there is: {there}"
        )
    return chosen


def _in_folder(source: Path) -> tuple[Located, ...]:
    metadata = source / FOLDER
    if metadata.is_dir():
        manifests = sorted(path for path in metadata.glob("*.json") if path.is_file())
        if manifests:
            return tuple(_from_manifest(source, path, manifests) for path in manifests)
    builds = sorted(source.glob(f"*{_LAST_BUILD}"))
    if builds:
        return (_from_build(source, builds),)
    for inner in ("_artifacts", "_export", "_build"):
        if (source / inner).is_dir() and (source / "venvstacks.toml").is_file():
            raise ConfigError(
                "this is the folder of a stack's definition, not a stack",
                file=source,
                hint=f"give its output folder: {source / inner}",
            )
    return (single(source, StackKind.FOLDER),)


def _from_manifest(folder: Path, path: Path, all_manifests: list[Path]) -> Located:
    manifest = read_json(path)
    layers = layers_from_manifest(path, manifest)
    archived = [layer for layer in layers if layer.archive is not None]
    kind = StackKind.PUBLISHED if archived else StackKind.EXPORT
    places: dict[str, Path] = {}
    for layer in layers:
        place = folder / (layer.archive.name if layer.archive else layer.name)
        if not place.exists():
            what = "archive" if layer.archive else "folder"
            raise StorageError(
                f"the {what} of layer {layer.name!r} is missing",
                file=place,
                hint=f"{path.name} names it; publish the stack again",
            )
        places[layer.name] = place
    tags = Counter(layer.platform for layer in layers if layer.platform is not UNKNOWN_PLATFORM)
    platform = tags.most_common(1)[0][0] if tags else UNKNOWN_PLATFORM
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
    return Located(kind=kind, stack=stack, places=places)


def _metadata_names(folder: Path, layers: Iterable[Layer]) -> dict[str, str]:
    """Which file in ``env_metadata`` repeats which layer's entry: the one whose content is equal."""
    if not folder.is_dir():
        return {}
    contents = {path.name: read_json(path) for path in sorted(folder.glob("*.json"))}
    return {
        layer.name: name
        for layer in layers
        for name, value in contents.items()
        if value == dict(layer.entry)
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
    """A build folder says what venvstacks built last in ``LAYER.last-build.json`` beside each layer."""
    sections: dict[str, list[object]] = {"runtimes": [], "frameworks": [], "applications": []}
    for path in builds:
        value = read_json(path)
        details = value.get("layer_details") if isinstance(value, dict) else None
        if not isinstance(details, dict):
            raise UnsafeInputError(
                "must be an object", file=path, place="layer_details", hint=_REBUILD
            )
        if details.get("app_launch_module"):
            section = "applications"
        else:
            runtime = details.get("runtime_layer")
            section = "runtimes" if runtime in (None, details.get("layer_name")) else "frameworks"
        if (folder / str(details.get("install_target", ""))).is_dir():
            sections[section].append(details)
    layers = layers_from_manifest(builds[0], {"layers": sections})
    stack = Stack(
        kind=StackKind.BUILD, source=str(folder), platform=UNKNOWN_PLATFORM, layers=layers
    )
    return Located(
        kind=StackKind.BUILD,
        stack=stack,
        places={layer.name: folder / layer.name for layer in layers},
    )


def single(source: Path, kind: StackKind) -> Located:
    """A lone archive or folder as a stack of one plain layer."""
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
    return Located(kind=kind, stack=stack, places={name: source})


def check_archives(located: Located, progress: Progress | None = None) -> None:
    """Compare size and SHA-256 of every archive with the manifest. Raises IntegrityError for the first that differs."""
    watch = progress or Silent()
    watch.stage("Checking archives", total=len(located.places))
    for layer in located.stack:
        place = located.places[layer.name]
        if layer.archive is not None and located.kind is StackKind.PUBLISHED:
            hint = "the archive was changed or cut after it was published; publish or download it again"
            size = place.stat().st_size
            if size != layer.archive.size:
                raise IntegrityError(
                    f"has {size} bytes, but the manifest says {layer.archive.size}",
                    file=place,
                    hint=hint,
                )
            digest = sha256_of(place)
            if digest != layer.archive.sha256:
                raise IntegrityError(
                    f"has SHA-256 {digest}, but the manifest says {layer.archive.sha256}",
                    file=place,
                    hint=hint,
                )
        watch.advance()


def open_stack(
    located: Located,
    *,
    spool_dir: Path,
    limits: Limits,
    workers: int = 1,
    progress: Progress | None = None,
    lenient: bool = False,
) -> OpenStack:
    """Read every layer. Archives are decompressed side by side; nothing is unpacked under names from the input.

    ``lenient`` is for looking only: links may lead anywhere, and devices, FIFOs and sockets are
    left out.
    """
    watch = progress or Silent()
    watch.stage("Reading layers", total=len(located.places))

    def options(layer: Layer) -> ReadOptions:
        return read_options(
            located.kind, layer, spool_dir=spool_dir, limits=limits, lenient=lenient
        )

    def read(layer: Layer) -> Tree:
        place = located.places[layer.name]
        tree = (read_directory if place.is_dir() else read_archive)(place, options(layer))
        watch.advance()
        return tree

    resources = ExitStack()
    trees: dict[str, Tree] = {}
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        futures = {layer.name: pool.submit(read, layer) for layer in located.stack}
        errors: list[BaseException] = []
        for name, future in futures.items():
            try:
                trees[name] = resources.enter_context(future.result())
            except SlimError as error:
                errors.append(error)
    if errors:
        resources.close()
        raise errors[0]
    try:
        places = dict(located.places)
        layers = tuple(
            _describe(layer, trees[layer.name], located.kind, places[layer.name], limits)
            for layer in located.stack
        )
        if located.kind is StackKind.ARCHIVE:
            layers, trees = _renamed(layers[0], trees)
            places = {layers[0].name: located.places[located.stack.layers[0].name]}
        stack = with_platform(replace(located.stack, layers=layers), trees)
        for before, layer in zip(layers, stack, strict=True):
            if layer.platform is not before.platform and layer.platform.folds_names and not lenient:
                place = places[layer.name]
                top = place.resolve().name if place.is_dir() else None
                check_again(trees[layer.name], place, options(layer), top=top)
    except BaseException:
        resources.close()
        raise
    warnings = tuple(f"{name}: {text}" for name, tree in trees.items() for text in tree.warnings)
    return OpenStack(
        stack=stack, trees=trees, places=places, warnings=warnings, resources=resources
    )


def read_options(
    kind: StackKind, layer: Layer, *, spool_dir: Path, limits: Limits, lenient: bool = False
) -> ReadOptions:
    """How a layer of such a stack is read: which names it may have, and where its links may lead."""
    return ReadOptions(
        spool_dir=spool_dir,
        limits=limits,
        platform=None if layer.platform is UNKNOWN_PLATFORM else layer.platform,
        siblings=kind
        in (StackKind.PUBLISHED, StackKind.EXPORT, StackKind.BUILD, StackKind.ARCHIVE),
        anywhere=lenient or kind is StackKind.FOLDER,
        skip_special=lenient,
    )


def with_trees(opened: OpenStack, trees: Mapping[str, Tree], limits: Limits) -> OpenStack:
    """The same stack with other trees, and its layers as those trees tell them. ``opened`` has to stay open."""
    stack = opened.stack
    layers = tuple(
        _describe(layer, trees[layer.name], stack.kind, opened.places[layer.name], limits)
        for layer in stack
    )
    return replace(opened, stack=replace(stack, layers=layers), trees=trees, resources=ExitStack())


def _renamed(layer: Layer, trees: dict[str, Tree]) -> tuple[tuple[Layer, ...], dict[str, Tree]]:
    """A lone archive knows its install target: the folder that all of its members lie under."""
    tree = trees[layer.name]
    if not tree.root:
        return (layer,), trees
    return (replace(layer, name=tree.root, layer_name=tree.root),), {tree.root: tree}


def _describe(layer: Layer, tree: Tree, kind: StackKind, place: Path, limits: Limits) -> Layer:
    """Fill in what only the layer's files tell: folders, Python version, launch module, library search path."""
    if tree.root and kind is StackKind.PUBLISHED and tree.root != layer.name:
        raise UnsafeInputError(
            f"its members lie under {tree.root!r} instead of the install target {layer.name!r}",
            file=place,
            hint="the manifest names another layer's archive here; publish the stack again",
        )
    _check_metadata(tree, place, limits)
    config = _layer_config(layer, tree)
    sites = sorted(
        path
        for path in _folders(tree)
        if posixpath.basename(path) in ("site-packages", "dist-packages")
    )
    stdlib = sorted(
        posixpath.dirname(path)
        for path in tree.members
        if posixpath.basename(path) == "os.py"
        and f"{posixpath.dirname(path)}/site.py" in tree.members
    )
    version = str(config.get("py_version") or layer.python_version or "")
    if not version:
        match = next(
            (m for path in (*sites, *stdlib) if (m := re.search(r"python(\d+\.\d+)", path))), None
        )
        version = match.group(1) if match else ""
    module = config.get("launch_module")
    dynlib = config.get("dynlib_dirs")
    return replace(
        layer,
        python_version=version if re.match(r"\d+\.\d+", version) else None,
        site_dirs=tuple(sites),
        stdlib_dir=stdlib[0] if stdlib else None,
        launch_module=layer.launch_module or (module if isinstance(module, str) else None),
        dynlib_dirs=_deployed_dirs(layer.name, dynlib if isinstance(dynlib, list) else []),
    )


def _folders(tree: Tree) -> set[str]:
    """Every folder, whether the archive has a member for it or only members below it."""
    found = {path for path, member in tree.members.items() if member.type is EntryType.DIRECTORY}
    for path in tree.members:
        folder = posixpath.dirname(path)
        while folder and folder not in found:
            found.add(folder)
            folder = posixpath.dirname(folder)
    return found


def _check_metadata(tree: Tree, place: Path, limits: Limits) -> None:
    """What is parsed as a whole mustn't be larger than the limit. Raises LimitError."""
    for path, member in tree.members.items():
        if member.size > limits.metadata_file and (
            _METADATA.search(path) or path == LAYER_METADATA
        ):
            raise LimitError(
                f"{member.size} bytes of metadata, more than {limits.metadata_file}",
                file=place,
                place=path,
                hint="raise the limit metadata_file if that is right",
            )


def _deployed_dirs(layer: str, relative: list[object]) -> tuple[str, ...]:
    """The wrapper searches its own layer's folder of libraries first, then those of the layers below."""
    own = f"{layer}/share/venv/dynlib"
    below = (posixpath.normpath(f"{layer}/{path}") for path in relative if isinstance(path, str))
    return tuple(dict.fromkeys((own, *(path for path in below if not path.startswith("../")))))


def _layer_config(layer: Layer, tree: Tree) -> dict[str, object]:
    member = tree.members.get(LAYER_METADATA)
    if member is None or member.content is None:
        return {}
    place = f"{layer.name}/{LAYER_METADATA}"
    value = parse_json(bytes(member.content.view()), file=place, hint=_REBUILD)
    if not isinstance(value, dict):
        raise UnsafeInputError("must be an object", file=place, hint=_REBUILD)
    return value
