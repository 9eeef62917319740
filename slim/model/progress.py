"""Progress as an optional observer: the library never prints."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Observer that is told how far a command is."""

    def stage(self, name: str, total: int | None = None, unit: str = "files") -> None:
        """Begin a new stage of ``total`` units; None means that their number isn't known.

        ``unit`` is the word for one of them, in the plural: ``files``, ``bytes``, ``passes``.
        """
        ...

    def advance(self, amount: int = 1) -> None:
        """Note that so many more units of the stage are done. May be called from any thread."""
        ...


class Silent:
    """The observer that does nothing."""

    def stage(self, name: str, total: int | None = None, unit: str = "files") -> None:
        """Do nothing."""

    def advance(self, amount: int = 1) -> None:
        """Do nothing."""
