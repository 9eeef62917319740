"""Advisory file locks, which the kernel frees however the process ends.

Sources: flock(2); on Windows ``_locking`` of the C runtime.
"""

from __future__ import annotations

import sys


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this process, without waiting. False if another process holds it."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
