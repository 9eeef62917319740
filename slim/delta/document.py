"""``slim-delta.json``: what a delta needs, gives, and is made of.

It is read as strictly as a manifest, for it is untrusted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from slim.errors import LimitError, UnsafeInputError
from slim.formats import FORMATS
from slim.inventory.manifest import ENV_METADATA, FOLDER, MOST_LAYERS, read_json
from slim.model.delta import Delta, DeltaAction, LayerDelta, LayerState, NamedFile, StackDelta
from slim.model.stack import StackKind

NAME = "slim-delta.json"
SCHEMA_ID = "urn:slim:delta:v1"
SCHEMA_VERSION = 1
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_PLAIN = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}\Z")
_HINT = "download or make the delta again"


# Writing


def render(delta: Delta) -> str:
    """The document as JSON text."""
    value = {
        "schema": SCHEMA_ID,
        "schema_version": SCHEMA_VERSION,
        "slim_version": delta.slim_version,
        "stacks": [_stack(stack) for stack in delta.stacks],
    }
    return json.dumps(value, indent=2, ensure_ascii=True) + "\n"


def _stack(stack: StackDelta) -> dict[str, Any]:
    return {
        "platform": stack.platform,
        "kind": stack.kind,
        "manifest": _file(stack.manifest),
        "metadata": {layer: _file(file) for layer, file in sorted(stack.metadata.items())},
        "layers": [_layer(layer) for layer in stack.layers],
    }


def _layer(layer: LayerDelta) -> dict[str, Any]:
    return {
        "name": layer.name,
        "action": layer.action.value,
        "old": _state(layer.old),
        "new": _state(layer.new),
        "file": _file(layer.file),
        "table": None
        if layer.table is None
        else {"packed": layer.table[0], "unpacked": layer.table[1]},
        "method": layer.method,
    }


def _state(state: LayerState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    archive = (
        None if state.archive is None else {**(_file(state.archive) or {}), "format": state.format}
    )
    return {
        "tree_sha256": state.tree_sha256,
        "root": state.root,
        "size": state.size,
        "archive": archive,
    }


def _file(file: NamedFile | None) -> dict[str, Any] | None:
    return None if file is None else {"name": file.name, "size": file.size, "sha256": file.sha256}


# Reading


def read(folder: Path) -> Delta:
    """The document of the delta in ``folder``. Raises UnsafeInputError for anything that :func:`render` wouldn't write,
    StorageError where it can't be read."""
    path = folder / NAME
    top = _Value(path, "", read_json(path))
    if top.text("schema") != SCHEMA_ID or top.number("schema_version") != SCHEMA_VERSION:
        raise top.wrong("schema", f"must be {SCHEMA_ID}, which is what this slim reads")
    stacks = tuple(_read_stack(one) for one in top.items("stacks"))
    if not stacks:
        raise top.wrong("stacks", "is empty")
    if len({stack.platform for stack in stacks}) != len(stacks):
        raise top.wrong("stacks", "two of them are for one platform")
    names: dict[str, str] = {}
    for stack in stacks:
        for layer in stack.layers:
            if layer.file is not None and names.setdefault(
                layer.file.name.lower(), layer.file.sha256
            ) != (layer.file.sha256):
                raise top.wrong("stacks", f"{layer.file.name!r} is two files")
    return Delta(stacks=stacks, slim_version=top.text("slim_version"))


