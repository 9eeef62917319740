"""How long an audit takes, beside what reading the same bytes takes with plain tools.

``python -m bench.audit ARCHIVES... [--venv VENV]``: audits the folder of a published stack, next to
``xz -dc`` over its archives; and a venv, next to ``du -a`` and ``sha256sum`` over its files. Each
is run ``--rounds`` times in turn, and the fastest counts. Prints the ratios, and the peak memory of
the audit.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

AUDIT = (
    sys.executable,
    "-m",
    "slim",
    "audit",
    "--no-config",
    "--report",
    f"json={os.devnull}",
    "--quiet",
)


def timed(command: tuple[str | Path, ...] | str) -> tuple[float, int]:
    """Return seconds, and the peak resident memory in bytes.

    Source: getrusage(2), ``ru_maxrss`` in KiB on Linux.
    """
    started = time.monotonic()
    process = subprocess.Popen(command, shell=isinstance(command, str), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed with {process.returncode}")
    return time.monotonic() - started, usage.ru_maxrss * 1024


def compare(name: str, source: Path, rival: str, rounds: int, most: float) -> None:
    """Run both in turn and tell the ratio."""
    ours: list[tuple[float, int]] = []
    theirs: list[float] = []
    for _ in range(rounds):
        theirs.append(timed(rival)[0])
        ours.append(timed((*AUDIT, source)))
    fastest, rival_fastest = min(seconds for seconds, _ in ours), min(theirs)
    memory = max(size for _, size in ours) / 1e6
    print(
        f"{name}: audit {fastest:.1f} s, rival {rival_fastest:.1f} s, ratio "
        f"{fastest / rival_fastest:.2f} "
        f"(goal: at most {most:g}), peak memory {memory:.0f} MB"
    )


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stacks", type=Path, nargs="*", help="folders that venvstacks published")
    parser.add_argument("--venv", type=Path, action="append", default=[])
    parser.add_argument("--rounds", type=int, default=3)
    said = parser.parse_args()
    for stack in said.stacks:
        archives = " ".join(f"'{path}'" for path in sorted(stack.glob("*.tar.xz")))
        compare(f"{stack} (xz -dc)", stack, f"xz -dc {archives} >{os.devnull}", said.rounds, 2)
    for venv in said.venv:
        count = sum(len(files) for _, _, files in os.walk(venv))
        rival = (
            f"du -a '{venv}' >{os.devnull} && "
            f"find '{venv}' -type f -print0 | xargs -0 sha256sum >{os.devnull}"
        )
        compare(f"{venv}, {count:,} files (du -a + sha256sum)", venv, rival, said.rounds, 3)


if __name__ == "__main__":
    main()
