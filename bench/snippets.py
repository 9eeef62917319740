"""Tries short uses of a stack's libraries: each works, or ends with the guard's message, in time.

    python bench/snippets.py TABLE ORIGINAL SLIMMED --layer app-server [--rest FOLDER]

TABLE has Python snippets, each below a line "=== name". ORIGINAL and SLIMMED are deployed stacks. A
snippet is a file that a Python of the layer runs, alone, in an empty folder. One that works in
neither stack isn't counted, and named. One that works in the original and not in the slimmed one is
*guarded* if its error is the guard's, and *broken* if it is any other, or if it isn't done in time.
With --rest, the rest packs of that folder are unpacked over the slimmed stack afterwards, and what
didn't work has to. The exit code is 1 if any is broken, or doesn't work with the packs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

GUARD = "slim removed "
"""What every message of a guard has."""


def main() -> int:
    """Run all snippets, print what became of them, and tell whether all is well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("original", type=Path)
    parser.add_argument("slimmed", type=Path)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--rest", type=Path, help="folder of rest packs; SLIMMED is written to")
    parser.add_argument("--timeout", type=float, default=60.0)
    options = parser.parse_args()
    snippets = dict(snippets_in(options.table.read_text(encoding="utf-8")))
    failed = _failing(snippets, options.slimmed, options)
    never = _failing({name: snippets[name] for name in failed}, options.original, options)
    failed = {name: problem for name, problem in failed.items() if name not in never}
    counted = snippets.keys() - never.keys()
    guarded = {name for name, problem in failed.items() if GUARD in problem}
    print(
        f"{len(counted)} uses: {len(counted) - len(failed)} work, {len(guarded)} end with the "
        f"guard's message, {len(failed) - len(guarded)} otherwise"
    )
    _print("not counted, since it works in neither", never)
    _print("guarded", {name: failed[name] for name in failed if name in guarded})
    _print("broken", {name: failed[name] for name in failed if name not in guarded})
    left: Mapping[str, str] = {}
    if options.rest is not None:
        unpack_rest(options.rest, options.slimmed)
        left = _failing({name: snippets[name] for name in failed}, options.slimmed, options)
        print(f"with the rest packs unpacked: {len(failed) - len(left)} of {len(failed)} work")
        _print("doesn't work with the rest packs", left)
    return 1 if left or len(failed) > len(guarded) else 0


def snippets_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield the names and codes of a table."""
    for block in text.split("\n=== ")[1:]:
        name, _, code = block.partition("\n")
        yield name.strip(), code


def unpack_rest(folder: Path, root: Path) -> None:
    """Unpack the rest packs of a folder over a deployed stack."""
    for pack in sorted(folder.glob("*.tar.xz")):
        with tarfile.open(pack) as archive:
            archive.extractall(root, filter="tar")


def _failing(
    snippets: Mapping[str, str], root: Path, options: argparse.Namespace
) -> dict[str, str]:
    """Run snippets; return the last line of the error of each that doesn't work."""
    failed: dict[str, str] = {}
    slowest = 0.0
    for number, (name, code) in enumerate(snippets.items()):
        started = time.monotonic()
        problem = problem_of(code, root, options.layer, options.timeout)
        slowest = max(slowest, time.monotonic() - started)
        if problem is not None:
            failed[name] = problem
        print(f"\r{root.name}: {number + 1} of {len(snippets)}", end="", file=sys.stderr)
    print(f"\n{root.name}: the slowest took {slowest:.1f} s", file=sys.stderr)
    return failed


def problem_of(
    code: str, root: Path, layer: str, timeout: float, more: Mapping[str, str] | None = None
) -> str | None:
    """Run a snippet with a layer's Python; return what went wrong in a line, or None.

    Where the guard says something, it is that line. ``timeout`` is in seconds; ``more`` is for the
    environment.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "snippet.py"
        file.write_text(code, encoding="utf-8")
        fixed = {"HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1", "HOME": folder}
        try:
            done = subprocess.run(
                [str(root.resolve() / layer / "bin/python"), str(file)],
                cwd=folder,
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **fixed, **(more or {})},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"not done after {timeout:g} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return next((line for line in lines if GUARD in line), lines[-1] if lines else "no message")


def _print(title: str, problems: Mapping[str, str]) -> None:
    for name, problem in problems.items():
        print(f"  {title}: {name}: {problem[:300]}")


if __name__ == "__main__":
    raise SystemExit(main())
