"""Reading measurements from JSON reports: what a check or comparison needs of an earlier report.

Three kinds of document are read: the report of ``slim run`` (``urn:slim:report:v1``, of which the
sizes *after* count), that of ``slim audit`` (``urn:slim:audit:v1``) and that of ``slim check``
(``urn:slim:check:v1``).
"""

from __future__ import annotations

from collections.abc import Sequence

from slim.model.diff import Cell, MeasuredLayer, Removed, RuleEffect, Snapshot
from slim.model.footprint import Footprint
from slim.model.record import FileKey
from slim.model.report import AUDIT_REPORT, CHECK_REPORT, RUN_REPORT, UNTOUCHED
from slim.system.json_cursor import JsonCursor, JsonSource

_SNIFFED = 4096
_HINT = "write one with --report json=FILE"
_ANOTHER_VERSION = "a report of another version of slim?"


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
    document = JsonSource(file=source, hint=_HINT, missing_hint=_ANOTHER_VERSION)
    top = document.parse(text)
    schema = top.get("schema") if isinstance(top.value, dict) else None
    name = "" if schema is None else schema.text()
    if name == RUN_REPORT:
        return tuple(_run(run, source) for run in _rows(top["runs"]))
    if name == AUDIT_REPORT:
        return tuple(_audit(audit, source) for audit in _rows(top["audits"]))
    if name == CHECK_REPORT:
        return tuple(_measured(stack, source) for stack in _rows(top["measured"]))
    raise top.wrong("not a report of slim run, slim audit or slim check, version 1")


def _digest(outer: JsonCursor | None, key: str) -> str:
    """The SHA-256 under ``key``, empty where there is none."""
    digest = None if outer is None else outer.get(key)
    return "" if digest is None else digest.text()


def _amount(cursor: JsonCursor) -> int:
    """A number of bytes or files."""
    return cursor.number(expected="a number of bytes or files")


def _rows(cursor: JsonCursor) -> list[JsonCursor]:
    return cursor.items(expected="an array")


def _content(node: JsonCursor) -> Footprint:
    return Footprint(
        unpacked=_amount(node["unpacked"]),
        bytecode=_amount(node["bytecode"]),
        files=_amount(node["files"]),
    )


def _measured(node: JsonCursor, source: str) -> Snapshot:
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
                + Footprint(archive=_amount(layer["sizes"]["archive"])),
                archive_sha256=_digest(layer, "archive_sha256"),
                tree_sha256=_digest(layer, "tree_sha256"),
            )
            for layer in _rows(node["layers"])
        ),
        cells=tuple(
            Cell(
                layer=cell["layer"].text(),
                owner=cell["owner"]["name"].text(),
                version=cell["owner"]["version"].text(),
                category=cell["category"].text(),
                footprint=_content(cell),
            )
            for cell in _rows(node["cells"])
        ),
    )


def _audit(node: JsonCursor, source: str) -> Snapshot:
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
                footprint=_content(layer) + Footprint(archive=_amount(layer["archive"])),
            )
            for layer in _rows(node["layers"])
        ),
        cells=tuple(
            Cell(
                layer=layer_name(cell.name("layer")),
                owner=cell["owner"]["name"].text(),
                version=cell["owner"]["version"].text(),
                category=cell["category"].text(),
                footprint=_content(cell),
            )
            for cell in _rows(node["cells"])
        ),
    )


def _run(node: JsonCursor, source: str) -> Snapshot:
    layers = [_run_layer(layer) for layer in _rows(node["layers"])]
    names = {layer.name: layer.layer_name for layer in layers}
    cells = [_run_cell(cell, names) for cell in _rows(node["accounts"]["cells"])]
    removed: dict[FileKey, Removed] = {}
    for action in _rows(node["actions"]):
        if action["action"].text() == "remove":
            layer = action.name("layer")
            removed[(names.get(layer, layer), action.name("path"))] = Removed(
                rule=action["rule"].text(),
                owner=action["owner"]["name"].text(),
                size=_amount(action["before"]),
            )
    return Snapshot(
        source=source,
        kind=node["stack"]["kind"].text(),
        platform=node["stack"]["platform"]["tag"].text(),
        archive_known=not node["dry_run"].flag(),
        layers=tuple(layers),
        cells=tuple(cell for cell in cells if cell.footprint.files),
        rules=_effects(list(_rows(node["accounts"]["by_rule"]))),
        removed=removed,
    )


def _run_layer(node: JsonCursor) -> MeasuredLayer:
    sizes = node["sizes"]
    archive = sizes["archive"]["after"]
    return MeasuredLayer(
        name=node.name("name"),
        layer_name=node["layer_name"].text(),
        kind=node["kind"].text(),
        footprint=Footprint(
            archive=0 if archive.value is None else _amount(archive),
            unpacked=_amount(sizes["unpacked"]["after"]),
            bytecode=_amount(sizes["bytecode"]["after"]),
            files=_amount(sizes["files"]["after"]),
        ),
        archive_sha256=_digest(node.get("archive_after"), "sha256"),
        tree_sha256=_digest(node, "tree_sha256"),
    )


def _run_cell(node: JsonCursor, names: dict[str, str]) -> Cell:
    layer = node.name("layer")
    return Cell(
        layer=names.get(layer, layer),
        owner=node["owner"]["name"].text(),
        version=node["owner"]["version"].text(),
        category=node["category"].text(),
        footprint=_content(node["after"]),
    )


def _effects(rows: Sequence[JsonCursor]) -> dict[str, RuleEffect]:
    return {
        row["label"].text(): RuleEffect(
            saved=_amount(row["removed"]) + row["shrunk"].integer(),
            files=_amount(row["files_removed"]) + _amount(row["files_rewritten"]),
        )
        for row in rows
        if row["label"].text() != UNTOUCHED
    }
