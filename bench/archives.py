"""The archive engine beside its rivals: time, memory, bytes, and how long unpacking takes.

The system's tar unpacks to nowhere (``tar -xO``), and to a disk, where making the files takes most
of the time.

    python bench/archives.py STACK [STACK ...]

STACK is what ``bench/make_stack.sh`` built (with its ``_build`` folder, from which ``venvstacks
publish`` packs). In turn, ``--repeat`` times each:

- ``venvstacks publish``: the original layers, packed by what publishes them;
- ``recipe.sh``: delete by name, strip, ``xz -6 -T0``;
- ``slim run``, to ``.tar.xz`` and to ``.tar.zst``;
- the layers that slim leaves, packed with ``tar | xz -6 -T0`` and ``tar | zstd -19 --long``: the
  same files, so that only the engines differ.

The share of slim's processor time that isn't decoding or encoding is what ``slim run --format tar``
takes beyond ``xz -dc`` over the input. conda-pack packs conda environments only, and no layer is
one.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from measuring import MB, Measure, measured, published_in

BENCH = Path(__file__).resolve().parent
SLIM = (sys.executable, "-m", "slim", "run", "--no-config", "--quiet")


def packing(trees: Path, out: Path, suffix: str, compress: str) -> str:
    """A shell command that packs every folder in ``trees`` with tar and a compressor."""
    return (
        f"set -e; mkdir -p {out}; cd {trees}; for layer in *; do tar --sort=name --owner=0 "
        "--group=0 --numeric-owner "
        f'--mtime=@0 -cf - "$layer" | {compress} >{out}/"$layer"{suffix}; done'
    )


def unpacking(archives: Path, target: Path) -> str:
    """A shell command that unpacks every archive with the system's tar."""
    return (
        f"set -e; mkdir {target}; cd {target}; for archive in {archives}/*.tar*; do "
        "case $archive in "
        '*.zst) zstd -q -dc --long=27 "$archive" | tar -xf - ;; *) tar -xf "$archive" ;; esac; done'
    )


def decoding(archives: Path) -> str:
    """A shell command that has the system's tar go through every archive and write no file."""
    return (
        f"set -e; for archive in {archives}/*.tar*; do case $archive in "
        '*.zst) zstd -q -dc --long=27 "$archive" | tar -xOf - ;; *) tar -xOf "$archive" ;; esac; '
        "done >/dev/null"
    )


def archive_bytes(folder: Path) -> int:
    """Bytes of all archives."""
    return sum(path.stat().st_size for path in folder.glob("*.tar*"))


def ways(stack: Path, published: Path, work: Path) -> dict[str, tuple[list[str], Path]]:
    """What is measured: a command, and the folder with its result."""
    trees = work / "slimmed"

    def run_as(archive_format: str, out: str) -> list[str]:
        return [*SLIM, str(published), "-o", str(work / out), "--format", archive_format]

    def pack(out: str, suffix: str, compress: str) -> list[str]:
        return ["bash", "-c", packing(trees, work / out, suffix, compress)]

    told = {
        "recipe.sh": [str(BENCH / "recipe.sh"), str(published), str(work / "recipe")],
        "slim run": [*SLIM, str(published), "-o", str(work / "slim-xz")],
        "slim run --format tar.zst": run_as("tar.zst", "slim-zst"),
        "same files, xz -6 -T0": pack("plain-xz", ".tar.xz", "xz -6 -T0"),
        "same files, zstd -19 --long": pack("plain-zst", ".tar.zst", "zstd -q -19 --long=27 -T0"),
        "slim run --format tar": run_as("tar", "slim-tar"),
        "decoding the input": [
            "bash",
            "-c",
            f"for archive in {published}/*.tar.xz; do xz -dc $archive; done",
        ],
    }
    folders = ("recipe", "slim-xz", "slim-zst", "plain-xz", "plain-zst", "slim-tar", "nothing")
    found = {
        name: (command, work / folder)
        for (name, command), folder in zip(told.items(), folders, strict=True)
    }
    if (stack / "venvstacks.toml").is_file() and (
        stack / ".tools" / "bin" / "venvstacks"
    ).is_file():
        publish = (
            f'cd {shlex.quote(str(stack))}; PATH="$PWD/.tools/bin:$PATH" '
            f"venvstacks publish --force --output-dir {work / 'publish'} venvstacks.toml"
        )
        found = {"venvstacks publish": (["bash", "-c", publish], work / "publish"), **found}
    return found


