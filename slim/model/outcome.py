"""Results of runs, for reports. All sizes are bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from slim.model.backup import BackupSummary, SymbolsSummary
from slim.model.cache import CacheUse
from slim.model.finding import Evidence
from slim.model.footprint import Footprint, FootprintDelta
from slim.model.plan import Action, Plan, Skipped
from slim.model.record import FileKind, FileRecord, Inventory, Owner
from slim.model.rule import Rule, Safety
from slim.model.stack import Layer, Stack
from slim.model.verify import Broken, Repair


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Result of one check.

    ``broken`` are the failures of a dynamic check with what was seen before and after; ``elapsed``
    is in seconds.
    """

    name: str
    """Name of the check."""
    tried: int
    """Number of things that were tried."""
    failures: tuple[str, ...] = ()
    """What failed, one sentence each."""
    note: str = ""
    """A remark for people."""
    elapsed: float = 0.0
    broken: tuple[Broken, ...] = ()

    @property
    def passed(self) -> bool:
        """True if nothing failed."""
        return not self.failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """All checks of a run.

    ``repairs`` are what was taken back until they passed; ``notes`` are sentences for people, such
    as what programs changed; ``untried`` are sentences about what a run with ``--verify`` couldn't
    try: why nothing was run, what the sandbox didn't cover, what failed in the original already.
    """

    checks: tuple[Check, ...] = ()
    """The checks."""
    repairs: tuple[Repair, ...] = ()
    notes: tuple[str, ...] = ()
    untried: tuple[str, ...] = ()
    unverified: bool = False
    """True where the profile ``aggressive`` was published though nothing tried the result."""

    @property
    def passed(self) -> bool:
        """True if every check passed."""
        return all(check.passed for check in self.checks)


class SincePrevious(StrEnum):
    """Change of a layer since it was last published. The values are stable.

    ``REPACKED``: the files are the same, the archive isn't: its format is another one, or the old
    one isn't at hand.
    """

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    REPACKED = "repacked"
    NEW = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestPack:
    """An archive of what a run took from a layer, to be unpacked over it.

    ``size`` and ``sha256`` (hexadecimal) are of the archive, ``unpacked`` are the bytes of its
    ``files``. ``tree_sha256`` is the tree digest of the layer once it is unpacked there.
    """

    archive: str
    """Path of the archive below the published set."""
    size: int
    sha256: str
    files: int = 0
    unpacked: int = 0
    tree_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOutcome:
    """One layer before and after.

    ``archive_name`` and ``archive_sha256`` are those of the new archive; ``reused`` says that the
    input archive was carried over byte for byte. ``since`` is None where there is nothing to
    compare with.
    """

    layer: Layer
    """The layer as it was read."""
    before: Footprint
    """Its sizes before."""
    after: Footprint
    """Its sizes after."""
    archive_name: str | None = None
    archive_sha256: str | None = None
    tree_sha256: str = ""
    """Its tree digest after."""
    contents_sha256: str = ""
    """SHA-256 over all that reading its new archive back compares; empty without one."""
    times_compared: bool = False
    """True if the times of files are among that."""
    reused: bool = False
    cached: bool = False
    """True if the archive was taken from a cache of results."""
    since: SincePrevious | None = None
    guarded: int = 0
    """Modules that the guard of the layer knows to be removed by this run; 0 without a guard."""
    watched: int = 0
    """Modules that the canary of the layer watches, which the run would have removed."""
    rest_packs: tuple[RestPack, ...] = ()
    """Rest packs of this run and of earlier ones, in the order in which they are unpacked."""

    @property
    def new_bytes(self) -> int:
        """Bytes of the archive that weren't published before.

        All of them where it isn't known what was.
        """
        return 0 if self.since is SincePrevious.UNCHANGED else self.after.archive


