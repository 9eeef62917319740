"""``python -m tests.reproducibility``: one stack in many environments, and the bytes that differ.

Every run is a process of its own, with a fresh copy of the input. Formats: what was published
(tar.xz), every other archive format, and a plain folder.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slim.formats import FORMATS
from tests.support.published_stacks import small_stack

ROOT = Path(__file__).parents[1]
OTHER_PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@dataclass(frozen=True)
class Environment:
    """Deviations from the usual. ``python`` runs slim; ``checkout`` has its modules."""

    name: str
    environ: Mapping[str, str] = field(default_factory=dict)
    umask: int = 0o022
    arguments: tuple[str, ...] = ()
    elsewhere: bool = False  # run from another folder, with absolute paths
    touched: bool = False  # every file of the input has another time
    place: Path | None = None  # another file system
    python: Path = Path(sys.executable)
    checkout: Path = ROOT


def quick(scratch: Path) -> list[Environment]:
    """Those that need nothing but this Python (and a C compiler for one of them)."""
    found = [
        Environment("TZ=Pacific/Kiritimati", {"TZ": "Pacific/Kiritimati"}),
        Environment("TZ=America/St_Johns", {"TZ": "America/St_Johns"}),
        Environment("LC_ALL=C", {"LC_ALL": "C", "PYTHONUTF8": "0"}),
        Environment("LC_ALL=tr_TR.UTF-8", {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"}),
        Environment("umask 000", umask=0o000),
        Environment("umask 077", umask=0o077),
        Environment("PYTHONHASHSEED=1", {"PYTHONHASHSEED": "1"}),
        Environment("PYTHONHASHSEED=4294967295", {"PYTHONHASHSEED": "4294967295"}),
        Environment("another current folder", elsewhere=True),
        Environment("--jobs 1", arguments=("--jobs", "1")),
        Environment("--jobs 2", arguments=("--jobs", "2")),
        Environment("--jobs 8", arguments=("--jobs", "8")),
        Environment("file system times", touched=True),
    ]
    if os.access("/dev/shm", os.W_OK):
        found.append(Environment("tmpfs", place=Path("/dev/shm")))
    library = reversed_listings(scratch)
    if library is not None:
        found.append(Environment("folders listed backwards", {"LD_PRELOAD": str(library)}))
    return found


def reversed_listings(scratch: Path) -> Path | None:
    """The library that lists folders backwards; None where there is no C compiler."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        return None
    library = scratch / "reversed.so"
    source = ROOT / "fixtures/readdir/reversed.c"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True
    )
    return library


def installations(scratch: Path) -> Iterator[Environment]:
    """Environments of another checkout, and of every other Python, with what pip installs there."""
    copy = scratch / "checkout"
    for part in ("slim", "rules"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "venvstacks_slim.py", copy)
    yield Environment("another checkout", checkout=copy)
    for version in OTHER_PYTHONS:
        python = _find(version)
        if python is None:
            print(f"Python {version:37} SKIPPED: not on this machine")
            continue
        place = scratch / f"venv{version}"
        subprocess.run([python, "-m", "venv", str(place)], check=True)
        subprocess.run(
            [place / "bin/pip", "install", "-q", str(ROOT)], check=True, stderr=subprocess.DEVNULL
        )
        yield Environment(
            f"Python {version}, installed", python=place / "bin/python", checkout=scratch
        )


def _find(version: str) -> str | None:
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for candidate in (*map(str, pyenv), shutil.which(f"python{version}")):
        if (
            candidate
            and subprocess.run([candidate, "-c", "import venv, ensurepip"], check=False).returncode
            == 0
        ):
            return candidate
    return None


def inputs(folder: Path) -> dict[str, tuple[str, ...]]:
    """The kinds of input, made below ``folder``, and the options for each."""
    small_stack(folder / "published")
    with tarfile.open(folder / "published/framework-maths.tar.xz") as archive:
        archive.extractall(folder / "plain", filter="fully_trusted")
    kinds = {known.name: ("published", "--format", known.name) for known in FORMATS}
    return {**kinds, "folder": ("plain/framework-maths",)}


def result(
    environment: Environment, made: Path, kind: tuple[str, ...], scratch: Path
) -> dict[str, bytes]:
    """Contents of slim's output, by path."""
    with tempfile.TemporaryDirectory(dir=environment.place or scratch) as name:
        folder = Path(name)
        shutil.copytree(made, folder / "in", symlinks=True)
        if environment.touched:
            for number, path in enumerate(sorted((folder / "in").rglob("*"))):
                os.utime(path, (10**9 + number, 10**9 + number), follow_symlinks=False)
        where = folder if environment.elsewhere else Path()
        environ = {**os.environ, "PYTHONPATH": str(environment.checkout), **environment.environ}
        source, *options = kind
        arguments = [
            "run",
            str(where / "in" / source),
            "-o",
            str(where / "out"),
            "-q",
            "--no-config",
        ]
        subprocess.run(
            [environment.python, "-m", "slim", *arguments, *options, *environment.arguments],
            cwd="/" if environment.elsewhere else folder,
            env=environ,
            umask=environment.umask,
            check=True,
        )
        return content(folder / "out")


def content(out: Path) -> dict[str, bytes]:
    """Every file below a folder; links as their text."""
    return {
        str(path.relative_to(out)): os.fsencode(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def differing(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> int:
    """Bytes that aren't the same; a file that only one has counts whole."""
    total = 0
    for path in one.keys() | other.keys():
        left, right = one.get(path, b""), other.get(path, b"")
        total += sum(a != b for a, b in zip(left, right, strict=False)) + abs(
            len(left) - len(right)
        )
        total += path not in one or path not in other
    return total


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reproducibility", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="leave other installations out (they need a package index)",
    )
    parser.add_argument("--only", default="", help="only the environments whose name contains this")
    chosen = parser.parse_args()
    total = compared = 0
    with tempfile.TemporaryDirectory(prefix="reproducibility-") as name:
        scratch = Path(name)
        kinds = inputs(scratch / "made")
        usual = {
            kind: result(Environment("usual"), scratch / "made", options, scratch)
            for kind, options in kinds.items()
        }
        environments = [*quick(scratch), *([] if chosen.quick else installations(scratch))]
        environments = [one for one in environments if chosen.only in one.name]
        for environment in environments:
            found = {
                kind: differing(
                    usual[kind], result(environment, scratch / "made", options, scratch)
                )
                for kind, options in kinds.items()
            }
            wrong = ", ".join(f"{kind} {count}" for kind, count in found.items() if count)
            print(
                f"{environment.name:44} {sum(found.values()):6} differing bytes  {wrong}",
                flush=True,
            )
            total, compared = total + sum(found.values()), compared + len(found)
    print(
        f"environments compared: {len(environments)}; results: {compared}; differing bytes: {total}"
    )
    return bool(total)


if __name__ == "__main__":
    sys.exit(main())
