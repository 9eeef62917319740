"""Downloads of updates: patches of `slim delta` beside whole archives.

The updates are bumps of real distributions and runtimes.

    python bench/delta.py [--work DIR] [--case NAME ...]

For each case two layers are built that differ in one thing: one pin (installed with pip from the
package index, the other distributions pinned to what the first installation resolved), or the
runtime. Both are packed as slim packs them (tar.xz), a delta is made and applied, and what comes
out is compared with the new archive, byte for byte. Rivals: the whole archive, and `xdelta3`/`zstd
--patch-from` over the two uncompressed tar files, where these programs are.

Runtimes: Debian's CPython 3.11 and its security update (`apt-get download`, where there is apt with
two versions), and two feature releases as pyenv leaves them (``--runtime OLD NEW``, prefixes;
default: 3.12.* and 3.13.* of pyenv).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from slim.delta.apply import ApplyRequest, apply
from slim.delta.create import MakeRequest, make
from slim.formats import format_by_name, read_archive, write_archive
from slim.formats.base import ReadOptions, WriteOptions
from slim.formats.directory import read_directory
from slim.formats.tar.write import tar_stream
from slim.model.delta import DeltaAction
from slim.model.size import format_size

PYTHON = "3.13"
SITE = f"lib/python{PYTHON}/site-packages"
LINUX = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
PLATFORMS = {
    "linux": ("x86_64", tuple(f"{tag}_x86_64" for tag in LINUX)),
    "linux-arm64": ("aarch64", tuple(f"{tag}_aarch64" for tag in LINUX)),
    "macos-arm64": ("aarch64", ("macosx_14_0_arm64", "macosx_12_0_arm64", "macosx_11_0_arm64")),
    "windows": ("x86_64", ("win_amd64",)),
}
"""The machine of each platform, and the tags of its wheels."""
DEBIAN = ("libpython3.11-minimal", "libpython3.11-stdlib", "libpython3.11", "python3.11-minimal")


@dataclass(frozen=True)
class Case:
    """One bump: the distribution, its two versions, and what else lies in the layer.

    On another platform than Linux on x86-64 it is alone there, without what it requires.
    """

    name: str
    old: str
    new: str
    others: tuple[str, ...] = ()
    platform: str = "linux"


SERVER = ("fastapi==0.119.0", "uvicorn==0.38.0", "jinja2==3.1.6", "pygments==2.19.2")
CASES = (
    Case("idna", "idna==3.10", "idna==3.11", (*SERVER, "httpx==0.28.1")),
    Case("httpx", "httpx==0.28.0", "httpx==0.28.1", SERVER),
    Case("numpy", "numpy==2.3.2", "numpy==2.3.3"),
    Case("pandas", "pandas==2.3.1", "pandas==2.3.2", ("numpy==2.3.3",)),
    Case("scipy", "scipy==1.16.1", "scipy==1.16.2", ("numpy==2.3.3",)),
    Case("scipy-linux-arm64", "scipy==1.16.1", "scipy==1.16.2", platform="linux-arm64"),
    Case("numpy-macos-arm64", "numpy==2.3.2", "numpy==2.3.3", platform="macos-arm64"),
    Case("scipy-macos-arm64", "scipy==1.16.1", "scipy==1.16.2", platform="macos-arm64"),
    Case("scipy-windows", "scipy==1.16.1", "scipy==1.16.2", platform="windows"),
)
RUNTIMES = ("runtime-security", "runtime-feature")


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, help="a folder for downloads and layers; kept")
    parser.add_argument(
        "--case", action="append", choices=[*(case.name for case in CASES), *RUNTIMES]
    )
    parser.add_argument("--runtime", nargs=2, type=Path, metavar=("OLD", "NEW"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slim-delta-") as scratch:
        work = options.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        print(
            "| layer | from | to | archive | patch | of it | how | make | apply | zstd "
            "--patch-from | xdelta3 |"
        )
        print(
            "| --- | --- | --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |", flush=True
        )
        for name, sides in layers(work, options.case, options.runtime):
            print(measure(name, sides, work), flush=True)
    return 0


def layers(
    work: Path, chosen: Sequence[str] | None, prefixes: Sequence[Path] | None
) -> Iterator[tuple[str, tuple[tuple[str, Path], tuple[str, Path]]]]:
    """The name of each case, and for both sides what it is called and its folder."""
    for case in CASES:
        if not chosen or case.name in chosen:
            changed = case.old.partition("==")[0]
            old = installed(work / case.name / "old", [case.old, *case.others], case.platform)
            pins = [pin for pin in frozen(old) if not pin.startswith(f"{changed}==")]
            new = installed(work / case.name / "new", [case.new, *pins], case.platform)
            yield (
                case.name,
                ((case.old.partition("==")[2], old), (case.new.partition("==")[2], new)),
            )
    if not chosen or RUNTIMES[0] in chosen:
        versions = debian_versions()
        if len(versions) < 2:
            print(
                f"(no {RUNTIMES[0]}: apt has {len(versions)} version of {DEBIAN[1]})",
                file=sys.stderr,
            )
        else:
            two = [
                (version, debian(work / RUNTIMES[0] / version, version)) for version in versions[:2]
            ]
            yield RUNTIMES[0], (two[1], two[0])
    if not chosen or RUNTIMES[1] in chosen:
        found = list(prefixes or pyenv())
        if len(found) < 2:
            print(f"(no {RUNTIMES[1]}: give two prefixes with --runtime)", file=sys.stderr)
        else:
            trees = [
                (prefix.name, runtime(prefix, work / RUNTIMES[1] / prefix.name)) for prefix in found
            ]
            yield RUNTIMES[1], (trees[0], trees[1])


def installed(folder: Path, pins: Iterable[str], platform: str) -> Path:
    """A layer's folder with these distributions, as pip installs them for a platform."""
    if not folder.exists():
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-compile",
            "--only-binary",
            ":all:",
        ]
        command += [
            "--disable-pip-version-check",
            "--python-version",
            PYTHON,
            "--implementation",
            "cp",
            *(word for tag in PLATFORMS[platform][1] for word in ("--platform", tag)),
            *([] if platform == "linux" else ["--no-deps"]),
        ]
        subprocess.run([*command, "--target", str(folder / SITE), *pins], check=True)
        shutil.rmtree(folder / SITE / "bin", ignore_errors=True)
    return folder


