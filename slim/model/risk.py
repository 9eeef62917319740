"""Leave-one-out over the runs of a trace: how much of what one run used the others didn't show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slim.model.record import Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerRisk:
    """Uses of one owner's files that single runs showed and no other run did."""

    layer: str
    """Key of the layer, as traces have it."""
    owner: Owner
    """The owner."""
    runs: tuple[str, ...]
    """Names of those runs, sorted."""
    modules: int = 0
    """Modules that only one run imported."""
    files: int = 0
    """Files that only one run read, or opened in native code."""


@dataclass(frozen=True, kw_only=True)
class Risk:
    """Leave-one-out of a trace.

    ``runs`` has every use by name, with the modules that it alone imported; ``owners`` those of
    whom a single run showed something, the most runs first.
    """

    runs: Mapping[str, int] = field(default_factory=dict)
    owners: tuple[OwnerRisk, ...] = ()

    @property
    def surprising(self) -> tuple[str, ...]:
        """Names of the runs that would have missed a module, had only the others been traced."""
        return tuple(sorted(name for name, modules in self.runs.items() if modules))

    @property
    def known(self) -> bool:
        """True if there are two runs or more: one alone has no others to compare with."""
        return len(self.runs) > 1
