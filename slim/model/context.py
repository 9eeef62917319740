"""Arguments that travel together through a command."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from slim.model.limits import Limits
from slim.model.progress import Progress, Silent


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """Means by which a command reads and writes.

    They never say what is read or written, and influence no byte of a result.
    """

    spool_dir: Path
    """A private folder for spool files, which exists as long as the context is used."""
    limits: Limits = field(default_factory=Limits)
    """Bounds on what is read."""
    workers: int = 1
    """Threads that read, hash and compress, and processes that parse."""
    cache: Path | None = None
    """Folder in which readings of files are remembered; None for not at all."""
    progress: Progress = field(default_factory=Silent)
    """The observer that is told how far the command is."""
