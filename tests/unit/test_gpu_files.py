"""The pass ``gpu-files`` with its own rules: which files for GPUs go, and what holds them."""

from __future__ import annotations

import pytest

from slim.config.settings import Config
from slim.model.gpu_target import GpuSettings, parse_target
from slim.model.plan import Plan, Remove, SkipReason
from slim.model.progress import Silent
from slim.passes import SCHEMAS
from slim.plan.planner import Planner
from slim.rules.loader import builtin_packs
from tests.support import gpu_files as made
from tests.support.virtual_stacks import Contents, Link, make_stack

PACKS = tuple(builtin_packs(SCHEMAS))
ALT = "$site/nvidia/cu13/lib/libnvrtc.alt.so.13"
BUILTINS = "$site/nvidia/cu13/lib/libnvrtc-builtins.alt.so.13.0"
MG = "$site/nvidia/cu13/lib/libcusolverMg.so.12"
VERSION = "$site/torch/version.py"
LIBRARY = made.elf([(".text", b"t" * 64)])


def owned(name: str, *paths: str) -> dict[str, Contents]:
    rows = "".join(f"{path.removeprefix('$site/')},,\n" for path in paths)
    folder = f"$site/{name.replace('-', '_')}-1.0.dist-info"
    return {
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{folder}/RECORD": rows,
    }


def plan(files: dict[str, Contents], *devices: str) -> Plan:
    settings = GpuSettings(targets=tuple(map(parse_target, devices))) if devices else None
    stack = make_stack({"app-main": files})
    return Planner(stack.facts, Config(packs=PACKS, gpu=settings), Silent()).plan()


def gone(found: Plan) -> set[str]:
    return {
        action.record.path.rpartition("/")[2]
        for action in found.actions.values()
        if isinstance(action, Remove) and action.pass_name == "gpu-files"
    }


def held(found: Plan) -> dict[str, tuple[SkipReason, str]]:
    return {
        one.record.path.rpartition("/")[2]: (one.reason, one.evidence[0].file or "")
        for one in found.skipped
        if one.pass_name == "gpu-files"
    }


def nvidia(**more: Contents) -> dict[str, Contents]:
    return {
        ALT: LIBRARY,
        BUILTINS: LIBRARY,
        "$site/nvidia/cu13/lib/libnvrtc.so.13": LIBRARY,
        MG: LIBRARY,
        "$site/nvidia/cu13/include/cusolverMg.h": "// cusolverMg\n",
        "$site/cuda/pathfinder/catalog.py": "names = ['cusolverMg', 'nvrtc.alt']\n",
        **owned("nvidia-cuda-nvrtc", ALT, BUILTINS, "$site/nvidia/cu13/lib/libnvrtc.so.13"),
        **owned("nvidia-cusolver", MG),
        **{path: content for path, content in more.items()},
    }


def test_libraries_that_nothing_links_or_names_go() -> None:
    assert gone(plan(nvidia())) == {
        "libnvrtc.alt.so.13",
        "libnvrtc-builtins.alt.so.13.0",
        "libcusolverMg.so.12",
    }


def test_a_name_in_any_other_file_holds_the_library_and_its_companion() -> None:
    found = plan(nvidia(**{"$site/own/kernels.py": "load('nvrtc.alt')\n"}))
    assert gone(found) == {"libcusolverMg.so.12"}
    reasons = held(found)
    assert reasons["libnvrtc.alt.so.13"][0] is SkipReason.REFERENCED
    assert reasons["libnvrtc.alt.so.13"][1].endswith("own/kernels.py")
    assert reasons["libnvrtc-builtins.alt.so.13.0"][0] is SkipReason.LINKED


def test_a_link_elsewhere_holds_the_library() -> None:
    link = Link("../nvidia/cu13/lib/libcusolverMg.so.12")
    found = plan(nvidia(**{"$site/own/libx.so": link}))
    assert "libcusolverMg.so.12" not in gone(found)


def torch(**versions: str | None) -> str:
    lines = [f"{kind}: Optional[str] = {versions.get(kind)!r}" for kind in ("cuda", "hip", "xpu")]
    return "\n".join(["__version__ = '2.14.1'", *lines, ""])


BNB = [f"cuda{one}" for one in ("118", "121", "124", "128", "130")] + ["rocm70", "xpu2026", "cpu"]


