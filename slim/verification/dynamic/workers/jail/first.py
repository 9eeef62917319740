"""First process of the jail: sets it up, runs the command, and reaps.

Sources: netdevice(7), capabilities(7), getrlimit(2), namespaces(7), proc(5) (``oom_score_adj``).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import resource
import signal
import socket
import struct
import sys
from typing import Any, NoReturn

from . import root, syscalls
from .libc import (
    LINUX,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    PR_SET_SECUREBITS,
    Libc,
    prctl,
    put,
)

_SECBITS = 0b1111  # SECBIT_NOROOT and SECBIT_NO_SETUID_FIXUP, both locked: user 0 is nobody special
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_LAST_HANDLE = 1 << 16
_NEWNS = 0x20000  # CLONE_NEWNS: made here, so that the warden goes on seeing the machine's /proc
_NO_MORE = ("mnt", "ipc")
"""Namespaces that nothing in the jail may make: the warden sees no memory that lies in others."""


def run_first(config: dict[str, Any], kept: list[str]) -> NoReturn:
    """Be the first process; ``kept`` are the kinds of namespaces that were made."""
    _guarded(lambda: _first(config, kept))


def _guarded(work: Any) -> NoReturn:
    """Run the child's part; whatever happens, never return into the parent's code."""
    code = 126
    try:
        code = work()
    except BaseException as error:
        with contextlib.suppress(BaseException):
            sys.stderr.write(f"slim: jail: {error}\n")
            sys.stderr.flush()
    finally:
        os._exit(code)


def _first(config: dict[str, Any], kept: list[str]) -> int:
    """Set the namespaces up, as their first process; start the command, and reap until it ends."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.close(config["lifeline"])
    os.setsid()
    held = {"network": "network" in kept and _loopback(), "processes": "processes" in kept}
    if LINUX:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        held["memory"] = True
        if held["processes"]:
            _limit_processes(2 * config["processes"])
        if "files" in kept:
            held |= _enter_root(config)
        with contextlib.suppress(OSError):  # when memory ends, the kernel ends these first
            put("/proc/self/oom_score_adj", "1000")
        held["syscalls"] = syscalls.confine()
    command = os.fork()
    if command == 0:
        _guarded(lambda: _command(config))
    code = 126
    while True:
        try:
            process, status = os.waitpid(-1, 0)
        except ChildProcessError:
            break
        if process == command:
            code = os.waitstatus_to_exitcode(status)
            code = code if code >= 0 else 128 - code
            signalled = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            report = {"held": held, "code": code, "signal": signalled}
            os.write(config["status"], json.dumps(report).encode() + b"\n")
            break
    return code


def _loopback() -> bool:
    """Bring ``lo`` up in the new network namespace: servers are tested over it."""
    import fcntl

    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            request = struct.pack("16sh22x", b"lo", 0)
            (flags,) = struct.unpack("16xh22x", fcntl.ioctl(sock, _SIOCGIFFLAGS, request))
            fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))
    except OSError:
        return False
    with contextlib.suppress(OSError):  # nobody else uses these ports, so a server may have any
        put("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
    return True


def _limit_processes(most: int) -> None:
    """Limit the processes and threads in the new namespaces.

    Before Linux 5.14 RLIMIT_NPROC counts what the user runs elsewhere, too. It isn't for user 0,
    for whom the namespace's process ids are limited; before 6.14 that number is the whole
    machine's, and must not be touched.
    """
    numbers = re.match(r"(\d+)\.(\d+)", os.uname().release)
    version = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    with contextlib.suppress(OSError, ValueError):
        if version >= (5, 14):
            resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
    with contextlib.suppress(OSError):
        if version >= (6, 14):
            put("/proc/sys/kernel/pid_max", str(most))


def _enter_root(config: dict[str, Any]) -> dict[str, bool]:
    try:
        Libc().unshare(_NEWNS)
    except OSError:
        return {"files": False}
    for kind in _NO_MORE:  # namespaces(7): holds for all user namespaces below this one
        with contextlib.suppress(OSError):
            put(f"/proc/sys/user/max_{kind}_namespaces", "0")
    return root.enter(config)


def _command(config: dict[str, Any]) -> int:
    """Become the command."""
    os.closerange(3, _LAST_HANDLE)
    for name, value in config["limits"].items():
        which = getattr(resource, name, None)
        if which is None:
            continue
        _, hard = resource.getrlimit(which)
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(which, (limit, limit))
    if LINUX:
        prctl(PR_SET_SECUREBITS, _SECBITS)
        prctl(PR_SET_NO_NEW_PRIVS, 1)
    os.umask(0o022)
    os.chdir(config["cwd"])
    for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    arguments: list[str] = config["argv"]
    try:
        os.execve(arguments[0], arguments, config["environment"])  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"{arguments[0]}: {error.strerror}\n")
        return 127 if error.errno == errno.ENOENT else 126
