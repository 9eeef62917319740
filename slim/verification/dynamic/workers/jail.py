"""Runs one command so that nothing of it can get out or survive. Standard library only.

The process that slim starts (the warden) makes new user, network, process and mount namespaces
where the kernel allows it, and forks: the child is the namespaces' first process, so that the
kernel kills everything in them when it ends. It starts the command and reaps what the command
leaves. The warden watches the command and a pipe from slim: when slim goes, however it goes, the
pipe closes and everything is killed.

Without namespaces the command gets a session of its own, whose processes are killed together; a
process that leaves that session is still found on Linux, where the warden is the reaper of all its
descendants.

Sources: unshare(2), user_namespaces(7), pid_namespaces(7), mount_setattr(2), prctl(2),
netdevice(7), capabilities(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = (
    0x20000,
    0x10000000,
    0x20000000,
    0x40000000,
)
_FLAGS = {"network": _CLONE_NEWNET, "processes": _CLONE_NEWPID, "files": _CLONE_NEWNS}
_PR_SET_PDEATHSIG, _PR_SET_SECUREBITS, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 28, 36, 38
_SECBITS = 0b1111  # SECBIT_NOROOT and SECBIT_NO_SETUID_FIXUP, both locked: user 0 is nobody special
_MS_BIND, _MS_REC, _MS_PRIVATE, _MS_NOSUID, _MS_NODEV = 4096, 16384, 1 << 18, 2, 4
_SYS_MOUNT_SETATTR, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 442, 0x8000, 1
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_PRIVATE = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - these get a file system of their own
_LINUX = sys.platform == "linux"
_GRACE = 5.0


class _Libc:
    """The few calls that Python has no wrapper for. Each raises OSError."""

    def __init__(self) -> None:
        self._c = ctypes.CDLL(None, use_errno=True)

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function that returns 0 or sets errno."""
        if getattr(self._c, name)(*arguments) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"{name}: {os.strerror(code)}")

    def mount(
        self, source: str | None, target: str, kind: str | None, flags: int, data: str | None = None
    ) -> None:
        """Attach a file system. Raises OSError."""

        def text(value: str | None) -> bytes | None:
            return None if value is None else os.fsencode(value)

        self.call(
            "mount", text(source), text(target), text(kind), ctypes.c_ulong(flags), text(data)
        )

    def mount_read_only(self, path: str, *, on: bool) -> None:
        """Make a whole tree (on) read-only, or one mount (off) writable: mount_setattr(2)."""
        attributes = struct.pack(
            "=QQQQ", _MOUNT_ATTR_RDONLY if on else 0, 0 if on else _MOUNT_ATTR_RDONLY, 0, 0
        )
        flags = _AT_RECURSIVE if on else 0
        call, where = ctypes.c_long(_SYS_MOUNT_SETATTR), os.fsencode(path)
        self.call(
            "syscall", call, -100, where, ctypes.c_uint(flags), attributes, ctypes.c_size_t(32)
        )


def main() -> int:
    """Run the warden; return its exit code.

    ``argv[1]`` is the configuration as JSON; the file descriptor ``status`` in it gets one JSON
    line.
    """
    config: dict[str, Any] = json.loads(sys.argv[1])
    if _LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    kept = [name for name in config["isolate"] if name in _FLAGS]
    wanted = bool(kept) and _unshare(kept)
    if not wanted and _LINUX:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    wake, wake_in = os.pipe()
    os.set_blocking(wake_in, False)
    signal.set_wakeup_fd(wake_in)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        _guarded(lambda: _first(config, kept if wanted else []))
    return _attend(child, config["lifeline"], wake, own=wanted and "processes" in kept)


def _guarded(work: Any) -> None:
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


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError):
        _Libc().call("prctl", option, ctypes.c_ulong(value), 0, 0, 0)


def _unshare(kept: list[str]) -> bool:
    flags = 0
    for name in kept:
        flags |= _FLAGS[name]
    user, group = os.getuid(), os.getgid()
    libc = _Libc()
    try:
        libc.call("unshare", _CLONE_NEWUSER | flags)
        with contextlib.suppress(FileNotFoundError):
            _put("/proc/self/setgroups", "deny")
        _put("/proc/self/uid_map", f"{user} {user} 1")
        _put("/proc/self/gid_map", f"{group} {group} 1")
    except (OSError, AttributeError):
        return False
    return True


def _put(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def _attend(child: int, lifeline: int, wake: int, *, own: bool) -> int:
    """Wait for the child, or for slim to let go."""
    while True:
        ready, _, _ = select.select([lifeline, wake], [], [])
        if lifeline in ready:
            _kill_all(child, own=own)
            return 125
        os.read(wake, 4096)
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if not own:
                _kill_all(child, own=False, reaped=True)
            return _code(status)


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
        left = _descendants()
        for process in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        if not left and reaped and not _LINUX:
            return
        time.sleep(0.01)


def _descendants() -> list[int]:
    """Processes below this one. Where there is no /proc, the process group has to do."""
    found: list[int] = []
    todo = [os.getpid()]
    while todo:
        process = todo.pop()
        try:
            children = Path(f"/proc/{process}/task/{process}/children").read_text()
        except OSError:
            continue
        below = [int(word) for word in children.split()]
        found += below
        todo += below
    return found


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _first(config: dict[str, Any], kept: list[str]) -> int:
    """Set the namespaces up, as their first process; start the command, and reap until it ends."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.close(config["lifeline"])
    if _LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    held = {name: False for name in _FLAGS}
    if "network" in kept:
        held["network"] = _loopback()
    if "files" in kept:
        held["files"] = _hide_files(config)
    held["processes"] = "processes" in kept
    command = os.fork()
    if command == 0:
        os.close(config["status"])
        _guarded(lambda: _command(config))
    code = 126
    while True:
        try:
            process, status = os.waitpid(-1, 0)
        except ChildProcessError:
            break
        if process == command:
            code = _code(status)
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
        _put("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
    return True


def _hide_files(config: dict[str, Any]) -> bool:
    """Give the command private temporary folders, its own /proc, and all else read-only."""
    libc = _Libc()
    try:
        libc.mount(None, "/", None, _MS_REC | _MS_PRIVATE)
        writable, readable = list(config["writable"]), list(config["readable"])
        handles = {path: os.open(path, os.O_PATH) for path in (*readable, *writable)}
        private = [path for path in _PRIVATE if Path(path).is_dir() and not Path(path).is_symlink()]
        for path in private:
            libc.mount("tmpfs", path, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777,size=50%")
        for path, handle in handles.items():
            hidden = any(path.startswith(f"{top}/") for top in private)
            if hidden:
                Path(path).mkdir(parents=True, exist_ok=True)
            if hidden or path in writable:
                libc.mount(f"/proc/self/fd/{handle}", path, None, _MS_BIND | _MS_REC)
            os.close(handle)
        with contextlib.suppress(
            OSError
        ):  # not allowed where parts of /proc are masked, as in some containers
            libc.mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV)
        libc.mount_read_only("/", on=True)
        for path in (*private, *writable):
            libc.mount_read_only(path, on=False)
    except (OSError, AttributeError) as error:
        sys.stderr.write(f"slim: jail: {error}\n")
        return False
    return True


def _command(config: dict[str, Any]) -> int:
    """Become the command."""
    for name, value in config["limits"].items():
        which = getattr(resource, name, None)
        if which is None:
            continue
        _, hard = resource.getrlimit(which)
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(which, (limit, limit))
    if _LINUX:
        _prctl(_PR_SET_SECUREBITS, _SECBITS)
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
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


if __name__ == "__main__":
    sys.exit(min(main(), 255))
