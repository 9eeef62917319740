"""Large pages for the tables of encoders.

A match finder jumps about in hundreds of megabytes, and with pages of 4 KiB nearly every jump
misses the processor's cache of addresses: xz compresses about a sixth faster with pages of 2 MiB.
Most Linux systems give them to whoever asks (``madvise`` in
``/sys/kernel/mm/transparent_hugepage/enabled``), and liblzma doesn't. Not a byte depends on it.

Sources: madvise(2), MADV_HUGEPAGE; proc(5), /proc/pid/maps.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from pathlib import Path
from typing import Final

from slim.model.limits import MIB

_MADV_HUGEPAGE: Final = 14
_SMALLEST: Final = 16 * MIB
"""Bytes: mappings below this aren't an encoder's tables."""


def advise() -> None:
    """Ask for large pages in all large private memory of this process, where there are any."""
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError, ValueError):
        madvise = ctypes.CDLL(None).madvise
        madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        for line in (
            Path("/proc/self/maps").read_text(encoding="ascii", errors="replace").splitlines()
        ):
            addresses, permissions, *rest = line.split()
            start, end = (int(part, 16) for part in addresses.split("-"))
            # Three more fields and no path: anonymous memory.
            if permissions == "rw-p" and len(rest) == 3 and end - start >= _SMALLEST:
                madvise(
                    start, end - start, _MADV_HUGEPAGE
                )  # advice only: that it isn't taken is no error
