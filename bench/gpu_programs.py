"""Programs that use a GPU in many ways; bench/gpu_device.py runs them before and after slim.

    python bench/gpu_programs.py PROGRAM...
    python bench/gpu_programs.py --one

Prints a line of JSON for each program: digests of its results, or its error, and seconds. Numbers
that come in are made on the CPU from fixed seeds, and algorithms are asked to be deterministic, so
that the same code gives the same bytes. ``--one`` starts a single kernel.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

torch.use_deterministic_algorithms(mode=True, warn_only=True)
torch.backends.cudnn.benchmark = False
DEVICE = torch.device("cuda")


def made(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return numbers of a normal distribution, always the same."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3)).to(DEVICE, dtype)


def digest(result: Any) -> str:
    """Return the SHA-256 of a tensor's bytes, or of an array's."""
    if not isinstance(result, torch.Tensor):
        return hashlib.sha256(result.tobytes()).hexdigest()
    whole = result.detach().cpu().contiguous()
    size = whole.numel() * whole.element_size()
    return hashlib.sha256(ctypes.string_at(whole.data_ptr(), size)).hexdigest()


def matmul() -> Iterator[Any]:
    """Products of matrices: cuBLAS."""
    for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.complex64):
        yield made(1024, 768, dtype=dtype) @ made(768, 512, dtype=dtype)
    yield torch.bmm(made(16, 100, 60), made(16, 60, 90))


def small_numbers() -> Iterator[Any]:
    """Products of numbers of eight bits: cuBLASLt, and what the card has instructions for."""
    one = torch.ones((), device=DEVICE)
    left = made(256, 512).to(torch.float8_e4m3fn)
    right = made(128, 512).to(torch.float8_e4m3fn).t()
    yield torch._scaled_mm(left, right, scale_a=one, scale_b=one, out_dtype=torch.bfloat16)
    whole = (made(256, 256) * 20).to(torch.int8)
    yield torch._int_mm(whole, whole)


def convolution() -> Iterator[Any]:
    """Convolutions: cuDNN."""
    for dtype in (torch.float32, torch.float16):
        image, kernel = made(8, 32, 64, 64, dtype=dtype), made(64, 32, 3, 3, dtype=dtype)
        yield F.conv2d(image, kernel, padding=1)
        yield F.max_pool2d(torch.relu(F.conv2d(image, kernel)), 2)
        yield F.conv_transpose2d(image, made(32, 16, 4, 4, dtype=dtype), stride=2)
    yield F.conv3d(made(2, 4, 16, 16, 16), made(8, 4, 3, 3, 3), padding=1)


def attention() -> Iterator[Any]:
    """Flash and memory-efficient attention, and cuDNN's."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        q, k, v = (made(4, 8, 256, 64, dtype=dtype) for _ in range(3))
        yield F.scaled_dot_product_attention(q, k, v, is_causal=True)
    q, k, v = (made(2, 4, 128, 64, dtype=torch.float16) for _ in range(3))
    for backend in SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH:
        with sdpa_kernel(backend):
            yield F.scaled_dot_product_attention(q, k, v)
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        yield F.scaled_dot_product_attention(q, k, v)


def recurrent() -> Iterator[Any]:
    """Recurrent networks of cuDNN."""
    for kind, dtype in ((nn.LSTM, torch.float32), (nn.GRU, torch.float16)):
        torch.manual_seed(7)
        network = kind(64, 128, num_layers=2, bidirectional=True).to(DEVICE, dtype)
        yield network(made(20, 8, 64, dtype=dtype))[0]


def training() -> Iterator[Any]:
    """Three steps of training a small network, with a fused optimizer."""
    torch.manual_seed(7)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.GELU(), nn.AdaptiveAvgPool2d(4),
        nn.Flatten(), nn.LayerNorm(256), nn.Linear(256, 10),
    ).to(DEVICE)  # fmt: skip
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    images, wanted = made(32, 3, 32, 32), torch.arange(32, device=DEVICE) % 10
    for _ in range(3):
        optimizer.zero_grad()
        loss = F.cross_entropy(network(images), wanted)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        yield loss
    yield from network.parameters()


def fft() -> Iterator[Any]:
    """Fourier transforms by cuFFT, of lengths that are powers of two, composed, and prime."""
    for length in (4096, 3000, 4099):
        yield torch.view_as_real(torch.fft.fft(made(64, length)))
    yield torch.view_as_real(torch.fft.rfft2(made(16, 256, 250)))
    yield torch.fft.irfft(torch.fft.rfft(made(8, 1024, dtype=torch.float64)))


def sparse() -> Iterator[Any]:
    """Sparse matrices: cuSPARSE."""
    dense = made(512, 512)
    dense[dense.abs() < 1.5] = 0
    yield torch.sparse.mm(dense.to_sparse_csr(), made(512, 64))
    yield dense.to_sparse() @ made(512, 64)
    yield torch.sparse.mm(dense.to_sparse_csr(), dense.to_sparse_csr()).to_dense()


def random() -> Iterator[Any]:
    """Random numbers of the card."""
    torch.cuda.manual_seed(11)
    yield torch.randn(1 << 20, device=DEVICE)
    yield torch.randint(0, 1000, (1 << 20,), device=DEVICE)
    yield torch.rand(1 << 20, device=DEVICE, dtype=torch.float64)
    yield torch.randperm(1 << 16, device=DEVICE)
    yield torch.poisson(torch.full((1 << 16,), 4.0, device=DEVICE))
    yield torch.multinomial(torch.ones(64, 100, device=DEVICE), 20)


