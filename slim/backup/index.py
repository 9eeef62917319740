"""The index of a backup, as JSON: written once, read as strictly as any other input.

Names that aren't UTF-8 are written as in reports: with U+FFFD for each bad byte, and with the real
bytes under ``<key>_base64``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from slim.formats.names import display, normalise
from slim.model.backup import (
    INDEX_NAME,
    BackupAction,
    BackupFile,
    BackupIndex,
    BackupLayer,
    BackupStack,
)
from slim.model.limits import Limits
from slim.model.record import EntryType
from slim.model.stack import LayerKind, Platform
from slim.system.json_cursor import JsonCursor, JsonSource
from slim.system.json_text import Json, dumps, named, prose

SCHEMA_ID = "urn:slim:removed:v1"
SCHEMA_VERSION = 1

CHANGED_HINT: Final = "the file was changed after slim wrote it; get it again"


# Writing


def render_index(index: BackupIndex) -> bytes:
    """Render the index as JSON text in ASCII."""
    document = {
        "schema": SCHEMA_ID,
        "schema_version": SCHEMA_VERSION,
        "slim_version": index.slim_version,
        "stacks": [_stack(stack) for stack in index.stacks],
    }
    return dumps(document, indent=1).encode("ascii")


def _stack(stack: BackupStack) -> Json:
    return {
        "platform": stack.platform.tag,
        "manifest": stack.manifest,
        "folder": stack.folder,
        "layers": [_layer(layer) for layer in stack.layers],
    }


def _layer(layer: BackupLayer) -> Json:
    return {
        **named("name", layer.name),
        "layer_name": prose(layer.layer_name),
        "kind": layer.kind.value,
        "site_dirs": [named("path", path) for path in layer.site_dirs],
        "stdlib_dir": None if layer.stdlib_dir is None else named("path", layer.stdlib_dir),
        "tree_sha256": {"before": layer.tree_before, "after": layer.tree_after},
        "note": layer.note,
        "hard_links": [
            {**named("path", path), **named("target", to)}
            for path, to in sorted(layer.hard_links.items())
        ],
        "files": [file_document(file) for file in layer.files],
        **({"added": [named("path", path) for path in layer.added]} if layer.added else {}),
    }


def file_document(file: BackupFile) -> Json:
    """Entry of one original in the index."""
    return {
        **named("path", file.path),
        "type": file.type.value,
        "action": file.action.value,
        "rule": file.rule,
        "pass": file.pass_name,
        "evidence": [prose(text) for text in file.evidence],
        "mode": f"{file.mode:04o}",
        "mtime": file.mtime,
        "size": file.size,
        "sha256": file.sha256 or None,
        **(
            {"link_target": None}
            if file.link_target is None
            else named("link_target", file.link_target)
        ),
        "size_after": file.size_after,
        "sha256_after": file.sha256_after or None,
        **(
            {"link_after": None}
            if file.link_after is None
            else named("link_after", file.link_after)
        ),
    }


# Reading


def parse_index(raw: bytes, *, source: Path, limits: Limits) -> BackupIndex:
    """Read an index.

    Raises UnsafeInputError for anything that slim doesn't write, naming the key path.
    """
    top = JsonSource(file=source, document=INDEX_NAME, hint=CHANGED_HINT).parse(raw)
    schema, version = top.members().get("schema"), top.members().get("schema_version")
    if schema != SCHEMA_ID or version != SCHEMA_VERSION:
        raise top.wrong(
            f"its schema is {str(schema)[:60]!r}, not {SCHEMA_ID}",
            hint="read it with the slim that wrote it, or a newer one",
        )
    return _Reader(source, limits).index(top)


class _Reader:
    """Reader of one index. ``source`` names the backup in messages."""

    def __init__(self, source: Path, limits: Limits) -> None:
        self._source = source
        self._limits = limits

    def index(self, top: JsonCursor) -> BackupIndex:
        stacks = tuple(self._stack(stack) for stack in self._items(top["stacks"]))
        folders = [stack.folder for stack in stacks]
        if len(set(folders)) != len(folders):
            raise top.wrong("two of them have the same folder", at="stacks")
        return BackupIndex(slim_version=top["slim_version"].text(), stacks=stacks)

    def _stack(self, stack: JsonCursor) -> BackupStack:
        layers = tuple(self._layer(layer) for layer in self._items(stack["layers"]))
        if len({layer.name for layer in layers}) != len(layers):
            raise stack.wrong("two of them have the same name", at="layers")
        manifest = stack.get("manifest")
        return BackupStack(
            platform=Platform.parse(stack["platform"].text()),
            manifest=None if manifest is None else manifest.text(),
            folder="" if stack.name("folder") == "" else self._component(stack, "folder"),
            layers=layers,
        )

    def _layer(self, layer: JsonCursor) -> BackupLayer:
        files = tuple(self._file(file) for file in self._items(layer["files"]))
        if len({file.path for file in files}) != len(files):
            raise layer.wrong("two of them have the same path", at="files")
        trees, note, stdlib = layer["tree_sha256"], layer.get("note"), layer.get("stdlib_dir")
        if note is not None and not isinstance(note.value, dict):
            raise note.wrong("must be an object or null")
        return BackupLayer(
            name=self._component(layer, "name"),
            layer_name=layer["layer_name"].text(),
            kind=layer["kind"].choice(LayerKind),
            tree_before=trees["before"].sha256(),
            tree_after=trees["after"].sha256(),
            site_dirs=tuple(self._path(site, "path") for site in self._items(layer["site_dirs"])),
            stdlib_dir=None if stdlib is None else self._path(stdlib, "path"),
            hard_links={
                self._path(link, "path"): self._path(link, "target")
                for link in self._items(layer["hard_links"])
            },
            note=None if note is None else note.members(),
            files=files,
            added=tuple(self._path(path, "path") for path in self._items(layer["added"]))
            if "added" in layer.members()
            else (),
        )

    def _file(self, file: JsonCursor) -> BackupFile:
        kind = file["type"].choice(EntryType)
        action = file["action"].choice(BackupAction)
        has_content = kind in (EntryType.FILE, EntryType.HARDLINK)
        is_link = kind in (EntryType.SYMLINK, EntryType.HARDLINK)
        if (kind is EntryType.DIRECTORY) is not (action is BackupAction.EMPTIED):
            raise file.wrong(f"a {kind.value} can't have been {action.value}", at="action")
        if action in (BackupAction.REWRITTEN, BackupAction.LINKED) and kind is not EntryType.FILE:
            raise file.wrong(f"a {kind.value} can't have been {action.value}", at="action")
        mode = file["mode"].text()
        if not re.fullmatch(r"0[0-7]{3}", mode):
            raise file.wrong("must be four octal digits", at="mode")
        return BackupFile(
            path=self._path(file, "path"),
            type=kind,
            action=action,
            rule=file["rule"].text(),
            pass_name=file["pass"].text(),
            mode=int(mode, 8),
            mtime=file["mtime"].number(),
            evidence=tuple(sentence.text() for sentence in file["evidence"].items()),
            size=file["size"].number(),
            sha256=file["sha256"].sha256() if has_content else "",
            link_target=file.name("link_target") if is_link else None,
            size_after=file["size_after"].number(),
            sha256_after=file["sha256_after"].sha256() if action is BackupAction.REWRITTEN else "",
            link_after=file.name("link_after") if action is BackupAction.LINKED else None,
        )

    def _items(self, values: JsonCursor) -> Iterator[JsonCursor]:
        items = values.items()
        if len(items) > self._limits.members:
            raise values.wrong(f"has more than {self._limits.members} items")
        return iter(items)

    def _path(self, outer: JsonCursor, key: str) -> str:
        """A path below a layer, spelled in the one way."""
        value = outer.name(key)
        if not value or normalise(value, source=self._source, limits=self._limits) != value:
            raise outer.wrong(f"must be a plain path, not {display(value)}", at=key)
        return value

    def _component(self, outer: JsonCursor, key: str) -> str:
        """The name of one folder."""
        value = outer.name(key)
        if "/" in value or "\\" in value or self._path(outer, key) in ("..", INDEX_NAME):
            raise outer.wrong("must be a plain folder name", at=key)
        return value
