"""Logging of a command to stderr, for ``-vv``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from slim.reports.common.text import printable


class _Formatter(logging.Formatter):
    """Lines that are harmless to a terminal, whatever names are in them."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(printable(line) for line in super().format(record).split("\n"))


@contextmanager
def logging_to_stderr() -> Iterator[None]:
    """Write what the loggers of slim say to stderr, each line with the seconds since the start."""
    logger = logging.getLogger("slim")
    before = logger.level, logger.propagate
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(relativeCreated)8.0f ms  %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
