"""Every module that could be imported before can be imported after, unless slim said otherwise.

    slim run PUBLISHED -o OUT --report json=report.json
    bench/deploy.sh PUBLISHED before; bench/deploy.sh OUT after
    python bench/importable.py before after --report report.json

For each application (``--layer`` limits them), every module that its Python can see by name, in the
standard library and in all layers below, is imported in both deployments with the deployment's own
Python. Modules run in worker processes, one for each top-level package; what ends, hangs or kills
its worker counts as not importable, and the worker starts again behind it. A module that was
importable before and isn't after is

- removed: the report says that its own file, or a package's above it, went
- missing: it doesn't import, and nothing in the report explains it. One of these, and the exit code
  is 1.

Importing every module runs much code that nobody meant to be run. Do it where that does no harm.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

# What runs inside the deployed stack: the standard library alone, and no assumption about what is
# in it but this.
LISTING = r"""
import importlib.machinery, json, os, sys
suffixes = sorted(importlib.machinery.all_suffixes(), key=len, reverse=True)
found = {name: None for name in sys.builtin_module_names}
def walk(folder, prefix):
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        name = entry.name
        if entry.is_dir():
            if name.isidentifier() and name != "__pycache__":
                package = prefix + name
                inits = [os.path.join(entry.path, "__init__" + suffix) for suffix in suffixes]
                init = next(filter(os.path.isfile, inits), None)
                if init:
                    found.setdefault(package, init)
                walk(entry.path, package + ".")
            continue
        suffix = next((s for s in suffixes if name.endswith(s)), None)
        if suffix:
            module = name[: -len(suffix)]
            if module.isidentifier() and module not in ("__init__", "__main__"):
                found.setdefault(prefix + module, entry.path)
for folder in sys.path:
    if folder and os.path.isdir(folder):
        walk(folder, "")
print(json.dumps(found))
"""

WORKER = r"""
import importlib, json, os, sys
answers = os.fdopen(os.dup(1), "w", buffering=1)
nothing = os.open(os.devnull, os.O_RDWR)
for descriptor in (0, 1, 2):
    os.dup2(nothing, descriptor)
with open(os.environ.pop("SLIM_BENCH_MODULES"), encoding="utf-8") as file:
    names = json.load(file)
for name in names:
    answers.write("try " + name + "\n")
    try:
        importlib.import_module(name)
        answers.write("ok\n")
    except BaseException as error:
        text = type(error).__name__ + ": " + str(error)
        answers.write("no " + json.dumps(text[:300]) + "\n")
