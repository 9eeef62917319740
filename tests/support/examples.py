"""How many examples hypothesis makes up for a property."""

from __future__ import annotations

import os

FULL = os.environ.get("SLIM_CI_HUNT") == "strict"
"""True in the weekly run, which searches; others only look whether anything has broken."""
LEAST = 20


def examples(full: int) -> int:
    """Return a third of the examples of a full search, in the weekly run all of them."""
    return full if FULL else min(full, max(LEAST, full // 3))
