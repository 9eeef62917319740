"""A relock with the real venvstacks: one requirement touched, two publishes, what clients download.

    python bench/relock.py [--stack fixtures/stacks/assistant] [--work DIR] [--built DIR]
                           [--touch 'httpx==0.28.1' 'httpx==0.28.0']

Builds the stack (``bench/make_stack.sh``; ``--built`` copies what that command left elsewhere),
publishes it with ``--tag-outputs``, writes the other requirement into the copied
``venvstacks.toml``, locks, builds and publishes again. Then slim runs over both; the second time
with ``--previous``, and once more over a forced publish, whose build numbers and times are new
although no file is. Last a delta is made and applied. Prints a table; fails where a layer that the
requirement isn't in has new bytes. Ten minutes on two processors, most of it venvstacks' xz.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from slim.model.size import format_size

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Do it all, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stack", type=Path, default=ROOT / "fixtures" / "stacks" / "assistant")
    parser.add_argument("--work", type=Path, help="where everything is built; kept")
    parser.add_argument("--built", type=Path, help="a stack that make_stack.sh built: it is copied")
    parser.add_argument(
        "--touch", nargs=2, default=("httpx==0.28.1", "httpx==0.28.0"), metavar=("OLD", "NEW")
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slim-relock-") as scratch:
        work = (options.work or Path(scratch)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        first, second, forced = published(options.stack, options.built, work, *options.touch)
        return compare(work, first, second, forced)


def published(
    stack: Path, built: Path | None, work: Path, old: str, new: str
) -> tuple[Path, Path, Path]:
    """Three sets as venvstacks published them.

    Before the relock, after it, and after it once more, by force.
    """
    sets = (work / "first", work / "second", work / "forced")
    if all(one.is_dir() for one in sets):
        return sets
    place = work / "stack"
    shutil.rmtree(
        place, ignore_errors=True
    )  # of a run that didn't come to its end: it may be relocked already
    if built is None:
        subprocess.run([str(ROOT / "bench" / "make_stack.sh"), str(stack), str(place)], check=True)
    else:
        shutil.copytree(built, place, symlinks=True, ignore=shutil.ignore_patterns("_deployed"))
    tools = (built or place) / ".tools" / "bin"
    venvstacks(tools, place, "publish", "--tag-outputs", "--output-dir", "_tagged")
    copy(place / "_tagged", sets[0])
    spec = place / "venvstacks.toml"
    text = spec.read_text(encoding="utf-8")
    if old not in text:
        raise SystemExit(f"{spec} has no {old!r}")
    spec.write_text(text.replace(old, new), encoding="utf-8")
    for command in ("lock", "build"):
        venvstacks(tools, place, command)
    venvstacks(tools, place, "publish", "--tag-outputs", "--output-dir", "_tagged")
    copy(place / "_tagged", sets[1])
    venvstacks(tools, place, "publish", "--force", "--tag-outputs", "--output-dir", "_tagged")
    copy(place / "_tagged", sets[2])
    return sets


def venvstacks(tools: Path, place: Path, command: str, *words: str) -> None:
    """Run the stack's own venvstacks in its folder."""
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    line = [str(tools / "venvstacks"), command, *words, "venvstacks.toml"]
    subprocess.run(line, cwd=place, env=environment, check=True, stdout=subprocess.DEVNULL)


def copy(source: Path, target: Path) -> None:
    """The set as it is now."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def compare(work: Path, first: Path, second: Path, forced: Path) -> int:
    """Run slim over the sets, and tell what is new in each."""
    sets = {name: work / f"slim-{name}" for name in ("first", "second", "forced", "without")}
    told: dict[str, dict[str, Any]] = {}
    for name, source, previous in (
        ("first", first, None),
        ("without", second, None),
        ("second", second, sets["first"]),
        ("forced", forced, sets["second"]),
    ):
        told[name] = slim(
            "run", source, "-o", sets[name], *(["--previous", previous] if previous else [])
        )
    print(
        "| layer | venvstacks: new bytes | slim, no --previous | slim --previous | after a forced "
        "publish |"
    )
    print("| --- | ---: | ---: | ---: | ---: |")
    before, after = archives(first), archives(second)
    old, plain = archives(sets["first"]), archives(sets["without"])
    wrong = []
    for layer in told["second"]["runs"][0]["layers"]:
        name = layer["name"]
        again = next(one for one in told["forced"]["runs"][0]["layers"] if one["name"] == name)
        same_files = before[name]["archive_hashes"] == after[name]["archive_hashes"]
        cells = [
            fresh(before[name], after[name]),
            fresh(old[name], plain[name]),
            layer["new_bytes"],
            again["new_bytes"],
        ]
        print(f"| {name} | {' | '.join(format_size(cell) for cell in cells)} |")
        if (same_files and layer["new_bytes"]) or again["new_bytes"]:
            wrong.append(name)
    (delta,) = slim("delta", sets["first"], sets["second"], "-o", work / "delta")["deltas"]
    slim("delta", "apply", sets["first"], work / "delta", "-o", work / "restored")
    same = (
        subprocess.run(
            ["diff", "-r", str(sets["second"]), str(work / "restored")], check=False
        ).returncode
        == 0
    )
    print()
    print("| layer | archive | update | of it |")
    print("| --- | ---: | ---: | ---: |")
    for layer in delta["layers"]:
        size, download = layer["archive_after"], layer["download"]
        print(
            f"| {layer['layer']} | {format_size(size)} | {format_size(download)} | "
            f"{100 * download / size:.2f}% |"
        )
    print()
    print(
        "the delta applied gives the second set, byte for byte"
        if same
        else "the delta applied gives something else"
    )
    if wrong:
        print(f"unchanged layers with new bytes: {', '.join(wrong)}", file=sys.stderr)
    return 0 if same and not wrong else 1


def fresh(before: dict[str, Any], after: dict[str, Any]) -> int:
    """Bytes of an archive that isn't the one of before."""
    return 0 if before["archive_hashes"] == after["archive_hashes"] else int(after["archive_size"])


def archives(published: Path) -> dict[str, dict[str, Any]]:
    """The manifest's entries by layer."""
    (manifest,) = (published / "__venvstacks__").glob("*.json")
    sections = json.loads(manifest.read_text(encoding="utf-8"))["layers"]
    return {entry["install_target"]: entry for section in sections.values() for entry in section}


def slim(*words: object) -> dict[str, Any]:
    """Run a command, and give its JSON report. An output of an earlier run is replaced."""
    command = [sys.executable, "-m", "slim", *map(str, words), "--force", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


if __name__ == "__main__":
    sys.exit(main())
