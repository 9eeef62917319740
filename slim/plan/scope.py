"""Files that may change: neither the user, nor their layer, nor their purpose holds them."""

from __future__ import annotations

from collections.abc import Iterable

from slim.config.settings import Config
from slim.model.record import FileRecord, Inventory
from slim.model.stack import Stack
from slim.plan.protected import protected_paths, unlike_record
from slim.rules.match import GlobSet


class Scope:
    """The bounds of a plan. ``only`` are the layers that may change; empty means all.

    ``settings`` holds the configuration of each layer, by name.
    """

    def __init__(
        self, stack: Stack, inventory: Inventory, config: Config, only: Iterable[str] = ()
    ) -> None:
        chosen = frozenset(only)
        self.settings = {layer.name: config.settings_for(layer.name) for layer in stack}
        self._open = frozenset(
            layer.name
            for layer in stack
            if (not chosen or layer.name in chosen) and not self.settings[layer.name].skip
        )
        self._protected = {layer.name: protected_paths(layer, inventory) for layer in stack}
        self._unlike_record = frozenset(
            (layer, path)
            for layer, distributions in inventory.distributions.items()
            for distribution in distributions.values()
            for path in unlike_record(distribution, inventory)
        )
        self._keep = {
            layer.name: GlobSet(self.settings[layer.name].keep).for_layer(layer) for layer in stack
        }

    def may_change(self, layer: str) -> bool:
        """Return whether the user lets slim change a layer."""
        return layer in self._open

    def keeps(self, record: FileRecord) -> bool:
        """Return whether a keep glob of the configuration matches a file."""
        kept = self._keep[record.layer]
        return kept is not None and kept.match(record.path) is not None

    def protection(self, record: FileRecord) -> str | None:
        """Return the reason why no rule may remove a file, in words; None where there is none."""
        return self._protected[record.layer].get(record.path)

    def is_final(self, record: FileRecord) -> bool:
        """Return whether no byte of a file may change, because its RECORD wouldn't be true of it.

        Other protected files may be edited, as METADATA is, whose description goes.
        """
        return record.key in self._unlike_record

    def holds(self, record: FileRecord) -> bool:
        """Return whether a file stays whatever a pass proposes."""
        return (
            not self.may_change(record.layer)
            or self.protection(record) is not None
            or self.keeps(record)
        )
