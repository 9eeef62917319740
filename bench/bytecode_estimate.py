"""Error of slim's estimate of compiled bytecode, on a deployed stack; what a fresh fit would give.

    python bench/bytecode_estimate.py DEPLOYED [DEPLOYED ...] [--fit]

Every source that has a ``__pycache__`` file beside it counts. ``--fit`` solves the model of
slim.inventory.bytecode again by least squares (weighted by 1/size, so that small files count too)
and prints the constants to paste there.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from slim.inventory import bytecode


def pairs(deployed: Path) -> Iterator[tuple[bytes, int]]:
    """(source, bytes of its compiled file) below a folder, without optimised variants."""
    for compiled in sorted(deployed.rglob("__pycache__/*.cpython-*.pyc")):
        stem, _, tag = compiled.stem.partition(".")
        source = compiled.parent.parent / f"{stem}.py"
        if "opt-" not in tag and source.is_file():
            yield source.read_bytes(), compiled.stat().st_size


def features(source: bytes) -> list[float]:
    """What the model counts: a constant, bytes, and each of its needles."""
    return [
        1.0,
        float(len(source)),
        *(float(source.count(needle)) for needle, _ in bytecode._COUNTED),
    ]


def solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Gaussian elimination with partial pivoting."""
    size = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for at in range(size):
        pivot = max(range(at, size), key=lambda index: abs(rows[index][at]))
        rows[at], rows[pivot] = rows[pivot], rows[at]
        for below in range(at + 1, size):
            factor = rows[below][at] / rows[at][at]
            for column in range(at, size + 1):
                rows[below][column] -= factor * rows[at][column]
    found = [0.0] * size
    for at in reversed(range(size)):
        known = sum(rows[at][column] * found[column] for column in range(at + 1, size))
        found[at] = (rows[at][size] - known) / rows[at][at]
    return found


def fit(samples: Sequence[tuple[bytes, int]]) -> list[float]:
    """Weighted least squares, by the normal equations."""
    size = len(features(b""))
    matrix, right = [[0.0] * size for _ in range(size)], [0.0] * size
    for source, actual in samples:
        row, weight = features(source), 1 / max(actual, 130)
        for i in range(size):
            right[i] += weight * row[i] * actual
            for j in range(size):
                matrix[i][j] += weight * row[i] * row[j]
    return solve(matrix, right)


def report(name: str, samples: Sequence[tuple[bytes, int]]) -> None:
    """One line: the whole stack's error, and the files'."""
    actual = sum(size for _, size in samples)
    estimated = sum(bytecode.estimate(source) for source, _ in samples)
    errors = sorted(abs(bytecode.estimate(source) - size) / size for source, size in samples)
    print(
        f"{name}: {len(samples)} files, {actual / 1e6:.1f} MB compiled, estimate "
        f"{estimated / 1e6:.1f} MB"
        f" ({(estimated / actual - 1) * 100:+.1f}%); per file: median "
        f"{statistics.median(errors) * 100:.1f}%,"
        f" nine in ten below {errors[len(errors) * 9 // 10] * 100:.1f}%"
    )


def main() -> int:
    """Print the errors."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("deployed", nargs="+", type=Path, metavar="DEPLOYED")
    parser.add_argument("--fit", action="store_true", help="print constants fitted to these stacks")
    options = parser.parse_args()
    everything: list[tuple[bytes, int]] = []
    for folder in options.deployed:
        samples = list(pairs(folder))
        if not samples:
            sys.exit(f"{folder}: no compiled files; give a folder that bench/deploy.sh wrote")
        report(str(folder), samples)
        everything += samples
    if options.fit:
        constant, per_byte, *weights = fit(everything)
        for (needle, now), weight in zip(bytecode._COUNTED, weights, strict=True):
            print(f"    ({needle!r}, {round(weight * 1000):_}),  # now {now:_}")
        print(f"_PER_BYTE = {round(per_byte * 1000)}  # now {bytecode._PER_BYTE}")
        print(f"_CONSTANT = {round(constant * 1000):_}  # now {bytecode._CONSTANT:_}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
