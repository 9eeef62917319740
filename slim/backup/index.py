"""The index of a store of originals, as JSON: written once, read as strictly as any other input.

Names that aren't UTF-8 are told as in the reports: with U+FFFD for each bad byte, and beside them,
under ``<key>_base64``, the real bytes.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, cast

from slim.errors import UnsafeInputError
from slim.formats.names import decode, display, normalise
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
from slim.system.json_text import named, prose
from slim.system.strict_json import parse_json

SCHEMA_ID = "urn:slim:removed:v1"
SCHEMA_VERSION = 1

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_LARGEST = 1 << 62
_HINT = "the file was changed after slim wrote it; get it again"

Json = dict[str, Any]


# Writing


def render_index(index: BackupIndex) -> bytes:
    """The index as JSON text: ASCII, a file a line, so that a person can search it."""
    document = {
        "schema": SCHEMA_ID,
        "schema_version": SCHEMA_VERSION,
        "slim_version": index.slim_version,
        "stacks": [_stack(stack) for stack in index.stacks],
    }
    return (json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n").encode(
        "ascii"
    )


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
    }


def file_document(file: BackupFile) -> Json:
    """What the index says about one original."""
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
    """Read an index. Raises UnsafeInputError for anything that slim doesn't write, naming the key path."""
    top = _Object(parse_json(raw, file=f"{source}: {INDEX_NAME}", hint=_HINT), source, "", limits)
    if top.value.get("schema") != SCHEMA_ID or top.value.get("schema_version") != SCHEMA_VERSION:
        raise UnsafeInputError(
            f"its schema is {str(top.value.get('schema'))[:60]!r}, not {SCHEMA_ID}",
            file=source,
            place=INDEX_NAME,
            hint="read it with the slim that wrote it, or a newer one",
        )
    stacks = tuple(_read_stack(item) for item in top.objects("stacks"))
    folders = [stack.folder for stack in stacks]
    if len(set(folders)) != len(folders):
        top.fail("stacks", "two of them have the same folder")
    return BackupIndex(slim_version=top.text("slim_version"), stacks=stacks)


def _read_stack(item: _Object) -> BackupStack:
    layers = tuple(_read_layer(one) for one in item.objects("layers"))
    if len({layer.name for layer in layers}) != len(layers):
        item.fail("layers", "two of them have the same name")
    return BackupStack(
        platform=Platform.parse(item.text("platform")),
        manifest=item.optional_text("manifest"),
        folder=item.component("folder", empty=True),
        layers=layers,
    )


def _read_layer(item: _Object) -> BackupLayer:
    files = tuple(_read_file(one) for one in item.objects("files"))
    if len({file.path for file in files}) != len(files):
        item.fail("files", "two of them have the same path")
    trees = item.object("tree_sha256")
    stdlib = item.value.get("stdlib_dir")
    note = item.value.get("note")
    if note is not None and not isinstance(note, dict):
        item.fail("note", "must be an object or null")
    return BackupLayer(
        name=item.component("name"),
        layer_name=item.text("layer_name"),
        kind=item.choice("kind", LayerKind),
        tree_before=trees.sha256("before"),
        tree_after=trees.sha256("after"),
        site_dirs=tuple(one.path("path") for one in item.objects("site_dirs")),
        stdlib_dir=None if stdlib is None else item.object("stdlib_dir").path("path"),
        hard_links={one.path("path"): one.path("target") for one in item.objects("hard_links")},
        note=cast("Mapping[str, object] | None", note),
        files=files,
    )


