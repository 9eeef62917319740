"""Faults from outside: full and read-only file systems, limits, other runs, changing inputs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.faults.campaign import Tally, judge, judge_end
from tests.faults.judge import Tree, inodes, leftovers, tree
from tests.faults.scenarios import Sandbox
from tests.faults.tracing import Point, Run, Zygote, injecting, was_hit

NOBODY = 65534
_PAGE = 4096


def may_mount() -> bool:
    """True if file systems can be mounted: as root, and not in a container that forbids it."""
    if os.geteuid() != 0:
        return False
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True,
        check=False,
    )
    return tried.returncode == 0


@contextmanager
def mounted(box: Sandbox, *arguments: str) -> Iterator[None]:
    """The folder worked in as a file system of its own, holding what lies there before."""
    shutil.rmtree(box.work)
    box.work.mkdir()
    subprocess.run(["mount", *arguments, str(box.work)], check=True)
    try:
        (box.work / "tmp").mkdir(exist_ok=True)
        box.scenario.before(box.work)
        yield
    finally:
        subprocess.run(["umount", str(box.work)], check=True)
        box.reset()


def small_disks(box: Sandbox) -> Iterator[Tally]:
    """A disk with room for one page (or one file) more, until the run fits."""
    for fault, first, step, option in (
        ("full disk", _PAGE, _PAGE, "size"),
        ("no inodes", 1, 1, "nr_inodes"),
    ):
        tally = Tally(box.scenario.name, fault)
        room, done = first, False
        while not done:
            with mounted(box, "-t", "tmpfs", "-o", "size=8m,nr_inodes=4096", "none"):
                used = os.statvfs(box.work)
                taken = (
                    (used.f_blocks - used.f_bfree) * _PAGE
                    if option == "size"
                    else used.f_files - used.f_ffree
                )
                subprocess.run(
                    ["mount", "-o", f"remount,{option}={taken + room}", str(box.work)], check=True
                )
                run = box.run()
                done = run.code == 0
                tally.tried += 1
                point = Point(fault, room, f"{option}={room}")
                judge_end(box, tally, point, run)
                subprocess.run(
                    ["mount", "-o", "remount,size=8m,nr_inodes=4096", str(box.work)], check=True
                )
                judge(box, tally, point)
            room += step
        yield tally


def file_sizes(box: Sandbox) -> Tally:
    """Limit the size of files (setrlimit(2), RLIMIT_FSIZE), to more bytes until the run fits."""
    tally = Tally(box.scenario.name, "RLIMIT_FSIZE")
    for limit in (*range(512, 4096, 256), *range(4096, 1 << 20, 4096)):
        box.reset()
        run = box.run(fsize=limit)
        tally.tried += 1
        point = Point("setrlimit", limit, f"{limit} bytes")
        judge_end(box, tally, point, run)
        judge(box, tally, point)
        if run.code == 0:
            break
    box.reset()
    return tally


def read_only(box: Sandbox) -> Iterator[Tally]:
    """Output on a read-only file system, and in a folder that isn't the user's."""
    for fault, word in (("read-only mount", "Read-only"), ("foreign folder", "Permission denied")):
        tally = Tally(box.scenario.name, fault, tried=1)
        point = Point(fault, 1, "")
        if fault == "foreign folder":
            box.reset()
            run = box.run(uid=NOBODY)
            judge_end(box, tally, point, run)
            judge(box, tally, point)
        else:
            with mounted(box, "-t", "tmpfs", "none"):
                subprocess.run(["mount", "-o", "remount,ro", str(box.work)], check=True)
                run = box.run()
                judge_end(box, tally, point, run)
                subprocess.run(["mount", "-o", "remount,rw", str(box.work)], check=True)
                judge(box, tally, point)
        if word not in run.stderr:
            tally.say(point, f"said {run.stderr!r}")
        yield tally


def read_only_input(box: Sandbox) -> Tally:
    """An input on a file system that is mounted read-only makes no difference."""
    tally = Tally(box.scenario.name, "read-only input", tried=1)
    point, place = Point("mount", 1, ""), str(box.folder / "in")
    subprocess.run(["mount", "--bind", place, place], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
        run = box.run()
        judge_end(box, tally, point, run)
        if tree(box.work) != box.known.after:
            tally.say(point, f"exit {run.code}, and the result is another one: {run.stderr}")
        judge(box, tally, point)
    finally:
        subprocess.run(["umount", place], check=True)
        box.reset()
    return tally


def two_runs(box: Sandbox, chosen: Sequence[Point], other: Zygote) -> Tally:
    """Start a second run on the output at every point of the first one, which has to go on.

    The second fails at once, or does all of its work.
    """
    tally = Tally(box.scenario.name, "second run")
    second: list[Run] = []

    def start() -> None:
        environ = {"TMPDIR": str(box.work / "tmp")}
        second.append(other.run(box.scenario.again, box.folder, env=environ))

    for point in chosen:
        box.reset()
        second.clear()
        first = box.traced(injecting(point, "signal=STOP"), stopped=start)
        tally.tried += 1
        if not was_hit(first, point) or not second:
            tally.say(point, "there was no second run")
            continue
        code = second[0].code
        tally.ends[f"second exit {code}"] += 1
        refused = code == 2 and "another run of slim is writing it" in second[0].stderr
        if code != 0 and not refused:
            tally.say(point, f"the second run ended with {code}: {second[0].stderr}")
        if first.code != 0 or tree(box.work) != box.known.after:
            tally.say(
                point,
                f"the first run ended with {first.code}: {first.stderr} "
                f"{leftovers(tree(box.work))}",
            )
        judge(box, tally, point)
    box.reset()
    return tally


def changing_input(box: Sandbox, chosen: Sequence[Point]) -> Tally:
    """Change the input at every point of a run. The result is one of either input, or none."""
    tally = Tally(box.scenario.name, "input changes")
    kept = box.folder / "kept"
    shutil.copytree(box.folder / "in", kept, symlinks=True)

    def restore() -> None:
        box.reset()
        shutil.rmtree(box.folder / "in")
        shutil.copytree(kept, box.folder / "in", symlinks=True)

    for name, change in box.scenario.changes:
        restore()
        change(box.folder / "in")
        ended = box.run().code
        other: Tree | None = tree(box.work) if ended == 0 else None
        for point in chosen:
            restore()
            run = box.traced(
                injecting(point, "signal=STOP"),
                stopped=lambda change=change: change(box.folder / "in"),
            )
            tally.tried += 1
            tally.ends[f"exit {run.code}"] += 1
            now = tree(box.work)
            if run.code == 0 and now not in (box.known.after, other):
                tally.broken += 1
                tally.say(point, f"{name}: exit 0, and the result is of neither input")
            elif run.code != 0 and (now != box.known.before or run.code not in (5, ended)):
                tally.say(point, f"{name}: exit {run.code}: {run.stderr} {leftovers(now)}")
            elif run.code != 0 and "\n  hint: " not in run.stderr:
                tally.say(point, f"{name}: no hint: {run.stderr}")
    restore()
    box.pristine = inodes(box.folder / "in")
    return tally
