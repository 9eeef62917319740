"""SHA-256 of what comes in pieces, so that nothing large is held in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def sha256_of_pieces(pieces: Iterable[bytes | memoryview]) -> str:
    """SHA-256 of all pieces together, in hexadecimal."""
    state = hashlib.sha256()
    for piece in pieces:
        state.update(piece)
    return state.hexdigest()
