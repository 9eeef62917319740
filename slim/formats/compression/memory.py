"""The memory that encoders may take together.

Bytes of archives depend on the level and on a memory budget that was asked for, never on how many
threads there are (those are only as many as have room), nor on the machine: what it has by default
is enough for every level.
"""

from __future__ import annotations

import os
from typing import Final

from slim.model.settings import Effort

DEFAULT_MEMORY: Final = 2_000_000_000
"""Bytes: the least that a run may take where no budget was asked for."""

_OWN: Final = 250_000_000
"""Bytes that a run takes besides its encoders: the interpreter, records of all files, decoders,
buffers."""


def room(effort: Effort) -> int:
    """Bytes for all encoders together."""
    return (effort.memory or _machine_memory()) - _OWN


def _machine_memory() -> int:
    """A quarter of the machine's memory (sysconf(3)), and at least :data:`DEFAULT_MEMORY`."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows, or not known
        memory = 0
    return max(DEFAULT_MEMORY, memory // 4)
