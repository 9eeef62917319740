"""The filter on system calls, run here instead of in the kernel, for each machine it knows."""

from __future__ import annotations

import errno
import struct

import pytest

from slim.verification.dynamic.workers.jail.syscalls import filter_for

ALLOW, ERRNO = 0x7FFF0000, 0x00050000
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
SOCKET, IOCTL, KEYCTL = (
    {"x86_64": 41, "aarch64": 198},
    {"x86_64": 16, "aarch64": 29},
    {"x86_64": 250, "aarch64": 219},
)
machines = pytest.mark.parametrize("machine", AUDIT)


def judge(machine: str, number: int, *arguments: int, audit: int | None = None) -> int:
    """What the filter returns: an interpreter of classic BPF, as far as the filter goes."""
    data = struct.pack("<II Q 6Q", number, audit or AUDIT[machine], 0, *(*arguments, *[0] * 6)[:6])
    program = list(struct.iter_unpack("=HBBI", filter_for(machine)))
    at = loaded = 0
    while True:
        code, true, false, value = program[at]
        at += 1
        match code:
            case 0x20:
                (loaded,) = struct.unpack_from("<I", data, value)
            case 0x15:
                at += true if loaded == value else false
            case 0x35:
                at += true if loaded >= value else false
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(code)


@machines
@pytest.mark.parametrize("family", range(48))
def test_only_four_families_of_sockets(machine: str, family: int) -> None:
    wanted = ALLOW if family in (1, 2, 10, 16) else ERRNO | errno.EAFNOSUPPORT
    assert judge(machine, SOCKET[machine], family, 1, 0) == wanted
    assert judge(machine, SOCKET[machine], family | 1 << 32, 1, 0) == wanted


@machines
def test_calls_are_judged_by_their_arguments(machine: str) -> None:
    assert judge(machine, SOCKET[machine], 16, 3, 0) == ALLOW
    assert judge(machine, SOCKET[machine], 16, 3, 9) == ERRNO | errno.EPROTONOSUPPORT
    assert judge(machine, SOCKET[machine], 2, 3, 9) == ALLOW
    assert judge(machine, IOCTL[machine], 0, 0x5412) == ERRNO | errno.EPERM
    assert judge(machine, IOCTL[machine], 0, 0x5412 | 1 << 40) == ERRNO | errno.EPERM
    assert judge(machine, IOCTL[machine], 0, 0x5413) == ALLOW
    assert judge(machine, KEYCTL[machine]) == ERRNO | errno.EPERM
    assert judge(machine, 425) == ERRNO | errno.ENOSYS
    assert judge(machine, 0) == judge(machine, 435) == ALLOW


@machines
def test_another_machine_s_calls_are_none(machine: str) -> None:
    assert judge(machine, SOCKET[machine], 1, audit=0x40000003) == ERRNO | errno.ENOSYS
    if machine == "x86_64":
        assert judge(machine, 0x40000000 + 41, 1) == ERRNO | errno.ENOSYS
