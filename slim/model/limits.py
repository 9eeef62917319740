"""Bounds on what slim is willing to read."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps that stop decompression bombs. All sizes are bytes.

    ``ratio`` is unpacked bytes for each byte read. It only counts once more than ``ratio_floor``
    bytes have come out, because small repetitive files legitimately compress by more.
    """

    members: int = 150_000
    """Members of one archive."""
    total: int = 64 * GIB
    """Unpacked bytes of one archive."""
    ratio: int = 200
    ratio_floor: int = 64 * MIB
    xz_memory: int = 256 * MIB
    """Bytes of memory for decompressing xz."""
    zstd_window: int = 1 << 27
    """Bytes of the window of a zstd archive."""
    name_length: int = 4096
    """Bytes of a path."""
    path_depth: int = 256
    """Folders in a path."""
    metadata_file: int = 64 * MIB
    """Bytes of a RECORD, METADATA, entry_points.txt or ``venvstacks_layer.json``."""
