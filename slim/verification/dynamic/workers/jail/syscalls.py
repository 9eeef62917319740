"""Filter on system calls: kinds of sockets, and calls that reach beyond namespaces.

It refuses what no namespace contains: sockets of virtual machines, radios and the kernel's
cryptography, keyrings, io_uring (which opens sockets past such a filter), BPF, and input for
somebody's terminal. What is refused looks as on a kernel without it.

Sources: seccomp(2), socket(2), address_families(7), ioctl_tty(2), keyrings(7); the numbers are
those of the kernel's syscall tables for x86-64 and of asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

from .libc import LINUX, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, Libc, prctl

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF_LD|W|ABS, JEQ|K, JGE|K, RET|K
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_MODE_FILTER = 2
_X32 = 0x40000000

_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
_NETLINK, _NETLINK_PROTOCOLS = 16, (0, 15)  # NETLINK_ROUTE, NETLINK_KOBJECT_UEVENT
_TERMINAL = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_NOT_THERE = ("io_uring_setup", "io_uring_enter", "io_uring_register", "memfd_secret")
_FORBIDDEN = (
    "add_key",
    "request_key",
    "keyctl",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "open_by_handle_at",
    "syslog",
)
_COMMON = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "memfd_secret": 447,
}
_X86_64 = {
    **_COMMON,
    "socket": 41,
    "socketpair": 53,
    "ioctl": 16,
    "syslog": 103,
    "add_key": 248,
    "request_key": 249,
    "keyctl": 250,
    "perf_event_open": 298,
    "open_by_handle_at": 304,
    "bpf": 321,
    "userfaultfd": 323,
}
_GENERIC = {
    **_COMMON,
    "socket": 198,
    "socketpair": 199,
    "ioctl": 29,
    "syslog": 116,
    "add_key": 217,
    "request_key": 218,
    "keyctl": 219,
    "perf_event_open": 241,
    "open_by_handle_at": 265,
    "bpf": 280,
    "userfaultfd": 282,
}
_MACHINES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _GENERIC)}  # AUDIT_ARCH_*


class _Program(ctypes.Structure):
    """``struct sock_fprog`` of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def confine() -> bool:
    """Put the filter on this process and all that it starts; return whether it could be done."""
    if not LINUX or sys.maxsize < 1 << 32 or os.uname().machine not in _MACHINES:
        return False
    program = filter_for(os.uname().machine)
    given = _Program(len(program) // 8, program)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    try:
        Libc().call("prctl", PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(given), 0, 0)
    except OSError:
        return False
    return True


def filter_for(machine: str) -> bytes:
    """Return the filter's program for a machine, as the kernel takes it."""
    audit, numbers = _MACHINES[machine]
    nothing, refused = _refuse(errno.ENOSYS), _refuse(errno.EPERM)
    program = [_op(_LOAD, _MACHINE), _op(_EQUAL, audit, 1, 0), nothing, _op(_LOAD, _NUMBER)]
    if machine == "x86_64":
        program += [_op(_AT_LEAST, _X32, 0, 1), nothing]
    for name in _NOT_THERE:
        program += [_op(_EQUAL, numbers[name], 0, 1), nothing]
    for name in _FORBIDDEN:
        program += [_op(_EQUAL, numbers[name], 0, 1), refused]
    program += _when(numbers["ioctl"], [_argument(1), *_none_of(_TERMINAL, refused)])
    families = [_argument(0), *_one_of(_FAMILIES, _refuse(errno.EAFNOSUPPORT))]
    netlink = [
        _argument(2),
        *_one_of(_NETLINK_PROTOCOLS, _refuse(errno.EPROTONOSUPPORT)),
    ]
    program += _when(
        numbers["socket"],
        [*families, _op(_EQUAL, _NETLINK, 0, len(netlink)), *netlink],
    )
    program += _when(numbers["socketpair"], families)
    return b"".join([*program, _op(_RETURN, _ALLOW)])


def _op(code: int, value: int, true: int = 0, false: int = 0) -> bytes:
    """Return an instruction, ``struct sock_filter``; jumps skip ``true`` or ``false`` others."""
    return struct.pack("=HBBI", code, true, false, value)


def _refuse(code: int) -> bytes:
    return _op(_RETURN, _ERRNO | code)


def _argument(number: int) -> bytes:
    """Return the instruction that loads the low half of an argument: both are little-endian."""
    return _op(_LOAD, _ARGUMENTS + 8 * number)


def _when(number: int, work: list[bytes]) -> list[bytes]:
    """Return instructions that run ``work`` for one system call, and then allow it."""
    return [_op(_EQUAL, number, 0, len(work) + 1), *work, _op(_RETURN, _ALLOW)]


def _one_of(values: tuple[int, ...], refused: bytes) -> list[bytes]:
    """Return instructions that go on for these values, and refuse all others."""
    count = len(values)
    return [*(_op(_EQUAL, value, count - at, 0) for at, value in enumerate(values)), refused]


def _none_of(values: tuple[int, ...], refused: bytes) -> list[bytes]:
    """Return instructions that refuse these values."""
    return [part for value in values for part in (_op(_EQUAL, value, 0, 1), refused)]
