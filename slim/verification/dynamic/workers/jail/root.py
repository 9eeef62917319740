"""Root of the jail: an empty file system with what a program needs, read-only.

The home folders, ``/run``, ``/var``, other people's sockets, FIFOs and terminals aren't in it.

Sources: mount_namespaces(7), pivot_root(2), tmpfs(5), hier(7), ld.so(8).
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import Any

from .libc import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_REC, Libc

_SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
)
_CONFIGURATION = (
    "alternatives",
    "ca-certificates/extracted",
    "crypto-policies",
    "fonts",
    "gai.conf",
    "group",
    "host.conf",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.conf",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "pki/ca-trust/extracted",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "protocols",
    "services",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
)
"""Files and folders of /etc: what C libraries read, without keys and passwords."""
_DEVICES = ("null", "zero", "full", "random", "urandom")
_SCRATCH = ("/tmp", "/var/tmp", "/run", "/dev/shm")  # noqa: S108 - of the jail's own
_LINKS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
    "/dev/ptmx": "pts/ptmx",
    "/var/run": "../run",
    "/var/lock": "../run",
}
SCRATCH = _SCRATCH[0]
"""Place in the jail whose file system holds all of its files that are only in memory."""


def enter(config: dict[str, Any]) -> dict[str, bool]:
    """Make the root and go there.

    Return whether it could be done, and whether /proc shows the jail's own processes alone.
    """
    libc = Libc()
    own_proc = False
    try:
        libc.mount(None, "/", None, MS_REC | MS_PRIVATE)
        new = _New(libc, config["root"], config["memory"])
        for path in (*_SYSTEM, *_library_folders()):
            new.system(path)
        for name in _CONFIGURATION:
            new.show(f"/etc/{name}")
        for name in _DEVICES:
            new.show(f"/dev/{name}")
        own_proc = new.proc()
        new.terminals()
        for path in (*config["devices"], *config["readable"]):
            new.show(path)
        for path in config["writable"]:
            new.show(path, alone=True)
        libc.enter_root(new.top)
        libc.mount_read_only("/", on=True)
        for path in (*_SCRATCH, *config["writable"]):
            libc.mount_read_only(os.path.realpath(path), on=False)
    except (OSError, AttributeError) as error:
        sys.stderr.write(f"slim: jail: {error}\n")
        return {"files": False, "proc": False}
    return {"files": True, "proc": own_proc}


def _library_folders() -> Iterable[str]:
    """Yield the folders that the dynamic linker's cache was made of."""
    try:
        files = [entry.path for entry in os.scandir("/etc/ld.so.conf.d")]
    except OSError:
        return
    for file in (*files, "/etc/ld.so.conf"):
        with contextlib.suppress(OSError), open(file, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                path = line.partition("#")[0].strip()
                if path.startswith("/") and os.path.normpath(path) != "/":
                    yield os.path.normpath(path)


class _New:
    """File system in the making, below the folder ``top``. Every method may raise OSError."""

    def __init__(self, libc: Libc, top: str, size: int) -> None:
        self.top = os.path.realpath(top)
        self._libc = libc
        self._shown: list[str] = []
        limit = f"mode=0755,size={size},nr_inodes={max(size >> 13, 1024)}"
        libc.mount("slim", self.top, "tmpfs", MS_NOSUID | MS_NODEV, limit)
        for path in _SCRATCH:
            os.makedirs(self.top + path)
            os.chmod(self.top + path, 0o1777)  # noqa: S103 - as /tmp is
            libc.mount(self.top + path, self.top + path, None, MS_BIND)
        for path, target in _LINKS.items():
            os.symlink(target, self.top + path)

    def system(self, path: str) -> None:
        """Show a folder of the system, or the link that stands for it (``/lib``)."""
        if not os.path.isdir(path):
            return
        if os.path.islink(path) and path.count("/") == 1:
            os.symlink(os.path.realpath(path).lstrip("/"), self.top + path)
        self.show(os.path.realpath(path))

    def show(self, path: str, *, alone: bool = False) -> None:
        """Show a file or folder of the machine, where there is one, under its own name.

        ``alone``: as a mount of its own, which can be made writable.
        """
        real = os.path.realpath(path)
        if not os.path.exists(real) or real == "/":
            return
        place = path if path.startswith(("/etc/", "/dev/")) else real
        if alone or not self._covered(place):
            self._bind(real, self.top + place)
            self._shown.append(place)
        if place != path and not os.path.lexists(self.top + path):
            os.makedirs(os.path.dirname(self.top + path), exist_ok=True)
            os.symlink(real, self.top + path)

    def _bind(self, source: str, target: str) -> None:
        if os.path.isdir(source):
            os.makedirs(target, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if not os.path.lexists(target):
                os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o644))
        self._libc.mount(source, target, None, MS_BIND | MS_REC)

    def _covered(self, path: str) -> bool:
        return any(path == above or path.startswith(f"{above}/") for above in self._shown)

    def proc(self) -> bool:
        """Mount /proc; where parts of it are masked, as in some containers, show the machine's."""
        os.mkdir(f"{self.top}/proc")
        try:
            flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
            self._libc.mount("proc", f"{self.top}/proc", "proc", flags)
        except OSError:
            self._libc.mount("/proc", f"{self.top}/proc", None, MS_BIND | MS_REC)
            return False
        return True

    def terminals(self) -> None:
        """Mount terminals of the jail's own, where the kernel allows it."""
        place = f"{self.top}/dev/pts"
        os.mkdir(place)
        with contextlib.suppress(OSError):
            flags = MS_NOSUID | MS_NOEXEC
            self._libc.mount("devpts", place, "devpts", flags, "newinstance,ptmxmode=0666,mode=620")
