"""What a pass proposes, and on what evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from slim.model.record import FileKey
from slim.model.rule import OptionValue


class Strength(StrEnum):
    """How much a piece of evidence weighs. Only ``STRONG`` evidence can't be overridden by a bolder profile."""

    STRONG = "strong"
    WEAK = "weak"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One fact that can be checked: what was seen, in which file (a deployed path) and on which line (from 1).

    ``kind`` is a stable word such as ``import``, ``entry-point``, ``needed``, ``string``, ``glob``,
    ``protected``.
    """

    kind: str
    text: str
    file: str | None = None
    line: int | None = None
    strength: Strength = Strength.STRONG

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.file and self.line else self.file or ""
        return f"{self.text} ({where})" if where else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class EditSpec:
    """A rewrite as data: the name of an editor (``elf-symbols``, ``metadata-description``) and its options."""

    editor: str
    options: Mapping[str, OptionValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A pass proposes to remove a file, or, where ``edit`` is given, to rewrite it to ``size_after`` bytes."""

    key: FileKey
    rule: str
    evidence: tuple[Evidence, ...] = ()
    edit: EditSpec | None = None
    size_after: int = 0
