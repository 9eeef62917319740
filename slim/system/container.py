"""Memory and processors that a container leaves a process: the limits of its control groups.

A limit of any group above counts, too. Sources: the kernel's "Control Group v2" (``memory.max``,
``cpu.max``) and "CGroup v1" (``memory.limit_in_bytes``, ``cpu.cfs_quota_us``), cgroups(7).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_UNLIMITED: Final = 1 << 62
"""Bytes from which a limit of version 1 stands for none (a multiple of pages, near 2 to the 63)."""
_ROOT: Final = Path("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Limits of a process's control groups. None where there is no limit."""

    memory: int | None = None
    """Bytes."""
    processors: float | None = None
    """Processors' worth of time."""


def allowance(root: Path = _ROOT) -> Allowance:
    """Return what the control groups of this process allow. ``root`` has ``proc`` and ``sys``.

    Nothing is limited where the system has no control groups, or they can't be read.
    """
    memory: list[int] = []
    processors: list[float] = []
    for folders, unified in _groups(root):
        for folder in folders:
            memory += _memory(folder, unified=unified)
            processors += _processors(folder, unified=unified)
    return Allowance(memory=min(memory, default=None), processors=min(processors, default=None))


def _groups(root: Path) -> Iterator[tuple[list[Path], bool]]:
    """Yield the folders of the process's groups, innermost first; True for version 2.

    In a container the group's path may be the host's, and its folder the top one: so every part of
    the path is tried.
    """
    top = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        unified = number == "0" and not controllers
        if unified:
            tops = [top, top / "unified"]
        elif {"memory", "cpu"} & set(controllers.split(",")):
            tops = [top / name for name in (controllers, *controllers.split(","))]
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        yield (
            [base.joinpath(*parts[:depth]) for base in tops for depth in range(len(parts), -1, -1)],
            unified,
        )


def _memory(folder: Path, *, unified: bool) -> list[int]:
    text = _text(folder / ("memory.max" if unified else "memory.limit_in_bytes")).strip()
    return [int(text)] if text.isdecimal() and 0 < int(text) < _UNLIMITED else []


def _processors(folder: Path, *, unified: bool) -> list[float]:
    if unified:
        quota, period = [*_text(folder / "cpu.max").split(), "", ""][:2]
    else:
        quota = _text(folder / "cpu.cfs_quota_us").strip()
        period = _text(folder / "cpu.cfs_period_us").strip()
    if not quota.isdecimal() or not period.isdecimal() or not int(period):
        return []
    return [int(quota) / int(period)] if int(quota) else []


def _text(file: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return file.read_text("ascii")
    return ""
