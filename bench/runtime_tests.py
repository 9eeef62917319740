"""CPython's own test suite against a stack's runtime, before and after slimming.

    python bench/runtime_tests.py STACK [TEST...] [--profile PROFILE] [--jobs N] [--work DIR]

STACK is a published folder (``_artifacts``), or one that holds such a folder. It is slimmed, and
both are deployed; what slim removed of the tests (the folders of tests, and the extension modules
that only they use) is put beside the slimmed runtime. Then ``python -m test`` runs in each (without
resources such as the network), all tests or those named. What passed before has to pass after, but
for tests of what the profile gives up. The exit code is 1 where something else doesn't.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from measuring import published_in

HERE = Path(__file__).parent
TEST_FOLDERS = ("test", "tests", "idle_test")
TEST_MODULES = ("_test*", "*_test.*", "xx*", "_xx*")
GIVEN_UP = {
    "idlelib.": "IDLE, which nothing of the stack starts",
    "test.test_sysconfig": "headers and the Makefile, from which extensions are built",
    "test.test_turtle": "turtledemo",
}
"""Tests of what ``standard`` takes, by the beginnings of their names."""
TIMEOUT = 900
"""Seconds for one file of tests."""


def main() -> int:
    """Slim, deploy, run the tests twice, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stack", type=Path)
    parser.add_argument("tests", nargs="*")
    parser.add_argument("--profile", default="standard")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--work", type=Path, help="a folder on a disk with room for two stacks")
    options = parser.parse_args()
    # Tests of Ctrl-C never end where it is ignored, as in a script's background jobs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    published = published_in(options.stack)
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        slim = [sys.executable, "-m", "slim", "run", published, "-o", work / "slimmed"]
        subprocess.run([*slim, "--no-config", "-q", "--profile", options.profile], check=True)
        results = []
        for name, stack in (("before", published), ("after", work / "slimmed")):
            subprocess.run([HERE / "deploy.sh", stack, work / name], check=True)
        layer = runtime_of(published)
        put_back(work / "before" / layer, work / "after" / layer)
        for name in ("before", "after"):
            report = work / f"{name}.xml"
            run_tests(work / name / layer, report, options.tests, options.jobs, work)
            results.append(passed_in(report))
    before, after = results
    lost = sorted(before - after)
    told = {name: why for name in lost for start, why in GIVEN_UP.items() if name.startswith(start)}
    print(f"{layer}, {options.profile}: {len(before)} tests passed before")
    print(f"  {len(before & after)} pass after, too")
    print(f"  {len(told)} are of what the profile gives up")
    print(f"  {len(lost) - len(told)} broke")
    for name in lost:
        print(f"  {name}: {told.get(name, 'broken')}")
    return 1 if len(lost) > len(told) else 0


def runtime_of(published: Path) -> str:
    """The folder of the first runtime layer."""
    manifest = json.loads((published / "__venvstacks__/venvstacks.json").read_text("utf-8"))
    return str(manifest["layers"]["runtimes"][0]["install_target"])


def put_back(before: Path, after: Path) -> None:
    """Copy the tests that are gone into the slimmed runtime, and nothing else."""
    for library in before.glob("lib/python3.*"):
        target = after / library.relative_to(before)
        for folder in (found for name in TEST_FOLDERS for found in library.rglob(name)):
            if folder.is_dir() and "site-packages" not in folder.parts:
                missing(folder, target / folder.relative_to(library))
        for pattern in TEST_MODULES:
            for module in (library / "lib-dynload").glob(pattern):
                missing(module, target / module.relative_to(library))


def missing(source: Path, target: Path) -> None:
    """Copy a file, or those of a folder, where there is none."""
    if source.is_dir():
        for each in source.iterdir():
            missing(each, target / each.name)
    elif not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)


def run_tests(layer: Path, report: Path, tests: list[str], jobs: int, work: Path) -> None:
    """Run the tests of a runtime; their outcomes are told in a file."""
    command = [layer / "bin/python3", "-B", "-m", "test", f"-j{jobs}", "--timeout", str(TIMEOUT)]
    with (work / "output").open("wb") as output:
        subprocess.run([*command, "--junit-xml", report, *tests], stdout=output, stderr=output)
    if not report.is_file():
        sys.exit((work / "output").read_text("utf-8", "replace")[-2000:])


def passed_in(report: Path) -> set[str]:
    """The names of the tests that passed."""
    cases = ElementTree.parse(report).getroot().iter("testcase")
    return {case.get("name", "") for case in cases if not len(case)}


if __name__ == "__main__":
    raise SystemExit(main())
