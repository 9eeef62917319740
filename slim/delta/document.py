"""``slim-delta.json``, the document of a delta: the layers it needs and gives, and its files.

It is untrusted, and read as strictly as a manifest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from slim.delta.hints import GET_AGAIN
from slim.errors import LimitError
from slim.formats import FORMATS
from slim.inventory.manifest import ENV_METADATA, FOLDER, MOST_LAYERS, read_json
from slim.model.delta import Delta, DeltaAction, LayerDelta, LayerState, NamedFile, StackDelta
from slim.model.stack import StackKind
from slim.system.json_cursor import JsonCursor, JsonSource
from slim.system.json_text import Json, dumps

NAME = "slim-delta.json"
SCHEMA_ID = "urn:slim:delta:v1"
SCHEMA_VERSION = 1
_PLAIN = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}\Z")
_LONGEST: Final = 4096
"""Characters of a string in the document."""


# Writing


def render(delta: Delta) -> str:
    """Render the document as JSON text."""
    value = {
        "schema": SCHEMA_ID,
        "schema_version": SCHEMA_VERSION,
        "slim_version": delta.slim_version,
        "stacks": [_stack(stack) for stack in delta.stacks],
    }
    return dumps(value)


def _stack(stack: StackDelta) -> Json:
    return {
        "platform": stack.platform,
        "kind": stack.kind,
        "manifest": _file(stack.manifest),
        "metadata": {layer: _file(file) for layer, file in sorted(stack.metadata.items())},
        "layers": [_layer(layer) for layer in stack.layers],
    }


def _layer(layer: LayerDelta) -> Json:
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


def _state(state: LayerState | None) -> Json | None:
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


def _file(file: NamedFile | None) -> Json | None:
    return None if file is None else {"name": file.name, "size": file.size, "sha256": file.sha256}


# Reading


def read(folder: Path) -> Delta:
    """Read the document of the delta in ``folder``.

    Raises UnsafeInputError for anything that :func:`render` wouldn't write, LimitError for more
    layers than any stack has, StorageError where the file can't be read.
    """
    path = folder / NAME
    top = JsonCursor(read_json(path), JsonSource(file=path, hint=GET_AGAIN))
    schema, version = _text(top["schema"]), top["schema_version"].number()
    if schema != SCHEMA_ID or version != SCHEMA_VERSION:
        raise top.wrong(f"must be {SCHEMA_ID}, which is what this slim reads", at="schema")
    stacks = tuple(_read_stack(stack) for stack in _items(top["stacks"]))
    if not stacks:
        raise top.wrong("is empty", at="stacks")
    if len({stack.platform for stack in stacks}) != len(stacks):
        raise top.wrong("two of them are for one platform", at="stacks")
    ambiguous = _ambiguous_file(layer for stack in stacks for layer in stack.layers)
    if ambiguous is not None:
        raise top.wrong(f"{ambiguous!r} is two files", at="stacks")
    return Delta(stacks=stacks, slim_version=_text(top["slim_version"]))


def _ambiguous_file(layers: Iterable[LayerDelta]) -> str | None:
    """A file name that layers give to different contents, or None. Letter case isn't told apart."""
    digests: dict[str, str] = {}
    for layer in layers:
        file = layer.file
        if file is not None and digests.setdefault(file.name.lower(), file.sha256) != file.sha256:
            return file.name
    return None


def _read_stack(stack: JsonCursor) -> StackDelta:
    layers = tuple(_read_layer(layer) for layer in _items(stack["layers"]))
    if not layers:
        raise stack.wrong("is empty", at="layers")
    seen: set[str] = set()
    for layer in layers:
        if layer.name.lower() in seen:
            raise stack.wrong(f"{layer.name!r} stands there twice", at="layers")
        seen.add(layer.name.lower())
    kind = stack["kind"].choice(StackKind)
    if kind is StackKind.PUBLISHED:
        _check_roots(stack, layers)
    metadata = {
        layer: _read_file(stack["metadata"][layer]) for layer in stack["metadata"].members()
    }
    if len({file.name.lower() for file in metadata.values()}) != len(metadata):
        raise stack.wrong("two layers have one file", at="metadata")
    return StackDelta(
        platform=_text(stack["platform"]),
        kind=kind.value,
        layers=layers,
        manifest=_read_optional_file(stack.get("manifest")),
        metadata=metadata,
    )


