"""NVIDIA's tools: ``nvcc`` that compiles real fat binaries, ``cuobjdump`` that lists them.

Tools are looked for on ``PATH``, in ``/usr/local/cuda/bin``, in the folder that the variable
``SLIM_CUDA_TOOLS`` names, and in the wheels ``nvidia-cuda-cuobjdump`` and ``nvidia-cuda-nvdisasm``
where they are installed. Tests are skipped where there is none.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

_LISTED = re.compile(r"^(?:ELF|PTX) file +\d+: .*\.\d+\.(sm_\w+)\.(cubin|ptx)$", re.MULTILINE)


class CudaToolError(Exception):
    """A tool that doesn't read a file."""


def find(name: str) -> Path | None:
    """The path of a tool, or None."""
    folders = [os.environ.get("SLIM_CUDA_TOOLS", ""), "/usr/local/cuda/bin"]
    site = Path(sysconfig.get_path("purelib")) / "nvidia"
    folders += [str(folder) for folder in sorted(site.glob("*/bin"))]
    places = os.pathsep.join([os.environ.get("PATH", ""), *filter(None, folders)])
    found = shutil.which(name, path=places)
    return Path(found) if found else None


def tool(name: str) -> Path:
    """The path of a tool; the test is skipped where there is none."""
    found = find(name)
    if found is None:
        pytest.skip(f"{name} isn't installed (nvidia-cuda-{name}, or SLIM_CUDA_TOOLS)")
    return found


def compile_cuda(folder: Path, name: str, source: str, *flags: str) -> Path:
    """Compile a file of CUDA with nvcc; the test is skipped where there is none."""
    nvcc = tool("nvcc")
    text = folder / "source.cu"
    text.write_text(source, encoding="utf-8")
    made = folder / name
    command = [str(nvcc), *flags, "-o", str(made), str(text)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert result.returncode == 0, result.stderr
    return made


def listed(cuobjdump: Path, file: Path) -> list[tuple[str, str]]:
    """Kind and architecture of each cubin, then of each PTX, in cuobjdump's order.

    That is: first those of ``.nv_fatbin``, then those of ``__nv_relfatbin``. It writes no ``f``
    after the architecture of a cubin for a family, but after that of PTX.
    Raises CudaToolError where it gives up.
    """
    rows = []
    for option in ("-lelf", "-lptx"):
        command = [str(cuobjdump), "-all", option, str(file)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode and "No PTX file found" not in result.stderr:
            raise CudaToolError(result.stderr.strip().replace(str(file), file.name))
        rows += [(kind, arch) for arch, kind in _LISTED.findall(result.stdout)]
    return rows


def device() -> tuple[int, int]:
    """The compute capability of the first device; the test is skipped where there is none."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        pytest.skip("there is no NVIDIA driver, so no device")
    found = []
    for attribute in (75, 76):  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
        number = ctypes.c_int()
        if driver.cuInit(0) or driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, 0):
            pytest.skip("the NVIDIA driver has no device")
        found.append(number.value)
    return found[0], found[1]
