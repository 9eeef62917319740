"""The ladder of the profile guided: bytes, and what a product's other uses make of them.

    python bench/guided.py PUBLISHED --config bench/guided/assistant.toml --work /tmp/ladder \
        [--trace slim.trace] [--uses bench/uses/assistant] [--snippets TABLE LAYER]

The configuration is one of slim's, whose [[verify.command]] tables are the checks. Without --trace
they are recorded first. Each rung is one run of slim: the default profile, guided by the traces,
guided with every family of the traces closed, guided with bytecode = "traced", with the families
of the configuration closed as well, and with what it drops as well. What each comes to is deployed
as an installer does it, and

- every check has to print what it prints in the original;
- every use runs with its layer's own Python, alone in an empty folder, on each rung: a Python file
  in a folder below --uses that is called like the layer, or a snippet of a table. One that fails
  there and works in the original is *guarded* if its error is the guard's, and *broken* if it is
  any other, or if it isn't done within --timeout seconds. One that works in neither isn't counted;
- with the rung's rest packs unpacked, all that was guarded or broken has to work;
- the first check's shortest time of --times starts is measured, rungs in turn.

The runs are made with --unverified: it is the ladder that tries the result. The exit code is 1 if a
check fails, a use is broken, or one doesn't work with the rest packs, on any rung but the one with
every family closed. Another call with the same --work starts from what is there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import tomlkit
from measuring import MB, published_in
from snippets import GUARD, problem_of, snippets_in, unpack_rest

from slim.traces.merge import merge
from slim.traces.read import read_trace

BENCH = Path(__file__).resolve().parent
ORIGINAL = "original"
ALL_CLOSED = "guided, every family closed"


@dataclass(frozen=True)
class Rung:
    """One way of slimming: its name, its settings, and the families that it closes."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    families: tuple[str, ...] = ()


@dataclass(frozen=True)
class Use:
    """A short program that a layer's Python runs."""

    layer: str
    name: str
    code: str


@dataclass
class Result:
    """What became of a rung. Sizes in bytes, times in seconds."""

    name: str
    archives: int = 0
    content: int = 0
    deployed: int = 0
    rest: int = 0
    checks: dict[str, bool] = field(default_factory=dict)
    guarded: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    uses: int = 0
    started: float | None = None

    @property
    def sound(self) -> bool:
        """Whether all checks work, and each use works or is guarded and comes back."""
        usable = self.name == ALL_CLOSED or not (self.broken or self.left)
        return usable and all(self.checks.values())


