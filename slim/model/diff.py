"""Two measurements of a stack, and what changed from one to the other. All sizes are bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from slim.model.footprint import Footprint
from slim.model.record import FileKey, FileRecord


class Metric(StrEnum):
    """What can be counted. ``DEPLOYED`` is unpacked plus the bytecode that the post-install step will write, ``UPDATE``
    what a client that has the baseline downloads."""

    ARCHIVE = "archive"
    UNPACKED = "unpacked"
    DEPLOYED = "deployed"
    FILES = "files"
    UPDATE = "update"

    def of(self, footprint: Footprint) -> int:
        """The metric's value: bytes, or a number of files. An update is told of layers, never of a footprint alone:
        :class:`ValueError`."""
        match self:
            case Metric.ARCHIVE:
                return footprint.archive
            case Metric.UNPACKED:
                return footprint.unpacked
            case Metric.DEPLOYED:
                return footprint.deployed
            case Metric.FILES:
                return footprint.files
            case Metric.UPDATE:
                raise ValueError("an update isn't part of a footprint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The files of one category that one owner has in one layer (by its ``layer_name``). No archive bytes: these are
    measured for a whole layer and never split."""

    layer: str
    owner: str
    version: str
    category: str
    footprint: Footprint


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredLayer:
    """A layer's sizes. ``name`` is its install target, ``layer_name`` its name without a version. The digests, of its
    archive and of its tree, are empty where they aren't known; ``update`` is what a client of the
    baseline downloads, None where that isn't known."""

    name: str
    layer_name: str
    kind: str
    footprint: Footprint
    archive_sha256: str = ""
    tree_sha256: str = ""
    update: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEffect:
    """What a rule did in the run that a report tells of: bytes saved, and files removed or rewritten."""

    saved: int
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A file that a run removed, by which rule. ``size`` is what its content was."""

    rule: str
    owner: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One stack, measured.

    ``source`` says where it was read. ``archive_known`` is False for the report of a dry run, which
    has no archives. ``records`` are all files by (layer name, path), or None where only sums are
    known (a report). ``debug`` gives the bytes of debugging information in native files that have
    any. ``rules`` and ``removed`` come from the report of a run: what each rule did, and which
    files it removed.
    """

    source: str
    kind: str
    platform: str
    layers: tuple[MeasuredLayer, ...]
    cells: tuple[Cell, ...]
    archive_known: bool = True
    records: Mapping[FileKey, FileRecord] | None = None
    debug: Mapping[FileKey, int] = field(default_factory=dict)
    rules: Mapping[str, RuleEffect] | None = None
    removed: Mapping[FileKey, Removed] = field(default_factory=dict)

    @property
    def update(self) -> int | None:
        """What a client of the baseline downloads for all layers; None where that isn't known of one of them."""
        found = [layer.update for layer in self.layers if layer.update is not None]
        return sum(found) if len(found) == len(self.layers) else None

    @property
    def total(self) -> Footprint:
        """The whole stack."""
        return sum((layer.footprint for layer in self.layers), Footprint())


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing before and after. None where it wasn't, or isn't any more, there."""

    label: str
    before: Footprint | None
    after: Footprint | None

    def delta(self, metric: Metric) -> int:
        """By how much it grew; negative where it shrank."""
        return metric.of(self.after or Footprint()) - metric.of(self.before or Footprint())

    @property
    def changed(self) -> bool:
        """Whether any size differs."""
        return (self.before or Footprint()) != (self.after or Footprint())


class PlaceKind(StrEnum):
    """What became of the files of a folder."""

    NEW = "new"
    GONE = "gone"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceChange:
    """A file or a folder (its name ends in ``/``) in which files came, went or changed; ``delta`` is of content.

    ``place`` is a deployed path, without the layer where there is just one."""

    place: str
    kind: PlaceKind
    files: int
    delta: int


class RemarkKind(StrEnum):
    """Why something may have grown. The values are stable."""

    RULE_STOPPED = "rule-stopped-matching"
    RULE_RANGE = "rule-out-of-range"
    DEBUG = "debug-information"
    TESTS = "tests-added"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """An explanation of growth: ``text`` for people, the rule or the file (a deployed path) where there is one, the
    bytes and files it is about."""

    kind: RemarkKind
    text: str
    rule: str | None = None
    place: str | None = None
    size: int = 0
    files: int = 0


@dataclass(frozen=True, kw_only=True)
class OwnerChange:
    """An owner before and after: all versions of it that are installed, sizes, and where the change is.

    ``categories`` only has those that changed, ``places`` only what is known from files; the
    largest growth first.
    """

    name: str
    versions_before: tuple[str, ...]
    versions_after: tuple[str, ...]
    before: Footprint | None
    after: Footprint | None
    categories: tuple[Change, ...] = ()
    places: tuple[PlaceChange, ...] = ()
    remarks: tuple[Remark, ...] = ()

    def delta(self, metric: Metric) -> int:
        """By how much it grew; negative where it shrank."""
        return metric.of(self.after or Footprint()) - metric.of(self.before or Footprint())

    @property
    def changed(self) -> bool:
        """Whether a size or a version differs."""
        return self.versions_before != self.versions_after or self.before != self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """What a rule did in two runs, both of which were reported. None: it isn't told of in that report."""

    rule: str
    before: RuleEffect | None
    after: RuleEffect | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that changed between two measurements of one stack.

    ``archives`` says whether the archive sizes of both sides are known. ``rules`` is empty unless
    both sides are reports of runs. ``remarks`` are those of all owners, and those about no owner in
    particular.
    """

    source_before: str
    source_after: str
    platform_before: str
    platform_after: str
    before: Footprint
    after: Footprint
    archives: bool
    layers: tuple[Change, ...]
    owners: tuple[OwnerChange, ...]
    categories: tuple[Change, ...]
    rules: tuple[RuleChange, ...] = ()
    remarks: tuple[Remark, ...] = ()

    def delta(self, metric: Metric) -> int:
        """By how much the whole grew."""
        return metric.of(self.after) - metric.of(self.before)

    @property
    def same(self) -> bool:
        """Whether nothing that is counted differs."""
        return self.before == self.after and not any(owner.changed for owner in self.owners)
