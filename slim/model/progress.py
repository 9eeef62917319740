"""Progress as an optional observer: the library never prints."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Somebody who wants to know how far a run is."""

    def stage(self, name: str, total: int | None = None, unit: str = "files") -> None:
        """A new stage begins. ``unit`` is ``files`` or ``bytes``; no total means that it isn't known."""
        ...

    def advance(self, amount: int = 1) -> None:
        """So many more units of the current stage are done. May be called from any thread."""
        ...


class Silent:
    """Nobody is watching."""

    def stage(self, name: str, total: int | None = None, unit: str = "files") -> None:
        """Do nothing."""

    def advance(self, amount: int = 1) -> None:
        """Do nothing."""
