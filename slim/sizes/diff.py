"""Changes from one measurement of a stack to another, by layer, owner, category and rule.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from slim.model.diff import (
    Cell,
    Change,
    Comparison,
    MeasuredLayer,
    OwnerChange,
    PlaceChange,
    PlaceKind,
    RuleChange,
    Snapshot,
)
from slim.model.footprint import Footprint
from slim.model.record import FileKey, FileRecord
from slim.model.rule import Rule
from slim.sizes.growth import remarks_about

_INFO_VERSION = re.compile(r"-[^/-]+\.(dist-info|egg-info)/")


def compare(
    before: Snapshot,
    after: Snapshot,
    rules: Sequence[Rule] = (),
    whole: tuple[Snapshot, Snapshot] | None = None,
) -> Comparison:
    """Return everything that changed.

    ``rules`` are those of the configuration: one that covered a version of a distribution and
    doesn't cover the next one explains growth. Where ``before`` and ``after`` are parts of stacks,
    ``whole`` are these stacks: what is new to a part needn't be new.

    Layers are the same where their ``layer_name`` is; where each side has just one layer, these two
    are compared whatever their names.
    """
    all_before, all_after = whole or (before, after)
    before, all_before = _aligned(before, after), _aligned(all_before, all_after)
    owners = _owners(before, after, (all_before, all_after), rules)
    return Comparison(
        source_before=before.source,
        source_after=after.source,
        platform_before=before.platform,
        platform_after=after.platform,
        before=before.total,
        after=after.total,
        archives=before.archive_known and after.archive_known,
        layers=_layers(before.layers, after.layers),
        owners=owners,
        categories=_changes(before.cells, after.cells, lambda cell: cell.category),
        rules=_rules(before, after),
        remarks=tuple(remark for owner in owners for remark in owner.remarks),
    )


def pair(
    before: Sequence[Snapshot], after: Sequence[Snapshot]
) -> list[tuple[Snapshot | None, Snapshot | None]]:
    """Return the stacks to compare: those of one platform; of two lone ones, these two."""
    if len(before) == 1 and len(after) == 1:
        return [(before[0], after[0])]
    old = {snapshot.platform: snapshot for snapshot in before}
    new = {snapshot.platform: snapshot for snapshot in after}
    return [(old.get(platform), new.get(platform)) for platform in dict.fromkeys((*new, *old))]


def empty(like: Snapshot) -> Snapshot:
    """A measurement of nothing, to compare a stack with that has no counterpart."""
    return Snapshot(
        source="(nothing)", kind=like.kind, platform=like.platform, layers=(), cells=(), records={}
    )


def _aligned(before: Snapshot, after: Snapshot) -> Snapshot:
    """Give a lone layer the name of the one it is compared with."""
    if len(before.layers) != 1 or len(after.layers) != 1:
        return before
    name = after.layers[0].layer_name
    if before.layers[0].layer_name == name:
        return before

    def moved(key: FileKey) -> FileKey:
        return (name, key[1])

    return replace(
        before,
        layers=(replace(before.layers[0], layer_name=name),),
        cells=tuple(replace(cell, layer=name) for cell in before.cells),
        records=None
        if before.records is None
        else {moved(key): record for key, record in before.records.items()},
        debug={moved(key): size for key, size in before.debug.items()},
        removed={moved(key): removed for key, removed in before.removed.items()},
    )


def _layers(before: Iterable[MeasuredLayer], after: Iterable[MeasuredLayer]) -> tuple[Change, ...]:
    old = {layer.layer_name: layer.footprint for layer in before}
    new = {layer.layer_name: layer.footprint for layer in after}
    return tuple(
        Change(label=name, before=old.get(name), after=new.get(name))
        for name in dict.fromkeys((*new, *old))
    )


def _sums(cells: Iterable[Cell], label: Callable[[Cell], str]) -> dict[str, Footprint]:
    sums: dict[str, Footprint] = {}
    for cell in cells:
        name = label(cell)
        sums[name] = sums.get(name, Footprint()) + cell.footprint
    return sums


def _changes(
    before: Iterable[Cell], after: Iterable[Cell], label: Callable[[Cell], str]
) -> tuple[Change, ...]:
    old, new = _sums(before, label), _sums(after, label)
    changes = [
        Change(label=name, before=old.get(name), after=new.get(name)) for name in {**new, **old}
    ]
    return tuple(sorted(changes, key=lambda change: (-_deployed(change), change.label)))


def _deployed(change: Change | OwnerChange) -> int:
    return (change.after or Footprint()).deployed - (change.before or Footprint()).deployed


def _rules(before: Snapshot, after: Snapshot) -> tuple[RuleChange, ...]:
    if before.rules is None or after.rules is None:
        return ()
    changes = [
        RuleChange(rule=name, before=before.rules.get(name), after=after.rules.get(name))
        for name in sorted({*before.rules, *after.rules})
    ]
    return tuple(change for change in changes if change.before != change.after)


def _by_owner(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    by_owner: dict[str, list[Cell]] = {}
    for cell in cells:
        by_owner.setdefault(cell.owner, []).append(cell)
    return by_owner


def _owners(
    before: Snapshot, after: Snapshot, whole: tuple[Snapshot, Snapshot], rules: Sequence[Rule]
) -> tuple[OwnerChange, ...]:
    old, new = _by_owner(before.cells), _by_owner(after.cells)
    all_old, all_new = _by_owner(whole[0].cells), _by_owner(whole[1].cells)
    places = _places(before, after, whole)
    changes = []
    for name in {**new, **old}:
        categories = _changes(old.get(name, ()), new.get(name, ()), lambda cell: cell.category)
        change = OwnerChange(
            name=name,
            versions_before=_versions(all_old.get(name, ())),
            versions_after=_versions(all_new.get(name, ())),
            before=_sum(old.get(name, ())) if name in all_old else None,
            after=_sum(new.get(name, ())) if name in all_new else None,
            categories=tuple(item for item in categories if item.changed),
            places=tuple(places.get(name, ())),
        )
        remarks = remarks_about(change, before, after, rules)
        lone = _lone(whole[1])
        short = tuple(
            replace(remark, place=remark.place.removeprefix(lone)) if remark.place else remark
            for remark in remarks
        )
        changes.append(replace(change, remarks=short))
    return tuple(sorted(changes, key=lambda change: (-_deployed(change), change.name)))


def _lone(snapshot: Snapshot) -> str:
    """The prefix of every place where there is but one layer; empty where there are several.

    An archive or a folder is such a layer: its name is no part of the place then.
    """
    return f"{snapshot.layers[0].layer_name}/" if len(snapshot.layers) == 1 else ""


def _versions(cells: Iterable[Cell]) -> tuple[str, ...]:
    return tuple(sorted({cell.version for cell in cells if cell.version}))


def _sum(cells: Iterable[Cell]) -> Footprint:
    return sum((cell.footprint for cell in cells), Footprint())


def _places(
    before: Snapshot, after: Snapshot, whole: tuple[Snapshot, Snapshot]
) -> dict[str, list[PlaceChange]]:
    """Places at which files came, went or changed, by owner.

    Empty unless both sides know their files.
    """
    if before.records is None or after.records is None:
        return {}
    old, new = _without_versions(before.records), _without_versions(after.records)
    old_folders = _folders(_without_versions(whole[0].records or {}))
    new_folders = _folders(_without_versions(whole[1].records or {}))
    sums: dict[tuple[str, str, PlaceKind], tuple[int, int]] = {}
    lone = _lone(whole[1])

    def add(record: FileRecord, place: str, kind: PlaceKind, delta: int) -> None:
        place = place.removeprefix(lone) or place
        files, total = sums.get((record.owner.name, place, kind), (0, 0))
        sums[(record.owner.name, place, kind)] = (files + 1, total + delta)

    for key, record in new.items():
        earlier = old.get(key)
        if earlier is None:
            add(record, _place(key, old_folders), PlaceKind.NEW, record.size)
        elif earlier.sha256 != record.sha256 or earlier.size != record.size:
            add(record, "/".join(key), PlaceKind.CHANGED, record.size - earlier.size)
    for key, record in old.items():
        if key not in new:
            add(record, _place(key, new_folders), PlaceKind.GONE, -record.size)
    by_owner: dict[str, list[PlaceChange]] = {}
    for (owner, place, kind), (files, delta) in sums.items():
        by_owner.setdefault(owner, []).append(
            PlaceChange(place=place, kind=kind, files=files, delta=delta)
        )
    for changes in by_owner.values():
        changes.sort(key=lambda change: (-abs(change.delta), change.place, change.kind.value))
    return by_owner


def _without_versions(records: Mapping[FileKey, FileRecord]) -> dict[FileKey, FileRecord]:
    """The records with a distribution's metadata in one place, whatever its version."""
    return {
        (layer, _INFO_VERSION.sub(r".\1/", path)): record
        for (layer, path), record in records.items()
    }


def _folders(records: Iterable[FileKey]) -> set[str]:
    """Folders that hold a file, at any depth, as ``layer/folder``."""
    folders: set[str] = set()
    for layer, path in records:
        folder = f"{layer}/{path}".rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders


def _place(key: FileKey, elsewhere: set[str]) -> str:
    """The topmost folder of a file that the other side doesn't have at all, or else the file."""
    parts = "/".join(key).split("/")
    for depth in range(1, len(parts)):
        folder = "/".join(parts[:depth])
        if folder not in elsewhere:
            return f"{folder}/"
    return "/".join(parts)
