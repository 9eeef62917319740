"""A cache of results, as the commands about it tell it. Sizes are bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheUse:
    """Use of a cache of results by a run, or by the making of an update.

    ``notes`` are sentences about what was wrong with it.
    """

    place: str
    """Its folder or URL."""
    whole: bool = False
    """True if the whole run was taken from it."""
    rechecked: bool = False
    """True if the whole run was there and was made anew, to compare the two."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    """Contents of a cache."""

    place: str
    """Its folder or URL."""
    entries: Mapping[str, int]
    """Numbers of entries by action: ``layer``, ``run``, ``delta``."""
    unreadable: int
    """Number of entries that can't be read."""
    blobs: int
    """Number of blobs."""
    size: int
    """Bytes of all blobs."""
    oldest: float | None
    """Time of the entry that was of use the longest ago, in seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePruned:
    """Entries and blobs that went from a cache, or would have gone."""

    place: str
    """Its folder or URL."""
    entries: int
    """Number of entries."""
    blobs: int
    """Number of blobs."""
    size: int
    """Bytes of the blobs."""
    dry_run: bool
    """True if nothing was to be removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheVerified:
    """Result of reading all of a cache."""

    place: str
    """Its folder or URL."""
    tried: int
    """Number of entries and blobs that were read."""
    wrong: tuple[tuple[str, str], ...]
    """Names of those that are wrong, each with the reason."""
    dropped: bool
    """True if those were removed."""
