"""Describes a layer by its files: folders, Python version, launch module, library search path."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from pathlib import Path

from slim.errors import LimitError, UnsafeInputError
from slim.formats.base import Tree
from slim.inventory.manifest import LAYER_METADATA
from slim.model.limits import Limits
from slim.model.record import EntryType
from slim.model.stack import Layer, StackKind
from slim.system.strict_json import parse_json

_REBUILD = "build and publish the layer again"
_METADATA = re.compile(r"\.dist-info/(RECORD|METADATA|entry_points\.txt)\Z")


def describe(
    layer: Layer,
    tree: Tree,
    kind: StackKind,
    place: Path,
    limits: Limits,
    *,
    lenient: bool = False,
) -> Layer:
    """Fill in what the layer's files tell. ``place`` is what errors name.

    ``lenient`` is for looking only: members of a published layer may lie under several folders.

    Raises UnsafeInputError for an archive of another layer and for malformed metadata of
    venvstacks, and LimitError for metadata that are too large.
    """
    rooted = bool(tree.root) or (not lenient and bool(tree.members))
    if rooted and kind is StackKind.PUBLISHED and tree.root != layer.name:
        under = f"{tree.root!r} instead" if tree.root else "several folders or none instead"
        raise UnsafeInputError(
            f"its members lie under {under} of the install target {layer.name!r}",
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


def metadata_sites(tree: Tree) -> set[str]:
    """Folders with installed metadata, whatever they are called.

    Among them are a wheel's root, ``app_packages`` of Briefcase, ``_internal`` of PyInstaller and
    ``lib/python3.13`` of py2app.
    """
    return {
        posixpath.dirname(posixpath.dirname(path))
        for path in tree.members
        if path.endswith(".dist-info/METADATA") and "/_vendor/" not in f"/{path}"
    }


def _folders(tree: Tree) -> set[str]:
    """Paths of every folder, of those without a member of their own too."""
    folders = {path for path, member in tree.members.items() if member.type is EntryType.DIRECTORY}
    for path in tree.members:
        folder = posixpath.dirname(path)
        while folder and folder not in folders:
            folders.add(folder)
            folder = posixpath.dirname(folder)
    return folders


def _check_metadata(tree: Tree, place: Path, limits: Limits) -> None:
    """Raise LimitError for metadata larger than the limit: they are parsed as a whole."""
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
    """Deployed folders that the layer's wrapper of Python searches for libraries, in its order.

    Its own layer's comes first, then those of the layers below.
    """
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
