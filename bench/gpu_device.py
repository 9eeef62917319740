"""An edited PyTorch against the original on a device: the same results, or not.

    python bench/gpu_device.py [--seconds 480] [--recompress] [--open] [--folder FOLDER]

Runs with a Python that has torch for CUDA, on a machine with one NVIDIA card; slim is
this checkout. Copies of torch and of NVIDIA's wheels are made beside each other, of hard links but
for what slim edits: one for the architecture of the card, and one for an architecture that the card
can't run. ``--open`` leaves NVIDIA's own libraries alone; without it they are edited in the copies,
which are deleted afterwards. The folder has to be on the file system of the installation, or there
has to be room for copies of the whole.

Each program runs in a process of its own: as it is; with the edited copy, where kernels are loaded
when they are first needed, and all at the start (CUDA_MODULE_LOADING=EAGER); each time with PTX
compilation forbidden (CUDA_DISABLE_PTX_JIT=1). A result is equal if each tensor has the same bytes.
The last row is a negative test: with the copy for another architecture the first kernel has to
fail with "no kernel image is available". Prints a table; the exit code is 0 if all is as it should
be, 1 if not, 2 where there is no device, and what doesn't fit into ``--seconds`` is told as such.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from slim.binaries.gpu.edit import GpuEdit, plan_gpu_edit
from slim.model.gpu_target import Target, parse_target
from slim.system.mapped import map_file

MB = 1_000_000
PROGRAMS = (
    "matmul",
    "convolution",
    "attention",
    "fft",
    "sparse",
    "random",
    "linear algebra",
    "compile",
)
WRONG = ("sm_75", "sm_80", "sm_90", "sm_120")
"""Architectures of which one is taken that the card can't run."""
NO_IMAGE = "no kernel image is available"

WORKER = r"""
import ctypes, hashlib, json, sys, time
started = time.perf_counter()
import torch
import torch.nn.functional as F
torch.use_deterministic_algorithms(True, warn_only=True)
torch.backends.cudnn.benchmark = False
torch.manual_seed(7)
device = torch.device("cuda")

def made(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3)).to(device, dtype)

def digest(tensor):
    whole = tensor.detach().cpu().contiguous()
    size = whole.numel() * whole.element_size()
    return hashlib.sha256(ctypes.string_at(whole.data_ptr(), size)).hexdigest()

def matmul():
    for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float64):
        yield made(1024, 768, dtype=dtype) @ made(768, 512, dtype=dtype)

def convolution():
    for dtype in (torch.float32, torch.float16):
        image, kernel = made(8, 32, 64, 64, dtype=dtype), made(64, 32, 3, 3, dtype=dtype)
        yield F.conv2d(image, kernel, padding=1)
        yield F.max_pool2d(torch.relu(F.conv2d(image, kernel)), 2)

def attention():
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        q, k, v = (made(4, 8, 256, 64, dtype=dtype) for _ in range(3))
        yield F.scaled_dot_product_attention(q, k, v, is_causal=True)

def fft():
    yield torch.view_as_real(torch.fft.fft(made(64, 4096)))
    yield torch.view_as_real(torch.fft.rfft2(made(16, 256, 250)))

def sparse():
    dense = made(512, 512)
    dense[dense.abs() < 1.5] = 0
    yield torch.sparse.mm(dense.to_sparse_csr(), made(512, 64))
    yield (dense.to_sparse() @ made(512, 64))

def random():
    torch.cuda.manual_seed(11)
    yield torch.randn(1 << 20, device=device)
    yield torch.randint(0, 1000, (1 << 20,), device=device)
    yield torch.rand(1 << 20, device=device, dtype=torch.float64)
    yield torch.randperm(1 << 16, device=device)

def linear_algebra():
    square = made(256, 256, dtype=torch.float64)
    yield torch.linalg.cholesky(square @ square.T + 256 * torch.eye(256, device=device).double())
    yield torch.linalg.inv(square)
    yield torch.sort(made(1 << 18)).values
    yield torch.cumsum(made(1 << 18), 0)

def compile():
    def function(x, y):
        return torch.softmax(torch.relu(x @ y) * 0.5 + x.sum(1, keepdim=True), dim=-1)
    yield torch.compile(function)(made(512, 512), made(512, 512))

if sys.argv[1] == "--one":
    torch.zeros(8, device=device).add_(1).cpu()
    print(json.dumps({"ran": True}))
    sys.exit()
print(json.dumps({"name": torch.cuda.get_device_name(), "torch": torch.__version__,
                  "import": time.perf_counter() - started}), flush=True)
for name in sys.argv[1:]:
    began = time.perf_counter()
    row = {"program": name}
    try:
        row["digests"] = [digest(one) for one in globals()[name.replace(" ", "_")]()]
    except Exception as error:
        row["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    torch.cuda.synchronize()
    row["seconds"] = time.perf_counter() - began
    row["memory"] = torch.cuda.mem_get_info()[1] - torch.cuda.mem_get_info()[0]
    print(json.dumps(row), flush=True)
"""


@dataclass(frozen=True)
class Outcome:
    """What a program came to: digests of its results, or why it has none; seconds it took."""

    digests: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Way:
    """A way to run the programs: which copy, and what the environment says."""

    name: str
    copy: str
    environment: Mapping[str, str]


