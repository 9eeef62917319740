"""Two measurements of a stack, and what changed from one to the other. All sizes are bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from slim.model.footprint import Footprint
from slim.model.record import FileKey, FileRecord


class Metric(StrEnum):
    """Things that can be counted.

    ``ARCHIVE``, ``UNPACKED`` and ``DEPLOYED`` are bytes; the last is unpacked plus the bytecode
    that the post-install step will write. ``UPDATE`` is the bytes that a client which has the
    baseline downloads.
    """

    ARCHIVE = "archive"
    UNPACKED = "unpacked"
    DEPLOYED = "deployed"
    FILES = "files"
    UPDATE = "update"

    @property
    def explained(self) -> Metric:
        """Metric that growth is explained in: archive bytes can't be split among owners."""
        return Metric.UNPACKED if self is Metric.ARCHIVE else self

    def of(self, footprint: Footprint) -> int:
        """Return the metric's value: bytes, or a number of files.

        Raises :class:`ValueError` for an update, which layers have and a footprint alone hasn't.
        """
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
    """The files of one category that one owner has in one layer.

    No archive bytes: these are measured for a whole layer and never split.
    """

    layer: str
    """The layer's ``layer_name``."""
    owner: str
    """The owner's name."""
    version: str
    """The owner's version."""
    category: str
    """Name of the category."""
    footprint: Footprint
    """Sum of their sizes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredLayer:
    """A layer's sizes.

    ``name`` is its install target, ``layer_name`` its name without a version. Digests are empty
    where they aren't known; ``update`` is the bytes that a client of the baseline downloads, None
    where that isn't known.
    """

    name: str
    layer_name: str
    kind: str
    """The layer's place in its stack."""
    footprint: Footprint
    """Its sizes."""
    archive_sha256: str = ""
    """SHA-256 of its archive, in hexadecimal."""
    tree_sha256: str = ""
    """Its tree digest."""
    update: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEffect:
    """Effect of a rule in the run that a report is about."""

    saved: int
    """Bytes that it saved."""
    files: int
    """Files that it removed or rewrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A file that a run removed. ``size`` is the bytes of its content."""

    rule: str
    """Id of the rule that removed it."""
    owner: str
    """Label of the file's owner."""
    size: int


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One stack, measured.

    ``source`` is the path that it was read from. ``archive_known`` is False for the report of a dry
    run, which has no archives. ``records`` are all files by (layer name, path), or None where only
    sums are known (a report). ``debug`` gives the bytes of debugging information in native files
    that have any. ``rules`` and ``removed`` come from the report of a run: the effects of rules by
    id (None without such a report), and the files that they removed.
    """

    source: str
    kind: str
    """Kind of the stack (:class:`slim.model.stack.StackKind`)."""
    platform: str
    """Tag of its platform."""
    layers: tuple[MeasuredLayer, ...]
    """Its layers."""
    cells: tuple[Cell, ...]
    """Sizes by layer, owner and category."""
    archive_known: bool = True
    records: Mapping[FileKey, FileRecord] | None = None
    debug: Mapping[FileKey, int] = field(default_factory=dict)
    rules: Mapping[str, RuleEffect] | None = None
    removed: Mapping[FileKey, Removed] = field(default_factory=dict)

    @property
    def update(self) -> int | None:
        """Bytes that a client of the baseline downloads for all layers.

        None where that isn't known of one of them.
        """
        found = [layer.update for layer in self.layers if layer.update is not None]
        return sum(found) if len(found) == len(self.layers) else None

    @property
    def total(self) -> Footprint:
        """The whole stack."""
        return sum((layer.footprint for layer in self.layers), Footprint())


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing before and after. None where it wasn't there, or isn't any more."""

    label: str
    """Its name."""
    before: Footprint | None
    """Its sizes before."""
    after: Footprint | None
    """Its sizes after."""

    def delta(self, metric: Metric) -> int:
        """Return by how much it grew; negative where it shrank."""
        return metric.of(self.after or Footprint()) - metric.of(self.before or Footprint())

    @property
    def changed(self) -> bool:
        """True if any size differs."""
        return (self.before or Footprint()) != (self.after or Footprint())


class PlaceKind(StrEnum):
    """Ways in which the files of a folder differ."""

    NEW = "new"
    GONE = "gone"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceChange:
    """A file or a folder in which files came, went or changed.

    ``place`` is a deployed path, without the layer where there is just one; that of a folder ends
    in ``/``. ``delta`` is bytes of content.
    """

    place: str
    kind: PlaceKind
    """What happened."""
    files: int
    """Number of files that differ."""
    delta: int


class RemarkKind(StrEnum):
    """Reasons why something may have grown. The values are stable."""

    RULE_STOPPED = "rule-stopped-matching"
    RULE_RANGE = "rule-out-of-range"
    DEBUG = "debug-information"
    TESTS = "tests-added"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """An explanation of growth, in words: ``text``."""

    kind: RemarkKind
    """Kind of explanation."""
    text: str
    rule: str | None = None
    """Id of the rule that it is about, if any."""
    place: str | None = None
    """Deployed path of the file that it is about, if any."""
    size: int = 0
    """Bytes that it is about."""
    files: int = 0
    """Number of files that it is about."""


@dataclass(frozen=True, kw_only=True)
class OwnerChange:
    """An owner before and after.

    ``categories`` only has those that changed, ``places`` only what is known from files; the
    largest growth first.
    """

    name: str
    """The owner's name."""
    versions_before: tuple[str, ...]
    """All versions that were installed."""
    versions_after: tuple[str, ...]
    """All versions that are installed."""
    before: Footprint | None
    """Its sizes before, None where it wasn't there."""
    after: Footprint | None
    """Its sizes after, None where it isn't there."""
    categories: tuple[Change, ...] = ()
    places: tuple[PlaceChange, ...] = ()
    remarks: tuple[Remark, ...] = ()
    """Explanations."""

    def delta(self, metric: Metric) -> int:
        """Return by how much it grew; negative where it shrank."""
        return metric.of(self.after or Footprint()) - metric.of(self.before or Footprint())

    @property
    def changed(self) -> bool:
        """True if a size or a version differs."""
        return self.versions_before != self.versions_after or self.before != self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """Effects of a rule in two runs, both of which were reported."""

    rule: str
    """Id of the rule."""
    before: RuleEffect | None
    """Its effect in the first run, None where the report doesn't name it."""
    after: RuleEffect | None
    """Its effect in the second run, None where the report doesn't name it."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Differences between two measurements of one stack.

    ``archives`` says whether the archive sizes of both sides are known. ``rules`` is empty unless
    both sides are reports of runs. ``remarks`` are those of all owners, and those about no owner in
    particular.
    """

    source_before: str
    """Path of the first stack or report."""
    source_after: str
    """Path of the second stack or report."""
    platform_before: str
    """Tag of the first platform."""
    platform_after: str
    """Tag of the second platform."""
    before: Footprint
    """Sizes of the whole before."""
    after: Footprint
    """Sizes of the whole after."""
    archives: bool
    layers: tuple[Change, ...]
    """Changes by layer."""
    owners: tuple[OwnerChange, ...]
    """Changes by owner."""
    categories: tuple[Change, ...]
    """Changes by category."""
    rules: tuple[RuleChange, ...] = ()
    remarks: tuple[Remark, ...] = ()

    def delta(self, metric: Metric) -> int:
        """Return by how much the whole grew; negative where it shrank."""
        return metric.of(self.after) - metric.of(self.before)

    @property
    def same(self) -> bool:
        """True if nothing that is counted differs."""
        return self.before == self.after and not any(owner.changed for owner in self.owners)
