"""Wall time, processor time and peak memory of slim on large folders, beside plain tools.

    python bench/big.py STACK... [--commands dry,run,...] [--archives] [--work DIR] [--cache DIR]

STACK is a folder that venvstacks exported, or any other with Python in it; or a name:

- ``tensorflow``, ``jax``, ``torch``: built from fixtures/stacks/NAME by venvstacks itself, once,
  in ``--cache`` (``torch`` is for CUDA: 5 GB to download, 10 GB of disk);
- ``small``: 60,000 small files; ``small:1``, ``small:4`` and ``small:16`` have 3,750 files times
  that number, and what they take is told as the exponent of growth: 1 is linear.

For each stack, in one run and in turn: ``cp -r`` and ``sha256sum`` over its files, and what slim
does with it. ``again`` is a dry run with the analysis cache that ``dry`` filled, ``no-cache`` one
without; ``run`` writes a folder; ``diff``, ``delta`` and ``verify`` compare that with STACK;
``symbols`` is a run with ``--symbols`` and ``--keep-removed``, and ``restore`` puts back what that
took out.
``--archives`` adds slim's archives beside ``tar`` with ``xz -6 -T0`` and ``zstd -19 --long``, of
the original's files and of those that slim leaves. Peak memory is that of all processes together,
asked for twenty times a second: resident pages, mapped files among them, and then those alone that
are no file's, which the kernel can't drop when it needs room (proc(5), ``Pss_Anon``).
Linux only.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from growth import SITE, modules
from measuring import MB

BENCH = Path(__file__).resolve().parent
_SLIM = [sys.executable, "-m", "slim"]
_PAUSE = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")
COMMANDS = (
    *("dry", "again", "no-cache", "run", "symbols", "restore", "audit", "diff", "delta", "verify"),
)
BUILT = ("tensorflow", "jax", "torch")
SMALL = 3_750
"""Files of ``small:1``; the name ``small`` means sixteen times as many."""


@dataclass(frozen=True)
class Taken:
    """What a command took: seconds, seconds of processors, bytes of all its processes.

    ``own`` are those bytes that are no file's.
    """

    wall: float
    processor: float
    memory: int
    own: int
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


def anonymous(process: int) -> int:
    """Bytes of a process that are no file's, with its part of what it shares."""
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text("ascii")
    except OSError:
        return 0
    found = re.search(r"^Pss_Anon:\s*(\d+) kB", text, re.MULTILINE)
    return int(found[1]) << 10 if found else 0


def taken(command: list[str]) -> Taken:
    """Run a command to its end, and tell what it took."""
    peak, own, ended = 0, 0, threading.Event()
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:

        def watch() -> None:
            nonlocal peak, own
            while not ended.wait(_PAUSE):
                running = list(processes(process.pid))
                peak = max(peak, sum(map(resident, running)))
                own = max(own, sum(map(anonymous, running)))

        watching = threading.Thread(target=watch)
        watching.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        ended.set()
        watching.join()
        process.returncode = os.waitstatus_to_exitcode(status)
    processor = usage.ru_utime + usage.ru_stime
    return Taken(wall, processor, max(peak, usage.ru_maxrss << 10), own, process.returncode)


def stack_of(name: str, cache: Path) -> Path:
    """The folder of a stack by its name, made where it isn't there yet; else the folder itself."""
    if name in BUILT:
        command = [BENCH / "make_stack.sh", "--export"]
        subprocess.run(
            [*command, BENCH.parent / "fixtures" / "stacks" / name, cache / name],
            check=True, stdout=sys.stderr,
        )  # fmt: skip
        return cache / name / "_export"
    word, _, times = name.partition(":")
    if word == "small" and (times.isdecimal() or not times):
        folder = cache / f"small-{int(times or 16)}"
        if not (folder / ".complete").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            small_files(folder / "layer", int(times or 16))
            (folder / ".complete").touch()
        return folder / "layer"
    return Path(name)


def small_files(layer: Path, times: int) -> None:
    """A layer of ``times`` distributions with 3,750 files each: modules, tests, data, RECORD.

    Modules are those of the standard library, each with another first line.
    """
    sources, site = modules(), layer / SITE
    for number in range(times):
        package = f"package{number}"
        names: list[str] = []
        for index in range(SMALL - 3):
            folder = f"{package}/part{index // 50}"
            match index % 10:
                case 0:
                    name, data = f"{folder}/data{index}.json", b'{"number": %d}\n' % index
                case 1:
                    text = b"from %s.part%d import module%d\n" % (
                        package.encode(), index // 50, index + 1,
                    )  # fmt: skip
                    name, data = f"{folder}/tests/test_{index}.py", text
                case _:
                    data = b"# %d %d\n" % (number, index) + sources[index % len(sources)][:4000]
                    name = f"{folder}/module{index}.py"
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            (site / name).write_bytes(data)
            names.append(name)
        (site / package / "__init__.py").write_text("", encoding="utf-8")
        about = site / f"{package}-1.0.dist-info"
        about.mkdir()
        text = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        (about / "METADATA").write_text(text, encoding="utf-8")
        names += [f"{package}/__init__.py", f"{about.name}/METADATA", f"{about.name}/RECORD"]
        (about / "RECORD").write_text("".join(f"{name},,\n" for name in names), encoding="utf-8")