LAZY = {"CUDA_MODULE_LOADING": "LAZY"}
EAGER = {"CUDA_MODULE_LOADING": "EAGER"}
NO_PTX = {"CUDA_DISABLE_PTX_JIT": "1"}
WAYS = (
    Way("original", "", LAZY),
    Way("edited", "edited", {**LAZY, **NO_PTX}),
    Way("edited, eager", "edited", {**EAGER, **NO_PTX}),
)


def verdict(before: Outcome | None, after: Outcome | None) -> str:
    """Return ``equal``, or in words why not."""
    if before is None or after is None:
        return "not run: no time was left"
    if before.error and after.error == before.error:
        return f"fails alike: {before.error}"
    if before.error or after.error:
        return f"DIFFERS: {after.error or 'no error'}; original: {before.error or 'no error'}"
    return "equal" if before.digests == after.digests and before.digests else "DIFFERS"


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


def installed() -> list[Path]:
    """Return the folders that torch for CUDA is in: its own, and those of NVIDIA's wheels."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.origin:
        return []
    site = Path(spec.origin).resolve().parents[1]
    return [site / name for name in ("torch", "nvidia") if (site / name).is_dir()]


def make_copy(
    folders: Sequence[Path], target: Path, devices: Sequence[Target], *, opened: bool, again: bool
) -> Iterator[tuple[str, int, int]]:
    """Copy folders, edit their libraries, and yield name and bytes before and after of each."""
    for folder in folders:
        shutil.copytree(folder, target / folder.name, copy_function=_link, symlinks=True)
        if opened and folder.name == "nvidia":
            continue
        for file in sorted((target / folder.name).rglob("*.so*")):
            if file.is_symlink() or not file.is_file() or file.stat().st_size < 4096:
                continue
            with file.open("rb") as stream:
                view = memoryview(map_file(stream.fileno(), file.stat().st_size))
                made = plan_gpu_edit(view, devices, "none", recompress=again)
                if isinstance(made, GpuEdit):
                    new = file.with_name(f"{file.name}.new")
                    with new.open("wb") as output:
                        output.writelines(made.recipe.chunks(view))
                    shutil.copymode(file, new)
                    new.replace(file)
                    yield file.name, made.size_before, made.size_after


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def run(
    copy: Path | None, environment: Mapping[str, str], arguments: Sequence[str], seconds: float
) -> tuple[str, str]:
    """Run the worker; return what it printed on both streams, as far as it came."""
    environ = {**os.environ, "CUBLAS_WORKSPACE_CONFIG": ":4096:8", **environment}
    if copy is not None:
        environ["PYTHONPATH"] = str(copy)
    command = [sys.executable, "-c", WORKER, *arguments]
    try:
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        out = error.stdout or b""
        return out.decode() if isinstance(out, bytes) else out, "no time was left"
    return done.stdout, done.stderr


def outcomes(printed: str) -> dict[str, Outcome]:
    """Read the worker's lines: an outcome for each program."""
    found = {}
    for line in printed.splitlines():
        row = json.loads(line) if line.startswith("{") else {}
        if "program" in row:
            found[row["program"]] = Outcome(
                tuple(row.get("digests", ())), row.get("error", ""), row["seconds"]
            )
    return found


def capability() -> tuple[int, int] | None:
    """Return the compute capability of the first card; None where there is none."""
    program = "import torch; print(*torch.cuda.get_device_capability())"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    words = done.stdout.split()
    return (int(words[0]), int(words[1])) if done.returncode == 0 and len(words) == 2 else None


def main() -> int:
    """Run everything that there is time for, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=480, help="time for all (default: 480)")
    parser.add_argument("--recompress", action="store_true", help="compress what stays again")
    parser.add_argument("--open", action="store_true", help="leave NVIDIA's own libraries alone")
    parser.add_argument("--folder", type=Path, help="where the copies go (default: temporary)")
    options = parser.parse_args()
    deadline = time.monotonic() + options.seconds
    folders, card = installed(), capability()
    if not folders or card is None:
        print("no CUDA device, or no torch for CUDA in this Python", file=sys.stderr)
        return 2
    name, wrong = f"sm_{card[0]}{card[1]}", wrong_for(card)
    with tempfile.TemporaryDirectory(prefix="slim-gpu-", dir=options.folder) as place:
        before = after = 0
        for copy, device in (("edited", name), ("wrong", wrong)):
            edited = make_copy(
                folders,
                Path(place) / copy,
                [parse_target(device)],
                opened=options.open,
                again=options.recompress and copy == "edited",
            )
            sizes = [(old, new) for _, old, new in edited]
            if copy == "edited":
                before, after = (sum(pair[side] for pair in sizes) for side in (0, 1))
                print(f"{len(sizes)} libraries edited for {name}: ", end="")
                print(f"{before / MB:.1f} MB before, {after / MB:.1f} MB after\n", flush=True)
        results = {}
        for way in WAYS:
            left = max(deadline - time.monotonic() - 20, 1)
            folder = Path(place) / way.copy if way.copy else None
            printed, _ = run(folder, way.environment, PROGRAMS, left)
            results[way.name] = outcomes(printed)
        left = max(deadline - time.monotonic(), 1)
        printed, errors = run(Path(place) / "wrong", {**LAZY, **NO_PTX}, ["--one"], left)
        negative = "it ran" if '"ran"' in printed else (errors.strip().splitlines() or ["?"])[-1]
        if NO_IMAGE in errors:
            negative = NO_IMAGE
        lines, good = table(results, negative, wrong)
    print("\n".join(lines))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
