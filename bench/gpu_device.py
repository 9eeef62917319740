"""A PyTorch that ``slim run`` made smaller for one device, against the original on that device.

    python bench/gpu_device.py [--seconds 480] [--recompress] [--open] [--folder FOLDER]

Runs with a Python that has torch for CUDA, on a machine with one NVIDIA card; slim is this
checkout. The distributions are laid out as an environment of their own (torch, and what is
installed of torchvision, bitsandbytes, CuPy and JAX, with all that they require), and ``slim run``
makes it smaller, with the default profile, for the architecture of the card. ``--open`` leaves
NVIDIA's own libraries alone; without it they are edited in the result, which is deleted afterwards.
``--recompress`` has what stays compressed again. Files are linked where they can be.

Each program runs in a process of its own Python, without the installation: as it is, and with the
result, where kernels are loaded when they are first needed, and all at the start
(CUDA_MODULE_LOADING=EAGER); with PTX compilation by the driver forbidden (CUDA_DISABLE_PTX_JIT=1).
A result is equal if each tensor has the same bytes. The last row is a negative test: with torch's
libraries edited for another architecture the first kernel has to fail with "no kernel image is
available". Prints a table; the exit code is 0 if all is as it should be, 1 if not, 2 where there is
no device, and what doesn't fit into ``--seconds`` is told as such.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from slim.binaries.gpu.edit import GpuEdit, plan_gpu_edit
from slim.model.gpu_target import Target, parse_target
from slim.system.mapped import map_file

ROOT = Path(__file__).resolve().parents[1]
WORKER = ROOT / "bench" / "gpu_programs.py"
MB = 1_000_000
PROGRAMS = (
    "matmul",
    "small numbers",
    "convolution",
    "attention",
    "recurrent",
    "training",
    "fft",
    "sparse",
    "random",
    "linear algebra",
    "indexing",
    "collectives",
    "vision",
    "compile",
    "bitsandbytes",
    "cupy",
    "jax",
)
WANTED = (
    "torch",
    "numpy",
    "torchvision",
    "bitsandbytes",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "jax",
    "jax-cuda12-plugin[with-cuda]",
    "jax-cuda13-plugin[with-cuda]",
)
"""Distributions that programs use; what isn't installed fails alike before and after."""
WRONG = ("sm_75", "sm_80", "sm_90", "sm_120")
"""Architectures of which one is taken that the card can't run."""
NO_IMAGE = "no kernel image is available"


@dataclass(frozen=True)
class Outcome:
    """What a program came to: digests of its results, or why it has none; seconds it took."""

    digests: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Way:
    """A way to run the programs: with which environment, and what the variables say."""

    name: str
    copy: str
    environment: Mapping[str, str]


LAZY = {"CUDA_MODULE_LOADING": "LAZY"}
EAGER = {"CUDA_MODULE_LOADING": "EAGER"}
NO_PTX = {"CUDA_DISABLE_PTX_JIT": "1"}
WAYS = (
    Way("original", "original", LAZY),
    Way("slimmed", "slimmed", {**LAZY, **NO_PTX}),
    Way("slimmed, eager", "slimmed", {**EAGER, **NO_PTX}),
)


def verdict(before: Outcome | None, after: Outcome | None) -> str:
    """Return ``equal``, or in words why not."""
    if before is None or after is None:
        return "not run: no time was left"
    if before.error and after.error == before.error:
        return f"fails alike: {before.error}"
    if before.error or after.error:
        return f"DIFFERS: {after.error or 'no error'}; original: {before.error or 'no error'}"
    if before.digests == after.digests and before.digests:
        return "equal"
    same = sum(old == new for old, new in zip(before.digests, after.digests, strict=False))
    return f"DIFFERS: {same} of {len(before.digests)} results are equal"


def table(
    results: Mapping[str, Mapping[str, Outcome]], negative: str, wrong: str
) -> tuple[list[str], bool]:
    """Return the table's lines (Markdown), and whether all is as it should be.

    ``results`` has the outcomes by way and program; ``negative`` is what the copy for the
    architecture ``wrong`` said.
    """
    others = [way.name for way in WAYS[1:]]
    lines = [
        f"| program | original | {' | '.join(others)} |",
        f"| --- | --- | {' | '.join('---' for _ in others)} |",
    ]
    good = True
    for program in PROGRAMS:
        before = results[WAYS[0].name].get(program)
        cells = [f"{before.seconds:.2f} s" if before else "not run: no time was left"]
        for name in others:
            after = results[name].get(program)
            said = verdict(before, after)
            good = good and said.startswith(("equal", "fails alike"))
            cells.append(f"{said}, {after.seconds:.2f} s" if after else said)
        lines.append(f"| {program} | {' | '.join(cells)} |")
    refused = NO_IMAGE in negative
    good = good and refused
    said = f'"{NO_IMAGE}"' if refused else f"WRONG: {negative}"
    lines.append(f"| edited for {wrong} | | {said} |{' |' * (len(others) - 1)}")
    return lines, good


