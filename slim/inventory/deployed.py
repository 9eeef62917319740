"""Deployed trees: layers that an installer has unpacked beside each other, without a manifest.

What the post-install step made (``pyvenv.cfg``, ``sitecustomize.py``, bytecode) isn't part of the
layers.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from slim.formats.base import Tree
from slim.inventory.located import Located
from slim.inventory.manifest import FOLDER, LAYER_METADATA, POSTINSTALL, read_json
from slim.model.stack import UNKNOWN_PLATFORM, Layer, LayerKind, Stack, StackKind

_MADE = re.compile(
    r"(?:pyvenv\.cfg"
    r"|(?:.*/)?(?:site|dist)-packages/sitecustomize\.py"
    r"|(?:.*/)?__pycache__(?:/.*)?)\Z"
)


def locate_deployed(folder: Path) -> Located | None:
    """Return the stack whose layers lie unpacked in ``folder``; None where there is none.

    Raises UnsafeInputError for metadata that isn't JSON.
    """
    if not folder.is_dir() or (folder / FOLDER).exists() or (folder / LAYER_METADATA).is_file():
        return None
    configs: dict[str, Mapping[str, object]] = {}
    for place in sorted(folder.iterdir()):
        file = place / LAYER_METADATA
        if file.is_file() and (place / POSTINSTALL).is_file():
            value = read_json(file)
            if isinstance(value, dict):
                configs[place.name] = value
    if not configs:
        return None
    below = {name: tuple(_below(name, config, configs)) for name, config in configs.items()}
    names = sorted(configs, key=lambda name: (len(below[name]), name))
    layers = tuple(
        Layer(
            name=name,
            layer_name=name,
            kind=_kind(configs[name]),
            platform=UNKNOWN_PLATFORM,
            requires=below[name],
        )
        for name in names
    )
    stack = Stack(
        kind=StackKind.EXPORT, source=str(folder), platform=UNKNOWN_PLATFORM, layers=layers
    )
    return Located(stack=stack, places={name: folder / name for name in names})


def _below(name: str, config: Mapping[str, object], known: Mapping[str, object]) -> Iterator[str]:
    paths = config.get("pylib_dirs")
    for path in paths if isinstance(paths, list) else ():
        other = posixpath.normpath(posixpath.join(name, str(path))).partition("/")[0]
        if other in known and other != name:
            yield other


def _kind(config: Mapping[str, object]) -> LayerKind:
    if config.get("launch_module"):
        return LayerKind.APPLICATION
    return (
        LayerKind.RUNTIME
        if config.get("python") == config.get("base_python")
        else LayerKind.FRAMEWORK
    )


def as_published(tree: Tree) -> Tree:
    """The tree of a layer without what installing made in it."""
    members = {path: member for path, member in tree.members.items() if not _MADE.match(path)}
    return replace(tree, members=members)
