"""Results of looking at traces: what one tells, what differs between two, what one lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from slim.model.finding import Evidence
from slim.model.record import Owner
from slim.model.risk import Risk
from slim.model.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedOwner:
    """A distribution of which no run used a module or a native file.

    ``size`` (bytes, unpacked) and evidence are known where the stack was given: ``importers`` are
    the imports of it in other distributions, the strongest first. A strong one fails when it is
    reached once the distribution is gone; of a weak one the code expects that it may fail.
    ``required_by`` are the distributions whose metadata require it.
    """

    layer: str
    """Key of the layer."""
    owner: Owner
    """The distribution."""
    size: int | None = None
    importers: tuple[Evidence, ...] = ()
    required_by: tuple[str, ...] = ()

    @property
    def failing(self) -> tuple[Evidence, ...]:
        """Imports that would fail without it, when they are reached."""
        return tuple(one for one in self.importers if one.strength.value == "strong")


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSummary:
    """A trace, and the whole distributions that it says nobody uses.

    ``of_stack`` says that a stack was looked at, too.
    """

    source: str
    """File of the trace."""
    trace: Trace
    """The trace."""
    unused: tuple[UnusedOwner, ...] = ()
    """Distributions that might be dropped, the largest first."""
    of_stack: bool = False
    risk: Risk = field(default_factory=Risk)
    """Leave-one-out over its runs."""
    notes: tuple[str, ...] = ()
    """Remarks of recording it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UseChange:
    """Difference of one owner's uses in one layer.

    ``before`` and ``after`` are its versions; None where the trace doesn't have it.
    """

    layer: str
    """Key of the layer."""
    name: str
    """Name of the owner."""
    before: tuple[str, ...]
    after: tuple[str, ...]
    added: tuple[str, ...] = ()
    """Uses that only the second trace has: ``module x.y``, ``read x/y.json``, ``native x/z.so``."""
    removed: tuple[str, ...] = ()
    """Uses that only the first has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceComparison:
    """Differences between two traces."""

    before: str
    """File of the first trace."""
    after: str
    """File of the second."""
    runs_added: tuple[str, ...] = ()
    """Runs that only the second has."""
    runs_removed: tuple[str, ...] = ()
    """Runs that only the first has."""
    witnesses: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """By ``run on platform``, the witnesses in both where they differ, as words."""
    changes: tuple[UseChange, ...] = ()
    """Owners whose version or uses differ."""
    families_added: tuple[str, ...] = ()
    """Members of families that only the second has, as ``prefix: member``."""
    families_removed: tuple[str, ...] = ()
    """Members of families that only the first has."""

    @property
    def same(self) -> bool:
        """True if nothing differs but which runs used what both have."""
        return not (
            self.runs_added
            or self.runs_removed
            or self.witnesses
            or self.changes
            or self.families_added
            or self.families_removed
        )


class LackKind(StrEnum):
    """Kinds of what a trace lacks."""

    VERSION = "version"
    INSTALL = "install"
    RUN = "run"
    VANISHED = "vanished"
    COMPUTED = "computed-import"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Lack:
    """One thing that a trace lacks for a stack and its configuration."""

    kind: LackKind
    """Kind of thing."""
    layer: str
    """Key of the layer; empty where it concerns none."""
    name: str
    """Distribution, run, or place in the code."""
    text: str
    """What is wrong, as a sentence for people."""
    hint: str
    """What to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceVerdict:
    """Verdict on a trace for a stack: what it lacks. It may be used where that is nothing."""

    source: str
    """File of the trace."""
    stack: str
    """Path of the stack."""
    lacks: tuple[Lack, ...] = ()
    """All that it lacks."""
    notes: tuple[str, ...] = ()
    """Remarks that are no faults, one sentence each."""
    checked: Mapping[LackKind, int] = field(default_factory=dict)
    """How many things of each kind were looked at."""
