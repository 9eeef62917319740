"""Reading measurements from JSON reports: what a check or comparison needs of an earlier report.

Three kinds of document are read: the report of ``slim run`` (``urn:slim:report:v1``, of which the
sizes *after* count), that of ``slim audit`` (``urn:slim:audit:v1``) and that of ``slim check``
(``urn:slim:check:v1``).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence

from slim.errors import UnsafeInputError
from slim.model.diff import Cell, MeasuredLayer, Removed, RuleEffect, Snapshot
from slim.model.footprint import Footprint
from slim.model.record import FileKey
from slim.model.report import AUDIT_REPORT, CHECK_REPORT, RUN_REPORT, UNTOUCHED
from slim.system.strict_json import parse_json

_SNIFFED = 4096
_HINT = "write one with --report json=FILE"
_MOST = 1 << 63
"""More bytes or files than any file system holds. Sums of smaller numbers stay exact."""


def is_report(text: bytes) -> bool:
    """Return whether a JSON file begins like a report of slim, rather than like a manifest."""
    start = text[:_SNIFFED]
    return any(
        f'"{schema}"'.encode() in start for schema in (RUN_REPORT, AUDIT_REPORT, CHECK_REPORT)
    )


def parse_report(text: bytes, source: str) -> tuple[Snapshot, ...]:
    """Read the measurements in a report. ``source`` names it in messages.

    Raises :class:`UnsafeInputError` where it isn't a report that slim knows, or not one as the
    contract says.
    """
    value = parse_json(text, file=source, hint=_HINT)
    root = _Node(value, source, "")
    schema = root["schema"].text() if isinstance(value, dict) and "schema" in value else ""
    if schema == RUN_REPORT:
        return tuple(_run(node, source) for node in root["runs"].items())
    if schema == AUDIT_REPORT:
        return tuple(_audit(node, source) for node in root["audits"].items())
    if schema == CHECK_REPORT:
        return tuple(_measured(node, source) for node in root["measured"].items())
    raise UnsafeInputError(
        "not a report of slim run, slim audit or slim check, version 1",
        file=source,
        hint=_HINT,
    )


class _Node:
    """A value in a JSON document that knows where it stands."""

    def __init__(self, value: object, file: str, place: str) -> None:
        self.value = value
        self.file = file
        self.place = place

    def __getitem__(self, key: str) -> _Node:
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        if key not in self.value:
            raise UnsafeInputError(
                f"{key!r} is missing",
                file=self.file,
                place=self.place,
                hint="a report of another version of slim?",
            )
        return _Node(self.value[key], self.file, f"{self.place}.{key}" if self.place else key)

    def wrong(self, expected: str) -> UnsafeInputError:
        return UnsafeInputError(f"must be {expected}", file=self.file, place=self.place, hint=_HINT)

    def digest(self, key: str) -> str:
        """A SHA-256, empty where there is none."""
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return "" if value is None else self[key].text()

    def items(self) -> Iterable[_Node]:
        if not isinstance(self.value, list):
            raise self.wrong("an array")
        return (
            _Node(item, self.file, f"{self.place}[{index}]")
            for index, item in enumerate(self.value)
        )

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.wrong("a string")
        return self.value

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.wrong("true or false")
        return self.value

    def number(self) -> int:
        if type(self.value) is not int or not 0 <= self.value < _MOST:
            raise self.wrong("a number of bytes or files")
        return self.value

    def signed(self) -> int:
        if type(self.value) is not int or abs(self.value) >= _MOST:
            raise self.wrong("an integer")
        return self.value

    def name(self, key: str) -> str:
        """A name, of which the real bytes stand beside it where it isn't UTF-8."""
        if isinstance(self.value, dict) and f"{key}_base64" in self.value:
            node = self[f"{key}_base64"]
            try:
                return base64.b64decode(node.text(), validate=True).decode(
                    "utf-8", "surrogateescape"
                )
            except (binascii.Error, ValueError):
                raise node.wrong("base64") from None
        return self[key].text()


def _content(node: _Node) -> Footprint:
    return Footprint(
        unpacked=node["unpacked"].number(),
        bytecode=node["bytecode"].number(),
        files=node["files"].number(),
    )


