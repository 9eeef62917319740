"""Reads the manifest that ``venvstacks publish`` and ``local-export`` write.

The reader is strict about what it relies on (names, sizes, hashes, references between layers) and
carries everything else over untouched, because every key may matter to somebody's installer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from slim.errors import LimitError, UnsafeInputError
from slim.model.stack import UNKNOWN_PLATFORM, ArchiveInfo, Layer, LayerKind, Platform
from slim.system.json_cursor import JsonCursor, JsonSource
from slim.system.regular import read_input
from slim.system.strict_json import parse_json

FOLDER = "__venvstacks__"
ENV_METADATA = "env_metadata"
LAYER_METADATA = "share/venv/metadata/venvstacks_layer.json"
"""File of a layer in which venvstacks says how the layer is deployed."""
POSTINSTALL = "postinstall.py"
"""Script of a layer that finishes its deployment: compiles bytecode, writes ``pyvenv.cfg``."""

_SECTIONS = {
    "runtimes": LayerKind.RUNTIME,
    "frameworks": LayerKind.FRAMEWORK,
    "applications": LayerKind.APPLICATION,
}
LARGEST = 64 << 20
"""Bytes of a manifest that slim is willing to parse."""
MOST_LAYERS = 1000
"""Layers of one manifest, which is more than any stack has."""
_MANIFESTS = "venvstacks"
"""Beginning of the names that venvstacks gives to manifests."""
_HINT = "publish the stack again; venvstacks doesn't write it so"
ARCHIVE_KEYS = ("archive_name", "archive_size", "archive_hashes", "archive_build")
"""Keys of a layer's entry that tell of its archive: an exported layer has none of them."""
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]+\Z")


def read_json(path: Path) -> Any:
    """Read one JSON file strictly (see :func:`slim.system.strict_json.parse_json`).

    Raises UnsafeInputError where it isn't, LimitError where it is too large, StorageError where it
    can't be read.
    """
    raw = read_input(path, LARGEST, noun="manifest")
    return parse_json(raw, file=path, hint=_HINT)


def json_files(folder: Path) -> list[Path]:
    """The JSON files of a folder, by name, without the hidden ones (``._x.json``) of macOS."""
    found = sorted(folder.glob("*.json"))
    return [path for path in found if not path.name.startswith(".") and path.is_file()]


def manifest_files(folder: Path) -> list[Path]:
    """The manifests in a folder ``__venvstacks__``, by name.

    Products leave JSON of their own there. A file that isn't called as venvstacks calls its
    manifests, and names no layers, is none as long as there are others.

    Raises UnsafeInputError where one of those isn't JSON, LimitError, StorageError.
    """
    files = json_files(folder)
    if len(files) < 2:
        return files
    return [
        path for path in files if path.name.startswith(_MANIFESTS) or _names_layers(path)
    ] or files


def _names_layers(path: Path) -> bool:
    value = read_json(path)
    return isinstance(value, dict) and "layers" in value