def linear_algebra() -> Iterator[Any]:
    """cuSOLVER, MAGMA, sorting and sums."""
    square = made(256, 256, dtype=torch.float64)
    yield torch.linalg.cholesky(square @ square.T + 256 * torch.eye(256, device=DEVICE).double())
    yield torch.linalg.inv(square)
    yield torch.linalg.eigvalsh(square + square.T)
    yield torch.linalg.svdvals(made(128, 96))
    yield from torch.linalg.qr(made(128, 96))
    yield torch.linalg.eigvals(square[:64, :64]).abs().sort().values
    yield torch.sort(made(1 << 18)).values
    yield torch.cumsum(made(1 << 18), 0)
    yield torch.topk(made(64, 5000), 40).values
    yield torch.special.i0e(made(1000))


def indexing() -> Iterator[Any]:
    """Kernels of PyTorch's own that gather, scatter and resample."""
    numbers, at = made(1000, 32), torch.arange(5000, device=DEVICE) * 7 % 1000
    yield numbers[at]
    yield F.embedding_bag(at.view(100, 50), numbers, mode="max")
    yield F.interpolate(made(2, 3, 40, 40), size=(90, 70), mode="bicubic")
    yield F.grid_sample(made(2, 3, 40, 40), made(2, 20, 20, 2).tanh(), align_corners=False)
    yield torch.unique(at % 50)
    yield torch.histc(made(10000), 30)
    yield torch.cdist(numbers[:100], numbers[:200])
    yield torch.where(numbers > 0, numbers, -numbers).half().float().amax(1)


def collectives() -> Iterator[Any]:
    """NCCL, with one process: a scaled sum is a kernel even then."""
    import torch.distributed as dist

    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group("nccl", init_method=f"file://{folder}/at", rank=0, world_size=1)
        try:
            numbers = made(1 << 20)
            dist.all_reduce(numbers, op=dist._make_nccl_premul_sum(3.0))
            yield numbers
            gathered = torch.empty_like(numbers)
            dist.all_gather_into_tensor(gathered, numbers)
            yield gathered
        finally:
            dist.destroy_process_group()


def vision() -> Iterator[Any]:
    """Kernels of torchvision."""
    from torchvision import ops

    corners = made(500, 2).abs() * 50
    boxes = torch.cat([corners, corners + 20 + made(500, 2).abs()], 1)
    yield ops.nms(boxes, made(500), 0.5)
    batch = torch.cat([torch.zeros(500, 1, device=DEVICE), boxes], 1)
    yield ops.roi_align(made(1, 8, 100, 100), batch, 7)


def compile() -> Iterator[Any]:
    """Code that Triton compiles at run time."""

    def function(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.softmax(torch.relu(x @ y) * 0.5 + x.sum(1, keepdim=True), dim=-1)

    yield torch.compile(function)(made(512, 512), made(512, 512))


def bitsandbytes() -> Iterator[Any]:
    """Quantized weights."""
    functional = importlib.import_module("bitsandbytes.functional")
    for kind in ("nf4", "fp4"):
        small, state = functional.quantize_4bit(made(512, 512).half(), quant_type=kind)
        yield small
        yield functional.dequantize_4bit(small, state)
    blocks, state = functional.quantize_blockwise(made(512, 512))
    yield functional.dequantize_blockwise(blocks, state)
    numbers, *_ = functional.int8_vectorwise_quant(made(256, 256).half())
    yield functional.int8_linear_matmul(numbers, numbers)


def cupy() -> Iterator[Any]:
    """CuPy: its own kernels, those that NVRTC compiles, and NVIDIA's libraries."""
    cupy = importlib.import_module("cupy")
    numbers = cupy.asarray(made(1 << 16).cpu().numpy())
    yield cupy.sort(numbers).get()
    yield (numbers * 2 + cupy.sin(numbers)).sum().get()
    yield cupy.fft.fft(numbers).get()
    yield cupy.linalg.inv(numbers[:4096].reshape(64, 64)).get()
    kernel = cupy.RawKernel(
        'extern "C" __global__ void f(float *a) { a[threadIdx.x] *= 3.0f; }', "f"
    )
    kernel((1,), (256,), (numbers,))
    yield numbers[:256].get()


def jax() -> Iterator[Any]:
    """JAX: what XLA compiles, its plug-in's kernels, and NVIDIA's libraries."""
    jax = importlib.import_module("jax")
    numpy = importlib.import_module("numpy")
    numbers = jax.numpy.asarray(made(128, 128).cpu().numpy())
    assert numbers.devices().pop().platform == "gpu"
    yield numpy.asarray(jax.jit(lambda x: jax.numpy.tanh(x @ x.T).sum(1))(numbers))
    yield numpy.asarray(jax.numpy.fft.rfft(numbers))
    yield numpy.asarray(jax.numpy.linalg.inv(numbers))
    yield numpy.asarray(jax.numpy.sort(numbers, axis=0))
    yield numpy.asarray(jax.random.normal(jax.random.key(5), (1000,)))


def main() -> None:
    """Run the programs that are named."""
    torch.zeros(8, device=DEVICE).add_(1).cpu()
    free, whole = torch.cuda.mem_get_info()
    if sys.argv[1] == "--one":
        print(json.dumps({"ran": True}))
        return
    print(json.dumps({"torch": torch.__version__, "context": whole - free}), flush=True)
    for name in sys.argv[1:]:
        began = time.perf_counter()
        row: dict[str, Any] = {"program": name, "digests": []}
        try:
            for result in globals()[name.replace(" ", "_")]():
                row["digests"].append(digest(result))
        except Exception as error:
            row["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        torch.cuda.synchronize()
        row["seconds"] = time.perf_counter() - began
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
