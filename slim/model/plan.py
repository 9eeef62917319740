"""What will be done, what was refused, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from slim.model.finding import EditSpec, Evidence
from slim.model.record import FileKey, FileRecord

LINK_EDITOR = "relative-link"
"""The editor of a rewrite that turns a file into a symbolic link: to its option ``target``, relative to its folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """A file or link goes."""

    record: FileRecord
    pass_name: str
    rule: str
    evidence: tuple[Evidence, ...] = ()

    @property
    def saved(self) -> int:
        """Bytes of content that go."""
        return self.record.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """A file stays with other bytes: ``size_after`` of them."""

    record: FileRecord
    pass_name: str
    rule: str
    edit: EditSpec
    size_after: int
    evidence: tuple[Evidence, ...] = ()

    @property
    def saved(self) -> int:
        """Bytes by which the file shrinks; negative where it grows."""
        return self.record.size - self.size_after

    @property
    def link_target(self) -> str | None:
        """Where the file leads to from then on, if it becomes a symbolic link; None if it stays a file."""
        return str(self.edit.options["target"]) if self.edit.editor == LINK_EDITOR else None


Action = Remove | Rewrite


class SkipReason(StrEnum):
    """Why a proposal was refused. The values are stable: reports and tests rely on them."""

    PROTECTED = "protected"
    KEPT = "kept-by-configuration"
    IMPORTED = "imported"
    LINKED = "linked"
    REFERENCED = "referenced"
    UNSAFE_TO_EDIT = "unsafe-to-edit"
    NOTHING_GAINED = "nothing-gained"
    SIGNED = "signed"
    REQUIRED = "required"
    NEEDED = "needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A refused action, as a value: it stands in the plan and in every report."""

    record: FileRecord
    pass_name: str
    rule: str
    reason: SkipReason
    evidence: tuple[Evidence, ...] = ()

    @property
    def held(self) -> int:
        """Bytes that stay because of the refusal."""
        return self.record.size


@dataclass(frozen=True, kw_only=True)
class Plan:
    """At most one action a file. ``unmatched`` are ids of enabled rules that selected nothing; ``warnings`` are for
    people, one sentence each, with the file they are about."""

    actions: Mapping[FileKey, Action]
    skipped: tuple[Skipped, ...] = ()
    unmatched: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def for_layer(self, name: str) -> Iterator[Action]:
        """The actions on one layer, by path."""
        for key in sorted(self.actions):
            if key[0] == name:
                yield self.actions[key]

    def removes(self, key: FileKey) -> bool:
        """Whether the file goes."""
        return isinstance(self.actions.get(key), Remove)

    def link_target(self, key: FileKey) -> str | None:
        """Where a file leads to that becomes a symbolic link, relative to its folder; None for any other."""
        action = self.actions.get(key)
        return action.link_target if isinstance(action, Rewrite) else None
