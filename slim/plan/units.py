"""Units: files of one rule in one distribution of one layer, where a part alone is no use."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from slim.model.finding import Evidence
from slim.model.plan import Action, Remove
from slim.model.record import FileKey, FileRecord

UnitKey = tuple[str, str, str]
"""Rule, layer and owner."""


def unit_of(record: FileRecord, rule: str, units: Collection[str]) -> UnitKey | None:
    """Return the unit that a rule's file belongs to; None where the rule isn't one of ``units``."""
    return (rule, record.layer, record.owner.label) if rule in units else None


def rest_of_units(
    actions: Mapping[FileKey, Action],
    refused: Mapping[UnitKey, FileRecord],
    units: Collection[str],
) -> dict[FileKey, tuple[Evidence, ...]]:
    """Return the removals that can't stay, since a file of their unit is refused.

    ``refused`` holds that file for each unit; each removal comes with evidence that names it.
    """
    found: dict[FileKey, tuple[Evidence, ...]] = {}
    for key, action in actions.items():
        unit = unit_of(action.record, action.rule, units)
        if unit is None or unit not in refused or not isinstance(action, Remove):
            continue
        text = f"stands or falls together with {refused[unit].path}, which stays"
        found[key] = (Evidence(kind="unit", text=text, file=refused[unit].deployed_path),)
    return found
