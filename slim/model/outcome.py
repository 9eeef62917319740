"""What a run did: everything a report may want to tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from slim.model.backup import BackupSummary, SymbolsSummary
from slim.model.finding import Evidence
from slim.model.footprint import Footprint, FootprintDelta
from slim.model.plan import Action, Plan, Skipped
from slim.model.record import FileKind, FileRecord, Inventory, Owner
from slim.model.rule import Rule, Safety
from slim.model.stack import Layer, Stack
from slim.model.verify import Broken, Repair


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One verification: what was checked, on how many things, and what failed.

    ``broken`` are the failures of a dynamic check with what was seen before and after; ``elapsed``
    in seconds.
    """

    name: str
    tried: int
    failures: tuple[str, ...] = ()
    note: str = ""
    elapsed: float = 0.0
    broken: tuple[Broken, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """All checks of a run.

    ``repairs`` tell what was taken back until they passed; ``notes`` are sentences for people, such
    as why the dynamic checks did not run.
    """

    checks: tuple[Check, ...] = ()
    repairs: tuple[Repair, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)


class SincePrevious(StrEnum):
    """What became of a layer since it was last published. The values are stable.

    ``REPACKED``: the files are the same, the archive isn't: its format is another one, or the old
    one isn't at hand.
    """

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    REPACKED = "repacked"
    NEW = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOutcome:
    """One layer before and after. ``archive_name`` and ``archive_sha256`` are those of the new archive; ``reused``
    says that the input archive was carried over byte for byte. ``since`` is None where there is
    nothing to compare with."""

    layer: Layer
    before: Footprint
    after: Footprint
    archive_name: str | None = None
    archive_sha256: str | None = None
    tree_sha256: str = ""
    reused: bool = False
    since: SincePrevious | None = None

    @property
    def new_bytes(self) -> int:
        """Bytes of the archive that nobody has yet; all of them where it isn't known what was published before."""
        return 0 if self.since is SincePrevious.UNCHANGED else self.after.archive


@dataclass(frozen=True, slots=True, kw_only=True)
class CellDelta:
    """The files of one category that one owner has in one layer, before and after. No archive bytes: these are
    measured for a whole layer."""

    layer: str
    owner: Owner
    category: FileKind
    before: Footprint
    after: Footprint


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """The same bytes, told five ways. Each list reconciles to the byte with the sum of the layers. ``cells`` tell them
    by layer, owner and category at once, so that a later run can be compared with this one."""

    by_layer: tuple[FootprintDelta, ...] = ()
    by_owner: tuple[FootprintDelta, ...] = ()
    by_category: tuple[FootprintDelta, ...] = ()
    by_pass: tuple[FootprintDelta, ...] = ()
    by_rule: tuple[FootprintDelta, ...] = ()
    cells: tuple[CellDelta, ...] = ()


class SigningReason(StrEnum):
    """Why something has to be signed. The values are stable."""

    CHANGED = "changed"
    IDENTITY = "identity-signed"
    SEALED_FOLDER = "sealed-folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToSign:
    """A file whose bytes changed, one that an identity signed (and that was left alone), or a bundle's folder with a
    seal that isn't true any more. ``path`` is relative to the layer."""

    layer: str
    path: str
    reason: SigningReason

    @property
    def deployed_path(self) -> str:
        """The path below the folder that all layers are unpacked into."""
        return f"{self.layer}/{self.path}"


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The result of ``slim run`` on one stack (one platform). ``output`` is None after a dry run. After ``slim
    verify``, ``compared_with`` is the stack that was tried against this one. ``inventory`` holds
    every file as it was before; ``signing`` is what somebody has to sign before the result is
    shipped. ``backup`` describes the backup of originals, ``symbols`` the folder of symbols, where
    there is one."""

    stack: Stack
    plan: Plan
    accounts: Accounts
    layers: tuple[LayerOutcome, ...]
    verification: Verification
    profile: Safety
    rules: Mapping[str, Rule] = field(default_factory=dict)
    rules_sha256: str = ""
    output: str | None = None
    dry_run: bool = False
    elapsed: float = 0.0
    slim_version: str = ""
    compared_with: str | None = None
    inventory: Inventory | None = None
    signing: tuple[ToSign, ...] = ()
    backup: BackupSummary | None = None
    symbols: SymbolsSummary | None = None

    @property
    def before(self) -> Footprint:
        """The whole stack before."""
        return sum((layer.before for layer in self.layers), Footprint())

    @property
    def after(self) -> Footprint:
        """The whole stack after."""
        return sum((layer.after for layer in self.layers), Footprint())


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Everything slim knows about one file: what happens to it, by which rules, and on what evidence.

    ``verdict`` is ``removed``, ``rewritten``, ``refused`` (a rule wanted it, something held it) or
    ``kept`` (no rule wants it). ``considered`` are enabled rules that select the file;
    ``out_of_reach`` those that would under a bolder profile or that are disabled.
    """

    record: FileRecord
    verdict: str
    action: Action | None = None
    skipped: tuple[Skipped, ...] = ()
    considered: tuple[Rule, ...] = ()
    out_of_reach: tuple[Rule, ...] = ()
    facts: tuple[Evidence, ...] = ()
