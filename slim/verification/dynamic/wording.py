"""Words of the dynamic checks, and the results that they come to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from slim.model.outcome import Check
from slim.model.verify import Broken

SHOWN: Final = 8
"""Names that a sentence tells."""


def made_check(
    name: str, tried: int, broken: Sequence[Broken], started: float, note: str = ""
) -> Check:
    """Return a check's result; ``started`` is when it began, 0 where that doesn't matter."""
    return Check(
        name=name,
        tried=tried,
        failures=tuple(str(one) for one in broken),
        note=note,
        elapsed=time.monotonic() - started if started else 0.0,
        broken=tuple(broken),
    )


def some(what: str, names: Sequence[str]) -> str:
    """Return a sentence with the first of some names."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{what}: {', '.join(names[:SHOWN])}{more}"


def count(number: int, noun: str) -> str:
    """Return ``1 file``, ``2 files``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
