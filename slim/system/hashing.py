"""Digests of what comes in pieces, so that nothing large is held in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor


def sha256_of_pieces(pieces: Iterable[bytes | memoryview]) -> str:
    """SHA-256 of all pieces together, in hexadecimal."""
    state = hashlib.sha256()
    for piece in pieces:
        state.update(piece)
    return state.hexdigest()


def digests_of_pieces(
    pieces: Iterable[bytes | memoryview], algorithms: Collection[str]
) -> Mapping[str, bytes]:
    """Digests of all pieces together by several algorithms of :mod:`hashlib`, in one go over them.

    Large pieces (2 kB and more) are hashed outside of the interpreter's lock, so that as many
    algorithms run at a time as there are processors.
    """
    states = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    with ThreadPoolExecutor(max_workers=max(1, min(len(states), os.cpu_count() or 1))) as pool:
        for piece in pieces:
            for done in [pool.submit(state.update, piece) for state in states.values()]:
                done.result()
    return {name: state.digest() for name, state in states.items()}
