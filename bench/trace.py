"""Measures what the recorder of ``slim trace`` costs: processor time with it and without, in turns.

    python bench/trace.py DEPLOYED LAYER [--rounds N] -- -m my_app --selftest

DEPLOYED is a folder of deployed layers that this may write into: the recorder is placed into each
layer's site-packages, and taken out again. What stands after ``--`` goes to LAYER's Python. The
ratio is of the least times, which noise only adds to, and of the medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.measuring import Measure, measured
from slim.tracing import recorder
from slim.tracing.logs import read_logs
from slim.tracing.record import place_recorder


def main() -> int:
    """Run both in turns, and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("deployed", type=Path)
    parser.add_argument("layer")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("words", nargs="+")
    given = parser.parse_args()
    python = given.deployed / given.layer / ("python.exe" if os.name == "nt" else "bin/python")
    command = [str(python), *given.words]
    sites = [
        path for path in given.deployed.glob("*/[Ll]ib/**/site-packages") if path.parent.is_dir()
    ]
    plain, traced = Measure("without"), Measure("with")
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder) / "logs"
        if not measured(command, Measure("warm")):
            print("the command fails without the recorder")
            return 1
        for _ in range(given.rounds):
            ok = measured(command, plain)
            files = [file for site in sites for file in place_recorder(site)]
            try:
                os.environ[recorder.VARIABLE] = str(logs)
                ok = measured(command, traced) and ok
            finally:
                del os.environ[recorder.VARIABLE]
                for file in files:
                    file.unlink(missing_ok=True)
            if not ok:
                print(plain.failed or traced.failed)
                return 1
        found = read_logs(logs)
    for measure in (plain, traced):
        print(
            f"{measure.name:8} {min(measure.processor):7.3f} s least, "
            f"{statistics.median(measure.processor):7.3f} s median of {given.rounds}"
        )
    least = min(traced.processor) / min(plain.processor)
    median = statistics.median(traced.processor) / statistics.median(plain.processor)
    print(f"ratio {least:.3f} of the least, {median:.3f} of the medians")
    print(f"{len(found.modules)} modules, {len(found.read)} files read, {found.processes} logs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
