"""Distributions that are left over, and import packages that are there twice."""

from __future__ import annotations

from pathlib import Path

from slim.model.audit import Audit
from tests.support.audits import audit_of
from tests.support.published_stacks import Files, LayerSpec, distribution, merge, publish

RUNTIME: Files = {"lib/python3.13/os.py": "import sys\n", "bin/python": "#!/bin/sh\n"}


def audited(folder: Path, framework: Files, application: Files, *, launch: bool = True) -> Audit:
    """Audit of a stack of three layers, or of two without an application."""
    layers = {
        "cpython3.13": LayerSpec("runtime", RUNTIME),
        "framework-f": LayerSpec("framework", framework),
    }
    if launch:
        layers["app-a"] = LayerSpec(
            "application", application, requires=("framework-f",), launch_module="app"
        )
    publish(folder, layers)
    return audit_of(folder)


def app(code: str) -> Files:
    return distribution("app", {"app.py": code})


def left_over(found: Audit) -> set[str]:
    return {one.owner.name for one in found.orphans}


def test_what_is_left_over_is_told_with_a_line_that_drops_it(tmp_path: Path) -> None:
    framework = merge(
        distribution("torch", {"torch/__init__.py": "NAMES = {'cublas': 'libcublas.so.*'}\n"}),
        distribution("nvidia-cublas", {"nvidia/cublas/lib/libcublas.so.12": "x" * 5000}),
        distribution("nvidia-nvtx", {"nvidia/nvtx/__init__.py": "", "nvidia/nvtx/data": "x"}),
        distribution("triton", {"triton/__init__.py": ""}, metadata="Requires-Dist: nvidia-nvtx\n"),
    )
    found = audited(tmp_path, framework, app("import torch\n"))
    assert left_over(found) == {"nvidia-cublas", "nvidia-nvtx", "triton"}
    assert found.orphans[0].owner.name == "nvidia-cublas"
    assert found.orphans[0].drop == 'drop = ["nvidia-cublas"]'
    assert found.orphans[0].size >= 5000


def test_whoever_requires_imports_names_or_starts_it_keeps_it(tmp_path: Path) -> None:
    framework = merge(
        distribution(
            "torch",
            {"torch/__init__.py": ""},
            metadata="Requires-Dist: nvidia-cublas\nRequires-Dist: extra-one ; extra == 'x'\n",
        ),
        distribution("nvidia-cublas", {"nvidia/cublas/lib/libcublas.so.12": "x"}),
        distribution("nvidia-nvtx", {"nvidia/nvtx/__init__.py": ""}),
        distribution("nvidia-cufft", {"nvidia/cufft/__init__.py": ""}),
        distribution("by-string", {"by_string/__init__.py": ""}),
        distribution("extra-one", {"extra_one/__init__.py": ""}),
        distribution(
            "plugin",
            {"plugin/__init__.py": ""},
            more={"entry_points.txt": "[torch.backends]\nx = plugin\n"},
        ),
    )
    code = "import torch, nvidia.nvtx\nfrom nvidia import cufft\nx = __import__('by_string')\n"
    assert left_over(audited(tmp_path, framework, app(code))) == {"extra-one"}


def test_without_an_application_nobody_knows_what_is_wanted(tmp_path: Path) -> None:
    framework = distribution("alone", {"alone/__init__.py": ""})
    assert left_over(audited(tmp_path, framework, {}, launch=False)) == set()


def test_a_package_that_a_layer_above_has_too_is_told(tmp_path: Path) -> None:
    framework = merge(
        distribution("tensorflow-cpu", {"tensorflow/__init__.py": "x" * 70, "tensorflow/a.py": ""}),
        distribution("google-a", {"google/a/__init__.py": ""}),
    )
    application = merge(
        app("import tensorflow, google.a, google.b\n"),
        distribution("tensorflow", {"tensorflow/__init__.py": ""}),
        distribution("google-b", {"google/b/__init__.py": ""}),
    )
    found = audited(tmp_path, framework, application)
    rows = [(one.package, one.layer, one.above, one.size, one.files) for one in found.shadowed]
    assert rows == [("tensorflow", "framework-f", ("app-a",), 70, 2)]
