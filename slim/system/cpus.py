"""Processors and memory that this process may use, in a container or not."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

from slim.system.container import allowance


def available_cpus() -> int:
    """Count the processors that this process may run on, at least one.

    In a container, those that its control groups give it time for. Source: sched_getaffinity(2),
    which not every system has.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    limit = allowance().processors
    return count if limit is None else max(1, min(count, math.ceil(limit)))


def total_memory() -> int:
    """Bytes of memory of this machine, or of the container; 0 where nothing tells (Windows).

    Source: sysconf(3).
    """
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        memory = 0
    limit = allowance().memory
    if limit is None:
        return max(memory, 0)
    return min(memory, limit) if memory > 0 else limit


def resident_memory() -> int:
    """Bytes of memory that this process takes now; 0 where only Linux would tell (proc(5))."""
    with contextlib.suppress(OSError, ValueError, IndexError, AttributeError):
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0