def main() -> int:
    """Run the ladder, print it, and tell whether every rung is sound."""
    options = _options()
    work: Path = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    source = published_in(options.stack)
    config = tomllib.loads(options.config.read_text(encoding="utf-8"))
    traces = [path.resolve() for path in options.trace] or [_recorded(source, work, options)]
    places = {ORIGINAL: source}
    for number, rung in enumerate(_rungs(config, traces)):
        if not options.only or rung.name in options.only:
            place = work / f"rung-{number}"
            places[rung.name] = _slimmed(source, rung, place, config, traces)
    deployed = {}
    for name, place in places.items():
        deployed[name] = work / f"deployed-{place.parent.name if place != source else ORIGINAL}"
        if place == source and (source.parent / "_deployed").is_dir():
            deployed[name] = source.parent / "_deployed"  # as make_stack.sh leaves it
        deploy(place, deployed[name])
    results = {name: Result(name=name) for name in places}
    checks = config["verify"]["command"]
    answers = {name: _answers(root, checks) for name, root in deployed.items()}
    _time(deployed, results, checks[0], options.times)
    uses = list(_uses(options))
    never: set[Use] = set()
    for name, result in results.items():
        place, root = places[name], deployed[name]
        result.archives = sum(file.stat().st_size for file in place.glob("*.*"))
        result.rest = sum(file.stat().st_size for file in place.glob("rest/*.*"))
        result.content, result.deployed = _content(root), _disk(root)
        result.checks = {
            check: answer is not None and answer == answers[ORIGINAL][check]
            for check, answer in answers[name].items()
        }
        if name != ORIGINAL and name not in options.not_tried:
            result.uses = len(uses)
            _try(uses, result, deployed, place, options.timeout, never)
    for result in results.values():
        result.uses -= len(never) if result.uses else 0
    out_of_both = sorted(use.name for use in never)
    _print(list(results.values()), out_of_both)
    if options.json:
        listed = [vars(result) for result in results.values()]
        text = json.dumps({"rungs": listed, "never": out_of_both}, indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")
    return 0 if all(result.sound for result in results.values()) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("stack", type=Path)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--trace", type=Path, action="append", default=[])
    parser.add_argument("--uses", type=Path)
    parser.add_argument(
        "--snippets", nargs=2, action="append", default=[], metavar=("TABLE", "LAYER")
    )
    parser.add_argument("--only", action="append", default=[], help="names of rungs")
    parser.add_argument(
        "--not-tried", action="append", default=[], help="names of rungs without other uses"
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _rungs(config: Mapping[str, Any], traces: list[Path]) -> Iterator[Rung]:
    guided = {"profile": "guided"}
    traced = {**guided, "bytecode": "traced"}
    yield Rung("default")
    yield Rung("guided", guided)
    families = merge(read_trace(path) for path in traces).families
    yield Rung(ALL_CLOSED, guided, tuple(sorted(families)))
    yield Rung("guided, traced bytecode", traced)
    closed = config.get("guided", {}).get("families", {})
    chosen = tuple(prefix for prefix, word in closed.items() if word == "traced")
    name = "guided, traced bytecode"
    if chosen:
        name += ", families closed"
        yield Rung(name, traced, chosen)
    if config.get("drop"):
        dropped = {**traced, "drop": config["drop"], "rest_pack": "all"}  # "inferred" has no drops
        yield Rung(f"{name}, dropped", dropped, chosen)


def _recorded(source: Path, work: Path, options: argparse.Namespace) -> Path:
    """Record the checks, unless an earlier run of the ladder did; return the trace."""
    trace = work / "slim.trace"
    if not trace.is_file():
        slim("trace", str(source), "--config", str(options.config), "-o", str(trace))
    return trace


def slim(*words: str) -> None:
    """Run slim, and say so."""
    print("slim", *words, file=sys.stderr)
    command = [sys.executable, "-m", "slim", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _slimmed(
    source: Path, rung: Rung, place: Path, config: Mapping[str, Any], traces: list[Path]
) -> Path:
    """Run slim for a rung, unless an earlier run of the ladder did; return the published set."""
    if (place / "out").is_dir():
        return place / "out"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    families = dict.fromkeys(rung.families, "traced")
    settings = {"schema": 1, **rung.settings, "verify": {"command": config["verify"]["command"]}}
    if rung.settings:
        settings["guided"] = {"traces": [str(path) for path in traces], "families": families}
    (place / "slim.toml").write_text(tomlkit.dumps(settings), encoding="utf-8")
    words = ["run", str(source), "-o", str(place / "out"), "-q", "--unverified"]
    slim(*words, "--config", str(place / "slim.toml"))
    return place / "out"


def deploy(published: Path, target: Path) -> None:
    """Deploy a published set as an installer does, unless it was before."""
    if target.is_dir():
        return
    try:
        command = [str(BENCH / "deploy.sh"), str(published), str(target)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _content(folder: Path) -> int:
    files = (Path(top) / name for top, _, names in os.walk(folder) for name in names)
    return sum(file.stat().st_size for file in files if not file.is_symlink())


def _disk(folder: Path) -> int:
    told = subprocess.run(["du", "-sm", str(folder)], check=True, capture_output=True, text=True)
    return int(told.stdout.split()[0]) << 20


def _run(root: Path, check: Mapping[str, Any]) -> str | None:
    """Run a check in a deployed stack; return what it prints, None if it fails."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    fixed = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}
    program, *words = check["argv"]
    try:
        done = subprocess.run(
            [str(root / check["layer"] / "bin" / program), *words],
            cwd=root,
            env={**{name: os.environ[name] for name in kept if name in os.environ}, **fixed},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=check.get("timeout", 60),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None


def _answers(root: Path, checks: list[Mapping[str, Any]]) -> dict[str, str | None]:
    return {f"{check['layer']}: {' '.join(check['argv'])}": _run(root, check) for check in checks}


def _uses(options: argparse.Namespace) -> Iterator[Use]:
    for file in sorted(options.uses.glob("*/*.py")) if options.uses else ():
        yield Use(file.parent.name, file.stem, file.read_text(encoding="utf-8"))
    for table, layer in options.snippets:
        for name, code in snippets_in(Path(table).read_text(encoding="utf-8")):
            yield Use(layer, name, code)


def _try(
    uses: list[Use],
    result: Result,
    deployed: Mapping[str, Path],
    place: Path,
    timeout: float,
    never: set[Use],
) -> None:
    """Run all uses on a rung, and again those that don't work, with its rest packs unpacked."""
    failed: dict[Use, str] = {}
    for use in uses:
        problem = (
            None
            if use in never
            else problem_of(use.code, deployed[result.name], use.layer, timeout)
        )
        if problem is None:
            continue
        if problem_of(use.code, deployed[ORIGINAL], use.layer, timeout) is not None:
            never.add(use)
            continue
        failed[use] = problem
        (result.guarded if GUARD in problem else result.broken)[use.name] = problem
    if not failed:
        return
    whole = place.parent / "whole"
    shutil.rmtree(whole, ignore_errors=True)
    deploy(place, whole)  # a copy of the other would lead into that
    unpack_rest(place / "rest", whole)
    for use in failed:
        problem = problem_of(use.code, whole, use.layer, timeout)
        if problem is not None:
            result.left[use.name] = problem
    shutil.rmtree(whole)


def _time(
    deployed: Mapping[str, Path],
    results: Mapping[str, Result],
    check: Mapping[str, Any],
    times: int,
) -> None:
    for _ in range(times):
        for name, root in deployed.items():
            started = time.perf_counter()
            _run(root, check)
            took = time.perf_counter() - started
            best = results[name].started
            results[name].started = took if best is None else min(best, took)


def _print(results: list[Result], never: list[str]) -> None:
    print("| kept | archives | deployed | `du -sm` | rest packs | checks | other uses | start |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for result in results:
        used = ""
        if result.uses:
            works = result.uses - len(result.guarded) - len(result.broken)
            used = f"{works} work, {len(result.guarded)} guarded, {len(result.broken)} broken"
        print(
            f"| {result.name} | {result.archives / MB:.2f} MB | {result.content / MB:.1f} MB | "
            f"{result.deployed / (1 << 20):.0f} | {result.rest / MB:.1f} MB | "
            f"{'work' if all(result.checks.values()) else '**fail**'} | {used} | "
            f"{'' if result.started is None else f'{result.started:.2f} s'} |"
        )
    for result in results:
        for title in ("guarded", "broken", "left"):
            what = "doesn't work with the rest packs" if title == "left" else title
            for use, problem in getattr(result, title).items():
                print(f"{result.name}: {what}: {use}: {problem[:300]}")
    if never:
        print(f"not counted, since they don't work in the original: {', '.join(never)}")


if __name__ == "__main__":
    raise SystemExit(main())
