"""Measures of the benchmarks: whole processes with their children, by the system's account."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

MB = 1_000_000


@dataclass
class Measure:
    """What one way of slimming took, each time, and what came of it.

    Sizes in bytes, times in seconds.
    """

    name: str
    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    failed: str | None = None
    archives: int = 0
    unpacked: int = 0
    deployed: int = 0
    works: dict[str, str] = field(default_factory=dict)
    unpacking: list[float] = field(default_factory=list)
    decoding: list[float] = field(default_factory=list)


def measured(command: list[str], measure: Measure) -> bool:
    """Run a command to its end, add what it took, and tell whether it succeeded."""
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)  # with everything that its own children took
        elapsed = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            words = errors.read().decode(errors="replace").strip().splitlines() or [
                "(nothing on stderr)"
            ]
            measure.failed = f"exit {process.returncode}: {words[-1][:200]}"
            return False
    measure.wall.append(elapsed)
    measure.processor.append(usage.ru_utime + usage.ru_stime)
    measure.memory.append(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
    return True


def published_in(stack: Path) -> Path:
    """The published folder: the one given, or ``_artifacts`` in it."""
    for folder in (stack, stack / "_artifacts"):
        if (folder / "__venvstacks__").is_dir():
            return folder.resolve()
    sys.exit(f"{stack}: neither a published stack nor a folder with one in _artifacts")
