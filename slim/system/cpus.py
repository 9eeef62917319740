"""Processors this process may use."""

from __future__ import annotations

import os


def available_cpus() -> int:
    """Processors this process may run on (``sched_getaffinity(2)`` where there is such a thing)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