def _check_roots(stack: JsonCursor, layers: Sequence[LayerDelta]) -> None:
    """Raise UnsafeInputError for a layer whose archive would be unpacked over another layer."""
    for layer, cursor in zip(layers, stack["layers"].items(), strict=True):
        if layer.new is not None and layer.new.root not in ("", layer.name):
            raise cursor["new"]["root"].wrong("must be the name of the layer")


def _read_layer(layer: JsonCursor) -> LayerDelta:
    action = layer["action"].choice(DeltaAction)
    old, new = _read_state(layer.get("old")), _read_state(layer.get("new"))
    file, table = _read_optional_file(layer.get("file")), layer.get("table")
    if (new is None) != (action is DeltaAction.REMOVED):
        raise layer.wrong("must be there unless the layer is removed", at="new")
    if old is None and action in (DeltaAction.UNCHANGED, DeltaAction.REMOVED):
        raise layer.wrong("must be there", at="old")
    if (file is not None) != (action in (DeltaAction.PATCH, DeltaAction.FULL)):
        raise layer.wrong(
            "must be there for a patch or a whole layer, and for nothing else", at="file"
        )
    if (table is not None) != (action is DeltaAction.PATCH):
        raise layer.wrong("must be there for a patch, and for nothing else", at="table")
    if action is DeltaAction.UNCHANGED and old and new and old.tree_sha256 != new.tree_sha256:
        raise layer.wrong(
            "differs from the old one, so that something changed", at="new.tree_sha256"
        )
    if action is DeltaAction.FULL and (new is None or new.archive is None or new.archive != file):
        raise layer.wrong("must be the archive of the new layer", at="file")
    method = layer.get("method")
    return LayerDelta(
        name=_own_name(layer["name"]),
        action=action,
        old=old,
        new=new,
        file=file,
        table=None if table is None else (table["packed"].number(), table["unpacked"].number()),
        method=None if method is None else _text(method),
    )


def _read_state(state: JsonCursor | None) -> LayerState | None:
    if state is None:
        return None
    archive, root = state.get("archive"), _text(state["root"])
    return LayerState(
        tree_sha256=state["tree_sha256"].sha256(),
        root=_plain_name(state["root"]) if root else "",
        size=state["size"].number(),
        archive=_read_optional_file(archive),
        format=None if archive is None else archive["format"].one_of([f.name for f in FORMATS]),
    )


def _read_optional_file(file: JsonCursor | None) -> NamedFile | None:
    return None if file is None else _read_file(file)


def _read_file(file: JsonCursor) -> NamedFile:
    return NamedFile(
        name=_own_name(file["name"]), size=file["size"].number(), sha256=file["sha256"].sha256()
    )


def _text(value: JsonCursor) -> str:
    return value.text(longest=_LONGEST)


def _plain_name(value: JsonCursor) -> str:
    """The name of a file or folder."""
    text = _text(value)
    if not _PLAIN.match(text) or text in (".", ".."):
        raise value.wrong("must be a plain file name")
    return text


def _own_name(value: JsonCursor) -> str:
    """A name that nothing in ``__venvstacks__`` can be mixed up with."""
    text = _plain_name(value)
    if text.lower() in (FOLDER, ENV_METADATA):
        raise value.wrong(f"{text!r} is where manifests lie")
    return text


def _items(values: JsonCursor) -> list[JsonCursor]:
    """The stacks of a document, or the layers of a stack."""
    items = values.items()
    if len(items) > MOST_LAYERS:
        raise LimitError(
            f"more than {MOST_LAYERS}",
            file=values.source.file,
            place=values.path,
            hint=values.source.hint,
        )
    return items
