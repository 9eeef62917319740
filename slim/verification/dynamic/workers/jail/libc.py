"""Calls of the C library and the kernel that Python has no wrapper for.

Sources: mount(2), mount_setattr(2), pivot_root(2), prctl(2), unshare(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from typing import Any

LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_SECUREBITS = 1, 22, 28
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_SYS_MOUNT_SETATTR, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID = 442, 0x8000, 1, 2
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "loongarch64": 41, "s390x": 217}


class Libc:
    """The C library of this process. Each method raises OSError."""

    def __init__(self) -> None:
        self._c = ctypes.CDLL(None, use_errno=True)

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function that returns 0 or sets errno."""
        if getattr(self._c, name)(*arguments) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"{name}: {os.strerror(code)}")

    def unshare(self, flags: int) -> None:
        """Leave the namespaces of these flags for new ones."""
        self.call("unshare", flags)

    def mount(
        self, source: str | None, target: str, kind: str | None, flags: int, data: str | None = None
    ) -> None:
        """Attach a file system."""

        def text(value: str | None) -> bytes | None:
            return None if value is None else os.fsencode(value)

        self.call(
            "mount", text(source), text(target), text(kind), ctypes.c_ulong(flags), text(data)
        )

    def mount_read_only(self, path: str, *, on: bool) -> None:
        """Make a whole tree (on) read-only, or one mount (off) writable: mount_setattr(2)."""
        given = _MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID if on else 0
        attributes = struct.pack("=QQQQ", given, 0 if on else _MOUNT_ATTR_RDONLY, 0, 0)
        flags = _AT_RECURSIVE if on else 0
        call, where = ctypes.c_long(_SYS_MOUNT_SETATTR), os.fsencode(path)
        self.call(
            "syscall", call, -100, where, ctypes.c_uint(flags), attributes, ctypes.c_size_t(32)
        )

    def enter_root(self, folder: str) -> None:
        """Make a mounted folder the root, and let go of the old one: pivot_root(2), "." twice."""
        number = _SYS_PIVOT_ROOT.get(os.uname().machine)
        if number is None:
            raise OSError("pivot_root: not known for this machine")
        os.chdir(folder)
        self.call("syscall", ctypes.c_long(number), b".", b".")
        self.call("umount2", b".", _MNT_DETACH)
        os.chdir("/")


def prctl(option: int, value: int) -> None:
    """Set a property of this process, where the kernel can."""
    with contextlib.suppress(OSError, AttributeError):
        Libc().call("prctl", option, ctypes.c_ulong(value), 0, 0, 0)


def put(path: str, text: str) -> None:
    """Write into a file of the kernel. Raises OSError."""
    handle = os.open(path, os.O_WRONLY)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)