def _measured(node: _Node, source: str) -> Snapshot:
    return Snapshot(
        source=source,
        kind=node["kind"].text(),
        platform=node["platform"].text(),
        archive_known=node["archive_known"].flag(),
        layers=tuple(
            MeasuredLayer(
                name=layer.name("name"),
                layer_name=layer["layer_name"].text(),
                kind=layer["kind"].text(),
                footprint=_content(layer["sizes"])
                + Footprint(archive=layer["sizes"]["archive"].number()),
                archive_sha256=layer.digest("archive_sha256"),
                tree_sha256=layer.digest("tree_sha256"),
            )
            for layer in node["layers"].items()
        ),
        cells=tuple(
            Cell(
                layer=cell["layer"].text(),
                owner=cell["owner"]["name"].text(),
                version=cell["owner"]["version"].text(),
                category=cell["category"].text(),
                footprint=_content(cell),
            )
            for cell in node["cells"].items()
        ),
    )


def _audit(node: _Node, source: str) -> Snapshot:
    def layer_name(name: str) -> str:
        return name.partition("@")[0]  # how venvstacks writes a version into an install target

    return Snapshot(
        source=source,
        kind=node["stack"]["kind"].text(),
        platform=node["stack"]["platform"]["tag"].text(),
        layers=tuple(
            MeasuredLayer(
                name=layer.name("name"),
                layer_name=layer_name(layer.name("name")),
                kind=layer["kind"].text(),
                footprint=_content(layer) + Footprint(archive=layer["archive"].number()),
            )
            for layer in node["layers"].items()
        ),
        cells=tuple(
            Cell(
                layer=layer_name(cell.name("layer")),
                owner=cell["owner"]["name"].text(),
                version=cell["owner"]["version"].text(),
                category=cell["category"].text(),
                footprint=_content(cell),
            )
            for cell in node["cells"].items()
        ),
    )


def _run(node: _Node, source: str) -> Snapshot:
    layers = [_run_layer(layer) for layer in node["layers"].items()]
    names = {layer.name: layer.layer_name for layer in layers}
    cells = [_run_cell(cell, names) for cell in node["accounts"]["cells"].items()]
    removed: dict[FileKey, Removed] = {}
    for action in node["actions"].items():
        if action["action"].text() == "remove":
            layer = action.name("layer")
            removed[(names.get(layer, layer), action.name("path"))] = Removed(
                rule=action["rule"].text(),
                owner=action["owner"]["name"].text(),
                size=action["before"].number(),
            )
    return Snapshot(
        source=source,
        kind=node["stack"]["kind"].text(),
        platform=node["stack"]["platform"]["tag"].text(),
        archive_known=not node["dry_run"].flag(),
        layers=tuple(layers),
        cells=tuple(cell for cell in cells if cell.footprint.files),
        rules=_effects(list(node["accounts"]["by_rule"].items())),
        removed=removed,
    )


def _run_layer(node: _Node) -> MeasuredLayer:
    sizes = node["sizes"]
    archive = sizes["archive"]["after"]
    return MeasuredLayer(
        name=node.name("name"),
        layer_name=node["layer_name"].text(),
        kind=node["kind"].text(),
        footprint=Footprint(
            archive=0 if archive.value is None else archive.number(),
            unpacked=sizes["unpacked"]["after"].number(),
            bytecode=sizes["bytecode"]["after"].number(),
            files=sizes["files"]["after"].number(),
        ),
        archive_sha256=node["archive_after"].digest("sha256"),
        tree_sha256=node.digest("tree_sha256"),
    )


def _run_cell(node: _Node, names: dict[str, str]) -> Cell:
    layer = node.name("layer")
    return Cell(
        layer=names.get(layer, layer),
        owner=node["owner"]["name"].text(),
        version=node["owner"]["version"].text(),
        category=node["category"].text(),
        footprint=_content(node["after"]),
    )


def _effects(rows: Sequence[_Node]) -> dict[str, RuleEffect]:
    return {
        row["label"].text(): RuleEffect(
            saved=row["removed"].number() + row["shrunk"].signed(),
            files=row["files_removed"].number() + row["files_rewritten"].number(),
        )
        for row in rows
        if row["label"].text() != UNTOUCHED
    }
