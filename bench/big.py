"""Wall time, processor time and peak memory of slim on a large folder, beside plain tools.

    python bench/big.py STACK [--commands run,dry,audit,diff,verify] [--work DIR]

STACK is a folder that venvstacks built or exported, or any other with Python in it. In one run, in
turn: ``cp -r`` and ``sha256sum`` over its files, and what slim does with it (``run`` writes a
folder; ``diff`` and ``verify`` compare that with STACK). Peak memory is that of all processes
together, asked for twenty times a second: resident pages, mapped files among them. Linux only.

A stack with TensorFlow: ``pip install --target LAYER/lib/python3.13/site-packages --no-compile
tensorflow``, in a framework layer of a stack that ``bench/make_stack.sh`` has built.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from measuring import MB

_SLIM = [sys.executable, "-m", "slim"]
_PAUSE = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")
COMMANDS = ("dry", "run", "audit", "diff", "verify")


@dataclass(frozen=True)
class Taken:
    """What a command took: seconds, seconds of processors, bytes of all its processes."""

    wall: float
    processor: float
    memory: int
    code: int


def processes(first: int) -> Iterator[int]:
    """A process and all below it."""
    yield first
    try:
        for task in Path(f"/proc/{first}/task").iterdir():
            for child in (task / "children").read_text("ascii").split():
                yield from processes(int(child))
    except OSError:
        return


def resident(process: int) -> int:
    """Bytes of a process that are in memory; 0 once it has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def taken(command: list[str]) -> Taken:
    """Run a command to its end, and tell what it took."""
    peak, ended = 0, threading.Event()
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:

        def watch() -> None:
            nonlocal peak
            while not ended.wait(_PAUSE):
                peak = max(peak, sum(map(resident, processes(process.pid))))

        watching = threading.Thread(target=watch)
        watching.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        ended.set()
        watching.join()
        process.returncode = os.waitstatus_to_exitcode(status)
    code = process.returncode
    return Taken(wall, usage.ru_utime + usage.ru_stime, max(peak, usage.ru_maxrss << 10), code)


def rows(stack: Path, work: Path, wanted: set[str]) -> Iterator[tuple[str, list[str]]]:
    """The commands in their order, each with its name."""
    out, quiet = work / "out", ["--no-config", "--quiet"]
    yield "cp -r", ["cp", "-r", str(stack), str(work / "copy")]
    find = f'find "{stack}" -type f -print0 | xargs -0 sha256sum'
    yield "sha256sum", ["bash", "-c", find]
    shutil.rmtree(work / "copy", ignore_errors=True)
    runs = {
        "dry": ["run", str(stack), "--dry-run", *quiet],
        "run": ["run", str(stack), "-o", str(out), *quiet],
        "audit": ["audit", str(stack), *quiet],
        "diff": ["diff", str(stack), str(out), *quiet],
        "verify": ["verify", str(stack), str(out), *quiet],
    }
    for name in COMMANDS:
        if name in wanted:
            yield f"slim {name}", [*_SLIM, *runs[name]]


def main() -> int:
    """Print a row for each command as soon as it has ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stack", type=Path)
    parser.add_argument("--commands", default="dry,run,audit")
    parser.add_argument("--work", type=Path, help="folder on a disk with room for two copies")
    options = parser.parse_args()
    wanted = set(options.commands.split(","))
    if wanted - set(COMMANDS):
        parser.error(f"commands are {', '.join(COMMANDS)}")
    sizes = [path.stat().st_size for path in options.stack.rglob("*") if path.is_file()]
    print(f"{options.stack}: {sum(sizes) / MB:,.0f} MB, {len(sizes):,} files")
    print(f"{'':14}{'wall s':>9}{'processor s':>13}{'peak MB':>9}")
    base = 0.0
    failed = False
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        for name, command in rows(options.stack.resolve(), Path(work), wanted):
            it = taken(command)
            plain = not name.startswith("slim")
            base += it.wall if plain else 0
            note = "" if plain else f"   {it.wall / base:.2f} x cp and sha256sum"
            failed |= it.code != 0
            note += f"   exit code {it.code}" if it.code else ""
            print(f"{name:14}{it.wall:9.1f}{it.processor:13.1f}{it.memory / MB:9.0f}{note}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
