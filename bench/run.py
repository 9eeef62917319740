"""slim beside what one would do without it: time, memory, sizes, and what still works.

    python bench/run.py STACK [STACK ...]

STACK is a published folder (``_artifacts``), or one that holds such a folder. Rival and slim run in
turn, ``--repeat`` times each; the table shows the median (and the spread) of wall time and
processor time, the largest memory of any one process, and the sizes of what came out. Then both
results and the original are deployed, and every application is started: it works if it prints the
same line as before.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from measuring import MB, Measure, measured, published_in

BENCH = Path(__file__).resolve().parent
RIVAL = f"{shlex.quote(str(BENCH / 'recipe.sh'))} {{stack}} {{out}}"
SLIM = f"{shlex.quote(sys.executable)} -m slim run {{stack}} -o {{out}} --quiet"
ARGUMENTS = {"assistant_server": ["--selftest"]}
"""Arguments with which an application tests itself and ends.

``--argument MODULE=ARG`` adds to it.
"""


def file_bytes(folder: Path) -> int:
    """The content of all regular files, links counted once."""
    found = {(s.st_dev, s.st_ino): s.st_size for path in folder.rglob("*") if not path.is_symlink()
             if path.is_file() for s in [path.stat()]}  # fmt: skip
    return sum(found.values())


def disk_bytes(folder: Path) -> int:
    """What ``du`` says."""
    return (
        int(
            subprocess.run(
                ["du", "-sk", folder], capture_output=True, text=True, check=True
            ).stdout.split()[0]
        )
        * 1024
    )


def applications(published: Path) -> list[tuple[str, str]]:
    """(layer, launch module) of every application."""
    (manifest,) = (published / "__venvstacks__").glob("*.json")
    entries = json.loads(manifest.read_text(encoding="utf-8"))["layers"]["applications"]
    return [(entry["install_target"], entry["app_launch_module"]) for entry in entries]


def started(deployed: Path, layer: str, module: str, arguments: list[str]) -> tuple[bool, str]:
    """Whether the application ran, and its line, or its last words."""
    command = [deployed / layer / "bin" / "python", "-m", module, *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    if done.returncode == 0:
        return True, done.stdout.strip()
    return False, (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1][:300]


def inspect(
    result: Path,
    measure: Measure,
    work: Path,
    lines: dict[str, str] | None,
    told: dict[str, list[str]],
    apps: list[tuple[str, str]],
) -> dict[str, str]:
    """Weigh and deploy a result, start its applications, and return what they printed."""
    measure.archives = sum(path.stat().st_size for path in result.glob("*.tar.*"))
    target = work / "deployed"
    shutil.rmtree(target, ignore_errors=True)
    unpacked = work / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir()
    for archive in sorted(result.glob("*.tar.*")):
        subprocess.run(["tar", "-xf", archive], cwd=unpacked, check=True)
    measure.unpacked = file_bytes(unpacked)
    shutil.rmtree(unpacked)
    done = subprocess.run([BENCH / "deploy.sh", result, target], capture_output=True, text=True)
    if done.returncode != 0:
        measure.failed = f"doesn't deploy: {(done.stderr.strip().splitlines() or ['?'])[-1][:200]}"
        return {}
    measure.deployed = disk_bytes(target)
    found = {}
    for layer, module in apps:
        ran, line = started(target, layer, module, told.get(module, []))
        found[layer] = line
        if not ran:
            measure.works[layer] = f"no: {line}"
        elif lines is not None and line != lines.get(layer):
            measure.works[layer] = f"no: printed {line[:200]}"
        else:
            measure.works[layer] = "yes"
    shutil.rmtree(target)
    return found


def bench(stack: Path, options: argparse.Namespace, work: Path) -> list[Measure]:
    """Original, rival and slim on one stack."""
    published = published_in(stack)
    told = {name: list(arguments) for name, arguments in ARGUMENTS.items()}
    for item in options.argument:
        module, _, argument = item.partition("=")
        told.setdefault(module, []).append(argument)
    ways = [Measure("rival"), Measure("slim")]
    commands = {"rival": options.rival, "slim": options.slim}
    outs = {way.name: work / way.name for way in ways}
    for turn in range(options.repeat):
        for way in ways:
            if way.failed:
                continue
            shutil.rmtree(outs[way.name], ignore_errors=True)
            text = commands[way.name].format(
                stack=shlex.quote(str(published)), out=shlex.quote(str(outs[way.name]))
            )
            print(
                f"{stack}: {way.name}, {turn + 1} of {options.repeat}", file=sys.stderr, flush=True
            )
            measured(shlex.split(text), way)
    original, apps = Measure("original"), applications(published)
    lines = inspect(published, original, work, None, told, apps)
    for way in ways:
        if not way.failed:
            inspect(outs[way.name], way, work, lines, told, apps)
    return [original, *ways]


def shown(name: str, measures: list[Measure]) -> str:
    """The table of one stack, in Markdown."""
    original, rival, slim = measures

    def times(values: list[float]) -> str:
        if not values:
            return "-"
        spread = f" ({min(values):.1f}-{max(values):.1f})" if len(values) > 1 else ""
        return f"{statistics.median(values):.1f} s{spread}"

    def ratio(mine: float, other: float) -> str:
        return f"{mine / other:.2f}" if mine and other else "-"

    def median(values: list[float]) -> float:
        return statistics.median(values) if values else 0

    def size(value: int) -> str:
        return f"{value / MB:.1f} MB" if value else "-"

    rows = [
        ("wall time", "-", times(rival.wall), times(slim.wall),
         ratio(median(slim.wall), median(rival.wall))),
        ("processor time", "-", times(rival.processor), times(slim.processor),
         ratio(median(slim.processor), median(rival.processor))),
        ("largest process", "-",
         size(max(rival.memory, default=0)), size(max(slim.memory, default=0)),
         ratio(max(slim.memory, default=0), max(rival.memory, default=0))),
    ]  # fmt: skip
    for label, key in (
        ("archives", "archives"),
        ("unpacked files", "unpacked"),
        ("deployed (du)", "deployed"),
    ):
        values = [getattr(measure, key) for measure in measures]
        rows.append((label, *(size(value) for value in values), ratio(values[2], values[1])))
    for layer in original.works:
        verdicts = [measure.works.get(layer, "-") for measure in measures]
        rows.append((f"{layer} works", *(verdict.partition(":")[0] for verdict in verdicts), ""))
    text = [
        f"### {name}",
        "",
        "| | original | rival | slim | slim / rival |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    text += ["| " + " | ".join(row) + " |" for row in rows]
    notes = [f"- {measure.name}: {measure.failed}" for measure in measures if measure.failed]
    notes += [
        f"- {m.name}, {layer}: {v}" for m in measures for layer, v in m.works.items() if v != "yes"
    ]
    return "\n".join([*text, "", *notes, ""] if notes else [*text, ""])


def main() -> int:
    """Measure, and print a table a stack. Fails where slim's result doesn't work."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stacks", nargs="+", type=Path, metavar="STACK")
    parser.add_argument(
        "--repeat", type=int, default=3, metavar="N", help="runs of each way (default: %(default)s)"
    )
    parser.add_argument(
        "--rival", default=RIVAL, metavar="COMMAND", help="with {stack} and {out} in it"
    )
    parser.add_argument(
        "--slim", default=SLIM, metavar="COMMAND", help="with {stack} and {out} in it"
    )
    parser.add_argument(
        "--argument",
        action="append",
        default=[],
        metavar="MODULE=ARG",
        help="start the application with this argument (write --argument=x=--flag)",
    )
    parser.add_argument("--work", type=Path, help="folder for results (default: a temporary one)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write everything that was measured"
    )
    options = parser.parse_args()
    everything: dict[str, list[dict[str, object]]] = {}
    good = True
    print(f"{os.cpu_count()} processors, {sys.platform}, Python {sys.version.split()[0]}\n")
    for stack in options.stacks:
        with tempfile.TemporaryDirectory(prefix="slim-bench-", dir=options.work) as work:
            measures = bench(stack, options, Path(work))
        print(shown(stack.resolve().name, measures), flush=True)
        everything[str(stack)] = [asdict(measure) for measure in measures]
        slim = measures[-1]
        good = good and not slim.failed and all(verdict == "yes" for verdict in slim.works.values())
    if options.json:
        options.json.write_text(json.dumps(everything, indent=2) + "\n", encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
