"""Entries of real fat binaries, compiled here, are those that NVIDIA's cuobjdump lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from slim.binaries.gpu.read import read_gpu_code
from slim.model.gpu import GpuCode, GpuCompression, GpuKind
from tests.support.cuda_tools import compile_cuda, listed, tool

SOURCE = """
__global__ void add(float *a, const float *b, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) a[i] += b[i];
}
extern "C" void run(float *a, float *b, int n) { add<<<1, n>>>(a, b, n); }
"""
SHARED = ("-shared", "-Xcompiler", "-fPIC")


def _code(number: str, *codes: str) -> tuple[str, str]:
    return "-gencode", f"arch=compute_{number},code=[{','.join(codes)}]"


MANY = (
    *_code("75", "sm_75", "compute_75"),
    *_code("90a", "sm_90a"),
    *_code("100f", "sm_100f", "compute_100f"),
)
LTO = (*_code("80", "sm_80"), *_code("90", "sm_90", "lto_90"))


def entries(code: GpuCode) -> list[tuple[str, str]]:
    """Entries as cuobjdump lists them."""
    kinds = (GpuKind.CUBIN, GpuKind.PTX)
    return [
        (kind.value, arch.rstrip("f") if kind is GpuKind.CUBIN else arch)
        for kind in kinds
        for container in sorted(code.containers, key=lambda one: one.section != ".nv_fatbin")
        for arch in (entry.architecture for entry in container.entries if entry.kind is kind)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("plain.so", (*SHARED, *MANY)),
        ("size.so", (*SHARED, *MANY, "-compress-mode", "size")),
        ("speed.so", (*SHARED, *MANY, "-compress-mode", "speed")),
        ("none.so", (*SHARED, *MANY, "-compress-mode", "none")),
        ("relocatable.so", (*SHARED, *MANY, "-rdc=true")),
        ("ptx.so", (*SHARED, *_code("80", "compute_80"))),
        ("lto.so", (*SHARED, *LTO, "-rdc=true")),
        ("object.o", ("-c", "-rdc=true", *LTO)),
        ("alone.cubin", ("-cubin", "-arch=sm_90a")),
        ("alone.fatbin", ("-fatbin", *MANY)),
    ],
)
def test_entries_are_those_of_cuobjdump(tmp_path: Path, name: str, flags: tuple[str, ...]) -> None:
    cuobjdump = tool("cuobjdump")
    file = compile_cuda(tmp_path, name, SOURCE, *flags)
    data = file.read_bytes()
    code = read_gpu_code(data)
    assert code is not None
    assert not code.damage
    assert all(not section.gaps for section in code.sections)
    if name == "alone.cubin":  # cuobjdump doesn't list it, and its header tells no suffix
        assert entries(code) == [("cubin", "sm_90")]
    else:
        assert entries(code) == listed(cuobjdump, file)
    if name in ("lto.so", "object.o"):
        assert GpuKind.LTO_IR in {entry.kind for entry in code.entries}
    packed = {entry.compression for entry in code.entries}
    if name == "speed.so":
        assert GpuCompression.LZ4 in packed
    if name == "none.so":
        assert packed == {GpuCompression.NONE}
    for entry in code.entries:
        start = data[entry.payload : entry.payload + 4]
        if entry.compression is GpuCompression.ZSTD and entry.kind is not GpuKind.LTO_IR:
            assert start == b"\x28\xb5\x2f\xfd"
        if entry.compression is GpuCompression.NONE and entry.kind is GpuKind.CUBIN:
            assert start == b"\x7fELF"
