"""One kind of source, and one source as somebody wrote it."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from enum import Flag, auto
from pathlib import Path

from slim.model.progress import Progress, Silent


class Holds(Flag):
    """Kinds of things that can come from a source."""

    STACK = auto()
    """A stack, an archive, a folder."""
    REPORT = auto()
    """A JSON report of slim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Wish for the stacks of a source that are for ``platforms`` (all where empty).

    With ``lenient`` a platform that the source hasn't got is no error: what was published before
    needn't have it. ``progress`` is told how far fetching is.

    Where ``later`` is given, archives come as zeros of the size that the store has: enough to tell
    whether they are wanted at all. What brings each goes there, by its path.
    """

    platforms: tuple[str, ...] = ()
    lenient: bool = False
    progress: Progress = field(default_factory=Silent)
    later: MutableMapping[Path, Callable[[], None]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One line of the table of sources.

    ``recognises`` says whether a text is such a source. ``fetch`` brings it, or
    what is wanted of it, into a private folder and returns its place there; None for what is on
    this machine already.
    """

    name: str
    holds: Holds
    recognises: Callable[[str], bool]
    fetch: Callable[[str, Path, Wish], Path] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source as a user named it, and the scheme that it belongs to."""

    text: str
    scheme: Scheme

    @property
    def is_report(self) -> bool:
        """True where nothing but a report can come from it."""
        return self.scheme.holds is Holds.REPORT