class _Value:
    """An object in the document, with errors that name the key path."""

    def __init__(self, path: Path, place: str, value: object) -> None:
        self.path = path
        self.place = place
        if not isinstance(value, dict):
            raise UnsafeInputError("must be an object", file=path, place=place or None, hint=_HINT)
        self.value = cast(dict[str, object], value)

    def wrong(self, key: str, message: str) -> UnsafeInputError:
        place = f"{self.place}.{key}" if self.place else key
        return UnsafeInputError(message, file=self.path, place=place, hint=_HINT)

    def text(self, key: str) -> str:
        value = self.value.get(key)
        if not isinstance(value, str) or len(value) > 4096:
            raise self.wrong(key, "must be a string")
        return value

    def name(self, key: str) -> str:
        text = self.text(key)
        if not _PLAIN.match(text) or text in (".", ".."):
            raise self.wrong(key, "must be a plain file name")
        return text

    def own_name(self, key: str) -> str:
        """A name that nothing in ``__venvstacks__`` can be mixed up with."""
        text = self.name(key)
        if text.lower() in (FOLDER, ENV_METADATA):
            raise self.wrong(key, f"{text!r} is where manifests lie")
        return text

    def number(self, key: str) -> int:
        value = self.value.get(key)
        if type(value) is not int or not 0 <= value < 1 << 53:
            raise self.wrong(key, "must be a whole number, 0 or more")
        return value

    def sha256(self, key: str) -> str:
        text = self.text(key)
        if not _SHA256.match(text):
            raise self.wrong(key, "must be 64 hexadecimal digits")
        return text

    def choice(self, key: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
        text = self.text(key)
        if text not in known:
            raise self.wrong(key, f"must be one of {', '.join(known)}")
        return text

    def inner(self, key: str) -> _Value:
        return _Value(self.path, f"{self.place}.{key}" if self.place else key, self.value.get(key))

    def maybe(self, key: str) -> _Value | None:
        return None if self.value.get(key) is None else self.inner(key)

    def items(self, key: str) -> list[_Value]:
        value = self.value.get(key)
        if not isinstance(value, list):
            raise self.wrong(key, "must be a list")
        place = f"{self.place}.{key}" if self.place else key
        if len(value) > MOST_LAYERS:
            raise LimitError(f"more than {MOST_LAYERS}", file=self.path, place=place, hint=_HINT)
        return [_Value(self.path, f"{place}[{index}]", item) for index, item in enumerate(value)]


def _read_stack(value: _Value) -> StackDelta:
    layers = tuple(_read_layer(one) for one in value.items("layers"))
    if not layers:
        raise value.wrong("layers", "is empty")
    seen: set[str] = set()
    for layer in layers:
        if layer.name.lower() in seen:
            raise value.wrong("layers", f"{layer.name!r} stands there twice")
        seen.add(layer.name.lower())
    kind = value.choice("kind", tuple(kind.value for kind in StackKind))
    for number, layer in enumerate(layers):
        # What lies under another folder would be unpacked over another layer.
        if (
            kind == StackKind.PUBLISHED.value
            and layer.new is not None
            and layer.new.root not in ("", layer.name)
        ):
            raise value.wrong(f"layers[{number}].new.root", "must be the name of the layer")
    inner = value.inner("metadata")
    metadata = {
        layer: file for layer in inner.value if (file := _read_file(inner.inner(layer))) is not None
    }
    if len({file.name.lower() for file in metadata.values()}) != len(metadata):
        raise value.wrong("metadata", "two layers have one file")
    return StackDelta(
        platform=value.text("platform"),
        kind=kind,
        layers=layers,
        manifest=_read_file(value.maybe("manifest")),
        metadata=metadata,
    )


def _read_layer(value: _Value) -> LayerDelta:
    action = DeltaAction(value.choice("action", tuple(one.value for one in DeltaAction)))
    old, new, file = (
        _read_state(value.maybe("old")),
        _read_state(value.maybe("new")),
        _read_file(value.maybe("file")),
    )
    table = value.maybe("table")
    if (new is None) != (action is DeltaAction.REMOVED):
        raise value.wrong("new", "must be there unless the layer is removed")
    if old is None and action in (DeltaAction.UNCHANGED, DeltaAction.REMOVED):
        raise value.wrong("old", "must be there")
    if (file is not None) != (action in (DeltaAction.PATCH, DeltaAction.FULL)):
        raise value.wrong(
            "file", "must be there for a patch or a whole layer, and for nothing else"
        )
    if (table is not None) != (action is DeltaAction.PATCH):
        raise value.wrong("table", "must be there for a patch, and for nothing else")
    if (
        action is DeltaAction.UNCHANGED
        and old is not None
        and new is not None
        and old.tree_sha256 != new.tree_sha256
    ):
        raise value.wrong("new.tree_sha256", "differs from the old one, so that something changed")
    if action is DeltaAction.FULL and (
        new is None or new.archive is None or file is None or new.archive != file
    ):
        raise value.wrong("file", "must be the archive of the new layer")
    return LayerDelta(
        name=value.own_name("name"),
        action=action,
        old=old,
        new=new,
        file=file,
        table=None if table is None else (table.number("packed"), table.number("unpacked")),
        method=value.text("method") if value.value.get("method") is not None else None,
    )


def _read_state(value: _Value | None) -> LayerState | None:
    if value is None:
        return None
    archive = value.maybe("archive")
    root = value.text("root")
    if root:
        value.name("root")
    return LayerState(
        tree_sha256=value.sha256("tree_sha256"),
        root=root,
        size=value.number("size"),
        archive=_read_file(archive),
        format=None
        if archive is None
        else archive.choice("format", tuple(known.name for known in FORMATS)),
    )


def _read_file(value: _Value | None) -> NamedFile | None:
    if value is None:
        return None
    return NamedFile(
        name=value.own_name("name"), size=value.number("size"), sha256=value.sha256("sha256")
    )


def manifest_folder(folder: Path) -> Path:
    """Where a delta keeps the manifest of the new stack."""
    return folder / FOLDER
