"""Decides whether the moves of a native file make its patch smaller."""

from __future__ import annotations

from typing import Final

from slim.delta.alignment import find_moves
from slim.delta.frames import FRAME, quick_size
from slim.delta.moves import MOST_IMAGES, MOST_MOVES, Moves, moved, render
from slim.delta.native import native_images
from slim.delta.references import Layout

LARGEST: Final = FRAME
"""Bytes of the largest file that is looked at. Then both versions take about 450 MB."""


def worthwhile_moves(old: bytes, new: bytes) -> bytes | None:
    """Return the moves from ``old`` to ``new``, or None if a patch isn't smaller with them."""
    before, after = native_images(old), native_images(new)
    images: list[tuple[Layout, Moves]] = []
    for machine, image in before.items():
        if machine in after and len(images) < MOST_IMAGES:
            moves = find_moves(image, after[machine])
            if moves.starts:
                images.append((image.layout, moves))
    if not images or sum(len(moves.starts) for _, moves in images) > MOST_MOVES:
        return None
    form = render(images)
    with_moves = quick_size(form) + quick_size(new, moved(old, images))
    return form if with_moves < quick_size(new, old) else None
