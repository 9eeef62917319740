"""Edited code on a device: the kernels that stay run, and give what they gave.

Needs NVIDIA's compiler and a device; skipped, visibly, where there is none.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from slim.binaries.gpu.edit import GpuEdit, plan_gpu_edit
from slim.model.gpu_target import parse_target
from slim.verification.native.gpu import check
from tests.support.cuda_tools import compile_cuda, device

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("gpu-device")]

KERNEL = """
#include <cuda_runtime.h>
__device__ float more(float x, int k);
__global__ void step{n}(float *a, int count) {{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) for (int k = 0; k < 8; k++) a[i] = more(a[i] * {n}.25f, k);
}}
"""
SOURCE = (
    "".join(KERNEL.format(n=n) for n in range(1, 4))
    + "__device__ float more(float x, int k) { return x * x + k * sinf(x); }\n"
    + 'extern "C" int run(float *numbers, int count) {\n'
    + "float *a = 0; size_t size = count * sizeof(float);\n"
    + "if (cudaMalloc(&a, size)) return cudaGetLastError();\n"
    + "cudaMemcpy(a, numbers, size, cudaMemcpyHostToDevice);\n"
    + "".join(f"step{n}<<<(count + 63) / 64, 64>>>(a, count);\n" for n in range(1, 4))
    + "cudaError_t said = cudaGetLastError();\n"
    + "if (!said) said = cudaMemcpy(numbers, a, size, cudaMemcpyDeviceToHost);\n"
    + "return said; }\n"
)
NO_IMAGE = 209
"""cudaErrorNoKernelImageForDevice, of driver_types.h."""
PROGRAM = """
import ctypes, sys
numbers = (ctypes.c_float * 1000)(*(k / 700 for k in range(1000)))
said = ctypes.CDLL(sys.argv[1]).run(numbers, 1000)
print(said, bytes(numbers).hex())
"""
SHARED = ("-shared", "-Xcompiler", "-fPIC")


def _codes(own: str, *more: str) -> tuple[str, ...]:
    """Options for code of four architectures, the device's own among them, and PTX of it."""
    numbers = dict.fromkeys(("75", "80", "90", "120", own))
    flags = [f"-gencode=arch=compute_{one},code=sm_{one}" for one in numbers]
    return *SHARED, *flags, f"-gencode=arch=compute_{own},code=compute_{own}", *more


CASES = {
    "plain": (),
    "none": ("-compress-mode", "none"),
    "size": ("-compress-mode", "size"),
    "speed": ("-compress-mode", "speed"),
    "relocatable": ("-rdc=true",),
    "relocatable-none": ("-rdc=true", "-compress-mode", "none"),
    "runtime": ("-cudart", "shared"),
}


def own() -> str:
    """The device's capability, as in ``sm_90``, without the letters."""
    major, minor = device()
    return f"{major}{minor}"


def other(number: str) -> str:
    """An architecture in the libraries that the device can't run."""
    return next(one for one in ("75", "80", "90") if one[:-1] != number[:-1])


def edited(file: Path, *names: str, recompress: bool = False) -> Path:
    data = file.read_bytes()
    targets = [parse_target(name) for name in names]
    made = plan_gpu_edit(data, targets, "unneeded", recompress=recompress)
    assert isinstance(made, GpuEdit), made
    new = file.with_name(f"new-{'-'.join(names)}-{file.name}")
    new.write_bytes(made.recipe.whole(data))
    assert check(data, new.read_bytes()) == []
    return new


def run(file: Path, *, ptx: bool = False, loading: str = "LAZY") -> tuple[int, bytes]:
    """What the library's kernels returned and made, in a process of its own."""
    environment = {
        **os.environ,
        "CUDA_MODULE_LOADING": loading,
        "CUDA_CACHE_DISABLE": "1",
        **({} if ptx else {"CUDA_DISABLE_PTX_JIT": "1"}),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    said, _, numbers = done.stdout.strip().partition(" ")
    return int(said), bytes.fromhex(numbers)


@pytest.mark.parametrize("name", CASES)
def test_kernels_run_and_give_what_they_gave(name: str, tmp_path: Path) -> None:
    number = own()
    file = compile_cuda(tmp_path, f"{name}.so", SOURCE, *_codes(number, *CASES[name]))
    said, numbers = run(file)
    assert said == 0
    assert numbers != run_on_nothing()
    new = edited(file, f"sm_{number}")
    assert new.stat().st_size < file.stat().st_size
    for loading in ("LAZY", "EAGER"):
        assert run(new, loading=loading) == (0, numbers)
    wrong = edited(file, f"sm_{other(number)}")
    assert run(wrong)[0] == NO_IMAGE


@pytest.mark.parametrize("name", ["plain", "none", "speed"])
def test_what_is_compressed_again_is_read_by_the_driver(name: str, tmp_path: Path) -> None:
    number = own()
    file = compile_cuda(tmp_path, f"{name}.so", SOURCE, *_codes(number, *CASES[name]))
    assert run(edited(file, f"sm_{number}", recompress=True)) == run(file)


def test_ptx_that_stays_is_compiled_by_the_driver(tmp_path: Path) -> None:
    """Of machine code only what the device can't run stays, and PTX of before it."""
    number = own()
    flags = [f"-gencode=arch=compute_{one},code=sm_{one}" for one in ("75", "80", "90")]
    lowest = "-gencode=arch=compute_75,code=compute_75"
    file = compile_cuda(tmp_path, "ptx.so", SOURCE, *SHARED, *flags, lowest)
    new = edited(file, f"{other(number)[:-1]}.{other(number)[-1]}+ptx")
    assert run(new)[0] != 0
    said, numbers = run(new, ptx=True)
    assert said == 0
    before = struct.unpack("1000f", run(file, ptx=True)[1])
    assert struct.unpack("1000f", numbers) == pytest.approx(before, rel=1e-3, nan_ok=True)


def run_on_nothing() -> bytes:
    """The numbers as they go in."""
    return struct.pack("1000f", *(k / 700 for k in range(1000)))