def bench(stack: Path, repeat: int, skip: list[str], work: Path) -> dict[str, Measure]:
    """Every way on one stack."""
    published = published_in(stack)
    told = {name: way for name, way in ways(stack, published, work).items() if name not in skip}
    measures = {name: Measure(name) for name in told}
    trees = work / "slimmed"
    first = Measure("first")
    archives = work / "first"
    measured([*SLIM, str(published), "-o", str(archives), "--format", "tar"], first)
    measured(["bash", "-c", unpacking(archives, trees)], first)
    shutil.rmtree(archives)
    if first.failed:
        sys.exit(f"{stack}: {first.failed}")
    for turn in range(repeat):
        for name, (command, out) in told.items():
            measure = measures[name]
            if measure.failed:
                continue
            shutil.rmtree(out, ignore_errors=True)
            print(f"{stack}: {name}, {turn + 1} of {repeat}", file=sys.stderr, flush=True)
            measured(command, measure)
            measure.archives = archive_bytes(out) if out.is_dir() else 0
            if measure.archives and not name.endswith("tar"):
                unpacked = Measure(name)
                measured(["bash", "-c", unpacking(out, work / "unpacked")], unpacked)
                shutil.rmtree(work / "unpacked")
                decoded = Measure(name)
                measured(["bash", "-c", decoding(out)], decoded)
                measure.failed = unpacked.failed or decoded.failed
                measure.unpacking += unpacked.wall
                measure.decoding += decoded.wall
    return measures


def median(values: list[float]) -> float:
    """The median, 0 for none."""
    return statistics.median(values) if values else 0.0


def shown(name: str, measures: dict[str, Measure]) -> str:
    """The table of one stack, and what follows from it."""
    lines = [
        f"### {name}",
        "",
        "| way | wall | processor | largest process | archives | `tar -xO` | `tar -x` |",
    ]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for way, one in measures.items():
        if one.failed:
            lines.append(f"| {way} | failed: {one.failed} | | | | | |")
            continue
        spread = f"{min(one.wall):.1f}-{max(one.wall):.1f}"
        cells = (
            f"{median(one.wall):.1f} s ({spread})",
            f"{median(one.processor):.1f} s",
            f"{max(one.memory) / MB:.0f} MB",
            f"{one.archives / MB:.2f} MB" if one.archives else "-",
            f"{median(one.decoding):.2f} s" if one.decoding else "-",
            f"{median(one.unpacking):.2f} s" if one.unpacking else "-",
        )
        lines.append(f"| {way} | {' | '.join(cells)} |")
    slim, zst = (
        measures.get(way, Measure(way)) for way in ("slim run", "slim run --format tar.zst")
    )

    def ratio(what: str, mine: float, other: str, theirs: float) -> None:
        if mine and theirs:
            lines.append(f"- {what}: {mine / theirs:.3f} of {other}")

    lines.append("")
    for other in ("venvstacks publish", "recipe.sh"):
        if other in measures:
            ratio("wall time of slim run", median(slim.wall), other, median(measures[other].wall))
    plain = measures.get("same files, xz -6 -T0", Measure(""))
    ratio(
        "bytes of slim run", slim.archives, "the same files as recipe.sh packs them", plain.archives
    )
    ratio("bytes of tar.zst", zst.archives, "tar.xz", slim.archives)
    ratio(
        "unpacking tar.zst without writing files",
        median(zst.decoding),
        "tar.xz",
        median(slim.decoding),
    )
    ratio("unpacking tar.zst to disk", median(zst.unpacking), "tar.xz", median(slim.unpacking))
    tar, decode = measures.get("slim run --format tar"), measures.get("decoding the input")
    if tar and decode and slim.processor:
        rest = median(tar.processor) - median(decode.processor)
        share = rest / median(slim.processor)
        lines.append(
            f"- processor time that isn't decoding or encoding: {rest:.1f} s,"
            f" {share:.1%} of slim run"
        )
    return "\n".join([*lines, ""])


def main() -> int:
    """Measure, and print a table a stack."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stacks", nargs="+", type=Path, metavar="STACK")
    parser.add_argument(
        "--repeat", type=int, default=3, metavar="N", help="runs of each way (default: %(default)s)"
    )
    parser.add_argument(
        "--skip", action="append", default=[], metavar="WAY", help="leave this row out"
    )
    parser.add_argument("--work", type=Path, help="folder for results (default: a temporary one)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write everything that was measured"
    )
    options = parser.parse_args()
    everything: dict[str, list[dict[str, object]]] = {}
    print(f"{os.cpu_count()} processors, {sys.platform}, Python {sys.version.split()[0]}\n")
    for stack in options.stacks:
        with tempfile.TemporaryDirectory(prefix="slim-bench-", dir=options.work) as work:
            measures = bench(stack.resolve(), options.repeat, options.skip, Path(work))
        print(shown(stack.resolve().name, measures), flush=True)
        everything[str(stack)] = [asdict(measure) for measure in measures.values()]
    if options.json:
        options.json.write_text(json.dumps(everything, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
