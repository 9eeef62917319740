"""Budgets, and what a check of them found. Sizes are bytes, file counts are numbers of files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from slim.model.diff import Comparison, Metric, OwnerChange, Snapshot

PPM = 1_000_000
"""Percentages are kept in millionths of the whole, so that ``+0.5%`` is exact."""


class LimitKind(StrEnum):
    """A limit is a size or count, or growth against a baseline: by an amount, or by a share of what was there."""

    ABSOLUTE = "absolute"
    GROWTH = "growth"
    GROWTH_SHARE = "growth-share"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit. ``value`` is bytes or files, and millionths for :attr:`LimitKind.GROWTH_SHARE`; ``text`` is how the
    file spells it."""

    metric: Metric
    kind: LimitKind
    value: int
    text: str

    @property
    def needs_baseline(self) -> bool:
        """Whether it can't be checked without knowing what was there before."""
        return self.kind is not LimitKind.ABSOLUTE or self.metric is Metric.UPDATE

    def allowed(self, before: int | None) -> int | None:
        """The most that is within the limit; None where a baseline is needed and there is none."""
        match self.kind:
            case LimitKind.ABSOLUTE:
                return self.value
            case LimitKind.GROWTH:
                return None if before is None else before + self.value
            case LimitKind.GROWTH_SHARE:
                return None if before is None else before + before * self.value // PPM


class Each(StrEnum):
    """What a budget holds for separately, instead of for the sum."""

    LAYER = "layer"
    OWNER = "owner"
    CATEGORY = "category"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One ``[[budget]]`` table. Selectors are globs (categories: names); an empty one selects everything.

    ``place`` is its key path, ``line`` (from 1) where its table begins in the file ``origin``, for
    messages.
    """

    name: str
    limits: tuple[Limit, ...]
    layers: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    each: Each | None = None
    origin: str = ""
    place: str = ""
    line: int | None = None

    @property
    def splits_layers(self) -> bool:
        """Whether it looks at parts of layers, for which there are no sizes of archives and updates."""
        return bool(self.owners or self.categories) or self.each in (Each.OWNER, Each.CATEGORY)


class Status(StrEnum):
    """What became of one limit."""

    WITHIN = "within"
    EXCEEDED = "exceeded"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, kw_only=True)
class LimitResult:
    """One limit, checked. ``before``, ``actual`` and ``allowed`` are None where they aren't known; ``note`` says why.

    ``causes`` tell what grew since the baseline, the largest growth first; ``largest`` the owners
    with the most of the metric now (label, amount). Both are empty unless the limit is exceeded.
    """

    limit: Limit
    status: Status
    actual: int | None
    allowed: int | None
    before: int | None = None
    note: str = ""
    causes: tuple[OwnerChange, ...] = ()
    largest: tuple[tuple[str, int], ...] = ()

    @property
    def over(self) -> int:
        """By how much it is exceeded; 0 where it isn't."""
        if self.status is not Status.EXCEEDED or self.actual is None or self.allowed is None:
            return 0
        return self.actual - self.allowed


@dataclass(frozen=True, kw_only=True)
class BudgetResult:
    """A budget on one stack. ``subject`` is the layer, owner or category that it was checked for, or empty."""

    budget: Budget
    platform: str
    subject: str
    limits: tuple[LimitResult, ...]

    @property
    def title(self) -> str:
        """Name and subject: ``downloads: app-main``."""
        return f"{self.budget.name}: {self.subject}" if self.subject else self.budget.name

    @property
    def status(self) -> Status:
        """Exceeded where any limit is; unchecked where none could be checked."""
        found = {item.status for item in self.limits}
        if Status.EXCEEDED in found:
            return Status.EXCEEDED
        return Status.WITHIN if Status.WITHIN in found else Status.UNCHECKED


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """All budgets on all stacks. ``elsewhere`` are budgets for platforms that weren't checked here."""

    results: tuple[BudgetResult, ...]
    measured: tuple[Snapshot, ...]
    comparisons: tuple[Comparison, ...] = ()
    elsewhere: tuple[Budget, ...] = ()
    warnings: tuple[str, ...] = ()
    slim_version: str = ""

    @property
    def passed(self) -> bool:
        """Whether no limit is exceeded."""
        return all(result.status is not Status.EXCEEDED for result in self.results)

    def exceeded(self) -> Iterator[tuple[BudgetResult, LimitResult]]:
        """Every limit that is exceeded, in the order of the budgets."""
        for result in self.results:
            for item in result.limits:
                if item.status is Status.EXCEEDED:
                    yield result, item
