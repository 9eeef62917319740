"""Stacks that a fleet reads, as far as planning needs: manifests only, never an archive."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from slim.errors import SlimError, StorageError
from slim.inventory.locate import locate, platform_of
from slim.inventory.manifest import FOLDER, LARGEST, layers_from_manifest
from slim.model.stack import Layer
from slim.stores.base import BlobStore
from slim.stores.open import checked_url, open_store
from slim.stores.release import NEWEST, newest
from slim.system.regular import read_input
from slim.system.strict_json import parse_json
from slim.system.urls import is_url

_HINT = "publish the stack again; venvstacks doesn't write it so"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackInput:
    """One platform of a stack: its size in bytes, its archives, and a digest of what it is."""

    platform: str
    size: int
    digest: str
    layers: Mapping[str, int] = field(default_factory=dict)
    """Bytes of its archives by SHA-256."""


def read_inputs(place: str) -> list[StackInput]:
    """Return the platforms of the stack at a path or URL. Raises the errors of slim.errors."""
    if is_url(place):
        return _combined(_stored(place), place)
    found = locate(Path(place))
    manifests = [
        (one.stack.platform.tag, one.stack.layers, [one.stack.manifest_name, one.stack.manifest])
        for one in found
    ]
    return _combined(manifests, place)


def _combined(
    manifests: Iterable[tuple[str, Iterable[Layer], object]], place: str
) -> list[StackInput]:
    """Return one input a platform; several manifests of one platform belong together."""
    inputs = []
    by_tag = sorted(manifests, key=lambda item: item[0])
    for tag, members in groupby(by_tag, key=lambda item: item[0]):
        group = list(members)
        layers = {
            layer.archive.sha256: layer.archive.size
            for _, found, _ in group
            for layer in found
            if layer.archive is not None
        }
        size, what = sum(layers.values()), digest([value for _, _, value in group])
        if not layers:
            what, size = _walked(Path(place))
        inputs.append(StackInput(platform=tag, size=size, digest=what, layers=layers))
    return inputs


def _stored(url: str) -> Iterator[tuple[str, Iterable[Layer], object]]:
    """Yield platform, layers and text of each manifest in a store. Raises StorageError for none."""
    place = _resolved(url)
    texts = _manifests(open_store(place))
    if not texts:
        raise StorageError("no published stack is there", file=place)
    for name, text in texts.items():
        try:
            value = parse_json(text, file=name, hint=_HINT)
            layers = layers_from_manifest(Path(name), value)
        except SlimError as error:
            error.file = f"{place}/{name}"
            raise
        yield platform_of(layers).tag, layers, [name, value]


def _manifests(store: BlobStore) -> dict[str, bytes]:
    names = [
        blob.name
        for blob in store.list(FOLDER)
        if blob.name.endswith(".json") and blob.name.count("/") == 1
    ]
    texts = {name: store.get(name, LARGEST) for name in sorted(names)}
    return {name: text for name, text in texts.items() if text is not None}


def _resolved(url: str) -> str:
    """Return a URL with the newest release in place of ``@newest``."""
    parent, _, last = checked_url(url).rpartition("/")
    return f"{parent}/{newest(open_store(parent))}" if last == NEWEST else checked_url(url)


def published_digest(place: str) -> str | None:
    """Return a digest of the manifests of a published stack; None where there is none."""
    if is_url(place):
        try:
            texts = _manifests(open_store(_resolved(place)))
        except StorageError:
            return None
        found = [[name, sha256(text)] for name, text in texts.items()]
    else:
        path = Path(place)
        folder = path.parent if path.is_file() else path / FOLDER
        files = sorted(folder.glob("*.json"))
        found = [[one.name, sha256(read_input(one, LARGEST, noun="manifest"))] for one in files]
    return digest(found) if found else None


def _walked(place: Path) -> tuple[str, int]:
    """Return a digest of the files below a folder (paths, sizes, times), and their bytes."""
    if place.is_file():
        status = place.stat()
        return digest([status.st_size, status.st_mtime_ns]), status.st_size
    rows, size = [], 0
    for folder, folders, names in os.walk(place):
        folders.sort()
        for name in sorted(names):
            status = os.lstat(os.path.join(folder, name))  # noqa: PTH118
            rows.append([os.path.relpath(folder, place), name, status.st_size, status.st_mtime_ns])
            size += status.st_size
    return digest(rows), size


def digest(value: object) -> str:
    """SHA-256 of a value as JSON, in hexadecimal."""
    return sha256(json.dumps(value, sort_keys=True, ensure_ascii=True, default=dict).encode())


def sha256(data: bytes) -> str:
    """SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
