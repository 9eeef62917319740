"""What an audit found: where the bytes of a stack are. All sizes are bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slim.model.finding import Evidence
from slim.model.floor import StackFloor
from slim.model.footprint import Footprint, FootprintDelta
from slim.model.plan import Plan
from slim.model.record import FileKind, FileRecord, Inventory, Owner
from slim.model.rule import Rule, Safety
from slim.model.stack import Layer, Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRow:
    """One row of an account of sizes; the rows of one account add up to the whole, to the byte."""

    label: str
    size: Footprint


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSize:
    """A layer and its sizes, that of its archive included."""

    layer: Layer
    size: Footprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The files of one layer, one owner and one category together. Archive bytes are never split, so they are 0."""

    layer: str
    owner: Owner
    category: FileKind
    size: Footprint


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignCode:
    """Native code that the platform of its layer can't run: a slice of a universal file, or a whole file.

    ``what`` names its system and machine; ``size`` are its bytes; ``whole`` says that it is the
    entire file.
    """

    record: FileRecord
    what: str
    size: int
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unstripped:
    """A native file with bytes that only debuggers and linkers read. ``saved`` is what stripping would take off."""

    record: FileRecord
    saved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedDistribution:
    """A distribution that no Python file outside it mentions in an import.

    ``commands`` are the console scripts it installs: people may call what no code imports.
    ``required_by`` tells, one sentence each, which distributions require it all the same.
    """

    layer: str
    owner: Owner
    size: int
    files: int
    commands: tuple[str, ...] = ()
    required_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Files with the same bytes. ``size`` is that of one of them."""

    sha256: str
    size: int
    records: tuple[FileRecord, ...]

    @property
    def wasted(self) -> int:
        """Bytes of all copies but one."""
        return self.size * (len(self.records) - 1)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that hold a copy, in order."""
        return tuple(dict.fromkeys(record.layer for record in self.records))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSavings:
    """What a run with one profile would take away, rule by rule.

    Without ``proved`` it is an estimate: the proof that nothing imports what goes has not been
    tried, and the library graph wasn't asked which libraries nothing needs. ``command`` makes it
    so; empty where ``slim run`` can't.
    """

    profile: Safety
    proved: bool
    removed: int
    shrunk: int
    files: int
    by_rule: tuple[FootprintDelta, ...]
    command: str = ""

    @property
    def saved(self) -> int:
        """Bytes that would go, either way."""
        return self.removed + self.shrunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why one file is there.

    ``required_by`` are distributions that require its owner, ``imported_by`` the code that imports
    it, ``needed_by`` the native files that load it, ``linked_by`` the links that lead to it.
    ``native`` says what its headers say: ``PE for windows on x86_64, signed``; empty for other
    files.
    """

    record: FileRecord
    native: str = ""
    required_by: tuple[Evidence, ...] = ()
    imported_by: tuple[Evidence, ...] = ()
    needed_by: tuple[Evidence, ...] = ()
    linked_by: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyAnswer:
    """The answer to one ``--why GLOB``: the largest matching files explained, and how many there are in all."""

    glob: str
    files: int
    size: int
    explained: tuple[Why, ...]


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Everything that ``slim audit`` tells about one stack. Every list of findings has the largest first.

    ``largest`` are the largest files; ``unowned`` the folders of files that no distribution owns,
    with their layer. ``floors`` are the oldest systems that the stack runs on. ``plans`` are the
    plans behind ``savings``, by profile.
    """

    stack: Stack
    inventory: Inventory
    layers: tuple[LayerSize, ...]
    by_owner: tuple[SizeRow, ...]
    by_category: tuple[SizeRow, ...]
    cells: tuple[Cell, ...]
    largest: tuple[FileRecord, ...] = ()
    foreign: tuple[ForeignCode, ...] = ()
    unstripped: tuple[Unstripped, ...] = ()
    unused: tuple[UnusedDistribution, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    unowned: tuple[SizeRow, ...] = ()
    floors: tuple[StackFloor, ...] = ()
    savings: tuple[ProfileSavings, ...] = ()
    plans: Mapping[Safety, Plan] = field(default_factory=dict)
    rules: Mapping[str, Rule] = field(default_factory=dict)
    why: tuple[WhyAnswer, ...] = ()
    warnings: tuple[str, ...] = ()
    profile: Safety = Safety.STANDARD
    elapsed: float = 0.0
    slim_version: str = ""

    @property
    def total(self) -> Footprint:
        """The whole stack."""
        return sum((row.size for row in self.layers), Footprint())
