"""Small sets of files that are published as releases, and what a reader sees of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from slim.errors import SlimError
from slim.model.progress import Silent
from slim.stores.base import BlobStore
from slim.stores.open import open_store
from slim.stores.release import publish_release

MANIFEST = "__venvstacks__/venvstacks.json"
PLACE = "s3://bucket/release"


def set_of(folder: Path, text: str) -> Path:
    """A set of two archives, whose bytes depend on ``text``, and a manifest that names them."""
    (folder / "__venvstacks__" / "env_metadata").mkdir(parents=True)
    layers = {}
    for name in ("app.tar.xz", "runtime.tar.xz"):
        data = f"{name} {text}".encode()
        (folder / name).write_bytes(data)
        layers[name] = hashlib.sha256(data).hexdigest()
    (folder / "__venvstacks__/env_metadata/app.json").write_text(json.dumps(text))
    (folder / MANIFEST).write_text(json.dumps(layers))
    return folder


def publish(folder: Path, store: BlobStore | None = None, *, unsafe: bool = False) -> None:
    publish_release(
        folder, store or open_store(PLACE), last=[MANIFEST], unsafe=unsafe, progress=Silent()
    )


def failure_of(folder: Path, store: BlobStore) -> SlimError | None:
    """The error that publishing ends with, or None."""
    try:
        publish(folder, store)
    except SlimError as error:
        return error
    return None


def visible(store: BlobStore) -> str | None:
    """What a reader sees that starts at the manifest: None, or a set, which has to be whole."""
    manifest = store.get(MANIFEST, 10_000)
    if manifest is None:
        return None
    texts = set()
    for name, sha256 in json.loads(manifest).items():
        data = store.get(name, 10_000)
        assert data is not None, f"{name} is missing"
        assert hashlib.sha256(data).hexdigest() == sha256, f"{name} is of another set"
        texts.add(data.decode().partition(" ")[2])
    [text] = texts
    metadata = store.get("__venvstacks__/env_metadata/app.json", 10_000)
    assert json.loads(metadata or b"null") == text
    return text
