"""Stages of the work in the log, each with the time that it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from slim.errors import OutOfMemoryError
from slim.model.progress import Progress, Silent

if TYPE_CHECKING:
    from logging import Logger


class _Timed:
    """Progress that logs each stage when it ends, and passes everything on."""

    def __init__(self, watched: Progress, log: Logger) -> None:
        self._watched = watched
        self._log = log
        self._name: str | None = None
        self._since = time.monotonic()

    def stage(self, name: str, total: int | None = None, unit: str = "files") -> None:
        """Log the stage that ends, and begin the next."""
        self.end()
        self._log.info("%s ...", name)
        self._name, self._since = name, time.monotonic()
        self._watched.stage(name, total, unit)

    def advance(self, amount: int = 1) -> None:
        """Pass it on."""
        self._watched.advance(amount)

    def end(self) -> None:
        """Log the current stage's time, if there is one."""
        if self._name is not None:
            self._log.info("%s: %.3f s", self._name, time.monotonic() - self._since)
        self._name = None


@contextmanager
def logged_stages(progress: Progress | None) -> Iterator[Progress]:
    """Give progress that also logs, where logging is on.

    Raises OutOfMemoryError where memory ends during the block.
    """
    import logging  # late: importing slim.api is cheap

    watched, log = progress or Silent(), logging.getLogger("slim.stages")
    timed = _Timed(watched, log) if log.isEnabledFor(logging.INFO) else None
    try:
        yield timed or watched
    except MemoryError:
        raise OutOfMemoryError from None
    finally:
        if timed is not None:
            timed.end()
