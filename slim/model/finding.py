"""Findings: proposals of passes, with their evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from slim.model.record import FileKey
from slim.model.rule import OptionValue


class Strength(StrEnum):
    """Weight of a piece of evidence.

    ``STRONG`` evidence can't be overridden by a bolder profile.
    """

    STRONG = "strong"
    WEAK = "weak"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One fact that can be checked.

    ``kind`` is a stable word such as ``import``, ``entry-point``, ``needed``, ``string``, ``glob``,
    ``protected``.
    """

    kind: str
    text: str
    """What was seen, for people."""
    file: str | None = None
    """Deployed path of the file in which it was seen, if any."""
    line: int | None = None
    """Line of that file, from 1, where it is known."""
    strength: Strength = Strength.STRONG
    """Its weight."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.file and self.line else self.file or ""
        return f"{self.text} ({where})" if where else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class EditSpec:
    """A rewrite as data, for an editor to carry out."""

    editor: str
    """Name of the editor: ``elf-symbols``, ``metadata-description``."""
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    """The editor's options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Proposal of a pass to remove a file.

    With ``edit`` it is a proposal to rewrite it, to ``size_after`` bytes.
    """

    key: FileKey
    """The file."""
    rule: str
    """Id of the rule that selects it."""
    evidence: tuple[Evidence, ...] = ()
    """Why it may go."""
    edit: EditSpec | None = None
    size_after: int = 0
