"""Stacks with a plan, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from slim.formats.base import Content, Member
from slim.formats.digests import digest_of
from slim.inventory.load import LoadedStack
from slim.inventory.scan import record_of
from slim.model.finding import Evidence
from slim.model.outcome import Check
from slim.model.plan import Action, Plan, SkipReason
from slim.model.record import UNOWNED, EntryType, FileKey, FileRecord
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """Members that a run adds to a layer: folders before what is in them.

    ``modules`` is the number of removed modules that they tell of.
    """

    members: tuple[Member, ...] = ()
    modules: int = 0


class Additions(Protocol):
    """Files that a run adds to layers."""

    def files(self, planned: PlannedStack) -> Mapping[str, Addition]:
        """Return what is added, by layer."""
        ...


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
    additions: Additions | None = None
    """What the run adds to layers, if anything; it follows from the plan."""

    @property
    def members(self) -> dict[str, list[Member]]:
        """The members of each layer as they will be, by its name."""
        return {layer.name: self.members_of(layer.name) for layer in self.loaded.stack}

    def members_of(self, layer: str) -> list[Member]:
        """The members of one layer as they will be."""
        members = new_members(layer, self.loaded.trees[layer], self.plan, self.edited)
        added = self.added.get(layer, ())
        return members if not added else _merged(members, added)

    @cached_property
    def added(self) -> Mapping[str, tuple[Member, ...]]:
        """Members that the run adds, by layer."""
        return {name: addition.members for name, addition in self._additions.items()}

    @cached_property
    def guarded(self) -> Mapping[str, int]:
        """The number of removed modules that what is added tells of, by layer."""
        return {name: addition.modules for name, addition in self._additions.items()}

    @cached_property
    def _additions(self) -> Mapping[str, Addition]:
        return {} if self.additions is None else self.additions.files(self)

    @cached_property
    def added_records(self) -> tuple[FileRecord, ...]:
        """The files among them, as the inventory of the result will have them."""
        layers = {layer.name: layer for layer in self.loaded.stack}
        return tuple(
            record_of(layers[name], member.path, member, UNOWNED, self.loaded.trees[name])
            for name, members in self.added.items()
            for member in members
            if member.type is EntryType.FILE
        )

    def digests(self, layer: str) -> dict[str, str]:
        """SHA-256 (hexadecimal) of the regular files of one layer as they will be, by path."""
        found = self.loaded.digests(layer)
        found |= {key[1]: new.digest.hex() for key, new in self.edited.items() if key[0] == layer}
        found = {
            path: digest
            for path, digest in found.items()
            if self.plan.link_target((layer, path)) is None
        }
        for member in self.added.get(layer, ()):
            if member.content is not None:
                found[member.path] = digest_of(member.content).hex()
        return found

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

    def with_actions(self, other: PlannedStack) -> PlannedStack:
        """The same with another's actions and edits on files of its own; RECORDs are true again."""
        more = {key: act for key, act in other.plan.actions.items() if act.pass_name != RECORD_PASS}
        plan = replace(self.plan, actions=dict(sorted({**self.plan.actions, **more}.items())))
        edited = {**self.edited, **{key: other.edited[key] for key in more if key in other.edited}}
        return replace(self, plan=plan, edited=edited).with_records()

    def with_records(self) -> PlannedStack:
        """The same with every RECORD that isn't true written again."""
        plan, edited = update_records(
            self.plan, self.loaded.inventory, self.loaded.trees, self.edited, self.layers
        )
        return replace(self, plan=plan, edited=edited)


def _merged(members: list[Member], added: tuple[Member, ...]) -> list[Member]:
    """Return the members with those that are added, each behind the ones that its name follows."""
    merged = list(members)
    present = {member.path for member in members}
    for new in added:
        if new.path in present:
            continue
        place = max((at for at, member in enumerate(merged) if member.path < new.path), default=-1)
        merged.insert(place + 1, new)
    return merged
