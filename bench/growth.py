"""How time and memory grow with the stack, and whether a memory budget holds for a very large file.

    python bench/growth.py [--big]

Makes a layer of Python modules and of other files, ``--files`` and ``--megabytes`` of them at 1x,
and runs slim on 1x, 4x and 16x of it (``--level fast``, so that what isn't the encoder counts).
Prints seconds and peak memory, and the exponent of their growth: 1 is linear, 0 is flat. ``--big``
runs the default level on a layer with one file of 2 GB instead, with ``--memory 2GB``.
"""

from __future__ import annotations

import argparse
import io
import math
import random
import shutil
import statistics
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from measuring import MB, Measure, measured

SCALES = (1, 4, 16)
BIG = 2_000_000_000
BUDGET = 2_000_000_000
SITE = "lib/python3.13/site-packages"


def modules() -> list[bytes]:
    """Sources of the standard library, so that imports and sizes are those of real code."""
    folder = Path(sysconfig.get_path("stdlib"))
    return [
        path.read_bytes() for path in sorted(folder.glob("*.py")) if path.stat().st_size < 100_000
    ]


def words(size: int, source: random.Random) -> bytes:
    """Bytes that compress about as well as data files do."""
    vocabulary = [source.randbytes(source.randint(2, 9)) for _ in range(2000)]
    out = bytearray()
    while len(out) < size:
        out += b" ".join(source.choices(vocabulary, k=1000))
    return bytes(out[:size])


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    """A member without owner and time."""
    info = tarfile.TarInfo(f"layer/{name}")
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def layer(target: Path, files: int, size: int) -> None:
    """A layer archive of so many modules, and so many bytes of other files (1 MB each)."""
    sources, chance = modules(), random.Random(1)
    with tarfile.open(target, "w:gz", compresslevel=1) as archive:
        for number in range(files):
            # Another name in each, so that no two files are the same.
            text = b"# module %d\n" % number + sources[number % len(sources)]
            add(archive, f"{SITE}/package{number // 100}/module{number}.py", text)
        for number in range(size // MB):
            add(archive, f"{SITE}/package0/data/part{number}.bin", words(MB, chance))


class Repeated(io.RawIOBase):
    """A file of any size that takes no memory: pieces of random bytes, each many times over."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._source = random.Random(2)
        self._piece = b""
        self._used = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """The next bytes."""
        if not self._left:
            return 0
        if self._used % 64 == 0:
            self._piece = self._source.randbytes(1 << 16)
        self._used += 1
        count = min(len(buffer), self._left, len(self._piece))
        buffer[:count] = self._piece[:count]
        self._left -= count
        return count


def big_layer(target: Path) -> None:
    """A layer with one file of 2 GB."""
    with tarfile.open(target, "w:gz", compresslevel=1) as archive:
        info = tarfile.TarInfo(f"layer/{SITE}/weights/model.bin")
        info.size = BIG
        archive.addfile(info, io.BufferedReader(Repeated(BIG), 1 << 16))
        add(archive, f"{SITE}/weights/__init__.py", b"")


def run(source: Path, work: Path, repeat: int, *arguments: str) -> Measure:
    """Slim on an archive, several times."""
    measure = Measure(source.name)
    for _ in range(repeat):
        out = work / "out"
        shutil.rmtree(out, ignore_errors=True)
        command = [
            sys.executable,
            "-m",
            "slim",
            "run",
            str(source),
            "-o",
            str(out),
            "--no-config",
            "--quiet",
        ]
        if not measured([*command, "--format", "tar.xz", *arguments], measure):
            sys.exit(f"{source}: {measure.failed}")
        shutil.rmtree(out)
    return measure


def exponents(values: list[float]) -> Iterator[float]:
    """Of the growth from each scale to the next, and from the first to the last."""
    steps = [
        *pairwise(zip(SCALES, values, strict=True)),
        ((SCALES[0], values[0]), (SCALES[-1], values[-1])),
    ]
    for (scale, value), (next_scale, next_value) in steps:
        yield math.log(next_value / value, next_scale / scale)


def grow(options: argparse.Namespace, work: Path) -> int:
    """The table of growth."""
    print(
        "| scale | files | unpacked | wall | processor | peak memory |\n| --- | ---: | ---: | ---: "
        "| ---: | ---: |"
    )
    wall, processor, memory = [], [], []
    for scale in SCALES:
        source = work / f"layer{scale}.tar.gz"
        layer(source, options.files * scale, options.megabytes * MB * scale)
        with tarfile.open(source) as archive:
            size = sum(info.size for info in archive)
        found = run(source, work, options.repeat, "--level", "fast")
        source.unlink()
        wall.append(statistics.median(found.wall))
        processor.append(statistics.median(found.processor))
        memory.append(max(found.memory))
        print(
            f"| {scale}x | {options.files * scale:,} | {size / MB:.0f} MB | {wall[-1]:.1f} s | "
            f"{processor[-1]:.1f} s "
            f"| {memory[-1] / MB:.0f} MB |",
            flush=True,
        )
    for name, values in (
        ("wall time", wall),
        ("processor time", processor),
        ("peak memory", memory),
    ):
        told = ", ".join(f"{value:.2f}" for value in exponents(values))
        print(f"- exponent of {name}: {told} (1x to 4x, 4x to 16x, 1x to 16x)")
    return 0


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--files", type=int, default=2000, help="modules at 1x (default: %(default)s)"
    )
    parser.add_argument(
        "--megabytes", type=int, default=40, help="of other files at 1x (default: %(default)s)"
    )
    parser.add_argument(
        "--repeat", type=int, default=3, metavar="N", help="runs of each (default: %(default)s)"
    )
    parser.add_argument("--big", action="store_true", help="one file of 2 GB, and a budget of 2 GB")
    parser.add_argument("--work", type=Path, help="folder for files (default: a temporary one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slim-bench-", dir=options.work) as name:
        work = Path(name)
        if not options.big:
            return grow(options, work)
        source = work / "big.tar.gz"
        big_layer(source)
        found = run(source, work, 1, "--memory", "2GB")
        print(
            f"one file of 2 GB, --memory 2GB: {found.wall[0]:.0f} s, peak memory "
            f"{found.memory[0] / MB:.0f} MB"
        )
        return 0 if found.memory[0] <= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
