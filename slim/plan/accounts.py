"""The same bytes counted by layer, owner, category, pass and rule.

Pure: sums over an inventory and a plan. All sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from slim.model.footprint import Footprint, FootprintDelta
from slim.model.outcome import Accounts, CellDelta
from slim.model.plan import Action, Plan, Remove, Rewrite
from slim.model.record import EntryType, FileKind, FileRecord, Inventory, Owner

GUARD = "guard"
"""Row of the files that a run adds, among passes and rules."""


@dataclass(slots=True)
class _Sum:
    before: int = 0
    removed: int = 0
    shrunk: int = 0
    files: int = 0
    files_removed: int = 0
    files_rewritten: int = 0

    def add(self, record: FileRecord, action: Action | None) -> None:
        self.before += record.size
        self.files += 1
        if isinstance(action, Remove):
            self.removed += record.size
            self.files_removed += 1
        elif isinstance(action, Rewrite):
            self.shrunk += action.saved
            self.files_rewritten += 1

    def add_new(self, record: FileRecord) -> None:
        """Count a file that a run adds: it shrinks from nothing by less than nothing."""
        self.shrunk -= record.size

    def row(self, label: str) -> FootprintDelta:
        return FootprintDelta(
            label=label,
            before=self.before,
            removed=self.removed,
            shrunk=self.shrunk,
            files=self.files,
            files_removed=self.files_removed,
            files_rewritten=self.files_rewritten,
        )


def _rows(
    pairs: Iterable[tuple[FileRecord, Action | None]],
    label: Callable[[FileRecord, Action | None], str],
    added: Iterable[FileRecord] = (),
) -> tuple[FootprintDelta, ...]:
    sums: dict[str, _Sum] = {}
    for record, action in pairs:
        sums.setdefault(label(record, action), _Sum()).add(record, action)
    for record in added:
        sums.setdefault(label(record, None), _Sum()).add_new(record)
    rows = (found.row(name) for name, found in sums.items())
    return tuple(sorted(rows, key=lambda row: (-row.saved, -row.before, row.label)))


def account(inventory: Inventory, plan: Plan, added: Iterable[FileRecord] = ()) -> Accounts:
    """Count every byte of content five ways. Rows are sorted by what they save, then by size.

    Passes and rules only have rows for the files that they touch. ``added`` are files that the run
    adds: what it saves is less by their bytes, in a row :data:`GUARD` of passes and rules.
    """
    added = tuple(added)
    pairs = [(record, plan.actions.get(record.key)) for record in inventory]
    touched = [(record, action) for record, action in pairs if action is not None]
    order = {name: position for position, name in enumerate(inventory.records)}
    by_layer = _rows(pairs, lambda record, _: record.layer, added)
    return Accounts(
        by_layer=tuple(sorted(by_layer, key=lambda row: order[row.label])),
        by_owner=_rows(pairs, lambda record, _: record.owner.label, added),
        by_category=_rows(pairs, lambda record, _: record.kind.value, added),
        by_pass=_rows(touched, lambda _, action: action.pass_name if action else GUARD, added),
        by_rule=_rows(touched, lambda _, action: action.rule if action else GUARD, added),
        cells=cells(inventory, plan, added),
    )


def cells(
    inventory: Inventory, plan: Plan, added: Iterable[FileRecord] = ()
) -> tuple[CellDelta, ...]:
    """Return every layer's files by owner and category, before and after the plan.

    In the order of layers, then of names.
    """
    sums: dict[tuple[str, Owner, FileKind], tuple[Footprint, Footprint]] = {}
    compiled = {layer: plan.compiled(layer) for layer in inventory.records}
    for record in inventory:
        if record.type is EntryType.DIRECTORY:
            continue
        key = (record.layer, record.owner, record.kind)
        before, after = sums.get(key, (Footprint(), Footprint()))
        own = _sizes(record, plan, compiled[record.layer])
        sums[key] = (before + own[0], after + own[1])
    for record in added:
        key = (record.layer, record.owner, record.kind)
        before, after = sums.get(key, (Footprint(), Footprint()))
        sums[key] = (before, after + _new_size(record, compiled[record.layer]))
    order = {name: position for position, name in enumerate(inventory.records)}
    return tuple(
        CellDelta(layer=layer, owner=owner, category=kind, before=before, after=after)
        for (layer, owner, kind), (before, after) in sorted(
            sums.items(), key=lambda item: (order[item[0][0]], item[0][1], item[0][2].value)
        )
    )


def _sizes(
    record: FileRecord, plan: Plan, compiled: frozenset[str] | None
) -> tuple[Footprint, Footprint]:
    before, after = _sizes_compiled(record, plan)
    source = record.compiled_from or record.path
    if compiled is not None and source.partition("/")[2] not in compiled:
        after = replace(after, bytecode=0)
    return before, after


def _sizes_compiled(record: FileRecord, plan: Plan) -> tuple[Footprint, Footprint]:
    before = Footprint(unpacked=record.size, bytecode=record.bytecode_size, files=1)
    action = plan.actions.get(record.key)
    if isinstance(action, Remove):
        again = record.compiled_from and not plan.removes((record.layer, record.compiled_from))
        return before, Footprint(bytecode=record.size if again else 0)
    if not isinstance(action, Rewrite) or not record.bytecode_size or not record.size:
        size = action.size_after if isinstance(action, Rewrite) else record.size
        return before, Footprint(unpacked=size, bytecode=record.bytecode_size, files=1)
    bytecode = record.bytecode_size * action.size_after // record.size
    return before, Footprint(unpacked=action.size_after, bytecode=bytecode, files=1)


def _new_size(record: FileRecord, compiled: frozenset[str] | None) -> Footprint:
    left_out = compiled is not None and record.path.partition("/")[2] not in compiled
    bytecode = 0 if left_out else record.bytecode_size
    return Footprint(unpacked=record.size, bytecode=bytecode, files=1)


def footprints(
    inventory: Inventory, plan: Plan, layer: str, added: Iterable[FileRecord] = ()
) -> tuple[Footprint, Footprint]:
    """Return a layer's sizes in bytes before and after the plan, without its archives.

    ``added`` are the files that a run adds to any layer.
    """
    before = Footprint()
    after = Footprint()
    compiled = plan.compiled(layer)
    for record in inventory.records[layer].values():
        if record.type is EntryType.DIRECTORY:
            continue
        own_before, own_after = _sizes(record, plan, compiled)
        before += own_before
        after += own_after
    for record in added:
        if record.layer == layer:
            after += _new_size(record, compiled)
    return before, after
