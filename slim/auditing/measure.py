"""Sums and lists over an inventory. Pure, and every account adds up to the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from slim.model.audit import Cell, Duplicate, LayerSize, SizeRow
from slim.model.footprint import Footprint
from slim.model.record import EntryType, FileKind, FileRecord, Inventory, Owner, OwnerKind
from slim.model.stack import Stack

LARGEST = 100
"""Number of the largest files that a report may show."""
_FOLDER_DEPTH = 2


def footprint(record: FileRecord) -> Footprint:
    """Sizes of one file or link, in bytes."""
    return Footprint(unpacked=record.size, bytecode=record.bytecode_size, files=1)


def by_layer(stack: Stack, inventory: Inventory) -> tuple[LayerSize, ...]:
    """Sizes of every layer with its archive, in the stack's order."""
    rows = []
    for layer in stack:
        size = _sum(inventory.records[layer.name].values())
        rows.append(
            LayerSize(
                layer=layer,
                size=replace(size, archive=layer.archive.size if layer.archive is not None else 0),
            )
        )
    return tuple(rows)


def by_label(
    records: Iterable[FileRecord], label: Callable[[FileRecord], str]
) -> tuple[SizeRow, ...]:
    """Sizes of the records under each label, the largest first."""
    groups: dict[str, list[FileRecord]] = {}
    for record in records:
        groups.setdefault(label(record), []).append(record)
    rows = (SizeRow(label=name, size=_sum(members)) for name, members in groups.items())
    return tuple(sorted(rows, key=lambda row: (-row.size.deployed, -row.size.files, row.label)))


def cells(inventory: Inventory) -> tuple[Cell, ...]:
    """Sizes by layer, owner and category: every file counts in exactly one cell.

    In the order of layers, and within a layer the largest first.
    """
    groups: dict[tuple[str, Owner, FileKind], list[FileRecord]] = {}
    for record in inventory:
        groups.setdefault((record.layer, record.owner, record.kind), []).append(record)
    position = {name: index for index, name in enumerate(inventory.records)}
    rows = [
        Cell(layer=layer, owner=owner, category=kind, size=_sum(records))
        for (layer, owner, kind), records in groups.items()
    ]
    return tuple(
        sorted(
            rows,
            key=lambda cell: (
                position[cell.layer],
                -cell.size.unpacked,
                cell.owner,
                cell.category.value,
            ),
        )
    )


def largest(inventory: Inventory, most: int = LARGEST) -> tuple[FileRecord, ...]:
    """The largest files."""
    return tuple(sorted(inventory, key=lambda record: (-record.size, record.key))[:most])


def duplicates(inventory: Inventory) -> tuple[Duplicate, ...]:
    """Groups of files with equal content (by SHA-256), those that waste most first.

    Empty files waste nothing, and are left out.
    """
    groups: dict[tuple[int, str], list[FileRecord]] = {}
    for record in inventory:
        if record.type is EntryType.FILE and record.size:
            groups.setdefault((record.size, record.sha256), []).append(record)
    rows = [
        Duplicate(sha256=digest, size=size, records=tuple(records))
        for (size, digest), records in groups.items()
        if len(records) > 1
    ]
    return tuple(sorted(rows, key=lambda row: (-row.wasted, row.records[0].key)))


def unowned(inventory: Inventory) -> tuple[SizeRow, ...]:
    """Sizes of files that neither a distribution nor the runtime owns, by layer and folder."""
    records = (record for record in inventory if record.owner.kind is OwnerKind.UNOWNED)
    return by_label(records, _folder)


def _folder(record: FileRecord) -> str:
    parts = record.deployed_path.split("/")
    for index, part in enumerate(parts):
        if part in ("site-packages", "dist-packages"):
            return "/".join(parts[: max(index + 2, 2)][: len(parts) - 1]) + "/"
    return "/".join(parts[: min(_FOLDER_DEPTH, len(parts) - 1)]) + "/"


def _sum(records: Iterable[FileRecord]) -> Footprint:
    unpacked = bytecode = files = 0
    for record in records:
        unpacked += record.size
        bytecode += record.bytecode_size
        files += 1
    return Footprint(unpacked=unpacked, bytecode=bytecode, files=files)