answers.write("end\n")
answers.flush()
os._exit(0)
"""

HARMFUL = frozenset({"antigravity", "idlelib.idle", "turtledemo", "this"})
"""Opens a browser; opens windows; speaks."""


@dataclass(frozen=True)
class Deployment:
    """A deployed layer, and where its modules are."""

    root: Path
    layer: str
    timeout: float

    @property
    def python(self) -> str:
        """The layer's own command."""
        return str((self.root / self.layer / "bin" / "python").absolute())

    def environment(self, home: str) -> dict[str, str]:
        """One in which as little as possible can happen."""
        return {
            "BROWSER": "true",
            "HOME": home,
            "LANG": "C.UTF-8",
            "MPLBACKEND": "Agg",
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "ignore",
            "TMPDIR": home,
        }

    def modules(self) -> dict[str, str | None]:
        """Every module by name, with its file (None for built-in ones)."""
        with tempfile.TemporaryDirectory() as home:
            done = subprocess.run(
                [self.python, "-c", LISTING],
                env=self.environment(home),
                cwd=home,
                capture_output=True,
                check=True,
            )
        found: dict[str, str | None] = json.loads(done.stdout)
        return found

    def importable(self, names: list[str]) -> dict[str, str | None]:
        """For each module None if it can be imported, or why not.

        In one process after the other, from the start where nothing happens.
        """
        found: dict[str, str | None] = {}
        left = list(names)
        while left:
            before = len(left)
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
                found.update(self._some(left, home))
            left = [name for name in left if name not in found]
            if len(left) == before:
                found.update(dict.fromkeys(left, "the worker ended before it began"))
                break
        return found

    def _some(self, names: list[str], home: str) -> dict[str, str | None]:
        """As many of the names as one worker gets through."""
        found: dict[str, str | None] = {}
        listed = (
            Path(home) / "slim-bench-modules.json"
        )  # too many for one variable of the environment
        listed.write_text(json.dumps(names), encoding="utf-8")
        environment = {**self.environment(home), "SLIM_BENCH_MODULES": str(listed)}
        process = subprocess.Popen(
            [self.python, "-c", WORKER],
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        lines: queue.Queue[str] = queue.Queue()
        reader = threading.Thread(target=_forward, args=(process, lines), daemon=True)
        reader.start()
        current = None
        while True:
            try:
                word, _, rest = lines.get(timeout=self.timeout).rstrip("\n").partition(" ")
            except queue.Empty:
                if current:
                    found[current] = f"hangs for {self.timeout:.0f} s"
                break
            if word == "try":
                current = rest
            elif word in ("ok", "no") and current:
                found[current] = json.loads(rest) if word == "no" else None
                current = None
            else:
                if current:  # the end of the stream, or nonsense, in the middle of an import
                    found[current] = "the process ended"
                break
        # Whatever the modules started belongs to the worker's session.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join(timeout=5)
        return found


def _forward(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put("")


def grouped(names: Iterable[str]) -> list[list[str]]:
    """Modules by top-level package, the largest group first."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        groups[name.partition(".")[0]].append(name)
    return sorted(groups.values(), key=len, reverse=True)


def import_all(deployment: Deployment, names: Iterable[str], jobs: int) -> dict[str, str | None]:
    """What :meth:`Deployment.importable` says of every module."""
    found: dict[str, str | None] = {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for part in pool.map(deployment.importable, grouped(names)):
            found.update(part)
    return found


def removed_files(report: Path | None) -> set[str] | None:
    """Deployed paths that the report says were removed, or None without a report."""
    if report is None:
        return None
    runs = json.loads(report.read_text(encoding="utf-8"))["runs"]
    return {
        f"{action['layer']}/{action['path']}"
        for run in runs
        for action in run["actions"]
        if action["action"] == "remove"
    }


def explained(
    name: str, files: dict[str, str | None], before: Deployment, after: Path, gone: set[str] | None
) -> bool:
    """Whether the module's file, or that of a package above it, is one that was removed."""
    parts = name.split(".")
    for depth in range(len(parts), 0, -1):
        file = files.get(".".join(parts[:depth]))
        if file is None:
            continue
        relative = os.path.relpath(os.path.realpath(file), os.path.realpath(before.root))
        if relative in gone if gone is not None else not (after / relative).exists():
            return True
    return False


def layers_in(root: Path) -> list[str]:
    """The layers with a launch module."""
    found = []
    for metadata in sorted(root.glob("*/share/venv/metadata/venvstacks_layer.json")):
        if "launch_module" in json.loads(metadata.read_text(encoding="utf-8")):
            found.append(metadata.relative_to(root).parts[0])
    return found


def main() -> int:
    """Compare, and print counts and whatever is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path, help="the original, deployed")
    parser.add_argument("after", type=Path, help="what slim made of it, deployed")
    parser.add_argument(
        "--report",
        type=Path,
        help="slim's JSON report; without it, a file that is gone was removed",
    )
    parser.add_argument(
        "--layer", action="append", help="application layer to look from (default: all)"
    )
    parser.add_argument("--only", action="append", help="top-level package to try (default: all)")
    parser.add_argument(
        "--timeout", type=float, default=60, help="seconds for one module (default: %(default)s)"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--verbose", action="store_true", help="also tell what was removed")
    options = parser.parse_args()
    if shutil.which("true") is None:
        sys.exit("needs a POSIX system")
    gone = removed_files(options.report)
    bad = 0
    for layer in options.layer or layers_in(options.before):
        before = Deployment(options.before, layer, options.timeout)
        after = Deployment(options.after, layer, options.timeout)
        files = before.modules()
        names = [
            name
            for name in files
            if name not in HARMFUL and (not options.only or name.partition(".")[0] in options.only)
        ]
        was = import_all(before, names, options.jobs)
        could = [name for name, problem in was.items() if problem is None]
        now = import_all(after, could, options.jobs)
        lost = sorted(name for name in could if now[name] is not None)
        removed = {name for name in lost if explained(name, files, before, options.after, gone)}
        for name in sorted(set(lost) - set(removed)):
            now.update(
                after.importable([name])
            )  # alone: a neighbour in the same process may have been at fault
        missing = [name for name in lost if name not in removed and now[name] is not None]
        bad += len(missing)
        print(
            f"{layer}: {len(names)} modules, {len(could)} importable before;"
            f" after: {len(could) - len(removed) - len(missing)} importable,"
            f" {len(removed)} removed, {len(missing)} missing",
            flush=True,
        )
        for name in missing:
            print(f"  missing {name}: {now[name]}")
        for name in sorted(removed) if options.verbose else ():
            print(f"  removed {name}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
