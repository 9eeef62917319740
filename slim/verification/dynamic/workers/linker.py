"""Asks the dynamic linker what it finds for each file; run by slim's Python in the sandbox.

Standard input: ``{"loader": path, "root": folder, "files": [[index, path, {environment}], ...]}``.
One JSON line a file: ``[index, {soname: resolved path or null}, error]``; paths inside ``root`` are
relative to it.

Sources: ld.so(8), ``--list`` and LD_TRACE_LOADED_OBJECTS.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

_FOUND = re.compile(r"^\s*(\S+) => (.+?) \(0x[0-9a-f]+\)\s*$")
_MISSING = re.compile(r"^\s*(\S+) => not found\s*$|^Error loading shared library ([^:\s]+):")
_SECONDS = 60


def main() -> None:
    """Ask about every file of the job."""
    job = json.load(sys.stdin)
    root = os.path.join(os.path.realpath(job["root"]), "")
    for index, path, environment in job["files"]:
        found, error = _ask(job["loader"], path, environment, root)
        sys.stdout.write(json.dumps([index, found, error]) + "\n")
    sys.stdout.flush()


def _ask(
    loader: str, path: str, environment: dict[str, str], root: str
) -> tuple[dict[str, str | None], str]:
    try:
        done = subprocess.run(
            [loader, "--list", path],
            env={**os.environ, **environment},
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {}, "the dynamic linker didn't answer"
    found: dict[str, str | None] = {}
    for line in (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace").splitlines():
        match = _FOUND.match(line)
        if match:
            real = os.path.realpath(match[2])
            found[match[1]] = real[len(root) :] if real.startswith(root) else real
            continue
        match = _MISSING.match(line)
        if match:
            found[match[1] or match[2]] = None
    error = ""
    if done.returncode != 0 and None not in found.values():
        lines = (
            (done.stderr or done.stdout)
            .decode("utf-8", "replace")
            .strip()
            .replace(root, "")
            .splitlines()
        )
        error = lines[-1] if lines else f"the dynamic linker ended with {done.returncode}"
        # "FILE: error while loading shared libraries: LIBRARY: MESSAGE"; the file is known.
        error = error.rpartition("error while loading shared libraries: ")[2].removeprefix(
            f"{path[len(root) :]}: "
        )
        if "statically linked" in error or "not a dynamic executable" in error:
            error = ""
    return found, error


if __name__ == "__main__":
    main()
