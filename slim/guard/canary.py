"""Canaries: layers that lose nothing, and log what a run would have taken and a program used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from slim.analysis.imports.modules import ModuleIndex, dotted
from slim.guard.files import payload_members, site_folder
from slim.model.plan import Plan, Remove
from slim.model.record import FileRecord, Owner, OwnerKind
from slim.model.stack import Layer
from slim.model.trace import layer_key, platform_key, traced_path
from slim.plan.planned import Addition, PlannedStack
from slim.traces.words import join

PACKAGE: Final = "slim_canary"
FIRST_LINE: Final = "slim canary 1"
_START: Final = b"import slim_canary; slim_canary.start()\n"


@dataclass(frozen=True, kw_only=True)
class CanaryFiles:
    """Canaries for all layers of a stack that a ``plan`` would take modules from."""

    index: ModuleIndex
    plan: Plan

    def files(self, planned: PlannedStack) -> Mapping[str, Addition]:
        """Return what is added, by layer."""
        found = {layer.name: self._of(planned, layer) for layer in planned.loaded.stack}
        return {name: addition for name, addition in found.items() if addition is not None}

    def _of(self, planned: PlannedStack, layer: Layer) -> Addition | None:
        site, rows = site_folder(layer), self._rows(layer)
        if site is None or not rows:
            return None
        tree = planned.loaded.trees[layer.name]
        contents = {f"{PACKAGE}/watched-1.txt": _table(layer, rows)}
        members = payload_members(tree, site, PACKAGE, ("__init__.py",), _START, contents)
        return Addition(members=tuple(members), modules=len(rows))

    def _rows(self, layer: Layer) -> dict[str, FileRecord]:
        """Return the files of the modules that would go, by dotted name."""
        return {
            dotted(module.name): action.record
            for action in self.plan.for_layer(layer.name)
            if isinstance(action, Remove)
            for module in self.index.modules.get(action.record.key, ())
            if module.rooted and join((dotted(module.name),)) == dotted(module.name)
        }


def _table(layer: Layer, rows: Mapping[str, FileRecord]) -> bytes:
    owners = sorted({record.owner for record in rows.values()})
    number = {owner: position for position, owner in enumerate(owners)}
    lines = [
        FIRST_LINE,
        f"platform {join((platform_key(layer.platform),))}",
        f"layer {join((layer_key(layer),))}",
        *(f"owner {join(_owner_words(owner))}" for owner in owners),
        "",
        *(
            f"{name}\t{number[record.owner]}\t{join((traced_path(layer, record.path),))}"
            for name, record in sorted(rows.items())
        ),
    ]
    return ("\n".join(lines) + "\n").encode("ascii")


def _owner_words(owner: Owner) -> tuple[str, ...]:
    if owner.kind is OwnerKind.UNOWNED:
        return (owner.kind.value,)
    return (owner.kind.value, owner.name, owner.version)
