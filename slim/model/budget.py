"""Budgets and results of checking them. Sizes are bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from slim.model.diff import Comparison, Metric, OwnerChange, Snapshot

PPM = 1_000_000
"""Percentages are kept in millionths of the whole, so that ``+0.5%`` is exact."""


class LimitKind(StrEnum):
    """Kinds of limits: a size or count, or growth against a baseline.

    Growth is limited by an amount, or by a share of what was there.
    """

    ABSOLUTE = "absolute"
    GROWTH = "growth"
    GROWTH_SHARE = "growth-share"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit.

    ``value`` is bytes or a number of files, and millionths for :attr:`LimitKind.GROWTH_SHARE`;
    ``text`` is the limit as the file spells it.
    """

    metric: Metric
    """What is limited."""
    kind: LimitKind
    """Kind of the limit."""
    value: int
    text: str

    @property
    def needs_baseline(self) -> bool:
        """True if it can't be checked without knowing what was there before."""
        return self.kind is not LimitKind.ABSOLUTE or self.metric is Metric.UPDATE

    def allowed(self, before: int | None) -> int | None:
        """Return the most that is within the limit; None where it needs a baseline without one."""
        match self.kind:
            case LimitKind.ABSOLUTE:
                return self.value
            case LimitKind.GROWTH:
                return None if before is None else before + self.value
            case LimitKind.GROWTH_SHARE:
                return None if before is None else before + before * self.value // PPM


class Each(StrEnum):
    """Parts that a budget holds for separately, instead of for the sum."""

    LAYER = "layer"
    OWNER = "owner"
    CATEGORY = "category"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One ``[[budget]]`` table.

    ``layers``, ``platforms``, ``owners`` (globs) and ``categories`` (names) select what is counted;
    an empty one selects everything. ``each``: it holds for every such part separately.
    ``place`` is its key path, ``line`` (from 1) where its table begins in the file ``origin``, for
    messages.
    """

    name: str
    """Its name, which tells it from the others."""
    limits: tuple[Limit, ...]
    """Its limits."""
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
        """True if it looks at parts of layers.

        There are no sizes of archives and updates for these.
        """
        return bool(self.owners or self.categories) or self.each in (Each.OWNER, Each.CATEGORY)


class Status(StrEnum):
    """Result of checking one limit."""

    WITHIN = "within"
    EXCEEDED = "exceeded"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, kw_only=True)
class LimitResult:
    """One limit, checked.

    ``before``, ``actual`` and ``allowed`` (bytes or files) are None where they aren't known; then
    ``note`` says why. ``causes`` tell what grew since the baseline, the largest growth first;
    ``largest`` the owners with the most of the metric now (label, amount). Both are empty unless
    the limit is exceeded.
    """

    limit: Limit
    """The limit."""
    status: Status
    """The result."""
    actual: int | None
    allowed: int | None
    before: int | None = None
    note: str = ""
    causes: tuple[OwnerChange, ...] = ()
    largest: tuple[tuple[str, int], ...] = ()

    @property
    def over(self) -> int:
        """Bytes or files by which it is exceeded; 0 where it isn't."""
        if self.status is not Status.EXCEEDED or self.actual is None or self.allowed is None:
            return 0
        return self.actual - self.allowed


@dataclass(frozen=True, kw_only=True)
class BudgetResult:
    """A budget on one stack.

    ``subject`` is the layer, owner or category that it was checked for, or empty.
    """

    budget: Budget
    """The budget."""
    platform: str
    """Tag of the stack's platform."""
    subject: str
    limits: tuple[LimitResult, ...]
    """Its limits, checked."""

    @property
    def title(self) -> str:
        """Name and subject: ``downloads: app-main``."""
        return f"{self.budget.name}: {self.subject}" if self.subject else self.budget.name

    @property
    def status(self) -> Status:
        """Exceeded if any limit is; unchecked if none could be checked."""
        found = {item.status for item in self.limits}
        if Status.EXCEEDED in found:
            return Status.EXCEEDED
        return Status.WITHIN if Status.WITHIN in found else Status.UNCHECKED


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Result of checking all budgets on all stacks.

    ``elsewhere`` are budgets for platforms that weren't checked here.
    """

    results: tuple[BudgetResult, ...]
    """Results by budget and stack."""
    measured: tuple[Snapshot, ...]
    """The stacks, measured."""
    comparisons: tuple[Comparison, ...] = ()
    """What changed since the baseline, by stack."""
    elsewhere: tuple[Budget, ...] = ()
    warnings: tuple[str, ...] = ()
    """Sentences for people."""
    slim_version: str = ""
    """Version of slim that checked."""

    @property
    def passed(self) -> bool:
        """True if no limit is exceeded."""
        return all(result.status is not Status.EXCEEDED for result in self.results)

    def exceeded(self) -> Iterator[tuple[BudgetResult, LimitResult]]:
        """Yield every limit that is exceeded, in the order of the budgets."""
        for result in self.results:
            for item in result.limits:
                if item.status is Status.EXCEEDED:
                    yield result, item
