"""Edits of real fat binaries, compiled here, judged by NVIDIA's tools, LIEF, pyelftools and dlopen.

None of these share code with the editor, or with slim's own oracle.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

from slim.binaries.gpu.edit import GpuEdit, plan_gpu_edit
from slim.model.gpu_target import parse_target
from slim.verification.native.gpu import check
from slim.verification.second_opinion import elf as second
from slim.verification.second_opinion.facts import differences
from tests.support.cuda_tools import compile_cuda, listed, tool

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("gpu-edit")]

KERNELS = """
#include <cuda_runtime.h>
__global__ void add{n}(float *a, const float *b, int n) {{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) for (int k = 0; k < 8; k++) a[i] = a[i] * b[i] + k * sinf(a[i] * {n}.5f);
}}
"""
SOURCE = (
    "".join(KERNELS.format(n=n) for n in range(3))
    + 'extern "C" int run(float *a, float *b, int n) {\n'
    + "".join(f"add{n}<<<1, 64>>>(a, b, n);" for n in range(3))
    + "\nreturn cudaGetLastError(); }\n"
)
SHARED = ("-shared", "-Xcompiler", "-fPIC")
_CUBIN = re.compile(r"\.(sm_\w+)\.cubin$")


def _code(number: str, *codes: str) -> tuple[str, str]:
    return "-gencode", f"arch=compute_{number},code=[{','.join(codes)}]"


MANY = (
    *_code("75", "sm_75"),
    *_code("80", "sm_80"),
    *_code("86", "sm_86"),
    *_code("90", "sm_90", "compute_90"),
    *_code("90a", "sm_90a"),
    *_code("100f", "sm_100f"),
)
LTO = (*_code("80", "sm_80"), *_code("86", "sm_86"), *_code("90", "sm_90", "lto_90"))
CASES = {
    "plain": (*SHARED, *MANY),
    "none": (*SHARED, *MANY, "-compress-mode", "none"),
    "size": (*SHARED, *MANY, "-compress-mode", "size"),
    "speed": (*SHARED, *MANY, "-compress-mode", "speed"),
    "relocatable": (*SHARED, *MANY, "-rdc=true"),
    "relocatable-none": (*SHARED, *MANY, "-rdc=true", "-compress-mode", "none"),
    "lto": (*SHARED, *LTO, "-rdc=true"),
    "runtime": (*SHARED, *MANY, "-cudart", "shared"),
}


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Libraries that were compiled, by name."""
    return {}


def library(name: str, libraries: dict[str, Path], folders: pytest.TempPathFactory) -> Path:
    if name not in libraries:
        folder = folders.mktemp(name)
        libraries[name] = compile_cuda(folder, f"{name}.so", SOURCE, *CASES[name])
    return libraries[name]


def edit(file: Path, folder: Path, *names: str, level: str = "unneeded") -> Path:
    data = file.read_bytes()
    made = plan_gpu_edit(data, [parse_target(name) for name in names], level)
    assert isinstance(made, GpuEdit), made
    new = folder / file.name
    new.write_bytes(made.recipe.whole(data))
    assert check(data, new.read_bytes()) == []
    return new


def disassembled(file: Path, folder: Path) -> Counter[tuple[str, str]]:
    """Architecture and disassembly of each cubin, by cuobjdump and nvdisasm."""
    folder.mkdir()
    command = [str(tool("cuobjdump")), "-all", "-xelf", "all", str(file.resolve())]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    found: Counter[tuple[str, str]] = Counter()
    for cubin in sorted(folder.iterdir()):
        match = _CUBIN.search(cubin.name)
        assert match
        shown = subprocess.run(
            [str(tool("nvdisasm")), "-hex", cubin.name], capture_output=True, text=True, check=True,
            cwd=folder,
        )  # fmt: skip
        found[match[1], re.sub(r"^.*\.cubin.*$", "", shown.stdout, flags=re.MULTILINE)] += 1
    return found


def can_run_90(kind: str, arch: str) -> bool:
    """What of these libraries an sm_90 needs, written out: PTX has cubins beside it."""
    return kind == "cubin" and arch in ("sm_90", "sm_90a")