def rows(stack: Path, work: Path, wanted: set[str]) -> Iterator[tuple[str, list[str]]]:
    """The commands in their order, each with its name."""
    out, debug, quiet = work / "out", work / "debug", ["--no-config", "--quiet"]
    yield "cp -r", ["cp", "-r", str(stack), str(work / "copy")]
    find = f'find "{stack}" -type f -print0 | xargs -0 sha256sum'
    yield "sha256sum", ["bash", "-c", find]
    shutil.rmtree(work / "copy", ignore_errors=True)
    dry = ["run", str(stack), "--dry-run", *quiet]
    symbols = ["run", str(stack), "-o", str(debug), "--symbols", str(work / "symbols")]
    symbols += ["--keep-removed", str(work / "removed.tar.zst"), *quiet]
    runs = {
        "dry": dry,
        "again": dry,
        "no-cache": [*dry, "--no-cache"],
        "run": ["run", str(stack), "-o", str(out), *quiet],
        "symbols": symbols,
        "restore": ["restore", str(work / "removed.tar.zst"), str(debug), "-o", str(work / "back"),
                    "--quiet"],
        "audit": ["audit", str(stack), *quiet],
        "diff": ["diff", str(stack), str(out), *quiet],
        "delta": ["delta", "make", str(stack), str(out), "-o", str(work / "update"), "--quiet"],
        "verify": ["verify", str(stack), str(out), *quiet],
    }  # fmt: skip
    for name in COMMANDS:
        if name in wanted:
            yield f"slim {name}", [*_SLIM, *runs[name]]


def packed(stack: Path, work: Path) -> Iterator[tuple[str, list[str], Path]]:
    """The archives: slim's own, and plain ones of the original's files and of slim's."""
    for ending in ("tar.xz", "tar.zst"):
        folder = work / ending
        yield (
            f"slim {ending}",
            [*_SLIM, "run", str(stack), "-o", str(folder), "--format", ending, "--no-config", "-q"],
            folder,
        )
    for name, tree in (("original", stack), ("slimmed", work / "out")):
        for tool in ("xz -6 -T0", "zstd -q -19 --long=27 -T0"):
            file = work / f"{name}.{tool.split()[0]}"
            text = f'tar -cf - -C "{tree}" . | {tool} -c > "{file}"'
            yield f"{name} {tool.split()[0]}", ["bash", "-c", text], file


def measure(
    stack: Path, options: argparse.Namespace, wanted: set[str]
) -> tuple[int, dict[str, Taken]]:
    """Print a row for each command as soon as it has ended; return the files and what each took."""
    sizes = [path.stat().st_size for path in stack.rglob("*") if path.is_file()]
    print(f"{stack}: {sum(sizes) / MB:,.0f} MB, {len(sizes):,} files")
    print(f"{'':18}{'wall s':>9}{'processor s':>13}{'peak MB':>9}{'own MB':>8}{'MB':>9}")
    base = 0.0
    found: dict[str, Taken] = {}
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        os.environ["SLIM_CACHE_DIR"] = str(Path(work, "cache"))
        for name, command in rows(stack, Path(work), wanted):
            it = found[name] = taken(command)
            plain = not name.startswith("slim")
            base += it.wall if plain else 0
            tell(name, it, "" if plain else f"{it.wall / base:.2f} x cp and sha256sum")
        for name, command, result in packed(stack, Path(work)) if options.archives else ():
            it = found[name] = taken(command)
            files = [result, *result.rglob("*.tar.*")] if result.is_dir() else [result]
            size = sum(path.stat().st_size for path in files if path.is_file())
            tell(name, it, size=size)
    return len(sizes), found


def tell(name: str, it: Taken, note: str = "", size: int = 0) -> None:
    """Print a row."""
    note += f"   exit code {it.code}" if it.code else ""
    weight = f"{size / MB:9.1f}" if size else " " * 9
    line = f"{name:18}{it.wall:9.1f}{it.processor:13.1f}{it.memory / MB:9.0f}"
    line += f"{it.own / MB:8.0f}{weight}   {note}"
    print(line.rstrip(), flush=True)


def growth(measured: list[tuple[int, dict[str, Taken]]]) -> None:
    """Print how each command's time and memory grow with the number of files."""
    print("growth: exponent of processor time, and of memory, from one size to the next")
    for name in measured[0][1]:
        steps = []
        for (few, before), (many, after) in pairwise(measured):
            ratio = math.log(many / few)
            old, new = before[name], after[name]
            time_grows = math.log(new.processor / old.processor) / ratio
            steps.append(f"{time_grows:.2f}, {math.log(new.memory / old.memory) / ratio:.2f}")
        print(f"{name:18}{'   '.join(steps)}")


def main() -> int:
    """Measure each stack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stack", nargs="+")
    parser.add_argument("--commands", default="dry,run,audit")
    parser.add_argument("--archives", action="store_true", help="archives beside tar, xz, zstd")
    parser.add_argument("--work", type=Path, help="folder on a disk with room for four copies")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir(), "slim-big"),
                        help="where built stacks are kept [default: %(default)s]")  # fmt: skip
    options = parser.parse_args()
    wanted = set(options.commands.split(","))
    if wanted - set(COMMANDS):
        parser.error(f"commands are {', '.join(COMMANDS)}")
    needed = {"diff": "run", "delta": "run", "verify": "run", "restore": "symbols", "again": "dry"}
    wanted |= {needed[name] for name in wanted & needed.keys()} | (
        {"run"} if options.archives else set()
    )
    stacks = [stack_of(name, options.cache).resolve() for name in options.stack]
    measured = [measure(stack, options, wanted) for stack in stacks]
    if len(measured) > 1 and all(name.startswith("small") for name in options.stack):
        growth(measured)
    return int(any(it.code for _, found in measured for it in found.values()))


if __name__ == "__main__":
    sys.exit(main())
