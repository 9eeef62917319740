"""Stacks with a plan, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from slim.formats.base import Content, Member
from slim.inventory.load import LoadedStack
from slim.model.finding import Evidence
from slim.model.outcome import Check
from slim.model.plan import Action, Plan, SkipReason
from slim.model.record import EntryType, FileKey
from slim.plan.apply import RECORD_PASS, Edited, new_members, update_records
from slim.plan.draft import withdraw


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Action of a plan, and the file as it is before and after it."""

    action: Action
    member: Member
    content: Content | None
    """The content as it is; for a hard link, that of its target."""
    sha256: str
    """SHA-256 of the content, empty where there is none."""
    edited: Edited | None
    """The new content, if there is one."""


@dataclass(frozen=True, kw_only=True)
class PlannedStack:
    """A loaded stack with a plan and the contents that the plan's rewrites make."""

    loaded: LoadedStack
    plan: Plan
    edited: Mapping[FileKey, Edited]
    layers: tuple[str, ...]
    """Names of the layers that may change."""
    checks: tuple[Check, ...] = ()
    """Checks of the edits that were made so far."""

    @property
    def members(self) -> dict[str, list[Member]]:
        """The members of each layer as they will be, by its name."""
        return {layer.name: self.members_of(layer.name) for layer in self.loaded.stack}

    def members_of(self, layer: str) -> list[Member]:
        """The members of one layer as they will be."""
        return new_members(layer, self.loaded.trees[layer], self.plan, self.edited)

    def digests(self, layer: str) -> dict[str, str]:
        """SHA-256 (hexadecimal) of the regular files of one layer as they will be, by path."""
        found = self.loaded.digests(layer)
        found |= {key[1]: new.digest.hex() for key, new in self.edited.items() if key[0] == layer}
        return {
            path: digest
            for path, digest in found.items()
            if self.plan.link_target((layer, path)) is None
        }

    def changes(self, layer: str | None = None) -> Iterator[Change]:
        """Actions of the plan (on one layer, or on all) with the files that they are about."""
        for key, action in self.plan.actions.items():
            if layer not in (None, key[0]):
                continue
            members = self.loaded.trees[key[0]].members
            member = members[key[1]]
            is_hard_link = member.type is EntryType.HARDLINK
            target = members[member.link_target or ""] if is_hard_link else member
            record = self.loaded.inventory.records[key[0]].get(target.path)
            yield Change(
                action=action,
                member=member,
                content=target.content,
                sha256=record.sha256 if record is not None else "",
                edited=self.edited.get(key),
            )

    def without(self, taken_back: Mapping[FileKey, tuple[Evidence, ...]]) -> PlannedStack:
        """The same without some actions; every RECORD is true again."""
        plain = {
            key: action
            for key, action in self.plan.actions.items()
            if action.pass_name != RECORD_PASS
        }
        plan = withdraw(
            replace(self.plan, actions=plain),
            {key: (SkipReason.NEEDED, evidence) for key, evidence in taken_back.items()},
        )
        kept = {key: content for key, content in self.edited.items() if key in plan.actions}
        return replace(self, plan=plan, edited=kept).with_records()

    def with_records(self) -> PlannedStack:
        """The same with every RECORD that isn't true written again."""
        plan, edited = update_records(
            self.plan, self.loaded.inventory, self.loaded.trees, self.edited, self.layers
        )
        return replace(self, plan=plan, edited=edited)
