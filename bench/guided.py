"""The ladder of the profile guided: bytes, and what a product's other uses make of them.

    python bench/guided.py PUBLISHED --trace slim.trace --work /tmp/ladder \
        --check app-server "python -m assistant_server --selftest" --uses uses/ \
        [--drop hf-xet=huggingface-hub]

Each rung is one run of slim: the default profile, guided by the traces, guided with every family of
the traces closed, guided with bytecode = "traced", and (with --drop) what the user drops as well:
NAME, or NAME=A,B where it goes although A and B require it.
What each comes to is deployed as an installer does it, and

- every --check (a layer and a command) has to print what it prints in the original;
- every use, a Python file in a folder below --uses that is called like a layer, runs with that
  layer's own Python in the original and on the rung. One that worked in the original and doesn't
  work there is broken; "guarded" counts those of them whose error is an ImportError, the others end
  otherwise or not at all within --timeout seconds. One that never worked is left out, and named;
- the checks' shortest time of --times starts is measured, rungs in turn.

The runs are made with --unverified: it is the ladder that tries the result. The exit code is 1 if a
check fails on any rung.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from measuring import MB, published_in

from slim.traces.merge import merge
from slim.traces.read import read_trace

BENCH = Path(__file__).resolve().parent
ORIGINAL = "original"


@dataclass(frozen=True)
class Rung:
    """One way of slimming: its name, its settings, and its tables in a slim.toml."""

    name: str
    settings: tuple[str, ...] = ()
    families: tuple[str, ...] = ()


@dataclass
class Result:
    """What became of a rung. Sizes in bytes, times in seconds."""

    name: str
    archives: int = 0
    deployed: int = 0
    checks: dict[str, bool] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    guarded: int = 0
    uses: int = 0
    started: float | None = None
    repaired: int = 0


def main() -> int:
    """Run the ladder, print it, and tell whether every check passed."""
    options = _options()
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    source = published_in(options.stack)
    places = {ORIGINAL: source}
    for number, rung in enumerate(_rungs(options)):
        places[rung.name] = _slimmed(source, rung, work / f"rung-{number}", options)
    deployed = {}
    for number, (name, place) in enumerate(places.items()):
        deployed[name] = work / f"deployed-{number}"
        _deploy(place, deployed[name])
    results = {name: Result(name=name) for name in places}
    answers = {name: _answers(deployed[name], options) for name in places}
    uses = dict(_uses(options.uses))
    before = {use: _use(deployed[ORIGINAL], use, options) for use in uses}
    for name, result in results.items():
        result.archives = sum(file.stat().st_size for file in places[name].glob("*.*"))
        result.deployed = _disk(deployed[name])
        result.checks = {
            check: answer is not None and answer == answers[ORIGINAL][check]
            for check, answer in answers[name].items()
        }
        for use in uses if name != ORIGINAL else ():
            if before[use] is not None:
                continue
            result.uses += 1
            problem = _use(deployed[name], use, options)
            if problem is not None:
                result.broken[uses[use]] = problem
                result.guarded += "Error: slim took" in problem or "ModuleNotFound" in problem
    _time(deployed, results, options)
    never = sorted(uses[use] for use, problem in before.items() if problem is not None)
    _print(list(results.values()), never)
    if options.json:
        listed = [vars(result) for result in results.values()]
        options.json.write_text(json.dumps({"rungs": listed, "never": never}, indent=2) + "\n")
    return 0 if all(all(result.checks.values()) for result in results.values()) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("stack", type=Path)
    parser.add_argument("--trace", type=Path, action="append", required=True)
    parser.add_argument("--check", nargs=2, action="append", metavar=("LAYER", "COMMAND"))
    parser.add_argument("--uses", type=Path)
    parser.add_argument("--drop", action="append", default=[], metavar="NAME[=A,B]")
    parser.add_argument("--only", action="append", default=[], help="names of rungs")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not options.check:
        parser.error("give at least one --check LAYER COMMAND: slim's own trial asks for one too")
    return options


def _rungs(options: argparse.Namespace) -> list[Rung]:
    trace = merge(read_trace(path) for path in options.trace)
    guided, traced = 'profile = "guided"', 'bytecode = "traced"'
    rungs = [
        Rung("default"),
        Rung("guided", (guided,)),
        Rung("guided, families closed", (guided,), tuple(sorted(trace.families))),
        Rung("guided, traced bytecode", (guided, traced)),
    ]
    if options.drop:
        drop = f"drop = [{', '.join(map(_dropped, options.drop))}]"
        rungs.append(Rung("guided, traced bytecode, dropped", (guided, traced, drop)))
    return [rung for rung in rungs if not options.only or rung.name in options.only]


def _dropped(option: str) -> str:
    """The inline table of TOML for a distribution to drop."""
    name, _, despite = option.partition("=")
    importers = [importer for importer in despite.split(",") if importer]
    return f"{{name = {json.dumps(name)}, despite = {json.dumps(importers)}}}"


def _slimmed(source: Path, rung: Rung, place: Path, options: argparse.Namespace) -> Path:
    """Run slim for a rung, unless an earlier run of the ladder did; return the published set."""
    if (place / "out").is_dir():
        return place / "out"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    lines = ["schema = 1", *rung.settings]
    if rung.settings:
        lines += ["[guided]", f"traces = {json.dumps([str(p.resolve()) for p in options.trace])}"]
        lines += ["[guided.families]", *(f'"{prefix}" = "traced"' for prefix in rung.families)]
    for layer, command in options.check:
        argv = json.dumps(shlex.split(command))
        lines += ["[[verify.command]]", f"layer = {json.dumps(layer)}", f"argv = {argv}"]
    (place / "slim.toml").write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "slim", "run", str(source), "-o", str(place / "out"), "-q"]
    command += ["--config", str(place / "slim.toml"), "--unverified"]
    print(f"{rung.name}: slim run ...", file=sys.stderr)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return place / "out"


def _deploy(published: Path, target: Path) -> None:
    if not target.is_dir():
        command = [str(BENCH / "deploy.sh"), str(published), str(target)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _disk(folder: Path) -> int:
    told = subprocess.run(["du", "-sk", str(folder)], check=True, capture_output=True, text=True)
    return int(told.stdout.split()[0]) * 1024


def _environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    fixed = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}
    return {**{name: os.environ[name] for name in kept if name in os.environ}, **fixed}


def _run(
    root: Path, layer: str, argv: list[str], options: argparse.Namespace
) -> tuple[int | None, str, str]:
    """Run a command of a deployed layer: its exit code (None: time's up), what it wrote."""
    program = root / layer / "bin" / argv[0]
    try:
        done = subprocess.run(
            [str(program), *argv[1:]],
            cwd=root,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=options.timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, "", f"not done after {options.timeout:g} s"
    return done.returncode, done.stdout, done.stderr


def _answers(root: Path, options: argparse.Namespace) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for layer, command in options.check:
        code, out, _ = _run(root, layer, shlex.split(command), options)
        found[f"{layer}: {command}"] = out if code == 0 else None
    return found


def _uses(folder: Path | None) -> Iterator[tuple[tuple[str, Path], str]]:
    for file in sorted(folder.glob("*/*.py")) if folder else ():
        yield (file.parent.name, file.resolve()), f"{file.parent.name}/{file.stem}"


def _use(root: Path, use: tuple[str, Path], options: argparse.Namespace) -> str | None:
    """Run one use; return what went wrong in a line, or None."""
    layer, file = use
    code, _, errors = _run(root, layer, ["python", str(file)], options)
    if code == 0:
        return None
    lines = errors.strip().splitlines()
    return (lines[-1] if lines else f"exit code {code}")[:300]


def _time(
    deployed: dict[str, Path], results: dict[str, Result], options: argparse.Namespace
) -> None:
    layer, command = options.check[0]
    for _ in range(options.times):
        for name, root in deployed.items():
            started = time.perf_counter()
            _run(root, layer, shlex.split(command), options)
            took = time.perf_counter() - started
            best = results[name].started
            results[name].started = took if best is None else min(best, took)


def _print(results: list[Result], never: list[str]) -> None:
    print("| kept | archives MB | deployed MB | checks | other uses broken | start s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for result in results:
        checks = "work" if all(result.checks.values()) else "**fail**"
        used = f"{len(result.broken)} of {result.uses}, {result.guarded} by ImportError"
        started = "" if result.started is None else f"{result.started:.2f}"
        print(
            f"| {result.name} | {result.archives / MB:.1f} | {result.deployed / (1 << 20):.0f} | "
            f"{checks} | {used if result.uses else ''} | {started} |"
        )
    for result in results:
        for use, problem in result.broken.items():
            print(f"\n{result.name}: {use}: {problem}", end="")
    print()
    if never:
        print(f"\nnot counted, since they don't work in the original: {', '.join(never)}")


if __name__ == "__main__":
    raise SystemExit(main())