def frozen(folder: Path) -> list[str]:
    """What is installed there, as pins."""
    names = sorted(
        path.name.removesuffix(".dist-info") for path in (folder / SITE).glob("*.dist-info")
    )
    return [f"{name.rpartition('-')[0]}=={name.rpartition('-')[2]}" for name in names]


def debian_versions() -> list[str]:
    """The versions of CPython 3.11 that apt knows, the newest first."""
    if shutil.which("apt-cache") is None:
        return []
    done = subprocess.run(
        ["apt-cache", "madison", DEBIAN[1]], capture_output=True, text=True, check=False
    )
    return list(dict.fromkeys(line.split("|")[1].strip() for line in done.stdout.splitlines()))


def debian(folder: Path, version: str) -> Path:
    """A runtime of Debian's packages."""
    if not folder.exists():
        packages = folder.parent / f"{folder.name}-packages"
        packages.mkdir(parents=True, exist_ok=True)
        names = [f"{name}={version}" for name in DEBIAN]
        subprocess.run(
            ["apt-get", "download", "-q", *names],
            cwd=packages,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for package in sorted(packages.glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
        shutil.rmtree(folder / "etc", ignore_errors=True)
        for path in folder.rglob("*"):
            if path.is_symlink() and path.readlink().is_absolute():
                path.unlink()
    return folder


def pyenv() -> list[Path]:
    """The newest 3.12 and 3.13 that pyenv has."""
    versions = Path.home() / ".pyenv" / "versions"
    return [path for minor in ("3.12", "3.13") for path in sorted(versions.glob(f"{minor}.*"))[-1:]]


def runtime(prefix: Path, folder: Path) -> Path:
    """A Python's own files, without what was installed into it."""
    if not folder.exists():
        ignored = shutil.ignore_patterns("__pycache__", "site-packages")
        shutil.copytree(prefix, folder, symlinks=True, ignore=ignored)
    return folder


def measure(name: str, sides: tuple[tuple[str, Path], tuple[str, Path]], work: Path) -> str:
    """One row of the table."""
    platforms = {case.name: case.platform for case in CASES}
    machine = PLATFORMS[platforms.get(name, "linux")][0]
    with tempfile.TemporaryDirectory(dir=work, prefix="run-") as scratch:
        place = Path(scratch)
        archives = [
            pack(folder, place / side / f"{name}.tar.xz", machine)
            for side, (_, folder) in zip("ab", sides, strict=True)
        ]
        started = time.monotonic()
        (made,) = make(MakeRequest(old=archives[0], new=archives[1], output=place / "delta"))
        making = time.monotonic() - started
        started = time.monotonic()
        (done,) = apply(
            ApplyRequest(
                old=archives[0],
                delta=place / "delta",
                output=place / "restored.tar.xz",
                workers=os.cpu_count() or 1,
            )
        )
        applying = time.monotonic() - started
        if (place / "restored.tar.xz").read_bytes() != archives[1].read_bytes() or not done.layers[
            0
        ].identical:
            raise SystemExit(f"{name}: what was restored isn't the new archive")
        (layer,) = made.layers
        size = archives[1].stat().st_size
        how = (
            layer.delta.method
            if layer.delta.action is DeltaAction.PATCH
            else layer.delta.action.value
        )
        cells = [
            name, sides[0][0], sides[1][0], format_size(size), format_size(layer.delta.download),
            f"{100 * layer.delta.download / size:.2f}%", how or "",
            f"{making:.1f} s", f"{applying:.1f} s",
            *rivals(archives, place),
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |"


def pack(folder: Path, archive: Path, machine: str) -> Path:
    """The folder as slim writes it: a tar.xz with one root folder and one time."""
    archive.parent.mkdir()
    options = ReadOptions(spool_dir=archive.parent, anywhere=True)
    workers = os.cpu_count() or 1
    with (
        read_directory(folder, options) as tree,
        ThreadPoolExecutor(max_workers=workers) as executor,
    ):
        members = (replace(member, mtime=1_700_000_000) for member in tree.members.values())
        write = WriteOptions(executor=executor, workers=workers, machine=machine)
        write_archive(format_by_name("tar.xz"), members, "layer", archive, write)
    return archive


def rivals(archives: Sequence[Path], place: Path) -> list[str]:
    """Patches between the two uncompressed tar files."""
    plain = []
    for archive in archives:
        plain.append(archive.with_suffix(""))
        with (
            read_archive(archive, ReadOptions(spool_dir=place, anywhere=True)) as tree,
            plain[-1].open("wb") as file,
        ):
            for piece in tar_stream(tree.members.values(), tree.root):
                file.write(piece)
    old, new = (str(path) for path in plain)
    commands = (
        ["zstd", "-q", "-19", "--long=31", f"--patch-from={old}", new, "-o"],
        ["xdelta3", "-e", "-9", "-S", "lzma", "-B", "536870912", "-s", old, new],
    )
    cells = []
    for command in commands:
        if shutil.which(command[0]) is None:
            cells.append("-")
            continue
        output = place / f"{command[0]}.patch"
        started = time.monotonic()
        subprocess.run([*command, str(output)], check=True, stderr=subprocess.DEVNULL)
        cells.append(f"{format_size(output.stat().st_size)}, {time.monotonic() - started:.0f} s")
    return cells


if __name__ == "__main__":
    sys.exit(main())
