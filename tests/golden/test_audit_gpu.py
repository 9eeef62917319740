"""GPU code in the reports of ``slim audit``: sums by hand, texts word for word, the contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from slim.model.audit import Audit
from slim.reports.audit import json_v1 as audit_json
from slim.reports.audit import terminal as audit_terminal
from slim.reports.audit.json_gpu import gpu_document
from slim.reports.common.style import TerminalStyle
from slim.reports.html.gpu import gpu_data
from tests.support import gpu_files as made
from tests.support.audits import audit_of
from tests.support.report_schemas import schema

Golden = Callable[[str, str], None]
SITE = "lib/python3.13/site-packages"
CODE = b"\x7fELF" + b"c" * 1000


def _cuda() -> bytes:
    fat = made.fatbin(
        *(made.entry(arch=arch, payload=CODE) for arch in (80, 90)),
        made.entry(arch=90, payload=CODE, flags=0x11 | made.SPECIFIC),
        made.entry(made.PTX, 90, CODE[:500], flags=0x11 | made.ZSTD, unpacked=5000, header_size=96),
    )
    return made.elf([(".text", b"t" * 3000), (".nv_fatbin", fat)])


def _files() -> dict[str, bytes]:
    names = [f"hipv4-amdgcn-amd-amdhsa--gfx{number}" for number in ("90a", "942", "1100")]
    bundle = made.bundle([(name, bytes([place]) * 900) for place, name in enumerate(names)])
    alone = made.bundle([(names[0], b"o" * 900)])
    return {
        f"{SITE}/torch/lib/libtorch_cuda.so": _cuda(),
        f"{SITE}/torch/lib/libdamaged.so": made.elf(
            [(".nv_fatbin", made.fatbin() + b"\x50\xed\x55\xba")]
        ),
        f"{SITE}/hip/libhip.so": made.elf([(".hip_fatbin", made.packed_bundle(bundle))]),
        f"{SITE}/hip/libone.so": made.elf([(".hip_fatbin", made.packed_bundle(alone))]),
        f"{SITE}/hip/kernels.dll": made.pe([(".nv_fatbin", made.fatbin(made.entry(arch=75)))]),
        f"{SITE}/mlx/mlx.metallib": b"MTLB" + b"m" * 700,
        f"{SITE}/torch-9.dist-info/METADATA": b"Name: torch\nVersion: 9\n",
        f"{SITE}/torch-9.dist-info/RECORD": b"torch/lib/libtorch_cuda.so,,\n"
        b"torch/lib/libdamaged.so,,\ntorch-9.dist-info/METADATA,,\ntorch-9.dist-info/RECORD,,\n",
    }


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder = tmp_path_factory.mktemp("gpu") / "stack"
    for name, content in _files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    found = audit_of(folder)
    return replace(found, stack=replace(found.stack, source="stack"), savings=(), elapsed=1.5)


def test_sums(audited: Audit) -> None:
    gpu = audited.gpu
    names = {file.record.path.rpartition("/")[2]: file for file in gpu.files}
    assert set(names) == {
        "libtorch_cuda.so", "libdamaged.so", "libhip.so", "libone.so", "kernels.dll",
        "mlx.metallib",
    }  # fmt: skip
    cuda = names["libtorch_cuda.so"]
    assert cuda.size == 16 + 3 * (64 + 1008) + 96 + 504
    assert sum(share.size for share in cuda.shares) == cuda.size - 16
    by_name = {(row.kind.value, row.architecture): row for row in gpu.architectures}
    assert by_name["ptx", "sm_90"].unpacked == 5000
    assert by_name["hsaco", "gfx90a"].together
    assert by_name["hsaco", "gfx90a"].entries == 2
    assert by_name["hsaco", "gfx90a"].size == names["libone.so"].size - 32
    assert by_name["hsaco", "gfx942"].size == 0
    assert gpu.together == names["libhip.so"].size
    assert [kind for kind, _ in by_name][-1] == "metallib"
    assert gpu.size == sum(row.size for row in gpu.owners) == sum(one.size for one in gpu.files)
    assert "cut short" in names["libdamaged.so"].damage[0]


@pytest.mark.parametrize("verbosity", [0, 1])
def test_terminal(golden: Golden, audited: Audit, verbosity: int) -> None:
    text = audit_terminal.render([audited], TerminalStyle(), verbosity)
    start = text.index("GPU code for")
    end = text.index("files no distribution owns") if "files no dist" in text else len(text)
    golden(f"audit-gpu-{verbosity}.txt", text[start:end])


def test_json(golden: Golden, audited: Audit) -> None:
    document = json.loads(audit_json.render([audited]))
    jsonschema.Draft202012Validator(schema("audit-v1")).validate(document)
    assert document["audits"][0]["gpu"] == gpu_document(audited.gpu)
    golden("audit-gpu.json", json.dumps(gpu_document(audited.gpu), indent=2) + "\n")


def test_page(audited: Audit) -> None:
    data = gpu_data([audited.gpu, audited.gpu])
    assert data is not None
    assert len(data["names"]) == len(data["colours"]) == len(data["rows"])
    places = {name: place for place, name in enumerate(data["names"])}
    assert data["colours"][places["sm_90"]] == data["colours"][places["sm_90 PTX"]]
    assert data["colours"][places["sm_90"]] != data["colours"][places["sm_90a"]]
    assert data["rows"][places["compressed together"]][0] == 2 * audited.gpu.together
    assert sum(row[1] for row in data["owners"]) == 2 * audited.gpu.size
    assert data["count"] == 2 * len(audited.gpu.files)
    assert gpu_data([]) is None


def test_why_tells_the_architectures(tmp_path: Path) -> None:
    (tmp_path / "libx.so").write_bytes(_cuda())
    (answer,) = audit_of(tmp_path, why=("**/libx.so",)).why
    assert answer.explained[0].native == (
        "ELF for linux on x86_64, GPU code for sm_80 (cubin), sm_90 (cubin), sm_90 (ptx),"
        " sm_90a (cubin)"
    )