def _read_file(item: _Object) -> BackupFile:
    kind = item.choice("type", EntryType)
    action = item.choice("action", BackupAction)
    has_content = kind in (EntryType.FILE, EntryType.HARDLINK)
    is_link = kind in (EntryType.SYMLINK, EntryType.HARDLINK)
    if (kind is EntryType.DIRECTORY) is not (action is BackupAction.EMPTIED):
        item.fail("action", f"a {kind.value} can't have been {action.value}")
    if action in (BackupAction.REWRITTEN, BackupAction.LINKED) and kind is not EntryType.FILE:
        item.fail("action", f"a {kind.value} can't have been {action.value}")
    mode = item.text("mode")
    if not re.fullmatch(r"0[0-7]{3}", mode):
        item.fail("mode", "must be four octal digits")
    evidence = item.value.get("evidence")
    if not isinstance(evidence, list) or not all(isinstance(text, str) for text in evidence):
        item.fail("evidence", "must be a list of sentences")
    return BackupFile(
        path=item.path("path"),
        type=kind,
        action=action,
        rule=item.text("rule"),
        pass_name=item.text("pass"),
        mode=int(mode, 8),
        mtime=item.number("mtime"),
        evidence=tuple(evidence),
        size=item.number("size"),
        sha256=item.sha256("sha256") if has_content else "",
        link_target=item.name("link_target") if is_link else None,
        size_after=item.number("size_after"),
        sha256_after=item.sha256("sha256_after") if action is BackupAction.REWRITTEN else "",
        link_after=item.name("link_after") if action is BackupAction.LINKED else None,
    )


class _Object:
    """One JSON object, with errors that name the key path."""

    def __init__(self, value: object, source: Path, place: str, limits: Limits) -> None:
        self._source, self._place, self._limits = source, place, limits
        if not isinstance(value, dict):
            self.fail("", "must be an object")
        self.value = cast("dict[str, object]", value)

    def fail(self, key: str, message: str) -> NoReturn:
        place = ".".join(part for part in (self._place, key) if part)
        where = f"{INDEX_NAME}: {place}" if place else INDEX_NAME
        raise UnsafeInputError(message, file=self._source, place=where, hint=_HINT)

    def _inner(self, key: str) -> str:
        return f"{self._place}.{key}" if self._place else key

    def object(self, key: str) -> _Object:
        return _Object(self.value.get(key), self._source, self._inner(key), self._limits)

    def objects(self, key: str) -> list[_Object]:
        items = self.value.get(key)
        if not isinstance(items, list):
            self.fail(key, "must be a list")
        if len(items) > self._limits.members:
            self.fail(key, f"has more than {self._limits.members} items")
        return [
            _Object(item, self._source, f"{self._inner(key)}[{index}]", self._limits)
            for index, item in enumerate(items)
        ]

    def text(self, key: str) -> str:
        value = self.value.get(key)
        if not isinstance(value, str):
            self.fail(key, "must be a string")
        return value

    def optional_text(self, key: str) -> str | None:
        return None if self.value.get(key) is None else self.text(key)

    def number(self, key: str) -> int:
        value = self.value.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _LARGEST:
            self.fail(key, "must be a whole number, not negative")
        return value

    def sha256(self, key: str) -> str:
        value = self.text(key)
        if not _SHA256.match(value):
            self.fail(key, "must be 64 hexadecimal digits")
        return value

    def choice(self, key: str, values: Any) -> Any:
        try:
            return values(self.text(key))
        except ValueError:
            self.fail(key, f"must be one of {', '.join(item.value for item in values)}")

    def name(self, key: str) -> str:
        """A string that may be bytes in truth."""
        if f"{key}_base64" not in self.value:
            return self.text(key)
        try:
            return decode(base64.b64decode(self.text(f"{key}_base64"), validate=True))
        except (binascii.Error, ValueError):
            self.fail(f"{key}_base64", "must be base64")

    def path(self, key: str) -> str:
        """A path below a layer, spelled in the one way."""
        value = self.name(key)
        if not value or normalise(value, source=self._source, limits=self._limits) != value:
            self.fail(key, f"must be a plain path, not {display(value)}")
        return value

    def component(self, key: str, *, empty: bool = False) -> str:
        """The name of one folder."""
        value = self.name(key)
        if empty and not value:
            return value
        if "/" in value or "\\" in value or self.path(key) in ("..", INDEX_NAME):
            self.fail(key, "must be a plain folder name")
        return value
