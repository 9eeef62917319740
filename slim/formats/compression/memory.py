"""The memory that encoders may take together.

Bytes of archives depend on the level and on a memory budget that was asked for, never on how many
threads there are (those are only as many as have room), nor on the machine or its containers: what
a run takes by default is enough for every level.
"""

from __future__ import annotations

from typing import Final

from slim.model.settings import Effort
from slim.system.cpus import resident_memory, total_memory

DEFAULT_MEMORY: Final = 2_000_000_000
"""Bytes: the least that a run may take where no budget was asked for."""

_OWN: Final = 250_000_000
"""Bytes that a run takes besides its encoders: the interpreter, records of all files, decoders,
buffers. A large stack takes more, which counts for how many encoders there are."""
_BUFFERS: Final = 50_000_000
"""Bytes of these that aren't there yet when the encoders begin."""


def room(effort: Effort) -> int:
    """Bytes of the budget for encoders: decides how far one looks back, and so the bytes."""
    return (effort.memory or DEFAULT_MEMORY) - _OWN


def room_here(effort: Effort) -> int:
    """Bytes for all encoders together on this machine: decides how many there are at a time.

    Without a budget, a quarter of the memory that there is, and at least :data:`DEFAULT_MEMORY`,
    but never more than three quarters: a container may have less.
    """
    own = max(_OWN, resident_memory() + _BUFFERS)
    if effort.memory is not None:
        return effort.memory - own
    memory = total_memory()
    if not memory:
        return DEFAULT_MEMORY - own
    return max(min(DEFAULT_MEMORY, memory * 3 // 4), memory // 4) - own
