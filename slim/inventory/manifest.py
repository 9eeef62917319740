"""Reads the manifest that ``venvstacks publish`` and ``local-export`` write.

The reader is strict about what it relies on (names, sizes, hashes, references between layers) and
carries everything else over untouched, because every key may matter to somebody's installer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from slim.errors import LimitError, StorageError, UnsafeInputError
from slim.model.stack import UNKNOWN_PLATFORM, ArchiveInfo, Layer, LayerKind, Platform
from slim.system.strict_json import parse_json

FOLDER = "__venvstacks__"
ENV_METADATA = "env_metadata"

_SECTIONS = {
    "runtimes": LayerKind.RUNTIME,
    "frameworks": LayerKind.FRAMEWORK,
    "applications": LayerKind.APPLICATION,
}
LARGEST = 64 << 20
"""Bytes of a manifest that slim is willing to parse."""
MOST_LAYERS = 1000
"""Layers of one manifest, which is more than any stack has."""
_HINT = "publish the stack again; venvstacks doesn't write it so"
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]+\Z")


def read_json(path: Path) -> Any:
    """Read one JSON file strictly (see :func:`slim.system.strict_json.parse_json`).

    Raises UnsafeInputError where it isn't, LimitError where it is too large, StorageError where it
    can't be read.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise LimitError(
                f"larger than {LARGEST} bytes", file=path, hint="no manifest is as large as that"
            )
        raw = path.read_bytes()
    except OSError as error:
        raise StorageError.from_os_error(error, file=path) from None
    return parse_json(raw, file=path, hint=_HINT)


class _Entry:
    """One layer's entry, with errors that name the key path."""

    def __init__(self, path: Path, place: str, value: object) -> None:
        self.path = path
        self.place = place
        if not isinstance(value, dict):
            raise UnsafeInputError("must be an object", file=path, place=place, hint=_HINT)
        self.value = cast(dict[str, object], value)

    def fail(self, key: str, message: str) -> UnsafeInputError:
        return UnsafeInputError(message, file=self.path, place=f"{self.place}.{key}", hint=_HINT)

    def name(self, key: str) -> str:
        value = self.value.get(key)
        if (
            not isinstance(value, str)
            or not _NAME.match(value)
            or value in (".", "..")
            or len(value) > 255
        ):
            raise self.fail(key, f"must be a plain file or folder name, not {_short(value)}")
        return value

    def optional_text(self, key: str) -> str | None:
        value = self.value.get(key)
        if value is None or isinstance(value, str):
            return value
        raise self.fail(key, f"must be a string, not {_short(value)}")

    def names(self, key: str) -> tuple[str, ...]:
        value = self.value.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fail(key, f"must be a list of layer names, not {_short(value)}")
        return tuple(value)

    def archive(self) -> ArchiveInfo | None:
        if "archive_name" not in self.value:
            return None
        name = self.name("archive_name")
        size = self.value.get("archive_size")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise self.fail("archive_size", f"must be a number of bytes, not {_short(size)}")
        hashes = self.value.get("archive_hashes")
        sha256 = hashes.get("sha256") if isinstance(hashes, dict) else None
        if not isinstance(sha256, str) or not _SHA256.match(sha256.lower()):
            raise self.fail(
                "archive_hashes.sha256", f"must be 64 hexadecimal digits, not {_short(sha256)}"
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
    sections = manifest.get("layers") if isinstance(manifest, dict) else None
    if not isinstance(sections, dict) or not any(key in sections for key in _SECTIONS):
        raise UnsafeInputError(
            "no layers: this isn't a manifest that venvstacks wrote",
            file=path,
            place="layers",
            hint="point slim at the folder that holds __venvstacks__, or at a manifest inside it",
        )
    layers: dict[str, Layer] = {}
    direct: dict[str, tuple[str, ...]] = {}
    archives: dict[str, str] = {}
    for section, kind in _SECTIONS.items():
        entries = sections.get(section, [])
        if not isinstance(entries, list):
            raise UnsafeInputError(
                "must be a list", file=path, place=f"layers.{section}", hint=_HINT
            )
        for index, value in enumerate(entries):
            entry = _Entry(path, f"layers.{section}[{index}]", value)
            layer, below = _layer(entry, kind)
            if len(layers) >= MOST_LAYERS:
                raise LimitError(
                    f"more than {MOST_LAYERS} layers",
                    file=path,
                    place=entry.place,
                    hint="no stack has as many layers",
                )
            if layer.name in layers:
                raise entry.fail("install_target", f"{layer.name!r} is the target of two layers")
            if layer.archive and archives.setdefault(layer.archive.name, layer.name) != layer.name:
                raise entry.fail(
                    "archive_name", f"{layer.archive.name!r} is the archive of two layers"
                )
            layers[layer.name], direct[layer.name] = layer, below
    if not layers:
        raise UnsafeInputError("the manifest names no layer", file=path, place="layers", hint=_HINT)
    return _in_order(path, layers, direct)


def _layer(entry: _Entry, kind: LayerKind) -> tuple[Layer, tuple[str, ...]]:
    name = entry.name("install_target")
    layer_name = entry.optional_text("layer_name") or name
    runtime = entry.optional_text("runtime_layer")
    below = entry.names("required_layers")
    if runtime and runtime != name and kind is not LayerKind.RUNTIME:
        below = (*below, runtime)
    tag = entry.optional_text("target_platform")
    implementation = entry.optional_text("python_implementation") or ""
    version = implementation.partition("@")[2]
    return (
        Layer(
            name=name,
            layer_name=layer_name,
            kind=kind,
            platform=Platform.parse(tag) if tag else UNKNOWN_PLATFORM,
            python_version=version if re.match(r"\d+\.\d+", version) else None,
            launch_module=entry.optional_text("app_launch_module"),
            archive=entry.archive(),
            entry=entry.value,
        ),
        below,
    )


def _in_order(
    path: Path, layers: Mapping[str, Layer], direct: Mapping[str, tuple[str, ...]]
) -> tuple[Layer, ...]:
    """Sort layers so that what is required comes first, and close ``requires`` over the layers below."""
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
