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
        seconds = record.relativeCreated / 1000
        lines = f"{seconds:8.3f} s  {record.name}: {super().format(record)}".split("\n")
        return "\n".join(printable(line) for line in lines)


@contextmanager
def logging_to_stderr() -> Iterator[None]:
    """Write what the loggers of slim say to stderr, each line with the seconds since the start."""
    logger = logging.getLogger("slim")
    before = logger.level, logger.propagate
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