def wrong_for(capability: tuple[int, int]) -> str:
    """Return an architecture whose code a card can't run: one of another major capability."""
    return next(name for name in WRONG if parse_target(name).capability.major != capability[0])


def required(wanted: Sequence[str]) -> list[metadata.Distribution]:
    """Return the installed distributions that are wanted, and all that they require."""
    found: dict[str, metadata.Distribution] = {}
    left = [(Requirement(one).name, frozenset(Requirement(one).extras)) for one in wanted]
    seen = set()
    while left:
        name, extras = left.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found[canonicalize_name(name)] = distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # one that only some need
        for need in map(Requirement, distribution.requires or ()):
            environments = [{"extra": extra} for extra in ("", *extras)]
            if need.marker is None or any(map(need.marker.evaluate, environments)):
                left.append((need.name, frozenset(need.extras)))
    return list(found.values())


def lay_out(distributions: Sequence[metadata.Distribution], folder: Path) -> Path:
    """Link the files that distributions list into an environment; return its site-packages."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    site = folder / "lib" / f"python{version}" / "site-packages"
    for distribution in distributions:
        for file in distribution.files or ():
            source = Path(str(distribution.locate_file(file)))
            if ".." in file.parts or "__pycache__" in file.parts or not source.is_file():
                continue
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                _link(str(source), str(target))
    return site


def make_smaller(
    source: Path, target: Path, settings: Sequence[str]
) -> tuple[dict[str, tuple[int, int]], list[tuple[str, int, int]]]:
    """Run slim; return sizes before and after of all, and of each library whose code was edited.

    Raises SystemExit with what slim said where it fails.
    """
    configuration = target.with_suffix(".toml")
    configuration.write_text("\n".join(["schema = 1", "[gpu]", *settings, ""]), encoding="utf-8")
    paths = [str(ROOT), *filter(None, sys.path)]
    command = [sys.executable, "-m", "slim", "run"]
    done = subprocess.run(
        [*command, str(source), "-o", str(target), "--json", "--config", str(configuration)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"slim run failed with {done.returncode}:\n{done.stderr[-2000:]}")
    told = json.loads(done.stdout)["runs"][0]
    edits = [
        (action["path"].rpartition("/")[2], action["before"], action["after"])
        for action in told["actions"]
        if action["pass"] == "gpu-code"
    ]
    totals = {
        name: (told["totals"][name]["before"], told["totals"][name]["after"])
        for name in ("unpacked", "files")
    }
    return totals, edits


def edit_for(site: Path, target: Path, devices: Sequence[Target]) -> Iterator[str]:
    """Link torch's folder and NVIDIA's; edit torch's own libraries, and yield their names."""
    for name in ("torch", "nvidia"):
        if (site / name).is_dir():
            shutil.copytree(site / name, target / name, copy_function=_link, symlinks=True)
    for file in sorted((target / "torch").rglob("*.so*")):
        if file.is_symlink() or not file.is_file() or file.stat().st_size < 4096:
            continue
        with file.open("rb") as stream:
            view = memoryview(map_file(stream.fileno(), file.stat().st_size))
            made = plan_gpu_edit(view, devices, "none")
            if isinstance(made, GpuEdit):
                new = file.with_name(f"{file.name}.new")
                with new.open("wb") as output:
                    output.writelines(made.recipe.chunks(view))
                shutil.copymode(file, new)
                new.replace(file)
                yield file.name


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def run(
    sites: Sequence[Path], environment: Mapping[str, str], arguments: Sequence[str], seconds: float
) -> tuple[str, str]:
    """Run the programs with these folders alone; return what they printed on both streams."""
    with tempfile.TemporaryDirectory(prefix="slim-gpu-caches-") as caches:
        environ = {
            **os.environ,
            **environment,
            "PYTHONPATH": os.pathsep.join(map(str, sites)),
            "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
            # What one way compiled must not serve another.
            "CUDA_CACHE_DISABLE": "1",
            **{
                name: str(Path(caches) / name)
                for name in ("TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "CUPY_CACHE_DIR")
            },
            "TORCHINDUCTOR_COMPILE_THREADS": "1",
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            "XLA_FLAGS": "--xla_gpu_deterministic_ops=true --xla_gpu_autotune_level=0",
        }
        command = [sys.executable, "-S", str(WORKER), *arguments]
        try:
            done = subprocess.run(
                command, env=environ, capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            out = error.stdout or b""
            return out.decode() if isinstance(out, bytes) else out, "no time was left"
    return done.stdout, done.stderr


def read_lines(printed: str) -> tuple[dict[str, Outcome], int]:
    """Read the lines of programs: an outcome for each, and the most memory of the card (bytes)."""
    found, memory = {}, 0
    for line in printed.splitlines():
        row = json.loads(line) if line.startswith("{") else {}
        memory = max(memory, row.get("context", 0))
        if "program" in row:
            found[row["program"]] = Outcome(
                tuple(row.get("digests", ())), row.get("error", ""), row["seconds"]
            )
    return found, memory


def capability() -> tuple[str, tuple[int, int]] | None:
    """Return name and compute capability of the first card; None where there is none."""
    program = (
        "import torch; print(*torch.cuda.get_device_capability(), torch.cuda.get_device_name())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    words = done.stdout.split()
    if done.returncode or len(words) < 3:
        return None
    return " ".join(words[2:]), (int(words[0]), int(words[1]))


def main() -> int:
    """Run everything that there is time for, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=480, help="time for all (default: 480)")
    parser.add_argument("--recompress", action="store_true", help="compress what stays again")
    parser.add_argument("--open", action="store_true", help="leave NVIDIA's own libraries alone")
    parser.add_argument("--folder", type=Path, help="where the copies go (default: temporary)")
    options = parser.parse_args()
    deadline = time.monotonic() + options.seconds
    card = capability()
    if card is None:
        print("no CUDA device, or no torch for CUDA in this Python", file=sys.stderr)
        return 2
    wrong = wrong_for(card[1])
    with tempfile.TemporaryDirectory(prefix="slim-gpu-", dir=options.folder) as place:
        sites = prepare(Path(place), card, options)
        results, memory = {}, {}
        for way in WAYS:
            left = max(deadline - time.monotonic() - 20, 1)
            printed, errors = run([sites[way.copy]], way.environment, PROGRAMS, left)
            results[way.name], memory[way.name] = read_lines(printed)
            if len(results[way.name]) < len(PROGRAMS):
                print(f"{way.name}, last words: {errors[-1500:]}", file=sys.stderr)
        left = max(deadline - time.monotonic(), 1)
        edited = Path(place) / "wrong"
        names = edit_for(sites["original"], edited, [parse_target(wrong)])
        print(f"edited for {wrong}: {', '.join(names)}\n", flush=True)
        printed, errors = run([edited, sites["original"]], {**LAZY, **NO_PTX}, ["--one"], left)
        negative = "it ran" if '"ran"' in printed else (errors.strip().splitlines() or ["?"])[-1]
        if NO_IMAGE in errors:
            negative = NO_IMAGE
    lines, good = table(results, negative, wrong)
    print("\n".join(lines))
    told = ", ".join(f"{name} {size / MB:.0f} MB" for name, size in memory.items())
    print(f"\nThe card's memory after torch's first kernel: {told}")
    return 0 if good else 1


def prepare(
    place: Path, card: tuple[str, tuple[int, int]], options: argparse.Namespace
) -> dict[str, Path]:
    """Lay the original out, have slim make it smaller, say what came of it; return both folders."""
    name, (major, minor) = card
    distributions = required(WANTED)
    original = lay_out(distributions, place / "original")
    settings = [
        f'architectures = ["sm_{major}{minor}"]',
        f"recompress = {str(options.recompress).lower()}",
        f"nvidia_licence_allows = {str(not options.open).lower()}",
    ]
    began = time.monotonic()
    totals, edits = make_smaller(place / "original", place / "slimmed", settings)
    versions = {one.metadata["Name"]: one.version for one in distributions}
    print(f"{name}; " + ", ".join(f"{one} {versions[one]}" for one in WANTED if one in versions))
    before, after = totals["unpacked"]
    files = f"{totals['files'][0]:,} -> {totals['files'][1]:,} files"
    print(f"slim run: {before / MB:,.1f} -> {after / MB:,.1f} MB, {files}, ", end="")
    print(f"in {time.monotonic() - began:.0f} s")
    before, after = sum(edit[1] for edit in edits), sum(edit[2] for edit in edits)
    print(
        f"{len(edits)} libraries with GPU code edited for sm_{major}{minor}: "
        f"{before / MB:,.1f} -> {after / MB:,.1f} MB",
        flush=True,
    )
    return {
        "original": original,
        "slimmed": place / "slimmed" / original.relative_to(place / "original"),
    }


if __name__ == "__main__":
    sys.exit(main())