@dataclass(frozen=True, slots=True, kw_only=True)
class CellDelta:
    """The files of one category that one owner has in one layer, before and after.

    No archive bytes: these are measured for a whole layer.
    """

    layer: str
    """Name of the layer."""
    owner: Owner
    """Owner of the files."""
    category: FileKind
    """Category of the files."""
    before: Footprint
    """Sum of their sizes before."""
    after: Footprint
    """Sum of their sizes after."""


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """The same bytes, counted five ways.

    Each list adds up to the sum of the layers, to the byte. ``cells`` are by layer, owner and
    category at once, so that a later run can be compared with this one.
    """

    by_layer: tuple[FootprintDelta, ...] = ()
    """Rows by layer, in the order of the stack."""
    by_owner: tuple[FootprintDelta, ...] = ()
    """Rows by owner."""
    by_category: tuple[FootprintDelta, ...] = ()
    """Rows by category."""
    by_pass: tuple[FootprintDelta, ...] = ()
    """Rows by pass, of the files that passes touch."""
    by_rule: tuple[FootprintDelta, ...] = ()
    """Rows by rule, of the files that rules touch."""
    cells: tuple[CellDelta, ...] = ()


class SigningReason(StrEnum):
    """Reasons why something has to be signed. The values are stable."""

    CHANGED = "changed"
    IDENTITY = "identity-signed"
    SEALED_FOLDER = "sealed-folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToSign:
    """A file or a bundle that has to be signed.

    That is a file whose bytes changed, one that an identity signed (and that was left alone), or a
    bundle's folder with a seal that isn't true any more. ``path`` is relative to the layer.
    """

    layer: str
    """Name of the layer."""
    path: str
    reason: SigningReason
    """The reason."""

    @property
    def deployed_path(self) -> str:
        """The path below the folder that all layers are unpacked into."""
        return f"{self.layer}/{self.path}"


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """Result of ``slim run`` or ``slim verify`` for one stack (one platform).

    ``output`` is the folder that was written, None after a dry run. After ``slim verify``,
    ``compared_with`` is the stack that was tried against this one. ``inventory`` holds every file
    as it was before; ``signing`` is what has to be signed before the result is shipped. ``backup``
    describes the backup of originals, ``symbols`` the folder of symbols, where there is one.
    """

    stack: Stack
    """The stack as it was read."""
    plan: Plan
    """What was done, and what was refused."""
    accounts: Accounts
    """The bytes, counted."""
    layers: tuple[LayerOutcome, ...]
    """Results by layer."""
    verification: Verification
    """The checks."""
    profile: Safety
    """Profile of the whole stack."""
    rules: Mapping[str, Rule] = field(default_factory=dict)
    """Every rule, by id."""
    rules_sha256: str = ""
    """SHA-256 of what decides what the rules do, in hexadecimal."""
    output: str | None = None
    dry_run: bool = False
    """True if nothing was to be written."""
    elapsed: float = 0.0
    """Seconds that the run took."""
    slim_version: str = ""
    """Version of slim that ran."""
    compared_with: str | None = None
    inventory: Inventory | None = None
    signing: tuple[ToSign, ...] = ()
    backup: BackupSummary | None = None
    symbols: SymbolsSummary | None = None
    cache: CacheUse | None = None
    """Use of a cache of results, where one was given."""

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
    """Explanation of one file: what happens to it, by which rules, and on what evidence.

    ``verdict`` is ``removed``, ``rewritten``, ``refused`` (a rule wanted it, something held it) or
    ``kept`` (no rule wants it). ``considered`` are enabled rules that select the file;
    ``out_of_reach`` those that would under a bolder profile or that are disabled.
    """

    record: FileRecord
    """The file."""
    verdict: str
    action: Action | None = None
    """The action on it, if any."""
    skipped: tuple[Skipped, ...] = ()
    """Actions on it that were refused."""
    considered: tuple[Rule, ...] = ()
    out_of_reach: tuple[Rule, ...] = ()
    facts: tuple[Evidence, ...] = ()
    """What else is known about it."""
