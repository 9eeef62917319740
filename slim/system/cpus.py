"""Processors that this process may use."""

from __future__ import annotations

import os


def available_cpus() -> int:
    """Count the processors that this process may run on.

    Source: sched_getaffinity(2), which not every system has.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