@pytest.mark.parametrize("name", CASES)
def test_what_stays_is_what_was(
    name: str,
    tmp_path: Path,
    libraries: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The list after is that before less what was to go, and what is left is the same code."""
    cuobjdump, _ = tool("cuobjdump"), tool("nvdisasm")
    file = library(name, libraries, tmp_path_factory)
    new = edit(file, tmp_path, "sm_90")
    before, after = listed(cuobjdump, file), listed(cuobjdump, new)
    assert Counter(after) == Counter(one for one in before if can_run_90(*one))
    old, now = disassembled(file, tmp_path / "old"), disassembled(new, tmp_path / "new")
    kept = {key: count for key, count in old.items() if can_run_90("cubin", key[0])}
    assert now == Counter(kept)


@pytest.mark.parametrize("name", ["none", "speed", "plain"])
def test_what_is_compressed_again_is_what_was(
    name: str,
    tmp_path: Path,
    libraries: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """NVIDIA's tools list and disassemble the same code in it."""
    cuobjdump, _ = tool("cuobjdump"), tool("nvdisasm")
    file = library(name, libraries, tmp_path_factory)
    data = file.read_bytes()
    made = plan_gpu_edit(data, [], "none", recompress=True)
    assert isinstance(made, GpuEdit), made
    new = tmp_path / file.name
    new.write_bytes(made.recipe.whole(data))
    assert check(data, new.read_bytes()) == []
    assert listed(cuobjdump, new) == listed(cuobjdump, file)
    assert disassembled(new, tmp_path / "new") == disassembled(file, tmp_path / "old")
    assert call(new) == call(file)


@pytest.mark.parametrize("name", CASES)
def test_the_loader_sees_the_same_library(
    name: str,
    tmp_path: Path,
    libraries: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    file = library(name, libraries, tmp_path_factory)
    new = edit(file, tmp_path, "sm_90", level="none")
    before, after = relocations(file), relocations(new)
    assert before.keys() == after.keys()
    moved = {slot for slot, row in before.items() if row != after[slot]}
    with file.open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(".nvFatBinSegment")
        wrappers = range(section["sh_addr"], section["sh_addr"] + section["sh_size"])
    assert all(slot in wrappers and (slot - wrappers.start) % 24 == 8 for slot in moved)
    old, now = second.read_gpu(file.read_bytes()), second.read_gpu(new.read_bytes())
    assert old is not None
    assert now is not None
    assert differences(old, now) == []


@pytest.mark.parametrize("name", CASES)
def test_an_edited_library_can_be_opened_and_called(
    name: str,
    tmp_path: Path,
    libraries: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Without a device, both say that there is none: the runtime has registered the code."""
    file = library(name, libraries, tmp_path_factory)
    new = edit(file, tmp_path, "sm_90")
    before = call(file)
    assert call(new) == before
    if before.startswith("cannot"):
        pytest.skip(before)


def call(file: Path) -> str:
    """What the library's function returns in a process of its own."""
    program = (
        "import ctypes, sys\n"
        "try: print(ctypes.CDLL(sys.argv[1]).run(None, None, 1))\n"
        "except OSError as error: print('cannot', str(error).partition(': ')[2])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


UNWINDING = """
#include <dlfcn.h>
#include <link.h>
#include <stdexcept>
#include <string>
__global__ void f(float *a, int n) {
    for (int k = 0; k < 200; k++)
        for (int i = 0; i < n; i++) a[i] = sinf(a[i]) * cosf(a[i] + k) + powf(a[i], k * .1f);
}
static int count(dl_phdr_info *info, size_t, void *found) {
    if (std::string(info->dlpi_name).find("unwinding.so") == std::string::npos) return 0;
    for (int k = 0; k < info->dlpi_phnum; k++)
        *(int *)found += info->dlpi_phdr[k].p_type == PT_LOAD;
    return 0;
}
extern "C" int run(float *a, float *, int) {
    Dl_info info;
    int loads = 0;
    f<<<1, 1>>>(a, 3);
    if (!dladdr((void *)&run, &info) || std::string(info.dli_sname) != "run") return -1;
    try { throw std::runtime_error("x"); }
    catch (const std::exception &error) { dl_iterate_phdr(count, &loads); }
    return loads;
}
"""


def test_exceptions_are_caught_and_segments_are_seen(tmp_path: Path) -> None:
    """The hole makes one segment more; unwinding reads the program headers where they now are."""
    codes = (*_code("75", "sm_75"), *_code("80", "sm_80"), *_code("90", "sm_90"))
    file = compile_cuda(
        tmp_path, "unwinding.so", UNWINDING, *SHARED, *codes, "-compress-mode", "none"
    )
    (tmp_path / "new").mkdir()
    new = edit(file, tmp_path / "new", "sm_90")
    assert int(call(new)) == int(call(file)) + 1 > 2


def test_ptx_alone_stays(tmp_path: Path) -> None:
    """Of a library of PTX alone nothing goes: it is the only code that the card could run."""
    file = compile_cuda(tmp_path, "ptx.so", SOURCE, *SHARED, *_code("80", "compute_80"))
    made = plan_gpu_edit(file.read_bytes(), [parse_target("sm_90")], "none")
    assert not isinstance(made, GpuEdit)
    assert made.reason == "no GPU code would go"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("sm_86",), {"sm_80", "sm_86"}),
        (("sm_89",), {"sm_80", "sm_86"}),
        (("sm_75", "H100"), {"sm_75", "sm_90", "sm_90a"}),
        (("sm_103",), {"sm_100"}),
        (("sm_120",), {"ptx sm_90"}),
        (("8.6+ptx",), {"sm_80", "sm_86", "ptx sm_90"}),
    ],
)
def test_devices_keep_what_they_need(
    names: tuple[str, ...],
    expected: set[str],
    tmp_path: Path,
    libraries: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    cuobjdump = tool("cuobjdump")
    new = edit(library("none", libraries, tmp_path_factory), tmp_path, *names)
    found = {arch if kind == "cubin" else f"ptx {arch}" for kind, arch in listed(cuobjdump, new)}
    # The container of cudart's device code has no PTX: of that one the smallest cubin stays.
    assert expected <= found
    assert len(found - expected) <= 1


def relocations(file: Path) -> dict[int, Any]:
    """The dynamic relocations by address, as pyelftools reads them."""
    found: dict[int, Any] = {}
    elf = ELFFile(io.BytesIO(file.read_bytes()))
    for section in elf.iter_sections():
        if isinstance(section, RelocationSection) and section["sh_flags"] & 2:
            for row in section.iter_relocations():
                found[row["r_offset"]] = (row["r_info"], row["r_addend"])
    assert found
    return found
