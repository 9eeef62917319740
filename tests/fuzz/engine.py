"""One target in a process of its own.

``python -m tests.fuzz.engine TARGET SECONDS SEED FOLDER ENGINE``.

With atheris, whose coverage leads it, or without it by plain mutation of the seeds. The last line
says how it went, in JSON. A finding ends the process; its input lies in FOLDER as ``finding-*``.
"""

from __future__ import annotations

import faulthandler
import hashlib
import importlib
import importlib.util
import json
import random
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

HANG = 5
"""Seconds after which an input counts as a hang."""
MEMORY = 2048
"""MiB that a target may take."""


def guided(name: str, seconds: int, seed: int, folder: Path) -> None:
    """Let libFuzzer lead. Doesn't return: its statistics are on stderr (``stat::``)."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["slim"]):
        targets = importlib.import_module("tests.fuzz.targets")
    target = targets.target(name)
    corpus = folder / "corpus"
    corpus.mkdir()
    for data in target.seeds():
        (corpus / hashlib.sha256(data).hexdigest()).write_bytes(data)
    flags = [
        f"-max_total_time={seconds}",
        f"-timeout={HANG}",
        f"-rss_limit_mb={MEMORY}",
        f"-seed={seed}",
        f"-max_len={target.longest}",
        f"-artifact_prefix={folder}/finding-",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], target.run)
    atheris.Fuzz()


def plain(name: str, seconds: int, seed: int, folder: Path) -> None:
    """Mutate the seeds until the time is over."""
    targets = importlib.import_module("tests.fuzz.targets")
    target = targets.target(name)
    seeds = target.seeds()
    chance = random.Random(seed)
    executions = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        data = (
            seeds[executions]
            if executions < len(seeds)
            else targets.mutated(chance.choice(seeds), chance, seeds)
        )
        data = data[: target.longest]
        executions += 1
        (folder / "current").write_bytes(data)
        faulthandler.dump_traceback_later(HANG, exit=True)
        try:
            target.run(data)
        except BaseException:
            traceback.print_exc()
            (folder / "current").rename(folder / "finding-crash")
            print(f"stat::number_of_executed_units: {executions}", file=sys.stderr)
            sys.exit(1)
        faulthandler.cancel_dump_traceback_later()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"stat::number_of_executed_units: {executions}\nstat::peak_rss_mb: {peak}", file=sys.stderr
    )


def main() -> None:
    """Run one target."""
    name, seconds, seed, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    engine = sys.argv[5]
    if engine == "auto":
        engine = "atheris" if importlib.util.find_spec("atheris") is not None else "mutation"
    print(json.dumps({"engine": engine}), flush=True)
    (guided if engine == "atheris" else plain)(name, seconds, seed, folder)


if __name__ == "__main__":
    main()
