"""Second runs over a stack: where nothing changed, and where one layer did, each in turn.

    python bench/again.py STACK [--work DIR]

STACK is a published folder (``_artifacts``), or one that holds such a folder. Each second run
follows a first one over the original, with caches that were empty before it: the readings of a dry
run, and the results (``--cache``) of a run that writes. One Python file of the layer gets a line
more, its row of RECORD and the manifest say so, and the archive is packed anew. The table has
processor seconds, wall time, and what share of the first run's they are.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from measuring import Measure, measured, published_in

from slim.inventory.distributions import RecordRow, parse_record, render_record
from slim.inventory.recorded import row_for

LINE = b"\n# one line more\n"


def changed(stack: Path, target: Path, name: str) -> str:
    """Copy a published stack with one file of a layer changed, and return its path."""
    shutil.copytree(stack, target)
    entry = next(one for one in layers(target) if one["install_target"] == name)
    archive = target / str(entry["archive_name"])
    with tarfile.open(archive) as old:
        members = [(info, _content(old, info)) for info in old.getmembers()]
    files = {info.name: data for info, data in members if data is not None}
    path, record = _choose(files)
    files[path] += LINE
    if record:
        sha256, size = hashlib.sha256(files[path]).digest(), len(files[path])
        old_rows = _rows(files, record)
        rows = (row_for(row, sha256, size) if row.path == path else row for row in old_rows)
        files[record] = render_record(rows).encode()
    with tarfile.open(archive, "w:xz", format=tarfile.PAX_FORMAT, preset=0) as new:
        for info, data in members:
            if data is None:
                new.addfile(info)
                continue
            info.size = len(files[info.name])
            new.addfile(info, io.BytesIO(files[info.name]))
    data = archive.read_bytes()
    new_values = {
        "archive_size": len(data),
        "archive_hashes": {"sha256": hashlib.sha256(data).hexdigest()},
    }
    manifest, own = (
        target / "__venvstacks__" / "venvstacks.json",
        target / "__venvstacks__" / "env_metadata" / f"{name}.json",
    )
    for file in filter(Path.is_file, (manifest, own)):
        told = json.loads(file.read_text(encoding="utf-8"))
        entries = [one for section in told.get("layers", {}).values() for one in section] or [told]
        for entry in entries:
            if entry.get("install_target") == name:
                entry.update(new_values)
        file.write_text(json.dumps(told, indent=2), encoding="utf-8")
    return path


def layers(stack: Path) -> list[dict[str, object]]:
    """Return the layers of a published stack's manifest."""
    file = stack / "__venvstacks__" / "venvstacks.json"
    told = json.loads(file.read_text(encoding="utf-8"))
    return [row for section in told["layers"].values() for row in section]


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes | None:
    found = archive.extractfile(info) if info.isreg() else None
    return found.read() if found else None


def _choose(files: dict[str, bytes]) -> tuple[str, str]:
    """A module that a distribution has at its top, with that RECORD; else one of no RECORD."""
    for record in sorted(path for path in files if path.endswith(".dist-info/RECORD")):
        for row in _rows(files, record):
            if row.written.endswith("/__init__.py") and row.written.count("/") == 1:
                return row.path, record
    return next(path for path in sorted(files) if path.endswith("/this.py")), ""


def _rows(files: dict[str, bytes], record: str) -> tuple[RecordRow, ...]:
    site = record.rpartition("/")[0].rpartition("/")[0]
    return parse_record(files[record].decode(), site=site, file=record)


def run(stack: Path, work: Path, readings: Path, results: Path | None) -> Measure:
    """Run slim over a stack with these caches; without ``results`` nothing is written."""
    os.environ["SLIM_CACHE_DIR"] = str(readings)
    output = work / "out"
    shutil.rmtree(output, ignore_errors=True)
    more = ["-o", str(output), "--cache", str(results)] if results else ["--dry-run"]
    measure = Measure("slim")
    command = [sys.executable, "-m", "slim", "run", str(stack), "--quiet", *more]
    if not measured(command, measure):
        sys.exit(f"{' '.join(command)}: {measure.failed}")
    return measure


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stack", type=Path, metavar="STACK")
    parser.add_argument("--work", type=Path, help="folder for copies (default: a temporary one)")
    options = parser.parse_args()
    published = published_in(options.stack)
    with tempfile.TemporaryDirectory(prefix="slim-again-", dir=options.work) as place:
        work = Path(place)
        stacks = {"the same": published}
        for name in (str(layer["install_target"]) for layer in layers(published)):
            stacks[name] = work / "changed" / name
            path = changed(published, stacks[name], name)
            print(f"{name}: {path} gets a line more", file=sys.stderr, flush=True)
        rows: dict[str, list[tuple[Measure, Measure]]] = {}
        print("| second run over | dry run | of the first | run with `--cache` | of the first |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for title, writes in (("dry run", False), ("run", True)):
            first = work / f"first {title}"
            measure = run(
                published, work, first / "readings", first / "results" if writes else None
            )
            rows.setdefault("the first run", []).append((measure, measure))
            for name, stack in stacks.items():
                copy = work / "copy"
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(first, copy)
                results = copy / "results" if writes else None
                again = run(stack, work, copy / "readings", results)
                rows.setdefault(name, []).append((again, measure))
        for name, found in rows.items():
            print("|".join(["", f" {name} ", *map(_cells, found), ""]))
    return 0


def _cells(pair: tuple[Measure, Measure]) -> str:
    again, first = pair
    (processor,), (wall,) = again.processor, again.wall
    share = processor / first.processor[0]
    return f" {processor:.1f} s ({wall:.1f} s of wall time) | {share:.2f} "


if __name__ == "__main__":
    sys.exit(main())
