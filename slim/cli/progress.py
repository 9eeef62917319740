"""Progress on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from slim.cli.terminal import style_for
from slim.model.progress import Progress, Silent


@contextmanager
def terminal_progress(*, quiet: bool) -> Iterator[Progress]:
    """Give bars on a terminal that vanish when done; nothing elsewhere, or where ``quiet``."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield Silent()
        return
    from slim.cli.bars import bars  # late: it needs rich

    with bars(sys.stderr, style_for(sys.stderr)) as progress:
        yield progress
