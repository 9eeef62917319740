"""The reader of GPU code on real wheels: time, memory, entries, and cuobjdump's opinion.

    python bench/gpu_reader.py WHEEL ... [--cuobjdump PATH] [--json FILE]

Each native file of a wheel is unpacked to a temporary folder, read in a process of its own, listed
with ``cuobjdump`` (if there is one: the wheel nvidia-cuda-cuobjdump has it), and deleted. Folders
and single files are read where they are. Prints a row for each file with GPU code: bytes, seconds
and peak memory of the reader (the whole process, less one that reads an empty file),
containers, entries, and whether cuobjdump lists just those entries in that order.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.cuda_tools import CudaToolError, find, listed

MB = 1_000_000
_SUFFIXES = (".so", ".dll", ".pyd", ".cubin", ".fatbin", ".hsaco", ".co", ".metallib", ".spv")
_READ = """
import json, resource, sys, time
from slim.binaries.gpu.read import read_gpu_code
from slim.system.mapped import map_file
with open(sys.argv[1], "rb") as file:
    size = file.seek(0, 2)
    view = memoryview(map_file(file.fileno(), size) if size else b"")
    started = time.perf_counter()
    code = read_gpu_code(view)
    took = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    entries = [] if code is None else [
        (e.kind, e.architecture, e.compression, e.bytes_in_file)
        for c in sorted(code.containers, key=lambda c: c.section != ".nv_fatbin")
        for e in c.entries]
    print(json.dumps({
        "size": size, "seconds": took, "memory": peak, "entries": entries, "found": bool(code),
        "containers": 0 if code is None else len(code.containers),
        "blocks": 0 if code is None else sum(b.size for b in code.blocks),
        "damage": [] if code is None else [d.reason for d in code.damage]}))
"""


def read(path: Path) -> dict[str, Any]:
    """What the reader finds in a file, and what it takes."""
    command = [sys.executable, "-c", _READ, str(path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(output)
    return found


@contextmanager
def unpacked(wheel: zipfile.ZipFile, name: str) -> Iterator[Path]:
    """One member of a wheel as a file, as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name.rpartition("/")[2]
        with wheel.open(name) as source, path.open("wb") as target:
            while piece := source.read(1 << 20):
                target.write(piece)
        yield path


def files(source: Path) -> Iterator[tuple[str, Path]]:
    """Native files of a wheel or folder, or the one file."""
    if source.suffix == ".whl":
        with zipfile.ZipFile(source) as wheel:
            for name in wheel.namelist():
                if name.endswith(_SUFFIXES) or ".so." in name:
                    with unpacked(wheel, name) as path:
                        yield name, path
    elif source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.is_file() and (path.name.endswith(_SUFFIXES) or ".so." in path.name):
                yield str(path.relative_to(source)), path
    else:
        yield source.name, source


def opinion(found: dict[str, Any], path: Path, cuobjdump: Path | None) -> str:
    """``equal``, or what differs; ``-`` where cuobjdump has nothing to say."""
    ours = [(kind, arch) for kind, arch, *_ in found["entries"] if kind in ("cubin", "ptx")]
    ours = [(kind, arch.rstrip("f") if kind == "cubin" else arch) for kind, arch in ours]
    if cuobjdump is None or not ours:
        return "-"
    try:
        theirs = listed(cuobjdump, path)
    except CudaToolError as error:
        return f"gives up: {error}"
    if sorted(ours) != sorted(theirs):
        more, less = Counter(ours) - Counter(theirs), Counter(theirs) - Counter(ours)
        return f"DIFFERENT: only here {dict(more)}, only there {dict(less)}"
    ordered = sorted(ours, key=lambda row: row[0]) == theirs
    return "equal" if ordered else "equal, in another order"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--cuobjdump", type=Path, default=find("cuobjdump"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.NamedTemporaryFile() as empty:
        base = read(Path(empty.name))["memory"]
    rows = []
    titles = ("file", "MB", "seconds", "peak MB", "containers", "entries", "cuobjdump")
    print("| " + " | ".join(titles) + " |\n" + "| --- " * len(titles) + "|")
    for source in options.sources:
        for name, path in files(source):
            found = read(path)
            if not found["found"]:
                continue
            verdict = opinion(found, path, options.cuobjdump)
            rows.append({"source": source.name, "name": name, "cuobjdump": verdict, **found})
            cells = (
                name,
                f"{found['size'] / MB:.1f}",
                f"{found['seconds']:.3f}",
                f"{max(0, found['memory'] - base) / MB:.0f}",
                f"{found['containers']:,}",
                f"{len(found['entries']):,}",
                verdict + "".join(f"; damage: {reason}" for reason in found["damage"][:2]),
            )
            print("| " + " | ".join(cells) + " |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"\n{os.cpu_count()} processors; memory above that of a process that reads nothing")


if __name__ == "__main__":
    main()
