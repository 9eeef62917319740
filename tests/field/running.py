"""Running uses, console scripts and test suites in a tree, the same way before and after."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

from tests.field.trees import python_of, site_of
from tests.field.uses import Use

MINUTE = 60
PASSED_ON = ("PIP_", "SSL_", "REQUESTS_", "CURL_", "HTTP", "http", "https", "NO_PROXY", "no_proxy")
OVERLAY = """
import importlib, importlib.util, os, sys
class Behind:
    def find_spec(self, name, path=None, target=None):
        base = os.path.join(os.environ["FIELD_OVERLAY"], *name.split("."))
        for place, inner in ((os.path.join(base, "__init__.py"), [base]), (base + ".py", None)):
            if os.path.isfile(place) and open(place, "rb").read(12) != b"# beside it\\n":
                return importlib.util.spec_from_file_location(
                    name, place, submodule_search_locations=inner)
        return None
sys.meta_path.append(Behind())
for name in os.environ["FIELD_PACKAGES"].split():
    try:
        importlib.import_module(name)
    except Exception:  # as a test file that imports it would see again
        pass
"""
"""A pytest plug-in: what no other finder finds is looked for among the removed test files.

The packages around the tests are imported first, else pytest takes the folders beside the tree for
namespace packages of their names.
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """Outcome of a program. ``error`` is its last words, ``lines`` all that it wrote to the end."""

    passed: bool
    error: str = ""
    output: str = ""


BESIDE = "# beside it\n"
"""Text of ``__init__.py`` in folders around tests, by which pytest knows the tests' full names.

The plug-in passes over it: a package that is gone from the tree isn't found there.
"""


def run_use(use: Use, tree: Path, timeout: int = 5 * MINUTE) -> Ran:
    """Run a use in an empty folder."""
    if use.shell:
        return _run(["bash", "-c", use.code.strip()], tree, timeout)
    return _run([str(python_of(tree)), "-c", use.code.strip()], tree, timeout)


def run_script(name: str, tree: Path) -> Ran:
    """Ask a console script for its help."""
    return _run([str(tree / "bin" / name), "--help"], tree, 2 * MINUTE)


def console_scripts(tree: Path) -> list[str]:
    """Names of the console scripts of all distributions in a tree."""
    names: set[str] = set()
    for path in site_of(tree).glob("*.dist-info/entry_points.txt"):
        parser = ConfigParser(delimiters=("=",), strict=False, interpolation=None)
        parser.read_string(path.read_text(encoding="utf-8"))
        if parser.has_section("console_scripts"):
            names.update(parser["console_scripts"])
    return sorted(name for name in names if (tree / "bin" / name).is_file())


def copy_suite(original: Path, removed: Iterable[str], target: Path) -> int:
    """Copy the folders of removed test files beside the tree; return how many files they hold.

    ``removed`` are paths in the tree. The ``conftest.py`` of folders above come along.
    """
    site = site_of(original)
    folders: set[Path] = set()
    for name in removed:
        path = original / name
        if not path.is_relative_to(site) or not path.is_file():
            continue
        inside = path.relative_to(site)
        parts = [i for i, part in enumerate(inside.parts) if part in ("test", "tests")]
        if parts:
            folders.add(Path(*inside.parts[: parts[0] + 1]))
    for folder in folders:
        shutil.copytree(site / folder, target / folder, dirs_exist_ok=True)
        for parent in folder.parents:
            if (site / parent / "conftest.py").is_file() and parent != Path():
                shutil.copy2(site / parent / "conftest.py", target / parent / "conftest.py")
            if parent != Path() and not (target / parent / "__init__.py").exists():
                (target / parent / "__init__.py").write_text(BESIDE)
    return sum(1 for path in target.rglob("*") if path.is_file()) if folders else 0


def make_folders(folders: Iterable[str], *roots: Path) -> None:
    """Make empty folders that a suite looks for, below those roots that hold the folder around."""
    for root in roots:
        for folder in folders:
            if (root / folder).parent.is_dir():
                (root / folder).mkdir(exist_ok=True)


def run_suite(
    tree: Path, overlay: Path, files: Sequence[str], pytest: Path, select: str = ""
) -> Mapping[str, bool]:
    """Run test files that lie beside the tree against it; return which of the tests passed."""
    with tempfile.TemporaryDirectory() as scratch:
        there = Path(scratch)
        (there / "field_overlay.py").write_text(OVERLAY)
        (there / "pytest.ini").write_text("[pytest]\n")
        result = there / "result.xml"
        command = [str(python_of(tree)), "-m", "pytest", "-q", "--import-mode=importlib",
                   "-p", "no:cacheprovider", "-p", "field_overlay", "--rootdir", str(overlay),
                   "-c", str(there / "pytest.ini"), "--timeout=120", "-W", "ignore",
                   f"--junitxml={result}"]  # fmt: skip
        command += ["-m", select] if select else []
        command += [str(overlay / file) for file in files if (overlay / file).exists()]
        inside = [Path(file).parent for file in files]
        packages = {".".join(p.parts) for folder in inside for p in (folder, *folder.parents)}
        more = {
            "PYTHONPATH": f"{there}:{pytest}",
            "FIELD_OVERLAY": str(overlay),
            "FIELD_PACKAGES": " ".join(sorted(packages - {""})),
        }
        ran = _run(command, tree, 10 * MINUTE, more)
        if not result.is_file():
            return {"(collected)": False, ran.error: False}
        return _cases(result)


def _cases(result: Path) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for case in ElementTree.parse(result).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        bad = any(child.tag in ("failure", "error", "skipped") for child in case)
        found[name] = not bad
    return found


def environment(tree: Path, home: Path) -> dict[str, str]:
    """Return the environment of a use: the tree's bin first, a home of its own."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
    return {
        **kept,
        "PATH": f"{tree / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(home),
        "TREE": str(tree),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPYCACHEPREFIX": str(home / "bytecode"),
        "PYTHONNOUSERSITE": "1",
    }


def _run(
    command: list[str], tree: Path, timeout: int, more: Mapping[str, str] | None = None
) -> Ran:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        home, work = Path(scratch, "home"), Path(scratch, "work")
        home.mkdir()
        work.mkdir()
        with subprocess.Popen(
            command,
            cwd=work,
            env={**environment(tree, home), **(more or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return Ran(False, f"no end after {timeout} s")
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it left running
    lines = [line for line in output.splitlines() if line.strip()]
    error = lines[-1].strip()[:300] if lines else f"exit code {process.returncode}"
    return Ran(process.returncode == 0, "" if process.returncode == 0 else error, output)
