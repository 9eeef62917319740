"""Results of an audit: where the bytes of a stack are. All sizes are bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slim.model.finding import Evidence
from slim.model.floor import StackFloor
from slim.model.footprint import Footprint, FootprintDelta
from slim.model.gpu_audit import GpuAudit
from slim.model.plan import Plan
from slim.model.record import FileKind, FileRecord, Inventory, Owner
from slim.model.rule import Rule, Safety
from slim.model.stack import Layer, Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRow:
    """One row of an account of sizes; the rows of one account add up to the whole, to the byte."""

    label: str
    """Owner, category or folder that the row is about."""
    size: Footprint
    """Sum of the sizes of its files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSize:
    """A layer and its sizes, that of its archive included."""

    layer: Layer
    """The layer."""
    size: Footprint
    """Its sizes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The files of one layer, one owner and one category together.

    Archive bytes are never split, so they are 0.
    """

    layer: str
    """Name of the layer."""
    owner: Owner
    """Owner of the files."""
    category: FileKind
    """Category of the files."""
    size: Footprint
    """Sum of their sizes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignCode:
    """Native code that its layer's platform can't run.

    It is a slice of a universal file, or with ``whole`` the entire file. ``what`` names its system
    and machine; ``size`` are its bytes.
    """

    record: FileRecord
    """File that holds the code."""
    what: str
    size: int
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unstripped:
    """A native file with bytes that only debuggers and linkers read.

    ``saved`` is the number of bytes that stripping would take off.
    """

    record: FileRecord
    """The file."""
    saved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedDistribution:
    """A distribution that no Python file outside it mentions in an import.

    ``commands`` are the console scripts it installs: people may call what no code imports.
    ``required_by`` tells, one sentence each, which distributions require it all the same.
    """

    layer: str
    """Name of the layer that it is installed in."""
    owner: Owner
    """The distribution."""
    size: int
    """Bytes of its files."""
    files: int
    """Number of its files."""
    commands: tuple[str, ...] = ()
    required_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A distribution that nothing in the stack requires, imports, links or starts."""

    layer: str
    """Name of the layer that it is installed in."""
    owner: Owner
    """The distribution."""
    size: int
    """Bytes of its files."""
    files: int
    """Number of its files."""

    @property
    def drop(self) -> str:
        """The line of a configuration that drops it."""
        return f'drop = ["{self.owner.name}"]'


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowedPackage:
    """An import package that every application finds in another layer first."""

    package: str
    """Its name."""
    layer: str
    """Name of the layer with the copy that is never imported."""
    above: tuple[str, ...]
    """Names of the layers whose copy is."""
    size: int
    """Bytes of the files of the copy that is never imported."""
    files: int
    """Number of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Files with the same bytes. ``size`` is that of one of them."""

    sha256: str
    """SHA-256 of their content, in hexadecimal."""
    size: int
    records: tuple[FileRecord, ...]
    """The files."""

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
    """Savings of a run with one profile, rule by rule.

    Without ``proved`` it is an estimate: the proof that nothing imports what goes has not been
    tried, and the library graph wasn't asked which libraries nothing needs. ``command`` is the
    command line that does it; empty where ``slim run`` can't.
    """

    profile: Safety
    """The profile."""
    proved: bool
    removed: int
    """Bytes of the files that would go."""
    shrunk: int
    """Bytes by which rewritten files would shrink."""
    files: int
    """Number of files that would go or be rewritten."""
    by_rule: tuple[FootprintDelta, ...]
    """One row a rule, the largest saving first."""
    command: str = ""

    @property
    def saved(self) -> int:
        """Bytes that would go, either way."""
        return self.removed + self.shrunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The reasons why one file is there.

    ``required_by`` are distributions that require its owner, ``imported_by`` the code that imports
    it, ``needed_by`` the native files that load it, ``linked_by`` the links that lead to it.
    ``native`` says what its headers say: ``PE for windows on x86_64, signed``; empty for other
    files.
    """

    record: FileRecord
    """The file."""
    native: str = ""
    required_by: tuple[Evidence, ...] = ()
    imported_by: tuple[Evidence, ...] = ()
    needed_by: tuple[Evidence, ...] = ()
    linked_by: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyAnswer:
    """The answer to one ``--why GLOB``: the largest matching files, explained."""

    glob: str
    """The glob, as the user wrote it."""
    files: int
    """Number of all files that match."""
    size: int
    """Bytes of all files that match."""
    explained: tuple[Why, ...]
    """The largest of them."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Result of ``slim audit`` for one stack. Every list of findings has the largest first.

    ``largest`` are the largest files; ``unowned`` the folders of files that no distribution owns,
    with their layer. ``floors`` are the oldest systems that the stack runs on. ``plans`` are the
    plans behind ``savings``, by profile.
    """

    stack: Stack
    """The stack."""
    inventory: Inventory
    """Every file of it."""
    layers: tuple[LayerSize, ...]
    """Sizes by layer."""
    by_owner: tuple[SizeRow, ...]
    """Sizes by owner."""
    by_category: tuple[SizeRow, ...]
    """Sizes by category."""
    cells: tuple[Cell, ...]
    """Sizes by layer, owner and category at once."""
    largest: tuple[FileRecord, ...] = ()
    foreign: tuple[ForeignCode, ...] = ()
    """Native code that can't run where its layer runs."""
    unstripped: tuple[Unstripped, ...] = ()
    """Native files that can be stripped."""
    unused: tuple[UnusedDistribution, ...] = ()
    """Distributions that no Python file outside them imports."""
    orphans: tuple[Orphan, ...] = ()
    """Distributions that are left over."""
    shadowed: tuple[ShadowedPackage, ...] = ()
    """Import packages that are there in two layers."""
    duplicates: tuple[Duplicate, ...] = ()
    """Groups of files with the same bytes."""
    unowned: tuple[SizeRow, ...] = ()
    floors: tuple[StackFloor, ...] = ()
    gpu: GpuAudit = field(default_factory=GpuAudit)
    """GPU code."""
    savings: tuple[ProfileSavings, ...] = ()
    plans: Mapping[Safety, Plan] = field(default_factory=dict)
    rules: Mapping[str, Rule] = field(default_factory=dict)
    """Every rule, by id."""
    why: tuple[WhyAnswer, ...] = ()
    """Answers to ``--why``."""
    warnings: tuple[str, ...] = ()
    """Sentences for people."""
    profile: Safety = Safety.STANDARD
    """Profile that reports show first."""
    elapsed: float = 0.0
    """Seconds that the audit took."""
    slim_version: str = ""
    """Version of slim that made it."""

    @property
    def total(self) -> Footprint:
        """The whole stack."""
        return sum((row.size for row in self.layers), Footprint())
