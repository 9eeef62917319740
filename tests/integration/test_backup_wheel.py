"""A wheel from the package index: its stripped layer comes back, and gdb has its source lines."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from slim.config.load import load_config
from slim.passes import SCHEMAS
from slim.pipeline.stages import RunRequest, run
from tests.support.backup_runs import assert_records_true, entries, put_back
from tests.support.published_stacks import SITE, LayerSpec, publish

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.skipif(sys.platform != "linux", reason="wheels for Linux"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``_artifacts`` with markupsafe in a layer, and what a run makes of it."""
    folder = tmp_path_factory.mktemp("wheel")
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-compile",
        "--only-binary",
        ":all:",
    ]
    subprocess.run(
        [
            *install,
            "--python-version",
            "3.13",
            "--platform",
            "manylinux2014_x86_64",
            "-t",
            folder / "site",
            "markupsafe",
        ],
        check=True,
    )
    files = {f"{SITE}/{path.relative_to(folder / 'site')}": path.read_bytes()
             for path in sorted((folder / "site").rglob("*")) if path.is_file()}  # fmt: skip
    publish(folder / "_artifacts", {"python": LayerSpec("runtime", files)})
    run(
        RunRequest(
            source=folder / "_artifacts",
            output=folder / "_slim",
            config=load_config(SCHEMAS),
            keep_removed=folder / "kept.tar.zst",
            symbols=folder / "symbols",
        )
    )
    return folder


def test_the_layer_comes_back(made: Path, tmp_path: Path) -> None:
    slimmed = made / "_slim" / "python.tar.xz"
    before = entries(made / "_artifacts" / "python.tar.xz")
    assert entries(slimmed) != before
    assert_records_true(slimmed, "python")
    (result,) = put_back(made / "kept.tar.zst", made / "_slim", tmp_path / "all")
    assert result.layers[0].whole
    assert entries(tmp_path / "all" / "python.tar.xz") == before
    put_back(made / "kept.tar.zst", made / "_slim", tmp_path / "some", "**/*.so")
    some = entries(tmp_path / "some" / "python.tar.xz")
    library = next(name for name in before if name.endswith(".so"))
    assert some[library] == before[library] != entries(slimmed)[library]
    assert_records_true(tmp_path / "some" / "python.tar.xz", "python")


def test_gdb_has_its_lines(made: Path, tmp_path: Path) -> None:
    if shutil.which("gdb") is None:
        pytest.skip("gdb isn't installed")
    subprocess.run(["tar", "-xf", made / "_slim" / "python.tar.xz", "-C", tmp_path], check=True)
    (library,) = tmp_path.rglob("*.so")

    def ask(*first: str) -> str:
        command = [
            "gdb",
            "-nx",
            "-batch",
            *first,
            "-ex",
            f"file {library}",
            "-ex",
            "info line PyInit__speedups",
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    assert "No line number information" in ask()
    assert re.search(
        r'Line \d+ of ".*_speedups\.c"', ask("-ex", f"set debug-file-directory {made / 'symbols'}")
    )