def without_archive(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of a layer as an export would have it."""
    return {key: value for key, value in entry.items() if key not in ARCHIVE_KEYS}


def without_archives(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest that :func:`layers_from_manifest` took, as an export would have it."""
    layers = {
        section: [without_archive(entry) for entry in entries] if section in _SECTIONS else entries
        for section, entries in manifest["layers"].items()
    }
    return {**manifest, "layers": layers}


def _name(entry: JsonCursor, key: str) -> str:
    """The plain file or folder name under ``key``."""
    value = entry.members().get(key)
    if (
        not isinstance(value, str)
        or not _NAME.match(value)
        or value in (".", "..")
        or len(value) > 255
    ):
        raise entry.wrong(f"must be a plain file or folder name, not {_short(value)}", at=key)
    return value


def _optional_text(entry: JsonCursor, key: str) -> str | None:
    value = entry.members().get(key)
    if value is None or isinstance(value, str):
        return value
    raise entry.wrong(f"must be a string, not {_short(value)}", at=key)


def _layer_names(entry: JsonCursor, key: str) -> tuple[str, ...]:
    value = entry.members().get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise entry.wrong(f"must be a list of layer names, not {_short(value)}", at=key)
    return tuple(value)


def _archive(entry: JsonCursor) -> ArchiveInfo | None:
    values = entry.members()
    if "archive_name" not in values:
        return None
    name = _name(entry, "archive_name")
    size, hashes = values.get("archive_size"), values.get("archive_hashes")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise entry.wrong(f"must be a number of bytes, not {_short(size)}", at="archive_size")
    sha256 = hashes.get("sha256") if isinstance(hashes, dict) else None
    if not isinstance(sha256, str) or not _SHA256.match(sha256.lower()):
        raise entry.wrong(
            f"must be 64 hexadecimal digits, not {_short(sha256)}", at="archive_hashes.sha256"
        )
    return ArchiveInfo(name=name, size=size, sha256=sha256.lower())


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def layers_from_manifest(path: Path, manifest: object) -> tuple[Layer, ...]:
    """Turn a manifest into layers in dependency order (folders inside the layers aren't known yet).

    Raises UnsafeInputError for anything malformed, for a reference to a layer that isn't there, and
    for a cycle, and LimitError for more layers than any stack has.
    """
    top = JsonCursor(manifest, JsonSource(file=path, hint=_HINT))
    layers: dict[str, Layer] = {}
    direct: dict[str, tuple[str, ...]] = {}
    archives: dict[str, str] = {}
    for kind, entry in _entries(top):
        layer, below = _layer(entry, kind)
        if len(layers) >= MOST_LAYERS:
            raise LimitError(
                f"more than {MOST_LAYERS} layers",
                file=path,
                place=entry.path,
                hint="no stack has as many layers",
            )
        if layer.name in layers:
            raise entry.wrong(f"{layer.name!r} is the target of two layers", at="install_target")
        if layer.archive and archives.setdefault(layer.archive.name, layer.name) != layer.name:
            raise entry.wrong(
                f"{layer.archive.name!r} is the archive of two layers", at="archive_name"
            )
        layers[layer.name], direct[layer.name] = layer, below
    if not layers:
        raise top.wrong("the manifest names no layer", at="layers")
    return _in_order(path, layers, direct)


def _entries(top: JsonCursor) -> Iterator[tuple[LayerKind, JsonCursor]]:
    """Entries of all layers, in the order of the manifest, with the kind of each."""
    sections = top.get("layers") if isinstance(top.value, dict) else None
    names = sections.value if sections is not None else None
    if sections is None or not isinstance(names, dict) or not names.keys() & _SECTIONS.keys():
        raise top.wrong(
            "no layers: this isn't a manifest that venvstacks wrote",
            at="layers",
            hint="point slim at the folder that holds __venvstacks__, or at a manifest inside it",
        )
    for section, kind in _SECTIONS.items():
        if section in names:
            yield from ((kind, entry) for entry in sections[section].items())


def _layer(entry: JsonCursor, kind: LayerKind) -> tuple[Layer, tuple[str, ...]]:
    name = _name(entry, "install_target")
    layer_name = _optional_text(entry, "layer_name") or name
    runtime = _optional_text(entry, "runtime_layer")
    below = _layer_names(entry, "required_layers")
    if runtime and runtime != name and kind is not LayerKind.RUNTIME:
        below = (*below, runtime)
    tag = _optional_text(entry, "target_platform")
    implementation = _optional_text(entry, "python_implementation") or ""
    version = implementation.partition("@")[2]
    return (
        Layer(
            name=name,
            layer_name=layer_name,
            kind=kind,
            platform=Platform.parse(tag) if tag else UNKNOWN_PLATFORM,
            python_version=version if re.match(r"\d+\.\d+", version) else None,
            launch_module=_optional_text(entry, "app_launch_module"),
            archive=_archive(entry),
            entry=entry.members(),
        ),
        below,
    )


def _in_order(
    path: Path, layers: Mapping[str, Layer], direct: Mapping[str, tuple[str, ...]]
) -> tuple[Layer, ...]:
    """Sort layers, those that are required first, and close ``requires`` over the layers below."""
    by_layer_name = {layer.layer_name: name for name, layer in layers.items()}

    def target(name: str, wanted: str) -> str:
        found = wanted if wanted in layers else by_layer_name.get(wanted)
        if found is None:
            raise UnsafeInputError(
                f"layer {name!r} requires {wanted!r}, which the manifest doesn't name",
                file=path,
                place="layers",
                hint="publish the whole stack again, so that manifest and layers agree",
            )
        return found

    resolved = {
        name: tuple(target(name, wanted) for wanted in below) for name, below in direct.items()
    }
    order: list[str] = []
    closed: dict[str, tuple[str, ...]] = {}

    for name in layers:
        # Depth first, with a stack of its own: a hostile manifest can nest deeper than Python
        # recurses.
        trail = [name] if name not in closed else []
        while trail:
            current = trail[-1]
            below = next((one for one in resolved[current] if one not in closed), None)
            if below is None:
                closed[current] = _nearest_first(resolved[current], closed)
                order.append(trail.pop())
            elif below in trail:
                shown = " -> ".join((*trail, below)[-8:])
                raise UnsafeInputError(
                    f"layers require each other: {shown}",
                    file=path,
                    place="layers",
                    hint="publish the stack again",
                )
            else:
                trail.append(below)
    runtimes = {name for name, layer in layers.items() if layer.kind is LayerKind.RUNTIME}
    return tuple(
        _with_requires(layers[name], sorted(closed[name], key=lambda below: below in runtimes))
        for name in order
    )


def _nearest_first(direct: Iterable[str], closed: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    seen: dict[str, None] = dict.fromkeys(direct)
    for name in tuple(seen):
        seen.update(dict.fromkeys(closed[name]))
    return tuple(seen)


def _with_requires(layer: Layer, requires: Iterable[str]) -> Layer:
    return replace(layer, requires=tuple(requires))
