"""What single features of a product use alone, and whether a canary finds it.

    python bench/features.py PUBLISHED --config bench/guided/assistant.toml --work /tmp/features \\
        bench/uses/assistant/app-server/{tokenizer_gpt2,library_form}.py

The configuration is one of slim's, whose [[verify.command]] tables are the feature that was known.
Each further file is one that wasn't: a program that a layer's Python runs, in a folder that is
called like the layer. This

- records the commands alone, and all together, and prints what `slim trace show` tells of them all:
  how many modules each run imported that no other did;
- slims the stack as a canary by the first trace, deploys it, runs the files with SLIM_CANARY set,
  and prints how many of the modules that would have been removed each used, and how many of those
  its log has. The exit code is 1 if a log lacks one.

Another call with the same --work starts from what is there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import tomlkit
from guided import deploy, slim
from measuring import published_in
from snippets import problem_of

from slim.model.trace import Trace
from slim.traces.read import read_trace


def main() -> int:
    """Record, show, try the canary, and tell whether it found all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("stack", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--timeout", type=float, default=300.0)
    options = parser.parse_args()
    work: Path = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    source = published_in(options.stack)
    config = tomllib.loads(options.config.read_text(encoding="utf-8"))
    features = work / "features.toml"
    features.write_text(_with_features(config, options.files), encoding="utf-8")
    known, every = work / "known.trace", work / "features.trace"
    for trace, by in ((known, options.config), (every, features)):
        if not trace.is_file():
            slim("trace", str(source), "--config", str(by), "-o", str(trace))
    subprocess.run([sys.executable, "-m", "slim", "trace", "show", str(every), "-v"], check=True)
    canary = work / "canary"
    if not canary.is_dir():
        words = ["run", str(source), "-o", str(canary), "--canary", "-q"]
        slim(*words, "--config", str(options.config), "--trace", str(known))
    deployed = work / "deployed"
    deploy(canary, deployed)
    watched = frozenset(_watched(deployed))
    print(f"\ncanary: {len(watched)} modules are watched")
    missing = 0
    for file in options.files:
        used = watched & _modules(read_trace(every), file.stem)
        found = _found(file, work, deployed, options.timeout)
        missing += len(used - found)
        print(f"  {file.stem}: used {len(used)} of them, and its log has {len(used & found)}")
    return 1 if missing else 0


def _with_features(config: Mapping[str, Any], files: list[Path]) -> str:
    """Return the configuration with a [[trace.command]] for each file."""
    commands = [
        {
            "name": file.stem,
            "layer": file.parent.name,
            "argv": ["python", "-c", file.read_text(encoding="utf-8")],
            "timeout": 300,
        }
        for file in files
    ]
    settings = {"schema": 1, "verify": config["verify"], "trace": {"command": commands}}
    return tomlkit.dumps(settings)


def _modules(trace: Trace, run: str) -> frozenset[str]:
    """Return the modules that a run imported."""
    return frozenset(
        module
        for uses in trace.uses.values()
        for module, runs in uses.modules.items()
        if run in runs
    )


def _watched(deployed: Path) -> Iterator[str]:
    """Yield the modules of all tables of a deployed canary."""
    for table in deployed.glob("*/**/slim_canary/watched-1.txt"):
        for row in table.read_text(encoding="utf-8").partition("\n\n")[2].splitlines():
            yield row.partition("\t")[0]


def _found(file: Path, work: Path, deployed: Path, timeout: float) -> frozenset[str]:
    """Run a file on the canary; return the modules that its log has."""
    log = work / f"{file.stem}.canary.trace"
    log.unlink(missing_ok=True)
    code = file.read_text(encoding="utf-8")
    more = {"SLIM_CANARY": str(log)}
    problem = problem_of(code, deployed, file.parent.name, timeout, more)
    if problem is not None:
        print(f"  {file.stem}: {problem}")
    return _modules(read_trace(log), "canary") if log.is_file() else frozenset()


if __name__ == "__main__":
    raise SystemExit(main())