def bitsandbytes(version: str | None, **more: Contents) -> dict[str, Contents]:
    paths = [f"$site/bitsandbytes/libbitsandbytes_{name}.so" for name in BNB]
    return {
        "$site/bitsandbytes/__init__.py": "import os\nos.environ.get('BNB_CUDA_VERSION')\n",
        **dict.fromkeys(paths, LIBRARY),
        **owned("bitsandbytes", "$site/bitsandbytes/__init__.py", *paths),
        **({VERSION: version} if version is not None else {}),
        **more,
    }


@pytest.mark.parametrize(
    ("version", "stay"),
    [
        (torch(cuda="12.8"), {"cuda128"}),
        (torch(cuda="12.9"), {"cuda128"}),
        (torch(cuda="12.6"), {"cuda124"}),
        (torch(cuda="12.0"), {"cuda121"}),
        (torch(cuda="13.2"), {"cuda130"}),
        (torch(cuda="14.0"), {"cuda118", "cuda121", "cuda124", "cuda128", "cuda130"}),
        (torch(hip="7.0.5"), {"rocm70"}),
        (torch(xpu="20260"), {"xpu2026"}),
        (torch(), set()),
        ("cuda = '12.8'\nhip = None\n", {"cuda128"}),
    ],
)
def test_the_library_that_bitsandbytes_takes_stays(version: str, stay: set[str]) -> None:
    """It takes the same version, the next lower of the same major, or the next higher."""
    left = set(BNB) - {
        name.removeprefix("libbitsandbytes_").removesuffix(".so")
        for name in gone(plan(bitsandbytes(version)))
    }
    assert left == stay | {"cpu"}


@pytest.mark.parametrize("version", [None, "cuda = compute()\n"])
def test_nothing_goes_where_pytorch_does_not_say(version: str | None) -> None:
    found = plan(bitsandbytes(version))
    assert not gone(found)
    assert held(found)["libbitsandbytes_cuda118.so"][0] is SkipReason.CONDITION


def test_two_builds_of_pytorch_keep_what_each_takes() -> None:
    files = bitsandbytes(torch(cuda="12.8"), **{"$site/old/torch/version.py": torch(cuda="11.8")})
    assert {"libbitsandbytes_cuda118.so", "libbitsandbytes_cuda128.so"}.isdisjoint(
        gone(plan(files))
    )


def test_a_program_that_chooses_by_the_environment_holds_all() -> None:
    files = bitsandbytes(
        torch(cuda="12.8"), **{"$site/own/start.py": "environ['BNB_CUDA_VERSION'] = '118'\n"}
    )
    assert not gone(plan(files))
    assert held(plan(files))["libbitsandbytes_cuda118.so"][1].endswith("own/start.py")


CUBINS = {
    "a_sm80.cubin": made.cubin(0x6005004),
    "b_sm90a.cubin": made.cubin(0x6005A0C),
    "c_sm100.cubin": made.cubin(0x6006402),
    "d_broken.cubin": b"\x7fELF\x02\x01\x01",
}


@pytest.mark.parametrize(
    ("devices", "go"),
    [
        ((), set()),
        (("sm_90",), {"a_sm80.cubin", "c_sm100.cubin"}),
        (("8.6",), {"b_sm90a.cubin", "c_sm100.cubin"}),
        (("sm_100", "sm_103"), {"a_sm80.cubin", "b_sm90a.cubin"}),
    ],
)
def test_cubins_for_other_devices(devices: tuple[str, ...], go: set[str]) -> None:
    paths = {f"$site/flashinfer_cubin/cubins/{name}": data for name, data in CUBINS.items()}
    files = {"$site/flashinfer_cubin/__init__.py": "", **paths}
    files |= owned("flashinfer-cubin", *files)
    assert gone(plan(files, *devices)) == go


@pytest.mark.parametrize(
    ("devices", "go"),
    [((), False), (("sm_90",), False), (("sm_86", "9.0"), False), (("sm_100",), True)],
)
def test_the_library_for_hopper_alone(devices: tuple[str, ...], go: bool) -> None:
    paths = [f"$site/sgl_kernel/{name}/common_ops.abi3.so" for name in ("sm90", "sm100")]
    files: dict[str, Contents] = {
        "$site/sgl_kernel/__init__.py": "",
        **dict.fromkeys(paths, LIBRARY),
    }
    files |= owned("sgl-kernel", *files)
    found = plan(files, *devices)
    removed = {
        action.record.path for action in found.actions.values() if action.pass_name == "gpu-files"
    }
    assert {path.rpartition("sgl_kernel/")[2] for path in removed} == (
        {"sm90/common_ops.abi3.so"} if go else set()
    )
