"""Bounds on what slim is willing to read."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps that stop decompression bombs. All sizes are bytes.

    ``ratio`` only counts once more than ``ratio_floor`` bytes have come out, because small
    repetitive files legitimately compress by more.
    """

    members: int = 150_000
    total: int = 64 * GIB
    ratio: int = 200
    ratio_floor: int = 64 * MIB
    xz_memory: int = 256 * MIB
    zstd_window: int = 1 << 27
    name_length: int = 4096
    path_depth: int = 256
    metadata_file: int = 64 * MIB
