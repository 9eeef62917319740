"""Decides whether the moves of a native file make its patch smaller."""

from __future__ import annotations

from typing import Final

from slim.binaries.elf.layout import MAGIC
from slim.delta.alignment import find_moves
from slim.delta.frames import FRAME, quick_size
from slim.delta.moves import MOST_MOVES, moved, render
from slim.delta.native import native_image

LARGEST: Final = FRAME
"""Bytes of the largest file that is looked at. Then both versions take about 450 MB."""


def may_move(beginning: bytes | memoryview) -> bool:
    """True if a file with this beginning may be a native one."""
    return bytes(beginning[: len(MAGIC)]) == MAGIC


def worthwhile_moves(old: bytes, new: bytes) -> bytes | None:
    """Return the moves from ``old`` to ``new``, or None if a patch isn't smaller with them."""
    before, after = native_image(old), native_image(new)
    if before is None or after is None:
        return None
    moves = find_moves(before, after)
    if not moves.starts or len(moves.starts) > MOST_MOVES:
        return None
    form = render(before.layout, moves)
    with_moves = quick_size(form) + quick_size(new, moved(old, before.layout, moves))
    return form if with_moves < quick_size(new, old) else None
