"""Orders of runs: all that is asked of one but its configuration. Cheap to import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class RunOrder:
    """The stack that is run on, the output, and what is asked for."""

    source: Path
    output: Path | None
    """Folder or archive to publish; None for a dry run only."""
    platforms: tuple[str, ...] = ()
    """Platforms that are read; none for all."""
    layers: tuple[str, ...] = ()
    """Layers that may change; none for all."""
    dry_run: bool = False
    force: bool = False
    """Replace an output that is there."""
    verify: bool = False
    """Try the result before it is published."""
    unverified: bool = False
    """Publish what the profile ``aggressive`` infers though nothing tried it."""
    tried: tuple[Path, ...] = ()
    """Reports of ``slim verify`` on other hosts, which count as the trial of this result."""
    repair: bool = True
    """Take back what broke the result, instead of refusing it."""
    keep_removed: Path | None = None
    """Archive for the originals of what is removed and rewritten."""
    symbols: Path | None = None
    """Folder to which is added what debuggers need of stripped files."""
    cache: str | None = None
    """Folder or URL of a cache of results."""
    recheck: float = 0.0
    """Share of the whole runs in the cache that are made anew, from 0 to 1."""
    previous: Path | None = None
    """Folder or manifest of what was published before."""
    later: Mapping[Path, Callable[[], None]] = field(default_factory=dict)
    """What brings archives of ``previous`` that have only their size here, by their paths."""
    canary: bool = False
    """Remove nothing, and have the layers log what would have gone and is used."""
