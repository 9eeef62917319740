"""Plans: what will be done, what was refused, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from slim.model.finding import EditSpec, Evidence
from slim.model.record import FileKey, FileRecord

LINK_EDITOR = "relative-link"
"""Editor of a rewrite that turns a file into a symbolic link.

The link leads to the option ``target``, relative to the file's folder.
"""

COMPILE_EDITOR = "compile-traced"
"""Editor of a rewrite of ``postinstall.py``, after which it compiles the option ``modules``.

Those are paths of sources relative to the layer's library folder.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Removal of a file or link."""

    record: FileRecord
    """The file as it is."""
    pass_name: str
    """Name of the pass that proposed it."""
    rule: str
    """Id of the rule that selects the file."""
    evidence: tuple[Evidence, ...] = ()
    """Why the file may go."""

    @property
    def saved(self) -> int:
        """Bytes of content that go."""
        return self.record.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """Rewrite of a file, which stays with ``size_after`` other bytes."""

    record: FileRecord
    """The file as it is."""
    pass_name: str
    """Name of the pass that proposed it."""
    rule: str
    """Id of the rule that selects the file."""
    edit: EditSpec
    """The edit, for an editor to carry out."""
    size_after: int
    evidence: tuple[Evidence, ...] = ()
    """Why the file may be rewritten."""

    @property
    def saved(self) -> int:
        """Bytes by which the file shrinks; negative where it grows."""
        return self.record.size - self.size_after

    @property
    def link_target(self) -> str | None:
        """Target of the symbolic link that the file becomes; None if it stays a file."""
        return str(self.edit.options["target"]) if self.edit.editor == LINK_EDITOR else None


Action = Remove | Rewrite


class SkipReason(StrEnum):
    """Reasons why a proposal was refused. The values are stable: reports rely on them."""

    PROTECTED = "protected"
    KEPT = "kept-by-configuration"
    IMPORTED = "imported"
    LINKED = "linked"
    REFERENCED = "referenced"
    CONDITION = "condition"
    UNSAFE_TO_EDIT = "unsafe-to-edit"
    NOTHING_GAINED = "nothing-gained"
    SIGNED = "signed"
    REQUIRED = "required"
    NEEDED = "needed"
    UNIT = "unit"
    LICENCE = "licence"
    UNTRACED = "untraced"
    FAMILY = "family"
    READ = "read"
    WHOLE = "whole-distribution"
    DATA = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A refused action, as a value: it stands in the plan and in every report."""

    record: FileRecord
    """The file as it is."""
    pass_name: str
    """Name of the pass that proposed it."""
    rule: str
    """Id of the rule that selects the file."""
    reason: SkipReason
    """Why it was refused."""
    evidence: tuple[Evidence, ...] = ()
    """What holds the file."""

    @property
    def held(self) -> int:
        """Bytes that stay because of the refusal."""
        return self.record.size


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Actions on files, at most one a file.

    ``unmatched`` are ids of enabled rules that selected nothing; ``warnings`` are for people, one
    sentence each, with the file they are about.
    """

    actions: Mapping[FileKey, Action]
    """The actions by file, in order."""
    skipped: tuple[Skipped, ...] = ()
    """What was refused."""
    unmatched: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    units: frozenset[str] = frozenset()
    """Ids of the rules whose files stand or fall together."""
    notes: tuple[str, ...] = ()
    """Remarks for people that are no warnings."""

    def for_layer(self, name: str) -> Iterator[Action]:
        """Yield the actions on one layer, by path."""
        for key in sorted(self.actions):
            if key[0] == name:
                yield self.actions[key]

    def removes(self, key: FileKey) -> bool:
        """Return whether the file is removed."""
        return isinstance(self.actions.get(key), Remove)

    def compiled(self, layer: str) -> frozenset[str] | None:
        """Return the sources of a layer that its post-install step still compiles; None for all."""
        action = self.actions.get((layer, "postinstall.py"))
        if not isinstance(action, Rewrite) or action.edit.editor != COMPILE_EDITOR:
            return None
        modules = action.edit.options["modules"]
        return frozenset(modules) if isinstance(modules, tuple) else frozenset()

    def link_target(self, key: FileKey) -> str | None:
        """Return the target of the symbolic link that a file becomes; None for any other file.

        The target is relative to the file's folder.
        """
        action = self.actions.get(key)
        return action.link_target if isinstance(action, Rewrite) else None
