"""Warden: the process that slim starts for a command. Nothing of the command gets out or survives.

The warden makes new user, network, process and IPC namespaces where the kernel allows it, and
forks: the child is the namespaces' first process, so that the kernel kills everything in them when
it ends. It starts the command and reaps what the command leaves. The warden watches the command,
how much it takes, and a pipe from slim: when slim goes, however it goes, the pipe closes and
everything is killed.

Without namespaces the command gets a session of its own, whose processes are killed together; a
process that leaves that session is still found on Linux, where the warden is the reaper of all its
descendants.

Sources: unshare(2), user_namespaces(7), pid_namespaces(7), prctl(2).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from typing import Any

from .bounds import Bounds, descendants
from .first import run_first
from .libc import LINUX, PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, Libc, prctl, put

_NEWUSER = 0x10000000
_FLAGS = {  # for each kind; files get theirs from the first process
    "network": 0x40000000,  # CLONE_NEWNET
    "processes": 0x20000000 | 0x08000000,  # CLONE_NEWPID, CLONE_NEWIPC
}
_GRACE = 5.0
_STEP = 0.05
"""Seconds between two looks at what the command takes."""


def main(text: str) -> int:
    """Run the warden; return its exit code.

    ``text`` is the configuration as JSON; the file descriptor ``status`` in it gets JSON objects,
    one a line.
    """
    config: dict[str, Any] = json.loads(text)
    if LINUX:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _come_first()
    kept: list[str] = config["isolate"]
    wanted = bool(kept) and _unshare(kept)
    if not wanted and LINUX:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake, wake_in = os.pipe()
    os.set_blocking(wake_in, False)
    signal.set_wakeup_fd(wake_in)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        run_first(config, kept if wanted else [])
    own = wanted and "processes" in kept
    bounds = Bounds(config, child, own=own and "files" in kept)
    return min(_attend(child, config, wake, bounds, own=own), 255)


def _come_first() -> None:
    """Run before all else, where that is allowed: thousands of processes mustn't stop the warden.

    What it starts doesn't inherit that: sched(7).
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def _unshare(kept: list[str]) -> bool:
    flags = _NEWUSER
    for name in kept:
        flags |= _FLAGS.get(name, 0)
    user, group = os.getuid(), os.getgid()
    try:
        Libc().unshare(flags)
        with contextlib.suppress(FileNotFoundError):
            put("/proc/self/setgroups", "deny")
        put("/proc/self/uid_map", f"{user} {user} 1")
        put("/proc/self/gid_map", f"{group} {group} 1")
    except (OSError, AttributeError):
        return False
    return True


def _attend(child: int, config: dict[str, Any], wake: int, bounds: Bounds, *, own: bool) -> int:
    """Wait for the child, for slim to let go, or for the command to take too much."""
    lifeline = config["lifeline"]
    while True:
        ready, _, _ = select.select([lifeline, wake], [], [], _STEP if LINUX else None)
        if lifeline in ready:
            _kill_all(child, own=own)
            return 125
        if wake in ready:
            os.read(wake, 4096)
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                if not own:
                    _kill_all(child, own=False, reaped=True)
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
        elif LINUX and (reason := bounds.broken()):
            _kill_all(child, own=own)
            os.write(config["status"], json.dumps({"stopped": reason}).encode() + b"\n")
            return 124


def _kill_all(child: int, *, own: bool, reaped: bool = False) -> None:
    """End the command and what it started."""
    if own:  # the first process of its namespace: the kernel does the rest
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
        return
    deadline = time.monotonic() + _GRACE
    while time.monotonic() < deadline:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        left = descendants()
        for process in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        if not left and reaped and not LINUX:
            return
        time.sleep(0.01)
