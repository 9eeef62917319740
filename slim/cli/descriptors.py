"""Descriptors and rights that every program has, even where whoever started it took some away.

Sources: open(2) (the lowest free descriptor is taken), stdin(3), umask(2).
"""

from __future__ import annotations

import os
import sys


def open_standard_descriptors() -> None:
    """Open the null device on descriptors 0 to 2 where they are closed.

    Else a file that slim opens would get one of these numbers, and a child process or a message
    would write into it. ``sys.stdout`` stays None then, so that a command can tell that its output
    was lost; messages on a closed stderr go nowhere.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:  # a higher one was free: not this one after all
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
    if sys.stderr is None:
        from pathlib import Path

        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  (for good)


def allow_own_files() -> None:
    """Take from the umask what would keep this process from the files that it makes."""
    mask = os.umask(0o077)
    os.umask(mask & 0o077)
