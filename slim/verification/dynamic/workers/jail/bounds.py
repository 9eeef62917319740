"""Memory and processes that everything in the jail takes together, seen by the warden.

Sources: proc(5) (``children``, ``smaps_rollup``, ``statm``, ``sysvipc``), tmpfs(5).
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from .root import SCRATCH

_PAGE = os.sysconf("SC_PAGE_SIZE")
_IPC = {"shm": 14, "msg": 3}
"""For each table of System V IPC, its column with bytes: ``rss`` and ``cbytes``."""
_HELD_BACK = 64 << 20
"""Memory of the machine, in bytes, below which whatever the jail does is too much."""


def descendants(most: int = 1 << 30) -> list[int]:
    """List the processes below this one, or a few more than ``most``: it has to be quick.

    Empty where there is no /proc.
    """
    found: list[int] = []
    todo = [os.getpid()]
    while todo and len(found) <= most:
        process = todo.pop()
        for task in _names(f"/proc/{process}/task"):
            below = [int(word) for word in _read(f"/proc/{process}/task/{task}/children").split()]
            found += below
            todo += below
    return found


class Bounds:
    """Bounds on the jail of a configuration, whose first process is ``first``.

    ``own``: it has namespaces and a root of its own, whose files in memory count.
    """

    def __init__(self, config: dict[str, Any], first: int, *, own: bool) -> None:
        self._memory: int = config["memory"]
        self._processes: int = config["processes"]
        self._own = own
        self._scratch = f"/proc/{first}/root{SCRATCH}"
        self._start = _available()

    def broken(self) -> str:
        """Return what is too much, as half a sentence; empty while nothing is."""
        processes = descendants(self._processes)
        if len(processes) > self._processes:
            return f"it started more than {self._processes} processes"
        files = self._in_files(processes)
        if files + sum(_resident(process) for process in processes) > self._memory:
            own, shared = (sum(parts) for parts in zip(*map(_parts, processes), strict=True))
            if own + max(shared, files) > self._memory:
                return f"it took more than {self._memory >> 20} MiB of memory"
        if 0 <= _available() < min(_HELD_BACK, self._start // 4):
            return "this machine has no memory left"
        return ""

    def _in_files(self, processes: list[int]) -> int:
        """Bytes in files that lie in memory: temporary ones, nameless ones, System V IPC."""
        if not self._own:
            return _nameless(processes)
        taken = _nameless(processes)
        with contextlib.suppress(OSError):
            status = os.statvfs(self._scratch)
            if os.stat(self._scratch).st_dev == os.stat(SCRATCH).st_dev:
                return taken  # it isn't in its own root yet
            taken += (status.f_blocks - status.f_bfree) * status.f_frsize
        return taken + sum(_column(f"/proc/sysvipc/{kind}", at) for kind, at in _IPC.items())


def _column(path: str, at: int) -> int:
    """Sum of one column of a table of the kernel, below its heading."""
    rows = (line.split() for line in _read(path).splitlines()[1:])
    return sum(int(row[at]) for row in rows if len(row) > at)


def _nameless(processes: list[int]) -> int:
    """Bytes of files that memfd_create(2) made."""
    found: dict[int, int] = {}
    for process in processes:
        for name in _names(f"/proc/{process}/fd"):
            path = f"/proc/{process}/fd/{name}"
            with contextlib.suppress(OSError):
                if os.readlink(path).startswith("/memfd:"):
                    status = os.stat(path)
                    found[status.st_ino] = status.st_blocks * 512
    return sum(found.values())


def _resident(process: int) -> int:
    words = _read(f"/proc/{process}/statm").split()
    return int(words[1]) * _PAGE if len(words) > 1 else 0


def _parts(process: int) -> tuple[int, int]:
    """Bytes that a process holds alone, and in shared memory; each with its part of what it shares.

    Pages of files count nowhere: the kernel drops them when it needs room.
    """
    found: dict[str, int] = {}
    for line in _read(f"/proc/{process}/smaps_rollup").splitlines():
        words = line.split()
        if len(words) == 3 and words[1].isdigit():
            found[words[0]] = int(words[1]) << 10
    own = found.get("Pss_Anon:", found.get("Pss:", _resident(process)))
    return own, found.get("Pss_Shmem:", 0)


def _available() -> int:
    """Bytes that this machine still has; -1 where nothing tells."""
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return -1


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
