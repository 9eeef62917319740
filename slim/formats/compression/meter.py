"""Bounds on decompression."""

from __future__ import annotations

from pathlib import Path

from slim.errors import LimitError
from slim.model.limits import Limits


class Meter:
    """Counts what goes into and comes out of a decompressor, and stops bombs.

    ``consumed`` and ``produced`` are bytes. Raises LimitError as soon as the total or the ratio is
    exceeded.
    """

    def __init__(self, source: Path, limits: Limits) -> None:
        self.source = source
        self.limits = limits
        self.consumed = 0
        self.produced = 0

    def count(self, consumed: int, produced: int) -> None:
        """Add bytes that were read, and bytes that came out."""
        self.consumed += consumed
        self.produced += produced
        limits = self.limits
        if self.produced > limits.total:
            raise LimitError(
                f"expands to more than {limits.total} bytes",
                file=self.source,
                hint="raise the limit on the total size",
            )
        if self.produced >= limits.ratio_floor and self.produced > limits.ratio * self.consumed:
            raise LimitError(
                f"expands to more than {limits.ratio} times its size (a decompression bomb?)",
                file=self.source,
                hint="raise the limit on the ratio if the archive is to be trusted",
            )
